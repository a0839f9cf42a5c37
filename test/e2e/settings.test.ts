/** What `deploy` can ask for, run on the GPU: factors, half precision, this device's own limits, several images a pass. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { relativeError } from '../../src/api/golden/rows.js';
import { adapted, random, resultAsWritten } from '../api/support.js';
import { compileTo, scratch, withProgram } from './support.js';

const folder = scratch();
const GRAFT = 'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with karst(kernels: 2, rank: 2)';

test.each([
  ['factored', 'f32', 'baseline', 1e-4],
  ['merged', 'f16', 'baseline', 2e-2],
  ['merged', 'f32', 'device', 1e-4],
] as const)('adapters = %s, weights = %s, limits = %s', async (adapters, weights, limits, tolerance) => {
  const spec = await adapted(folder, 'vit-shards', GRAFT);
  const text = `${spec.text}\ndeploy Tiny {\n  adapters = ${adapters}\n  weights = ${weights}\n  limits = ${limits}\n  batch = [1, 2]\n}\n`;
  const out = join(folder, `${adapters}-${weights}-${limits}`);
  const { program } = await compileTo(out, { ...spec, text });
  expect(program.entries[0]!.samples).toBe(2);
  expect(program.weights.some((w) => w.dtype === 'f16')).toBe(weights === 'f16');
  const pixels = random('pixels', [3, 3, 24, 24]);
  const want = await resultAsWritten(spec, pixels);
  const { outputs } = await withProgram(out, (s) => s.run({ tensors: { pixels: Float32Array.from(pixels.data) } }));
  expect(relativeError(want, outputs.logits!)).toBeLessThan(tolerance);
});
