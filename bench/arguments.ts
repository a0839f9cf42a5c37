/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { CLOCKS, type Clock } from './clock.js';

/** A command line, or what it names, is wrong; the message is all that a person needs. */
export class UsageError extends Error {}

/** Runs a command to its end; what is wrong with its command line is said in a line. */
export async function command(body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}

/** What is measured: a forward pass of `spec`, or compiling it. */
export interface Subject {
  readonly name: string;
  readonly does: 'forward' | 'compile';
  /** A file of this folder. */
  readonly spec: string;
  /** Options of its model. */
  readonly set: Readonly<Record<string, number>>;
  /** The only input of the model, and how many numbers it is. */
  readonly input: { readonly name: string; readonly size: number };
}

const PIXELS = { name: 'pixels', size: 3 * 224 * 224 };

const MODELS: Readonly<Record<string, Subject>> = {
  'vit-s': { name: 'vit-s', does: 'forward', spec: 'vit-s.peft', set: {}, input: PIXELS },
  'vit-b': { name: 'vit-b', does: 'forward', spec: 'vit-b.peft', set: {}, input: PIXELS },
  compile: { name: 'compile', does: 'compile', spec: 'vit-b-karst.peft', set: {}, input: PIXELS },
};

/** The square product of the design's measurements, ViT-B's MLP and a tiny ViT's. */
export const SHAPES = ['768x768x768', '197x768x3072', '50x128x512'];

export interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Of a product, written MxNxK. @throws UsageError, which says what else would do */
export function shapeOf(text: string, others: readonly string[] = []): Shape {
  const found = /^([1-9]\d*)x([1-9]\d*)x([1-9]\d*)$/.exec(text);
  if (!found) throw new UsageError(`what is measured is ${[...others, 'MxNxK'].join(' or ')}, not ${text}`);
  return { m: Number(found[1]), n: Number(found[2]), k: Number(found[3]) };
}

function subject(text: string): Subject {
  if (Object.hasOwn(MODELS, text)) return MODELS[text]!;
  const shape = shapeOf(text, Object.keys(MODELS));
  return {
    name: text,
    does: 'forward',
    spec: 'product.peft',
    set: { ...shape },
    input: { name: 'x', size: shape.m * shape.k },
  };
}

export interface BenchArguments {
  /** A commit or a built checkout; absent: this checkout alone. */
  readonly against?: string;
  readonly rounds: number;
  readonly time: Clock;
  /** Where the result goes as JSON. */
  readonly json?: string;
  readonly subjects: readonly Subject[];
}

/** @throws UsageError */
export function clockOf(text: string): Clock {
  const found = CLOCKS.find((c) => c === text);
  if (!found) throw new UsageError(`--time is ${CLOCKS.join(' or ')}, not ${text}`);
  return found;
}

/** A whole number of at least 1. @throws UsageError */
export function positive(option: string, text: string): number {
  const found = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(found) || found < 1)
    throw new UsageError(`${option} ${text} is not a positive integer`);
  return found;
}

/** @throws UsageError */
export function parseArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = optionsOf(() =>
    parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        against: { type: 'string' },
        rounds: { type: 'string', default: '15' },
        time: { type: 'string', default: 'wall' },
        json: { type: 'string' },
      },
    }),
  );
  const { against, json } = values;
  if (against === '') throw new UsageError('--against is a commit or a folder, not nothing');
  return {
    ...(against === undefined ? {} : { against }),
    ...(json === undefined ? {} : { json }),
    rounds: positive('--rounds', values.rounds),
    time: clockOf(values.time),
    subjects: [...new Set(positionals.length > 0 ? positionals : [...SHAPES, 'vit-s', 'vit-b', 'compile'])].map(
      subject,
    ),
  };
}

/** What `parseArgs` gives. @throws UsageError */
export function optionsOf<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Node's own words name the option.
    throw new UsageError((error as Error).message);
  }
}
