/** How each checkout is made to do what is measured, by nothing but its command line and the folders that it compiles. */
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { openGpu } from '../runtime/node/driver.js';
import { type Subject, UsageError } from './arguments.js';
import { type Checkout, cliOf } from './checkouts.js';
import { type Clock, seconds } from './clock.js';
import type { Contestant } from './contest.js';

/** What every version's sessions have. */
interface Session {
  run(input: { readonly tensors: Readonly<Record<string, Float32Array>> }): Promise<{
    readonly outputs: Readonly<Record<string, ArrayLike<number>>>;
  }>;
  dispose(): void;
}
interface CompiledModule {
  load(options: { readonly adapter: GPUAdapter }): Promise<Session>;
}

const fileHere = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Compiles the subject's spec by the checkout's own command line, without a golden output. @param node Options of Node's. */
async function compileBy(checkout: Checkout, subject: Subject, out: string, node: readonly string[] = [], env = {}) {
  const set = Object.entries(subject.set).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const args = [...node, cliOf(checkout), 'compile', fileHere(subject.spec), '-o', out, '--no-golden', ...set];
  try {
    await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...env } });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr || (error as Error).message;
    throw new UsageError(`${checkout.name} does not compile ${subject.spec}:\n${said}`);
  }
}

export interface Prepared {
  readonly contestants: readonly Contestant[];
  /** Runs in one measurement. */
  readonly runs: number;
  /** Largest difference between the last outputs of any contestant and the first one's, of the largest output; absent: not compared. */
  difference?(): number;
  close(): void;
}

/** A measurement is at least this long, so that clocks and waking up do not count. In seconds. */
const LONG_ENOUGH = 0.25;

/** Sessions of the folders, all in this process and on the same driver, that run on the same random input. @param folders An empty one for each checkout. */
export async function forwardPasses(
  checkouts: readonly Checkout[],
  subject: Subject,
  clock: Clock,
  folders: (checkout: Checkout) => string,
): Promise<Prepared> {
  const drivers: unknown[] = [];
  const sessions: Session[] = [];
  const close = () => {
    for (const session of sessions) session.dispose();
    // Dawn has to be referenced as long as its devices are in use, and not longer.
    drivers.length = 0;
  };
  try {
    for (const checkout of new Set(checkouts)) await compileBy(checkout, subject, folders(checkout));
    for (const checkout of checkouts) {
      const { gpu, adapter } = await openGpu();
      drivers.push(gpu);
      const index = pathToFileURL(join(folders(checkout), 'index.js')).href;
      sessions.push(await ((await import(index)) as CompiledModule).load({ adapter }));
    }
    const { name, size } = subject.input;
    const input = { tensors: { [name]: Float32Array.from({ length: size }, (_, i) => Math.sin(i)) } };
    const outputs: ArrayLike<number>[] = [];
    const run = async (i: number) => {
      outputs[i] = Object.values((await sessions[i]!.run(input)).outputs)[0]!;
    };
    // The first run compiles kernels.
    for (const i of sessions.keys()) await run(i);
    const from = seconds('wall');
    await run(0);
    const runs = Math.max(1, Math.ceil(LONG_ENOUGH / (seconds('wall') - from)));
    const contestants = sessions.map((_, i) => ({
      async measure() {
        const start = seconds(clock);
        for (let n = 0; n < runs; n++) await run(i);
        return (seconds(clock) - start) / runs;
      },
    }));
    return { contestants, runs, difference: () => differenceOf(outputs), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** @throws Error where numbers are missing or none */
export function differenceOf([first, ...others]: readonly ArrayLike<number>[]): number {
  const numbers = Array.from(first!);
  const largest = numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const all = others.map((other) => {
    if (other.length !== numbers.length) throw new Error(`an output has ${other.length} numbers, of ${numbers.length}`);
    return numbers.reduce((most, x, i) => Math.max(most, Math.abs(x - other[i]!)), 0);
  });
  const difference = Math.max(0, ...all) / largest;
  if (!Number.isFinite(difference)) throw new Error('an output is all zeros, or holds what is no number');
  return difference;
}

/** Each checkout's command line, from the start of its process to its end. */
export function compilations(
  checkouts: readonly Checkout[],
  subject: Subject,
  clock: Clock,
  folders: (checkout: Checkout) => string,
): Prepared {
  const preload = new URL('./processor-time.mjs', import.meta.url).href;
  const contestants = checkouts.map((checkout) => ({
    async measure() {
      const out = folders(checkout);
      const report = `${out}.processor-time`;
      const start = seconds('wall');
      await compileBy(checkout, subject, out, ['--import', preload], { BENCH_PROCESSOR_TIME: report });
      const elapsed = seconds('wall') - start;
      const processor = Number(await readFile(report, 'utf8'));
      await rm(out, { recursive: true });
      return clock === 'wall' ? elapsed : processor;
    },
  }));
  return { contestants, runs: 1, close: () => {} };
}
