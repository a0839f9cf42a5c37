/** Every attention variant that is legal on the adapter against f64, over shapes with ragged edges. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import { attentionVariants } from '../../src/codegen/attention/attention.js';
import { needs } from '../needs.js';
import { dispatch, download, type Gpu, legal, openGpu, prepare, upload } from './gpu.js';
import {
  type AttentionShape,
  attentionData,
  attentionProblem,
  attentionReference,
  textsOf,
  worst,
} from './problems.js';

// lavapipe takes seconds to compile a kernel, and tens of them on a busy machine without its cache.
vi.setConfig({ testTimeout: 300_000 });

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterAll(() => gpu.close());

const SHAPES: readonly AttentionShape[] = [
  { batch: 3, rows: 50, keys: 50, headDim: 32, valueDim: 32 },
  { batch: 2, rows: 33, keys: 70, headDim: 64, valueDim: 64, lse: true },
  { batch: 1, rows: 7, keys: 45, headDim: 80, valueDim: 80, bias: true },
  { batch: 1, rows: 2, keys: 1, headDim: 6, valueDim: 5, lse: true, bias: true },
  // Heads that a turn of several lanes for a query does not divide.
  { batch: 2, rows: 1, keys: 33, headDim: 8, valueDim: 8 },
  { batch: 1, rows: 3, keys: 20, headDim: 72, valueDim: 72 },
  { batch: 2, rows: 5, keys: 130, headDim: 16, valueDim: 12, bias: true, lse: true },
  { batch: 1, rows: 9, keys: 3001, headDim: 32, valueDim: 16, spread: 6, lse: true },
];

describe('attention', () => {
  for (const shape of SHAPES) {
    const { batch, rows, keys, headDim, valueDim, bias, lse } = shape;
    const title = `${batch}x${rows}x${keys}, heads of ${headDim} and ${valueDim}${bias ? ', bias' : ''}${lse ? ', log-sum-exp' : ''}`;
    test(title, async () => {
      const data = attentionData(shape);
      const expected = attentionReference(shape, data);
      const { problem, buffers: bound } = attentionProblem(shape);
      const variants = attentionVariants(problem);
      const texts = textsOf(variants, bound);
      expect(variants.map((v) => v.name)).toContain('portable');
      for (const [i, variant] of variants.entries()) {
        if (!legal(gpu, variant)) continue;
        const y = upload(gpu, new Float32Array(batch * rows * valueDim).fill(Number.NaN));
        const sums = upload(gpu, new Float32Array(batch * rows).fill(Number.NaN));
        const buffers = [
          ...[data.q, data.k, data.v].map((x) => upload(gpu, x)),
          y,
          ...(lse ? [sums] : []),
          ...(data.bias ? [upload(gpu, data.bias)] : []),
        ];
        await dispatch(gpu, await prepare(gpu, texts[i]!, workgroupsAt(variant.workgroups, 1), buffers));
        expect(worst(await download(gpu, y, batch * rows * valueDim), expected.y), variant.name).toBeLessThan(1e-5);
        if (lse) expect(worst(await download(gpu, sums, batch * rows), expected.lse), variant.name).toBeLessThan(1e-5);
      }
    });
  }
});

test('variants for other subgroup sizes are valid WGSL, as far as a device with subgroups can say', async (context) => {
  needs(context, 'subgroups', gpu.device.features.has('subgroups' as GPUFeatureName));
  for (const headDim of [8, 80]) {
    const shape = { batch: 2, rows: 100, keys: 77, headDim, valueDim: headDim, bias: true, lse: true };
    const { problem, buffers } = attentionProblem(shape);
    const variants = attentionVariants(problem);
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
