/** Updates of very different sizes, so that a sum tells the order of its terms, and what they come to when each sum is in the order of its updates. */
import { build } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Value } from '../../src/ir/types.js';
import { Model, random } from './harness.js';

export const INDICES = Int32Array.from({ length: 60 }, (_, i) => (i * i + 3) % 7);

export function scattered(): { model: Model; result: Value; wanted: Float32Array } {
  const next = random(3);
  const updates = Float32Array.from({ length: 480 }, (_, i) => next() * 10 ** (i % 9));
  const model = new Model(1);
  const x = model.input([60, 8], 'f32', tensor([60, 8], updates));
  const indices = model.input([60], 'i32', tensor([60], INDICES, 'i32'));
  const wanted = new Float32Array(72);
  for (const [i, index] of INDICES.entries()) {
    for (let j = 0; j < 8; j++) wanted[index * 8 + j] = wanted[index * 8 + j]! + updates[i * 8 + j]!;
  }
  return { model, result: build.scatterAdd(x, indices, 0, 9), wanted };
}
