/** A decoder's logits at the picture's size, beside transformers' SAM. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { DECODED, encodedSize, toPicture } from '../../src/segmentation/logits.js';
import { pointGrid, promptsOf } from '../../src/segmentation/prompts.js';

const { tensors } = await openSafetensors(
  await openFile(fileURLToPath(new URL('../fixtures/segmentation/masks.safetensors', import.meta.url))),
);
/** As test/reference/sam_masks.py has it. */
const STEP = 17;
const RANGE = 30;
const logits = Float32Array.from(
  { length: DECODED * DECODED },
  (_, i) => ((7 * (i % DECODED) + 13 * Math.floor(i / DECODED)) % 31) - 15,
);

describe('logits', () => {
  it.each([...tensors.keys()])('of a picture of %s are those of transformers', async (name) => {
    const [width, height] = name.split('x').map(Number) as [number, number];
    const { type, data } = await tensors.get(name)!.read();
    const found = toPicture(width, height)(logits);
    expect(found).toHaveLength(width * height);
    const [rows, columns] = type.shape as [number, number];
    expect([rows, columns]).toEqual([Math.ceil(height / STEP), Math.ceil(width / STEP)]);
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        expect(Math.abs(found[STEP * y * width + STEP * x]! - data[y * columns + x]!)).toBeLessThan(1e-6 * RANGE);
  });

  it('are those of a picture of one pixel in height too', () => {
    expect(encodedSize(3000, 1)).toEqual({ width: 1024, height: 1 });
    const found = toPicture(3000, 1)(logits);
    expect(found).toHaveLength(3000);
    expect(found.every(Number.isFinite)).toBe(true);
  });
});

describe('prompts', () => {
  it('are the middles of equal parts, in pixels of the encoder, with a point that is none', () => {
    const points = pointGrid(2, 400, 200);
    expect(points).toEqual([
      { x: 100, y: 50 },
      { x: 300, y: 50 },
      { x: 100, y: 150 },
      { x: 300, y: 150 },
    ]);
    const { count, coords, labels } = promptsOf(points.slice(2), 400, 200);
    expect(count).toBe(2);
    expect([...coords]).toEqual([256, 384, 0, 0, 768, 384, 0, 0]);
    expect([...labels]).toEqual([1, -1, 1, -1]);
  });
});
