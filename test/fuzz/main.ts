/**
 * `npm run fuzz`: a campaign of generated bad (and good) input through the product's own entries.
 *
 *   npm run fuzz -- --cases 1000000 --seed 1 --state out/fuzz/state.json    resumes from the state if there is one
 *   npm run fuzz -- --repro out/fuzz/<id>/case.json                         one finding again
 *   npm run fuzz -- --seed 1 --case 4711                                    one case of a campaign again
 *
 * `--kind spec` draws that kind alone; `--workers N` sets how many processes; `--kinds URL` takes another module of kinds.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { campaign, summary } from './campaign.js';
import { type Case, decodeCase, type Kinds, makeCase, runCase } from './case.js';
import { LIMITS } from './protocol.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    state: { type: 'string', default: 'out/fuzz/state.json' },
    out: { type: 'string', default: 'out/fuzz' },
    workers: { type: 'string', default: String(Math.min(4, availableParallelism())) },
    kind: { type: 'string' },
    kinds: { type: 'string', default: new URL('./kinds.ts', import.meta.url).href },
    case: { type: 'string' },
    repro: { type: 'string' },
  },
});

const whole = (name: string, text: string): number => {
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name} takes a whole number, not ${text}`);
  return n;
};
const { KINDS } = (await import(values.kinds)) as { readonly KINDS: Kinds };
const only = values.kind;
if (only !== undefined && !Object.hasOwn(KINDS, only))
  throw new Error(`the kinds are ${Object.keys(KINDS).join(', ')}`);
const seed = whole('seed', values.seed);

async function runAgain(made: Case): Promise<void> {
  const cpu = process.cpuUsage();
  const outcome = await runCase(KINDS, made);
  const { user, system } = process.cpuUsage(cpu);
  for (const [name, bytes] of Object.entries(made.files)) {
    const text = new TextDecoder().decode(bytes);
    console.log(`--- ${name} (${bytes.length} bytes)${text.length < 5000 ? `\n${text}` : ''}`);
  }
  console.log(`--- ${made.kind} ${made.mode}: ${((user + system) / 1e6).toFixed(2)} s`);
  console.log(outcome.kind === 'finding' ? `FINDING ${outcome.signature}\n${outcome.detail}` : outcome);
  process.exitCode = outcome.kind === 'finding' ? 1 : 0;
}

if (values.repro !== undefined) await runAgain(decodeCase(readFileSync(values.repro, 'utf8')));
else if (values.case !== undefined) await runAgain(makeCase(KINDS, seed, whole('case', values.case), only));
else {
  const state = await campaign({
    cases: whole('cases', values.cases),
    seed,
    only,
    workers: whole('workers', values.workers),
    state: values.state,
    out: values.out,
    limits: LIMITS,
    effort: { tries: 300, seconds: 30 },
    kinds: values.kinds,
    log: (line) => console.log(line),
  });
  console.log(summary(state));
  process.exitCode = state.findings.length > 0 ? 1 : 0;
}
