/** Every contraction variant that is legal on the adapter against f64, over shapes with ragged edges. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { contractVariants } from '../../src/codegen/contract/contract.js';
import { fromHalf, toHalf } from '../../src/ir/run/half.js';
import { needs } from '../needs.js';
import { dispatch, download, type Gpu, legal, openGpu, prepare, upload } from './gpu.js';
import { type ContractShape, contractData, contractProblem, contractReference, textsOf, worst } from './problems.js';

// lavapipe takes seconds to compile a kernel, and tens of them on a busy machine without its cache.
vi.setConfig({ testTimeout: 300_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu.close());

const SHAPES: readonly ContractShape[] = [
  { m: 200, n: 512, k: 332, weight: 'f32' },
  { m: 1, n: 10, k: 128, weight: 'f32' },
  { m: 2, n: 33, k: 17, weight: 'f32' },
  { m: 50, n: 128, k: 512, weight: 'f32' },
  { m: 33, n: 129, k: 31, weight: 'f32' },
  { batch: 3, m: 19, n: 36, k: 20, weight: 'f32' },
  { batch: 2, m: 25, n: 100, k: 45, weight: 'f16' },
  { batch: 1, m: 17, n: 23, k: 29, weight: 'function' },
  { batch: 2, m: 1, n: 3, k: 5, weight: 'function' },
  { batch: 2, m: 23, n: 40, k: 36, weight: 'function', a: 'result', b: 'sum' },
  { m: 70, n: 33, k: 50, weight: 'function', a: 'result' },
  { m: 20, n: 96, k: 64, weight: 'f32', b: 'sum' },
  { m: 37, n: 45, k: 21, weight: 'f16', a: 'result', b: 'sum' },
];

describe('contraction', () => {
  for (const shape of SHAPES) {
    const { batch = 1, m, n, k, a = 'sum', b = 'result' } = shape;
    test(`${batch}x${m}x${k} by ${k}x${n}, ${shape.weight}, along ${a} and ${b}`, async () => {
      const data = contractData(shape, (x) => fromHalf(toHalf(x)));
      const expected = contractReference(shape, data);
      const inputs = [upload(gpu, data.a), upload(gpu, data.b)];
      const { problem, buffers } = contractProblem(shape);
      const variants = contractVariants(problem);
      const texts = textsOf(variants, buffers);
      expect(variants.map((v) => v.name)).toContain('portable');
      for (const [i, variant] of variants.entries()) {
        if (!legal(gpu, variant)) continue;
        // Anything that is not written stays NaN and fails.
        const y = upload(gpu, new Float32Array(batch * m * n).fill(Number.NaN));
        await dispatch(gpu, await prepare(gpu, texts[i]!, workgroupsAt(variant.workgroups, 1), [...inputs, y]));
        expect(worst(await download(gpu, y, batch * m * n), expected), variant.name).toBeLessThan(1e-5);
      }
    });
  }
});

test('refuses a dimension that is not a positive integer', () => {
  const { problem } = contractProblem({ m: 4, n: 4, k: 4, weight: 'f32' });
  expect(() => contractVariants({ ...problem, m: 0 })).toThrow(RangeError);
  expect(() => contractVariants({ ...problem, k: 2.5 })).toThrow('k = 2.5');
});

test('variants for other subgroup sizes are valid WGSL, as far as a device with subgroups can say', async (context) => {
  needs(context, 'subgroups', gpu.device.features.has('subgroups' as GPUFeatureName));
  for (const m of [1, 5, 300]) {
    const { problem, buffers } = contractProblem({ m, n: 300, k: 333, weight: 'f16' });
    const variants = contractVariants(problem);
    const texts = textsOf(variants, buffers);
    for (const [i, variant] of variants.entries()) {
      const info = await gpu.device.createShaderModule({ code: texts[i]! }).getCompilationInfo();
      expect(
        info.messages.map((message) => message.message),
        variant.name,
      ).toEqual([]);
    }
  }
});
