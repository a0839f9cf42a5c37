/** Compiled programs on the GPU against transformers' logits for the tiny random checkpoints of test/fixtures. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { relativeError } from '../../src/api/golden/rows.js';
import { FIXTURES, readTensors, vitSpec } from '../api/support.js';
import { compileTo, scratch, withProgram } from './support.js';

const folder = scratch();

// Four images each: one at a time, three and one, and all in one run of a larger size.
test.each([
  ['vit-shards', [1]],
  ['vit-grey', [1, 3]],
  ['vit-odd', [5]],
] as const)('%s', async (vit, batch) => {
  const out = join(folder, vit);
  await compileTo(out, vitSpec(vit), { batch });
  const reference = await readTensors(join(FIXTURES, vit, 'reference.safetensors'));
  const pixels = Float32Array.from(reference.get('pixels')!.data);
  const { outputs, shapes } = await withProgram(out, (session) => session.run({ tensors: { pixels } }));
  const { type, data } = reference.get('logits')!;
  expect(shapes.logits).toEqual(type.shape);
  expect(relativeError(data, outputs.logits!)).toBeLessThan(1e-4);
  expect(relativeError(reference.get('logits64')!.data, outputs.logits!)).toBeLessThan(1e-4);
});
