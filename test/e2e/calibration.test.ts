/** Calibration of a model that is too large to interpret: on the GPU it is what it is in f64, and without one the interpreter does it in threads. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { NoAdapterError } from '../../runtime/errors.js';
import { analyseModel } from '../../src/api/analyse.js';
import { calibrate } from '../../src/api/calibrate.js';
import type { Host } from '../../src/api/host.js';
import { interpretInWorkers } from '../../src/api/node/workers.js';
import { loadParameters } from '../../src/api/parameters.js';
import { vitSpec } from '../api/support.js';
import { host } from './support.js';

const DIGITS = fileURLToPath(new URL('../../examples/fashion/images/digits', import.meta.url));

/** What is gathered of each layer. What a run costs is reckoned for the images asked for: it has twenty of a million. */
async function gathered(on: Host, images: number): Promise<Float64Array[]> {
  const body = `in base.blocks[*] {
    prune attn.qkv, mlp.fc1 with wanda(sparsity: 50%, scope: row, calibration: "${DIGITS}", images: ${images})
    prune attn.proj, mlp.fc2 with widest(sparsity: 50%, calibration: "${DIGITS}", images: ${images})
  }
  prune base.patch_embed with seen(sparsity: 50%, calibration: "${DIGITS}", images: ${images})`;
  const criteria = `criterion widest(weight: [out, in], input) = abs(weight) * (max(input, axis: 0) - min(input, axis: 0))
criterion seen(weight, input) = abs(weight) * mean(input * input)`;
  const { elaborated, path } = await analyseModel(vitSpec('vit-grey', body, criteria), { host: on });
  const { get: params } = await loadParameters(await analyseModel(vitSpec('vit-grey'), { host: on }));
  const statistics = await calibrate({ host: on, path, elaborated, params });
  return elaborated.prune.flatMap(({ targets, gathers }) =>
    targets.flatMap((t, i) =>
      [...gathers![i]!.together.keys()].map((name) => Float64Array.from(statistics(t, name)!.data)),
    ),
  );
}

const apart = (a: readonly Float64Array[], b: readonly Float64Array[]): number => {
  expect(a.map((x) => x.length)).toEqual(b.map((x) => x.length));
  return Math.max(
    ...a.flatMap((x, i) => Array.from(x, (y, j) => Math.abs(y - b[i]![j]!) / (Math.abs(b[i]![j]!) + 1e-3))),
  );
};

const MANY = 1_000_000;
const right = await gathered(host, 20);

test('on the GPU', async () => {
  const { interpretAll: _, ...alone } = host;
  const found = apart(await gathered(alone, MANY), right);
  // Kernels in f32 are near f64, and never the same.
  expect(found).toBeGreaterThan(0);
  expect(found).toBeLessThan(1e-4);
});

test('without a GPU', async () => {
  let jobs = 0;
  const without: Host = {
    ...host,
    openGpu: () => Promise.reject(new NoAdapterError('none here', 'get one')),
    interpretAll: (some, done) => {
      jobs += some.length;
      return interpretInWorkers(some, done);
    },
  };
  expect(apart(await gathered(without, MANY), right)).toBeLessThan(1e-12);
  expect(jobs).toBe(20);
});
