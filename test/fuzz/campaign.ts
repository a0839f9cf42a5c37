/** A campaign: chunks of cases over some workers, findings cut down and kept, a state that survives being killed, a summary. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Case, encodeCase, type Kinds, makeCase } from './case.js';
import { Lane } from './lane.js';
import { type Effort, minimise } from './minimise.js';
import type { Limits } from './protocol.js';
import { count, type Finding, finishChunk, readState, type State, writeState } from './state.js';

export interface CampaignOptions {
  readonly cases: number;
  readonly seed: number;
  readonly only?: string | undefined;
  readonly workers: number;
  /** File of the state. */
  readonly state: string;
  /** Folder of the findings. */
  readonly out: string;
  readonly limits: Limits;
  /** To make each kind of finding small; a case is to be read by a person, not to be the smallest. */
  readonly effort: Effort;
  /** URL of the module that exports `KINDS`. */
  readonly kinds: string;
  readonly log: (line: string) => void;
}

const CHUNK = 200;

export async function campaign(options: CampaignOptions): Promise<State> {
  const { cases, seed, only, log } = options;
  mkdirSync(dirname(options.state), { recursive: true });
  const state = readState(options.state, seed, only);
  const chunks = Math.ceil(cases / CHUNK);
  const done = (): number => Math.min(cases, (state.next + state.ahead.length) * CHUNK);
  if (state.next > 0) log(`going on after ${done().toLocaleString('en')} cases`);
  let from = Date.now();
  let written = from;
  const save = (): void => {
    const now = Date.now();
    state.seconds += (now - from) / 1000;
    from = now;
    writeState(options.state, state);
  };
  let taken = state.next;
  const take = (): number | undefined => {
    while (state.ahead.includes(taken)) taken++;
    return taken < chunks ? taken++ : undefined;
  };
  const work = async (): Promise<void> => {
    const lane = new Lane(options.kinds, options.limits);
    try {
      for (let chunk = take(); chunk !== undefined; chunk = take()) {
        const part: Pick<State, 'tallies' | 'findings'> = { tallies: {}, findings: [] };
        await lane.range(seed, chunk * CHUNK, Math.min(cases, (chunk + 1) * CHUNK), only, (ended) =>
          count(part, ended),
        );
        const fresh = part.findings.filter(
          (f) => !state.findings.some((known) => known.kind === f.kind && known.signature === f.signature),
        );
        finishChunk(state, chunk, part);
        for (const finding of fresh) await keep(finding, options, lane);
        if (Date.now() - written < 10_000) continue;
        written = Date.now();
        save();
        const found = state.findings.length;
        log(`${done().toLocaleString('en')} cases, ${Math.round(state.seconds)} s, ${found} kinds of findings`);
      }
    } finally {
      lane.stop();
    }
  };
  await Promise.all(Array.from({ length: options.workers }, work));
  save();
  return state;
}

/** Cuts a finding down and writes it: what it is, and the files, as they are and as a case to run again. */
async function keep(
  finding: Finding,
  { seed, only, kinds, out, log, effort }: CampaignOptions,
  lane: Lane,
): Promise<void> {
  const id = createHash('sha256').update(`${finding.kind} ${finding.signature}`).digest('hex').slice(0, 10);
  const folder = join(out, id);
  const repro = `npm run fuzz -- --repro ${join(folder, 'case.json')}`;
  log(`FINDING ${finding.kind} ${finding.index}: ${finding.signature}\n  ${repro}`);
  const { KINDS } = (await import(kinds)) as { readonly KINDS: Kinds };
  const whole = makeCase(KINDS, seed, finding.index, only);
  const write = (made: Case): void => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'case.json'), encodeCase(made));
    for (const [name, bytes] of Object.entries(made.files)) writeFileSync(join(folder, name), bytes);
    writeFileSync(
      join(folder, 'finding.txt'),
      `${finding.kind}: ${finding.signature}\n${repro}\n\n${finding.detail}\n`,
    );
  };
  write(whole);
  const small = await minimise(
    whole,
    async (made) => {
      const { outcome } = await lane.one(made);
      return outcome.kind === 'finding' && outcome.signature === finding.signature;
    },
    effort,
  );
  write(small);
}

const short = (n: number): string => (n < 10 ? n.toFixed(1) : String(Math.round(n)));

/** By kind: how many, what came of them, what was slowest and largest; then every finding. */
export function summary(state: State): string {
  const lines = [`seed ${state.seed}, ${Math.round(state.seconds)} s`];
  const row = (cells: readonly (string | number)[]): string =>
    cells.map((c, i) => (i === 0 ? String(c).padEnd(12) : String(c).padStart(i < 5 ? 11 : 20))).join('');
  lines.push(row(['kind', 'cases', 'accepted', 'refused', 'findings', 'slowest (case)', 'largest (case)']));
  const tallies = Object.entries(state.tallies);
  for (const [kind, t] of tallies) {
    const slowest = `${short(t.slowest.value)} ms (${t.slowest.index})`;
    const largest = `${short(t.largest.value)} MiB (${t.largest.index})`;
    lines.push(row([kind, t.cases, t.ok, t.refused, t.findings, slowest, largest]));
  }
  const sum = (field: 'cases' | 'ok' | 'refused' | 'findings') => tallies.reduce((n, [, t]) => n + t[field], 0);
  lines.push(row(['all', sum('cases'), sum('ok'), sum('refused'), sum('findings'), '', '']));
  const codes = new Set(tallies.flatMap(([, t]) => Object.keys(t.codes)));
  lines.push(`${codes.size} different codes were the first of a refusal`);
  for (const { kind, signature, index, count: times } of state.findings)
    lines.push(`FINDING ${kind} x${times}, first ${index}: ${signature}`);
  if (state.findings.length === 0) lines.push('no findings');
  return lines.join('\n');
}
