/** The worker of the page: it compiles the spec, trains it on the examples, and asks the model before and after what it makes of a picture. */
import {
  browserHost,
  type CompileOptions,
  compile,
  datasetOfImages,
  EspalierError,
  libraryText,
  load,
  MemoryRun,
  RuntimeError,
  render,
  type Session,
  type Spec,
  trainInMemory,
} from '../../../src/api/browser/index.js';
import type { Asked, Failure, Picture, Told } from './messages.js';
import { optionsOf, shippedSpec } from './shipped.js';

const PATH = 'drawings.peft';
const ADAPTER = './adapter.safetensors';
const host = browserHost({ base: new URL('models/', location.href) });

type Train = Extract<Asked, { kind: 'train' }>;

let run = new MemoryRun();
let stop = new AbortController();
/** The model as it begins, and as it is now: one program twice. Its adapters stay apart, and what is learnt takes their place after an epoch. */
let models: { readonly before: Session; readonly now: Session } | undefined;
let tuned = false;
/** The last picture that was to be tried, and whether it still has to be: with a model that there was not before, it is tried again. */
let asked: Extract<Asked, { kind: 'try' }> | undefined;
let waiting = false;
let trying = false;
let training = false;

const tell = (message: Told): void => postMessage(message);
const progress = (what: string, fraction?: number): void =>
  tell({ kind: 'doing', what, ...(fraction === undefined ? {} : { fraction }) });

async function train({ spec: text, classes, examples, goOn }: Train): Promise<Told> {
  stop = new AbortController();
  const { signal } = stop;
  const spec = { text, path: PATH };
  const labels = examples.map(({ label }) => label);
  const datasets = datasetOfImages(examples, { kind: 'class', labels }, { name: 'the examples', classes });
  const options = { host, set: optionsOf(PATH, text, classes), progress };
  if (!goOn) {
    run = new MemoryRun();
    forget();
  }
  models ??= await opened(spec, options);
  if (run.hasResult) await renew();
  void tryAgain();
  const events = trainInMemory(spec, {
    ...options,
    datasets,
    run,
    signal,
    began: (about) => tell({ kind: 'began', ...about }),
  });
  for await (const event of events) {
    tell({ kind: 'event', event });
    // An epoch that was no better than one before changes nothing.
    if (event.kind === 'epoch' && (event.best || !event.validation)) await renew();
  }
  return {
    kind: 'ended',
    stopped: signal.aborted,
    metrics: run.events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    ...(run.hasResult
      ? { adapter: { file: run.adapter().slice(), spec: shippedSpec(PATH, text, classes, ADAPTER) } }
      : {}),
  };
}

async function opened(spec: Spec, options: CompileOptions): Promise<NonNullable<typeof models>> {
  const compiled = await compile(spec, { ...options, golden: false, prepare: 'load' });
  const before = await load(compiled);
  try {
    return { before, now: await load(compiled) };
  } catch (error) {
    before.dispose();
    throw error;
  }
}

/** Puts what the run has learnt so far into the model. */
async function renew(): Promise<void> {
  if (!models) return;
  await models.now.replace(run.adapter());
  tuned = true;
  void tryAgain();
}

function forget(): void {
  models?.before.dispose();
  models?.now.dispose();
  models = undefined;
  tuned = false;
}

/** Tries the last picture, as soon as there is a model to try it on. */
async function tryAgain(): Promise<void> {
  waiting = true;
  if (trying || !models) return;
  trying = true;
  const tried = models;
  try {
    while (waiting && asked && models === tried) {
      waiting = false;
      const { picture, number } = asked;
      const before = await probabilities(tried.before, picture);
      const after = tuned ? { after: await probabilities(tried.now, picture) } : {};
      tell({ kind: 'guess', number, before, ...after });
    }
  } catch (error) {
    // A run that began in between has taken the models away.
    if (models === tried) {
      forget();
      failed(error);
    }
  } finally {
    trying = false;
  }
  if (models !== tried) void tryAgain();
}

async function probabilities(session: Session, picture: Picture): Promise<number[]> {
  const { outputs } = await session.run({ image: picture });
  const logits = Array.from(Object.values(outputs)[0]!);
  const largest = Math.max(...logits);
  const shares = logits.map((x) => Math.exp(x - largest));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((x) => x / sum);
}

function failed(error: unknown, fatal = false): void {
  tell({ kind: 'failed', failure: { ...said(error), ...(fatal ? { fatal } : {}) }, steps: run.steps, training });
}

function said(error: unknown): Failure {
  if (error instanceof RuntimeError) return { message: error.message, help: error.help };
  if (!(error instanceof EspalierError))
    return { message: String(error), help: 'This is a fault of Espalier or of this page.' };
  const [first] = error.diagnostics;
  const texts = (file: string) => (file === PATH ? specText : libraryText(file));
  return {
    message: error.diagnostics.map((d) => d.message).join('; '),
    help: first!.help.join(' '),
    source: render(error.diagnostics, { texts, color: false, width: 80 }),
  };
}

let specText = '';
addEventListener('message', ({ data }: MessageEvent<Asked>) => {
  if (data.kind === 'stop') stop.abort();
  else if (data.kind === 'try') {
    asked = data;
    void tryAgain();
  } else {
    specText = data.spec;
    training = true;
    train(data).then(
      (ended) => {
        training = false;
        tell(ended);
      },
      (error: unknown) => {
        training = false;
        failed(error);
      },
    );
  }
});

host.openGpu!().then(
  ({ description, release }) => {
    release();
    tell({ kind: 'ready', device: description });
  },
  (error: unknown) => failed(error, true),
);
