/** The traffic that the simulator counts is what the schedules say. */
import { expect, test } from 'vitest';
import type { Shape } from '../../bench/arguments.js';
import { leastTraffic, trafficOf } from '../../bench/count-traffic.js';
import { registerSchedule, subgroupSchedule, tileSchedule } from '../../src/codegen/contract/schedules.js';
import { contractProblem } from '../codegen-kernels/problems.js';

/** Whole tiles of every variant, so that nothing is padded. */
const WHOLE: Shape = { m: 64, n: 512, k: 32 };
const RAGGED: Shape = { m: 19, n: 37, k: 45 };

const { problem } = contractProblem({ ...WHOLE, weight: 'f32' });
const named = (name: string) => trafficOf(WHOLE).find((t) => t.name === name)!;
const all = WHOLE.m * WHOLE.n * WHOLE.k;

test('the portable variant loads all that a thread multiplies', () => {
  const { rows, vectors } = registerSchedule(problem);
  const columns = 4 * vectors;
  const threads = (WHOLE.m / rows) * (WHOLE.n / columns);
  const loaded = (4 * threads * WHOLE.k * (rows + columns)) / all;
  expect(named('portable')).toEqual({
    name: 'portable',
    loaded,
    stored: 4 / WHOLE.k,
    sharedLoaded: 0,
    sharedStored: 0,
  });
});

test('the tile variant loads what a workgroup multiplies, once, and passes it through workgroup memory', () => {
  const { rows, vectors, threads } = tileSchedule(problem);
  const [across, down] = [4 * vectors * threads[0], rows * threads[1]];
  const groups = (WHOLE.m / down) * (WHOLE.n / across);
  const loaded = (4 * groups * WHOLE.k * (down + across)) / all;
  const perThread = (4 * groups * threads[0] * threads[1] * WHOLE.k * (rows + 4 * vectors)) / all;
  expect(named('tile')).toEqual({
    name: 'tile',
    loaded,
    stored: 4 / WHOLE.k,
    sharedLoaded: perThread,
    sharedStored: loaded,
  });
});

test.each([4, 8, 16, 32, 64, 128])('a subgroup of %i lanes loads each row once', (size) => {
  const { rows, vectors, kStep } = subgroupSchedule(problem, size);
  const columns = 4 * size * vectors;
  // Where lanes are left over, several load the same.
  const lanes = Math.max(rows, (4 * size) / kStep);
  const loaded = (4 * (WHOLE.m / rows) * (WHOLE.n / columns) * WHOLE.k * (lanes + columns)) / all;
  expect(named(`subgroup${size}`).loaded).toBe(loaded);
});

test('nothing moves less than the least possible', () => {
  const least = leastTraffic(RAGGED);
  const total = 4 * (RAGGED.m * RAGGED.k + RAGGED.k * RAGGED.n + RAGGED.m * RAGGED.n);
  expect((least.loaded + least.stored) * RAGGED.m * RAGGED.n * RAGGED.k).toBeCloseTo(total, 6);
  for (const t of trafficOf(RAGGED)) {
    expect(t.loaded, t.name).toBeGreaterThan(least.loaded);
    expect(t.stored, t.name).toBe(least.stored);
  }
});
