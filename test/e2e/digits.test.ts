/**
 * The examples on real MNIST test images, beside PyTorch with the same weights: 512 images on SwiftShader, 64 on other drivers, where
 * `npm run accuracy` runs all 10,000.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { argmax, HERE, METHODS, reference, testDigits } from '../../examples/fashion/mnist.js';
import { relativeError } from '../../src/api/golden/rows.js';
import { compileTo, driverName, scratch, withProgram } from './support.js';

const folder = scratch();
/** Runs of this many images: the logits of the first are compared number by number. */
const STEP = 32;

describe.each(METHODS)('%s', (method) => {
  test('is as often right as PyTorch, with the same logits', async () => {
    const count = (await driverName()) === 'swiftshader' ? 512 : 64;
    const [digits, torch] = [await testDigits(), await reference(method)];
    await compileTo(join(folder, method), join(HERE, `${method}.peft`), { batch: [1], golden: false });
    const logits = await withProgram(join(folder, method), async (session) => {
      const found: Float32Array[] = [];
      for (let at = 0; at < count; at += STEP) {
        const images = Array.from({ length: STEP }, (_, i) => digits.image(at + i));
        for (const { outputs } of await session.run({ images })) found.push(Float32Array.from(outputs.logits!));
      }
      return found;
    });
    const right = (predicted: (i: number) => number) =>
      Array.from({ length: count }, (_, i) => predicted(i)).filter((p, i) => p === digits.labels[i]).length;
    const [ours, theirs] = [right((i) => argmax(logits[i]!)), right((i) => torch.predictions[i]!)];
    expect(theirs, 'the model has learned to read').toBeGreaterThan(count / 2);
    expect(Math.abs(ours - theirs), `${ours} and ${theirs} right`).toBeLessThanOrEqual(1);
    expect(torch.logits).toHaveLength(640);
    const first = logits.slice(0, 64).flatMap((l) => [...l]);
    expect(relativeError(torch.logits, first)).toBeLessThan(1e-3);
  }, 400_000);
});
