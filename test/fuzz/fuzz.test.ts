/** A slice of the campaign that is the same in every run, and the machinery of campaigns itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { campaign } from './campaign.js';
import { type Case, decodeCase, encodeCase, makeCase, runCase } from './case.js';
import { KINDS } from './kinds.js';
import { minimise } from './minimise.js';
import { emptyState, finishChunk, readState, type State } from './state.js';

const scratch = mkdtempSync(join(tmpdir(), 'espalier-fuzz-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** How many of each kind: what a test run has time for. */
const SLICE: Readonly<Record<string, number>> = {
  spec: 250,
  safetensors: 1500,
  config: 150,
  program: 300,
  input: 400,
  idx: 1000,
  image: 100,
  onnx: 400,
};

describe('a slice of the campaign has no findings', () => {
  test.each(Object.entries(SLICE))('%s (%i cases)', async (kind, cases) => {
    const came = { ok: 0, refused: 0 };
    for (let index = 0; index < cases; index++) {
      const outcome = await runCase(KINDS, makeCase(KINDS, 7, index, kind));
      if (outcome.kind === 'finding')
        throw new Error(`--seed 7 --kind ${kind} --case ${index}: ${outcome.signature}\n${outcome.detail}`);
      came[outcome.kind]++;
    }
    // Neither only noise that is refused at its first byte, nor only what is good.
    expect(came.ok).toBeGreaterThan(cases / 50);
    expect(came.refused).toBeGreaterThan(cases / 10);
  });
});

test('a case is the same whenever it is made, and when it is read back', () => {
  for (const kind of Object.keys(KINDS)) {
    for (let index = 0; index < 10; index++) {
      const made = encodeCase(makeCase(KINDS, 3, index, kind));
      expect(encodeCase(makeCase(KINDS, 3, index, kind)) === made, `${kind} ${index}`).toBe(true);
      expect(encodeCase(decodeCase(made)) === made, `${kind} ${index}, read back`).toBe(true);
    }
  }
});

describe('campaigns', () => {
  const kinds = new URL('./broken-kinds.ts', import.meta.url).href;
  const options = (name: string, cases: number, only: string) => ({
    cases,
    seed: 5,
    only,
    workers: 1,
    state: join(scratch, name, 'state.json'),
    out: join(scratch, name),
    limits: { seconds: 1, memory: 768, heap: 128 },
    effort: { tries: 1, seconds: 5 },
    kinds,
    log: () => {},
  });
  const signatures = (state: State) => state.findings.map((f) => f.signature);

  test.each<[kind: string, cases: number, signature: RegExp]>([
    ['crash', 20, /^TypeError: Cannot read properties of undefined/],
    ['stack', 60, /^RangeError: Maximum call stack/],
    ['hang', 4, /^hang: more than 1 s/],
    ['wait', 4, /^hang: more than 1 s/],
    ['memory', 4, /^memory: more than 768 MiB/],
    ['heap', 4, /^the process ended: SIGABRT: FATAL ERROR: heap/],
    ['death', 4, /^the process ended: exit 3/],
  ])('finds what is wrong with `%s` and goes on', async (kind, cases, signature) => {
    const asked = options(kind, cases, kind);
    // V8 collects for a while before it gives up, on a busy machine for longer than the second that makes a hang.
    const seconds = kind === 'heap' ? 60 : asked.limits.seconds;
    const state = await campaign({ ...asked, limits: { ...asked.limits, seconds } });
    expect(signatures(state)).toEqual([expect.stringMatching(signature)]);
    const tally = state.tallies[kind]!;
    expect(tally.cases).toBe(cases);
    expect(tally.findings).toBeGreaterThan(0);
    expect(tally.ok).toBe(cases - tally.findings);
  });

  test('a finding is kept as small as it goes', async () => {
    const made: Case = {
      kind: 'x',
      mode: '',
      files: { a: Buffer.from('one\ntwo CRASH three\nfour'), b: Buffer.from('not needed') },
    };
    const holds = async ({ files }: Case) => Buffer.from(files.a ?? []).includes('CRASH');
    const small = await minimise(made, holds, { tries: 1000, seconds: 60 });
    expect(Object.entries(small.files).map(([n, b]) => [n, Buffer.from(b).toString()])).toEqual([['a', 'CRASH']]);
  });

  test('chunks that end out of order are all counted', () => {
    const state = emptyState(1);
    for (const chunk of [1, 2, 0, 4]) finishChunk(state, chunk, { tallies: {}, findings: [] });
    expect([state.next, state.ahead]).toEqual([3, [4]]);
  });

  test('a state of another campaign is refused', async () => {
    const { state } = options('other', 5, 'fine');
    await campaign(options('other', 5, 'fine'));
    expect(() => readState(state, 6, 'fine')).toThrow(/another campaign \(seed 5, kind fine\)/);
    expect(readState(state, 5, 'fine').tallies.fine!.cases).toBe(5);
  });

  test('a campaign that is killed goes on where it was, and comes to the same', async () => {
    const cases = 20_000;
    const run = (name: string): { child: ChildProcess; state: string } => {
      const state = join(scratch, `${name}.json`);
      const args = [
        '--cases',
        cases,
        '--seed',
        9,
        '--workers',
        2,
        '--kind',
        'crash',
        '--kinds',
        kinds,
        '--state',
        state,
        '--out',
        join(scratch, name),
      ];
      const main = fileURLToPath(new URL('./main.ts', import.meta.url));
      return {
        child: spawn(process.execPath, ['--import', 'tsx', main, ...args.map(String)], { stdio: 'ignore' }),
        state,
      };
    };
    const read = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as State;
    const whole = run('whole');
    expect((await once(whole.child, 'exit'))[0]).toBe(1);
    let kills = 0;
    for (let ended = false; !ended; ) {
      const { child, state } = run('killed');
      const before = existsSync(state) ? read(state).next : 0;
      const exit = once(child, 'exit').then(() => true);
      const progress = async () => {
        while (child.exitCode === null && (existsSync(state) ? read(state).next : 0) === before)
          await new Promise((r) => setTimeout(r, 20));
        return false;
      };
      ended = await Promise.race([exit, kills < 3 ? progress() : exit]);
      if (ended) break;
      child.kill('SIGKILL');
      await exit;
      kills++;
    }
    const [a, b] = [read(whole.state), read(join(scratch, 'killed.json'))];
    const counted = (s: State) => [
      s.next,
      s.findings.map((f) => [f.signature, f.count]),
      s.tallies.crash!.ok,
      s.tallies.crash!.cases,
    ];
    expect(counted(b)).toEqual(counted(a));
    expect(kills).toBeGreaterThan(0);
  });
});
