/**
 * Runs of `espalier train`, each a process that is killed at random moments and gone on with until it has ended by itself; what it leaves then is compared, bit
 * by bit, with what the same run leaves that nothing interrupted.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TrainEvent } from '../../src/api/index.js';
import { encodeSafetensors, type StoredTensor } from '../../src/formats/tensors/safetensors.js';
import { command } from '../command.js';
import { MODEL } from '../train/small.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Everything of a run that has a history: moments, an average, parts of a batch, dropouts, an order, pictures changed and mixed, checkpoints inside an epoch. */
const SPEC = `${MODEL}train Small {
  data = images("./halves.safetensors")
  optimizer = adamw(lr: 1e-2)
  schedule = cosine(epochs: 3)
  augment = [flip(50%), mixup(share: 50%)]
  batch = 8
  accumulate = 2
  seed = 3
  ema = 0.9
  clip = 1
  save = every(steps: 5)
  keep = 3
}
`;

/** The same with a search before its epochs: an agent tries candidates, each of which recovers and is put back. */
const SEARCHED = SPEC.replace(
  '  tune head\n',
  `  prune base.blocks[*].{attn.qkv, mlp.*} with magnitude(scope: global, over: sum) by recoverability(
    after: 0, recover: 8, images: 48, threshold: 0.1, from: 5%, to: 90%, step: 5%, explore: 20, choose: 12, fit: 10
  )
  tune head
`,
).replace('epochs: 3', 'epochs: 1');

/** What is killed. */
export type Subject = 'training' | 'search';

/** A spec with its data: pictures of 8 x 8, of which the upper or the lower half is brighter. */
export function writeSpec(folder: string, subject: Subject = 'training'): string {
  mkdirSync(folder, { recursive: true });
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
  const tensors = new Map<string, StoredTensor>();
  for (const [split, n] of [
    ['train', 200],
    ['test', 40],
  ] as const) {
    const labels = Uint8Array.from({ length: n }, (_, i) => i % 2);
    const pixels = new Uint8Array(n * 64);
    for (let i = 0; i < n; i++)
      for (let p = 0; p < 64; p++) pixels[i * 64 + p] = (p < 32 === (labels[i] === 0) ? 100 : 0) + next() / 2;
    tensors.set(`${split}.images`, { dtype: 'U8', shape: [n, 8, 8], data: pixels });
    tensors.set(`${split}.labels`, { dtype: 'U8', shape: [n], data: labels });
  }
  writeFileSync(join(folder, 'halves.safetensors'), encodeSafetensors(tensors, { classes: '["upper","lower"]' }));
  const spec = join(folder, 'small.peft');
  writeFileSync(spec, subject === 'search' ? SEARCHED : SPEC);
  return spec;
}

export interface Attempt {
  readonly killed: boolean;
  readonly code: number | null;
  /** Standard error. */
  readonly said: string;
  /** Milliseconds until its first event, and from one to the next. */
  readonly start: number;
  readonly each: number;
}

/** When a process is killed: so many milliseconds after it has told so many events; with 0 events, after its start. */
export interface Moment {
  readonly events: number;
  readonly milliseconds: number;
  /** What it is sent; SIGKILL unless this says another. */
  readonly signal?: NodeJS.Signals;
}

/** Trains into a folder, or goes on with the run that is there, in a process of its own that is killed at a moment. */
export async function attempt(spec: string, out: string, moment?: Moment): Promise<Attempt> {
  const resume = existsSync(join(out, 'run.json')) ? ['--resume'] : [];
  const words = await command();
  const began = performance.now();
  const child = spawn(process.execPath, [...words, 'train', spec, '-o', out, '--json', ...resume], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let events = 0;
  let firstEvent: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const wait = (): void => {
    if (moment && events >= moment.events)
      timer ??= setTimeout(() => child.kill(moment.signal ?? 'SIGKILL'), moment.milliseconds);
  };
  child.stderr.on('data', (text) => (said += text));
  child.stdout.on('data', (text) => {
    firstEvent ??= performance.now() - began;
    events += String(text).split('\n').length - 1;
    wait();
  });
  wait();
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const milliseconds = performance.now() - began;
      const start = firstEvent ?? milliseconds;
      resolve({ killed: signal === 'SIGKILL', code, said, start, each: (milliseconds - start) / Math.max(1, events) });
    });
  });
}

/** What has no clock in it of what a run leaves: events, and every file of tensors and predictions. */
export function leftBy(out: string): Map<string, string> {
  const timeless = (line: string): string => {
    const { seconds: _, rate: __, waited: ___, ...event } = JSON.parse(line) as TrainEvent & Record<string, unknown>;
    return JSON.stringify(event);
  };
  const events = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n').map(timeless).join('\n');
  // A search keeps the seconds of its candidates; what became of them is in its lines.
  const files = readdirSync(out).filter(
    (name) => /\.safetensors$|^predictions\.json$/.test(name) && name !== 'search.safetensors',
  );
  const journal = join(out, 'search.jsonl');
  const candidates = existsSync(journal) ? readFileSync(journal, 'utf8').trim().split('\n').map(timeless) : [];
  return new Map([
    ['metrics.jsonl', events],
    ...(candidates.length > 0 ? [['search.jsonl', candidates.join('\n')] as const] : []),
    ...files.sort().map((name) => [name, readFileSync(join(out, name)).toString('base64')] as const),
  ]);
}

/** Names of what differs between two runs, or only one has. */
export function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name));
}

/** Where a run was when it was killed, as far as its folder tells. */
export function placeOf(out: string): string {
  if (!existsSync(join(out, 'run.json'))) return 'before it was begun';
  const names = readdirSync(out);
  if (names.some((name) => /^\.checkpoint.*\.tmp$/.test(name))) return 'in a checkpoint';
  if (names.some((name) => name.endsWith('.tmp'))) return 'in another file';
  const lines = existsSync(join(out, 'metrics.jsonl')) ? readFileSync(join(out, 'metrics.jsonl'), 'utf8') : '';
  if (lines !== '' && !lines.endsWith('\n')) return 'in a line of the metrics';
  if (existsSync(join(out, 'search.jsonl')) && !lines.includes('"kind":"pruned"')) return 'in a search';
  if (lines === '') return 'before the first step';
  const last = JSON.parse(lines.trim().split('\n').at(-1)!) as TrainEvent;
  return last.kind === 'step' ? 'in an epoch' : last.kind === 'epoch' ? 'between epochs' : 'after the last epoch';
}

/** Numbers from 0 to 1, the same ones for a seed. */
export function draws(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One in six while it starts; the others in the next third of the run, anywhere between two events. */
function momentOf(draw: () => number, { start, each }: Attempt): Moment {
  if (draw() < 1 / 6) return { events: 0, milliseconds: draw() * start };
  return { events: 1 + Math.floor(draw() * 25), milliseconds: draw() * 2 * each };
}

export interface Campaign {
  readonly kills: number;
  /** How often it was killed where. */
  readonly places: ReadonlyMap<string, number>;
  /** Runs that were killed, gone on with and came to their end. */
  readonly runs: readonly { readonly out: string; readonly kills: number; readonly differ: readonly string[] }[];
  /** How processes failed that nobody killed. */
  readonly failed: readonly string[];
}

/** Makes so many kills, of one run after another: each is gone on with to its end. `say` hears of each. */
export async function campaign(
  folder: string,
  {
    kills,
    seed,
    subject = 'training',
    say = () => {},
  }: {
    readonly kills: number;
    readonly seed: number;
    readonly subject?: Subject;
    readonly say?: (text: string) => void;
  },
): Promise<Campaign> {
  const spec = writeSpec(folder, subject);
  const whole = join(folder, 'whole');
  const first = await attempt(spec, whole);
  if (first.code !== 0) return { kills: 0, places: new Map(), runs: [], failed: [first.said] };
  const expected = leftBy(whole);
  const draw = draws(seed);
  const places = new Map<string, number>();
  const runs: { out: string; kills: number; differ: string[] }[] = [];
  let made = 0;
  for (let run = 0; made < kills; run++) {
    const out = join(folder, `run-${run}`);
    for (let own = 0; ; ) {
      const moment = made < kills ? momentOf(draw, first) : undefined;
      const { killed, code, said } = await attempt(spec, out, moment);
      if (!killed) {
        if (code !== 0) return { kills: made, places, runs, failed: [said] };
        const differ = differences(expected, leftBy(out));
        runs.push({ out, kills: own, differ });
        say(
          `run ${run + 1}: ended after ${own} kills, ${differ.length === 0 ? 'the same bits' : `other than the whole one: ${differ.join(', ')}`}`,
        );
        break;
      }
      const place = placeOf(out);
      places.set(place, (places.get(place) ?? 0) + 1);
      own++;
      made++;
      say(`kill ${made} of ${kills}: ${moment!.milliseconds.toFixed(0)} ms after ${moment!.events} events, ${place}`);
    }
  }
  return { kills: made, places, runs, failed: [] };
}
