/** The page: examples, the spec, the curves of a run, and a picture to try. What computes is in the worker. */
import type { EpochEvent, StepEvent, TrainEvent } from '../../../src/api/browser/index.js';
import { drawBars } from './bars.js';
import { Chart } from './chart.js';
import { Examples } from './examples.js';
import type { Asked, Failure, Picture, Told } from './messages.js';
import { Pad, pictureOf, picturesOfSheet } from './pad.js';

const DIGITS = Array.from({ length: 10 }, (_, i) => String(i));

const element = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const button = (id: string): HTMLButtonElement => element<HTMLButtonElement>(id);
const spec = element<HTMLTextAreaElement>('spec');
const say = (id: string, text: string): void => {
  element(id).textContent = text;
};

/** What the page is doing; which buttons there are follows from it. */
let state: 'no GPU' | 'idle' | 'training' | 'stopping' = 'idle';
/** Steps of a run that was stopped, from which it can go on while nothing is changed. */
let stopped = 0;
/** Classes of the model that is being tried. */
let learnt: readonly string[] = [];
/** Number of the last picture that was tried. */
let tried = 0;
let steps: StepEvent[] = [];
/** Of the whole run. */
let whole = 0;

/** Without WebGPU there is none. */
const worker = navigator.gpu && new Worker(new URL('worker.js', import.meta.url), { type: 'module', name: 'espalier' });
const ask = (message: Asked): void => worker?.postMessage(message);

const chart = new Chart(element('chart'));
const pad = new Pad(element<HTMLCanvasElement>('pad'));
const tryPad = new Pad(element<HTMLCanvasElement>('try-pad'), () => tryOn(tryPad.picture()));
const examples = new Examples(element('classes'), element('examples'), (changed) => {
  say('add', `Add as “${examples.selected}”`);
  if (changed) stopped = 0;
  show();
});

function show(): void {
  const busy = state === 'training' || state === 'stopping';
  button('train').disabled = busy || state === 'no GPU';
  button('train').textContent = stopped > 0 ? 'Start again' : 'Train';
  button('stop').disabled = state !== 'training';
  button('go-on').hidden = busy || stopped === 0;
  for (const id of ['add', 'clear', 'samples', 'files'])
    element(id).toggleAttribute('disabled', busy || (id === 'samples' && examples.all.length >= 200));
  spec.readOnly = busy;
}

function alertOf(failure: Failure | undefined): void {
  const place = element('alert');
  place.hidden = failure === undefined;
  if (!failure) return;
  const title = document.createElement('strong');
  title.textContent = failure.message;
  const help = document.createElement('span');
  help.textContent = failure.help;
  const source = document.createElement('pre');
  source.textContent = failure.source ?? '';
  place.replaceChildren(title, help, ...(failure.source ? [source] : []));
  place.scrollIntoView({ block: 'nearest' });
}

// ---- Examples ----------------------------------------------------------------------------------------------------------

for (const digit of DIGITS) examples.addClass(digit);
examples.addClass(DIGITS[0]!);

button('clear').addEventListener('click', () => pad.clear());
button('add').addEventListener('click', () => {
  if (pad.isEmpty)
    return alertOf({ message: 'There is nothing drawn.', help: 'Draw an example on the black square, then add it.' });
  alertOf(undefined);
  examples.add([pad.picture()]);
  pad.clear();
});
element('new-class').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = element<HTMLInputElement>('class-name');
  const name = input.value.trim();
  if (name !== '') examples.addClass(name);
  input.value = '';
});
element<HTMLInputElement>('files').addEventListener('change', async ({ target }) => {
  const input = target as HTMLInputElement;
  const label = examples.selected;
  const files = [...(input.files ?? [])];
  input.value = '';
  const found = await Promise.allSettled(files.map(pictureOf));
  const broken = files.filter((_, i) => found[i]!.status === 'rejected').map(({ name }) => name);
  alertOf(broken.length > 0 ? unreadable(broken) : undefined);
  examples.add(
    found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    label,
  );
});
button('samples').addEventListener('click', async () => {
  try {
    const sheets = await Promise.all(DIGITS.map((digit) => fetched(`samples/${digit}.png`)));
    for (const [i, sheet] of sheets.entries()) examples.add(await picturesOfSheet(sheet), DIGITS[i]!);
    alertOf(undefined);
  } catch (error) {
    alertOf({ message: `The digits cannot be had: ${(error as Error).message}`, help: 'Is the server still there?' });
  }
});

const unreadable = (names: readonly string[]): Failure => ({
  message: `${names.join(', ')}: no picture that this browser reads`,
  help: 'Give PNG, JPEG, WebP or GIF files. The others were added.',
});

async function fetched(path: string): Promise<Blob> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
  return response.blob();
}

// ---- Training ----------------------------------------------------------------------------------------------------------

/** What keeps these examples from being learnt. */
function missing(): Failure | undefined {
  const { used, all } = examples;
  if (all.length === 0)
    return { message: 'There are no examples yet.', help: 'Draw some, pick files, or add the MNIST digits.' };
  if (used.length < 2)
    return {
      message: `All examples are of one class, “${used[0]}”.`,
      help: 'A model that knows one class has nothing to tell apart: add examples of another.',
    };
  const single = used.filter((name) => all.filter(({ label }) => label === name).length < 2);
  if (single.length > 0)
    return {
      message: `There is only one example of ${single.map((name) => `“${name}”`).join(', ')}.`,
      help: 'Of each class one is held out to see how well the others were learnt: add at least another.',
    };
  return undefined;
}

function begin(goOn: boolean): void {
  const failure = missing();
  alertOf(failure);
  if (failure) return;
  if (!goOn) {
    steps = [];
    learnt = examples.used;
    // What is still being tried was asked of another model.
    tried++;
    chart.clear();
    element('bars').replaceChildren();
    for (const id of ['step', 'loss', 'accuracy', 'pace']) say(id, '–');
    say('plan', '');
    for (const id of downloads.keys()) button(id).disabled = true;
    downloads.clear();
    if (tryPad.isEmpty) say('verdict', 'Draw something to see what it is taken for.');
    else tryOn(tryPad.picture());
  }
  state = 'training';
  stopped = 0;
  show();
  doing('compiling');
  ask({ kind: 'train', spec: spec.value, classes: examples.used, examples: examples.all, goOn });
}

button('train').addEventListener('click', () => begin(false));
button('go-on').addEventListener('click', () => begin(true));
button('stop').addEventListener('click', () => {
  state = 'stopping';
  show();
  doing('stopping after this step');
  ask({ kind: 'stop' });
});
spec.addEventListener('input', () => {
  stopped = 0;
  show();
});

/** Shows what is being done; without a share the bar only moves. */
function doing(what: string, share?: number): void {
  say('doing', what);
  const bar = element<HTMLProgressElement>('progress');
  if (share === undefined) bar.removeAttribute('value');
  else bar.value = share;
}

function follow(event: TrainEvent): void {
  chart.add(event);
  if (event.kind === 'step') {
    steps.push(event);
    say('step', `${event.step + 1} of ${whole}`);
    say('loss', event.loss.toFixed(event.loss < 0.01 ? 5 : 3));
    const pace = paceOf(steps);
    if (pace !== undefined) say('pace', pace >= 1 ? `${pace.toFixed(2)} s` : `${(1000 * pace).toFixed(1)} ms`);
    if (state === 'training') doing(`training, epoch ${event.epoch + 1}`, (event.step + 1) / whole);
  } else if (event.kind === 'epoch') {
    sayAccuracy(event);
  }
}

function sayAccuracy({ validation }: EpochEvent): void {
  if (validation?.accuracy === undefined) return;
  const right = Math.round(validation.accuracy * validation.samples);
  say('accuracy', `${right} of ${validation.samples}`);
}

/** Seconds that a step takes: the median of the last ones that followed one another in an epoch. */
function paceOf(all: readonly StepEvent[]): number | undefined {
  const last = all.slice(-30);
  const gaps = last.flatMap((s, i) => {
    const before = last[i - 1];
    return before && before.epoch === s.epoch && s.seconds > before.seconds ? [s.seconds - before.seconds] : [];
  });
  return gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)];
}

// ---- Trying ------------------------------------------------------------------------------------------------------------

button('try-clear').addEventListener('click', () => {
  tryPad.clear();
  element('bars').replaceChildren();
  say('verdict', learnt.length > 0 ? 'Draw something to see what it is taken for.' : 'Train first.');
});
element<HTMLInputElement>('try-file').addEventListener('change', async ({ target }) => {
  const input = target as HTMLInputElement;
  const [file] = input.files ?? [];
  input.value = '';
  if (!file) return;
  // What was asked for before has no place any more.
  tried++;
  element('bars').ariaBusy = 'true';
  try {
    const picture = await pictureOf(file);
    await tryPad.show(picture);
    tryOn(picture);
    alertOf(undefined);
  } catch {
    alertOf({ ...unreadable([file.name]), help: 'Give a PNG, JPEG, WebP or GIF file.' });
  }
});

function tryOn(picture: Picture): void {
  ask({ kind: 'try', picture, number: ++tried });
  element('bars').ariaBusy = 'true';
}

function guessed({ number, before, after }: Extract<Told, { kind: 'guess' }>): void {
  if (number !== tried) return;
  element('bars').ariaBusy = 'false';
  drawBars(element('bars'), learnt, before, after);
  const shown = after ?? before;
  const top = shown.indexOf(Math.max(...shown));
  const title = document.createElement('b');
  title.textContent = learnt[top]!;
  const more = document.createElement('span');
  more.textContent = after
    ? `says the tuned model, with ${(100 * shown[top]!).toFixed(1)}%`
    : 'is its guess before it is tuned';
  element('verdict').replaceChildren(title, more);
}

/** What can be downloaded, by the button that does it. */
const downloads = new Map<string, { readonly name: string; readonly content: BlobPart }>();

/** Lets a button give a file of this content, or nothing. */
function offer(id: string, name: string, content: BlobPart | undefined): void {
  if (content === undefined) downloads.delete(id);
  else downloads.set(id, { name, content });
  button(id).disabled = content === undefined;
}

for (const id of ['adapter', 'spec-file', 'metrics'])
  button(id).addEventListener('click', () => {
    const { name, content } = downloads.get(id)!;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([content], { type: 'application/octet-stream' }));
    link.download = name;
    link.click();
    // The browser has it by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });

// ---- What the worker says ----------------------------------------------------------------------------------------------

function ended({ stopped: early, adapter, metrics }: Extract<Told, { kind: 'ended' }>): void {
  state = 'idle';
  stopped = early ? steps.length : 0;
  if (adapter) {
    offer('adapter', 'adapter.safetensors', adapter.file);
    offer('spec-file', 'drawings.peft', adapter.spec);
  }
  offer('metrics', 'metrics.jsonl', metrics);
  const nothing = 'Stopped before an epoch ended: go on to have something to try.';
  doing(early ? (adapter ? 'Stopped.' : nothing) : 'Trained. Now try it.', early ? 0 : 1);
  show();
}

function failed({ failure, steps: done, training }: Extract<Told, { kind: 'failed' }>): void {
  alertOf(failure);
  if (training) return;
  state = failure.fatal ? 'no GPU' : 'idle';
  stopped = done;
  doing(failure.fatal ? 'No GPU to train on.' : 'Nothing is being trained.', 0);
  if (failure.fatal) noGpu();
  show();
}

function noGpu(): void {
  state = 'no GPU';
  say('device', 'no WebGPU');
}

worker?.addEventListener('message', ({ data }: MessageEvent<Told>) => {
  if (data.kind === 'ready') {
    say('device', data.device);
    element('device').classList.add('good');
  } else if (data.kind === 'doing') doing(data.what, data.fraction);
  else if (data.kind === 'began') {
    const { plan } = data;
    whole = data.steps;
    const mib = (plan.frozenBytes + plan.stateBytes + plan.stepBytes) / 2 ** 20;
    const share = ((100 * plan.trained) / plan.total).toFixed(1);
    say(
      'plan',
      `${plan.trained.toLocaleString('en')} of ${plan.total.toLocaleString('en')} parameters (${share}%) are trained; a step is ${plan.dispatches} dispatches in one submission, in ${mib.toFixed(1)} MiB of GPU memory.`,
    );
  } else if (data.kind === 'event') follow(data.event);
  else if (data.kind === 'ended') ended(data);
  else if (data.kind === 'guess') guessed(data);
  else failed(data);
});
worker?.addEventListener('error', ({ message }) => {
  alertOf({ message: message || 'The compiler did not load.', help: 'Load the page again.' });
});

if (!worker) {
  const help = isSecureContext
    ? 'Use a recent Chrome, Edge, Safari or Firefox, and switch on hardware acceleration.'
    : 'Pages that are not from this machine need https: WebGPU is there for secure pages alone.';
  alertOf({ message: 'This browser has no WebGPU, and the model is tuned with it.', help });
  noGpu();
}
fetched('drawings.peft').then(
  async (file) => {
    spec.value = await file.text();
  },
  (error: Error) => alertOf({ message: `The spec cannot be had: ${error.message}`, help: 'Load the page again.' }),
);
show();
