/** The table of methods: its figures, what it says of differences, and its command line. The runs here are made up. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UsageError } from '../../bench/arguments.js';
import { parseMethods } from '../../bench/methods/arguments.js';
import { keep, keptIn } from '../../bench/methods/kept.js';
import { pytorchHalf, type Run, specOf, startOf } from '../../bench/methods/settings.js';
import { differenceText, indistinct, lossDifference, markdown, rowsOf, spreadOf } from '../../bench/methods/table.js';

function runsOf(method: string, accuracies: readonly number[], more: Partial<Run> = {}): Run[] {
  return accuracies.map((accuracy, seed) => ({
    method,
    seed,
    rate: 0.01,
    accuracy,
    losses: [2, 1],
    parameters: 100,
    seconds_per_step: 1,
    cpu_seconds_per_step: 0.5,
    peak_bytes: 2 ** 20,
    ...more,
  }));
}

const row = (accuracies: readonly number[]) => rowsOf(runsOf('lora', accuracies))[0]!;

test('a row is the mean of its seeds, with their standard deviation', () => {
  const [lora, karst] = rowsOf([...runsOf('lora', [0.5, 0.6, 0.7]), ...runsOf('karst', [0.25])]);
  expect(lora).toMatchObject({ method: 'lora', seeds: 3, parameters: 100, peakBytes: 2 ** 20 });
  expect(lora!.accuracy).toBeCloseTo(0.6, 12);
  expect(lora!.spread).toBeCloseTo(0.1, 12);
  expect(karst).toMatchObject({ seeds: 1, accuracy: 0.25 });
  expect(karst).not.toHaveProperty('spread');
});

test('spreads are pooled by their variances', () => {
  expect(spreadOf(row([0.5, 0.6, 0.7]), row([0.5, 0.8, 1.1]))).toBeCloseTo(Math.sqrt((0.01 + 0.09) / 2), 12);
  expect(spreadOf(row([0.5]), row([0.5, 0.6]))).toBeUndefined();
});

test.each([
  ['equal means', [0.4, 0.6], [0.4, 0.6], 'equal'],
  ['less than the spread', [0.5, 0.7], [0.49, 0.69], '+1.00, within the spread'],
  ['more than the spread, above', [0.7, 0.72], [0.5, 0.52], '+20.00, spread 1.41'],
  ['more than the spread, below', [0.5, 0.52], [0.7, 0.72], '−20.00, spread 1.41'],
  ['one seed', [0.7], [0.5, 0.52], '+19.00, spread unknown'],
])('of a difference it says no more than there is: %s', (_, own, other, says) => {
  expect(differenceText(row(own), row(other))).toBe(says);
});

test('losses are compared step by step, with the run of the same method and seed', () => {
  const own = [...runsOf('lora', [0.5], { losses: [2, 1.01] }), ...runsOf('karst', [0.5], { losses: [2, 1] })];
  const others = [...runsOf('karst', [0.5], { losses: [2, 1] }), ...runsOf('lora', [0.5])];
  expect(lossDifference(own, others)).toBeCloseTo(0.01, 12);
});

test('halves stand side by side, PyTorch’s of the same runs alone', () => {
  const own = [
    ...runsOf('lora', [0.5, 0.6], { losses: [2, 1.0001] }),
    ...runsOf('full', [0.7, 0.9], { peak_bytes: 3 * 2 ** 20 }),
  ];
  // A third seed that the other half does not have is not of the means.
  const others = [...runsOf('lora', [0.5, 0.61, 0.9]), ...runsOf('full', [0.7, 0.9]), ...runsOf('ssf', [0.1])];
  expect(markdown(own, others)).toMatchInlineSnapshot(`
    "| method | seeds | Espalier, % | PyTorch, % | difference, points | largest difference of a loss | trained | processor s a step | peak, MiB |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | lora | 2 | 55.00 ± 7.07 | 55.50 ± 7.78 | −0.50, within the spread | 1.0e-4 | 100 | 0.50 / 0.50 | 1.0 / 1.0 |
    | full | 2 | 80.00 ± 14.14 | 80.00 ± 14.14 | equal | 0.0e+0 | 100 | 0.50 / 0.50 | 3.0 / 1.0 |"
  `);
  expect(indistinct([...runsOf('a', [0.5, 0.6]), ...runsOf('b', [0.54, 0.58]), ...runsOf('c', [0.7, 0.71])])).toEqual([
    'a and b',
  ]);
});

const KNOWN = { methods: ['linear', 'karst', 'full'], seeds: [0, 1, 2] };

test('a command line makes all of the table, or parts', () => {
  expect(parseMethods([], KNOWN)).toEqual({ ...KNOWN, json: 'out/methods.json', print: false });
  expect(parseMethods(['--only', 'karst,full,karst', '--seed', '2', '--json', 'x.json', '--print'], KNOWN)).toEqual({
    methods: ['karst', 'full'],
    seeds: [2],
    json: 'x.json',
    print: true,
  });
});

test.each([
  [['--only', 'dora'], '--only is of linear, karst, full, not dora'],
  [['--only', ''], '--only is of linear, karst, full, not '],
  [['--seed', '3'], '--seed is of 0, 1, 2, not 3'],
  [['--seed'], '--seed'],
  [['karst'], 'karst'],
])('refuses %j', (args, says) => {
  expect(() => parseMethods(args, KNOWN)).toThrow(UsageError);
  expect(() => parseMethods(args, KNOWN)).toThrow(says);
});

test('what is done is kept, and gone on with under the same settings alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-methods-'));
  try {
    const file = join(folder, 'new', 'runs.json');
    const settings = { epochs: 3, batch: 32, weight_decay: 0, warm_up: 0.1, least_rate: 1e-5, tested: 10 };
    expect(keptIn(file, settings)).toEqual({ settings, runs: [] });
    const runs = runsOf('lora', [0.5], { losses: [2.5, 1e-7, -3] }).map((r) => ({ ...r, device: 'a GPU [1, 2]' }));
    keep(file, { settings, runs });
    // What a killed process left of a later file is not read.
    writeFileSync(`${file}.part`, '{"settings":');
    expect(keptIn(file, settings)).toEqual({ settings, runs });
    expect(readFileSync(file, 'utf8')).toContain('"losses": [2.5,1e-7,-3]');
    keep(file, { settings, runs: [...runs, ...runs] });
    expect(keptIn(file, settings).runs).toHaveLength(2);
    expect(readdirSync(join(folder, 'new'))).toEqual(['runs.json']);
    expect(() => keptIn(file, { ...settings, epochs: 4 })).toThrow(UsageError);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('PyTorch’s half is whole, and the files that both start from have what it takes', async () => {
  const { runs, settings } = pytorchHalf();
  const methods = [...new Set(runs.map((r) => r.method))];
  expect(methods).toEqual(['linear', 'bitfit', 'lora', 'ssf', 'repadapter', 'karst', 'alore', 'full']);
  expect(runs.map((r) => `${r.method} ${r.seed}`).sort()).toEqual(
    methods.flatMap((m) => [0, 1, 2].map((seed) => `${m} ${seed}`)).sort(),
  );
  for (const seed of [0, 1, 2]) {
    const { statements, images, order, values } = await startOf(seed);
    const steps = settings.epochs * Math.floor(images.length / settings.batch);
    for (const run of runs.filter((r) => r.seed === seed)) expect(run.losses).toHaveLength(steps);
    expect(order.length).toBeGreaterThanOrEqual(steps * settings.batch);
    expect(Math.max(...order)).toBeLessThan(images.length);
    expect(Object.keys(statements)).toEqual(methods);
    expect([...(await values('karst')).keys()]).toContain('base.blocks.0.attn.qkv@karst.C');
    expect([...(await values('linear')).keys()]).toEqual(['head.fc.bias', 'head.fc.weight']);
    expect(specOf(statements.karst!, 0.03, steps, settings)).toContain(`warmup: ${Math.floor(steps / 10)},`);
  }
});
