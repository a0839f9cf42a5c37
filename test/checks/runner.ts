/**
 * Runs tests for `npm run checks`. In the first turn each test as it is, noting the checks that it reaches; in later turns twice as it is, and
 * then once for each of these checks with that one switched off. After each of those it must pass as it is: a spec that is no longer refused
 * may leave a folder behind, and then the process ends and the next turn goes on in a new one. What came of it goes to the journal at once.
 */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type RunnerTestCase, TestRunner } from 'vitest';
import { type Entry, findings, read } from './journal.js';

/** Of a run without a check, in ms. */
const LONGEST = 30_000;
/** A test that has nothing to try is run before those that have, as they may need what it leaves; not if it takes longer, in ms. */
const QUICK = 300;
/** How often a check that is switched off may be passed: a loop that it would have ended comes by for ever. */
const PASSES = 100_000;

const journal = process.env.ESPALIER_CHECKS!;
const first = process.env.ESPALIER_CHECKS_TURN === '0';
const write = (entry: Entry) => appendFileSync(journal, `${JSON.stringify(entry)}\n`);
const end = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
};

let reached: Set<number> | undefined;
let off = -1;
let passes = 0;

const check = (n: number): boolean => {
  if (n !== off) {
    reached?.add(n);
    return true;
  }
  if (++passes > PASSES) throw new Error('without this check it does not end');
  return false;
};
/** For a message that has to be there: one that says nothing and refuses nothing. */
const mute = <T extends object>(n: number, made: T): T =>
  check(n) ? made : { ...made, code: '', severity: 'warning', message: '', help: [], fix: undefined };
Object.assign(globalThis, { __check: check, __mute: mute });

/** Ends this process when a run takes too long, which nothing in it can. */
const until = new Float64Array(new SharedArrayBuffer(8)).fill(Number.POSITIVE_INFINITY);
const WATCH = `const { workerData } = require('node:worker_threads');
setInterval(() => { if (Date.now() > workerData[0]) process.kill(process.pid, 'SIGKILL'); }, 500);`;
if (!first) new Worker(WATCH, { eval: true, workerData: until }).unref();

/** What the turns before leave to try. */
const { pending, ms } = findings(read(journal));

async function fails(run: () => unknown): Promise<boolean> {
  try {
    await run();
    return false;
  } catch {
    return true;
  }
}

/** The same of a repetition with every check on. One that waits for what happens once alone (a file that is there, a port that is taken) never ends. */
async function failsAgain(run: () => unknown): Promise<boolean> {
  let clock: NodeJS.Timeout | undefined;
  const waited = new Promise<boolean>((resolve) => {
    clock = setTimeout(resolve, LONGEST, true);
  });
  try {
    return await Promise.race([fails(run), waited]);
  } finally {
    clearTimeout(clock);
  }
}

export default class extends TestRunner {
  async runTask(test: RunnerTestCase): Promise<void> {
    const run = TestRunner.getTestFn(test)!;
    const name = `${relative(process.cwd(), test.file.filepath)} > ${test.fullTestName}`;
    if (first) {
      reached = new Set();
      const start = Date.now();
      await run();
      write({ kind: 'test', name, checks: [...reached], ms: Date.now() - start });
      return;
    }
    const checks = pending.get(name) ?? [];
    if (checks.length > 0 || (ms.get(name) ?? 0) < QUICK) await run();
    if (checks.length === 0) return;
    if (await failsAgain(run)) {
      write({ kind: 'once', name });
      return;
    }
    for (const n of checks) {
      write({ kind: 'begin', name, check: n });
      until[0] = Date.now() + LONGEST;
      [off, passes] = [n, 0];
      const noticed = await fails(run);
      off = -1;
      until[0] = Number.POSITIVE_INFINITY;
      write({ kind: 'end', name, check: n, noticed, passed: passes > 0 });
      if (await failsAgain(run)) end();
    }
  }
}
