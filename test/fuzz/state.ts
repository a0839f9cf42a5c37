/** What a campaign knows of its cases: kept in a file that is whole at any time, so that a campaign that is killed goes on. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Ended } from './protocol.js';

export interface Extreme {
  readonly index: number;
  readonly value: number;
}

export interface Tally {
  cases: number;
  ok: number;
  refused: number;
  findings: number;
  /** How often each code was the first of a refusal. */
  codes: Record<string, number>;
  /** Milliseconds of processor time, in all and of the slowest case. */
  ms: number;
  slowest: Extreme;
  /** MiB. */
  largest: Extreme;
}

export interface Finding {
  readonly kind: string;
  readonly signature: string;
  /** The first case that it was seen in. */
  readonly index: number;
  count: number;
  readonly detail: string;
}

export interface State {
  readonly version: 1;
  readonly seed: number;
  /** The one kind that is drawn, if only one is. */
  readonly only?: string;
  /** Chunks that are done: all before `next`, and those in `ahead`. */
  next: number;
  ahead: number[];
  tallies: Record<string, Tally>;
  findings: Finding[];
  /** Seconds that the campaign has run, over all its starts. */
  seconds: number;
}

export const emptyState = (seed: number, only?: string): State => ({
  version: 1,
  seed,
  ...(only === undefined ? {} : { only }),
  next: 0,
  ahead: [],
  tallies: {},
  findings: [],
  seconds: 0,
});

/** @throws Error when the file is of another campaign */
export function readState(file: string, seed: number, only?: string): State {
  if (!existsSync(file)) return emptyState(seed, only);
  const state = JSON.parse(readFileSync(file, 'utf8')) as State;
  if (state.version !== 1 || state.seed !== seed || state.only !== only) {
    const what = `seed ${state.seed}${state.only === undefined ? '' : `, kind ${state.only}`}`;
    throw new Error(`${file} holds another campaign (${what}): give that seed and kind, or another --state`);
  }
  return state;
}

export function writeState(file: string, state: State): void {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, JSON.stringify(state));
  renameSync(temporary, file);
}

const more = (a: Extreme, b: Extreme): Extreme => (b.value > a.value ? b : a);

export function count(state: Pick<State, 'tallies' | 'findings'>, { index, kind, outcome, ms, memory }: Ended): void {
  const none: Extreme = { index: -1, value: 0 };
  state.tallies[kind] ??= { cases: 0, ok: 0, refused: 0, findings: 0, codes: {}, ms: 0, slowest: none, largest: none };
  const tally = state.tallies[kind];
  tally.cases++;
  tally.ms += ms;
  tally.slowest = more(tally.slowest, { index, value: ms });
  tally.largest = more(tally.largest, { index, value: memory });
  if (outcome.kind === 'ok') tally.ok++;
  else if (outcome.kind === 'refused') {
    tally.refused++;
    const code = outcome.codes[0]!;
    tally.codes[code] = (tally.codes[code] ?? 0) + 1;
  } else {
    tally.findings++;
    const known = state.findings.find((f) => f.kind === kind && f.signature === outcome.signature);
    if (known) known.count++;
    else state.findings.push({ kind, signature: outcome.signature, index, count: 1, detail: outcome.detail });
  }
}

/** Adds what one chunk came to, and marks it as done. */
export function finishChunk(state: State, chunk: number, part: Pick<State, 'tallies' | 'findings'>): void {
  for (const [kind, t] of Object.entries(part.tallies)) {
    const sum = state.tallies[kind];
    if (!sum) {
      state.tallies[kind] = t;
      continue;
    }
    for (const field of ['cases', 'ok', 'refused', 'findings', 'ms'] as const) sum[field] += t[field];
    for (const [code, n] of Object.entries(t.codes)) sum.codes[code] = (sum.codes[code] ?? 0) + n;
    sum.slowest = more(sum.slowest, t.slowest);
    sum.largest = more(sum.largest, t.largest);
  }
  for (const found of part.findings) {
    const known = state.findings.find((f) => f.kind === found.kind && f.signature === found.signature);
    if (known) known.count += found.count;
    else state.findings.push(found);
  }
  state.ahead.push(chunk);
  state.ahead.sort((a, b) => a - b);
  while (state.ahead[0] === state.next) {
    state.ahead.shift();
    state.next++;
  }
}
