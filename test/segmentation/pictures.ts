/** Masks and logits as tests draw them: rows of text, in which # is the thing. */
import type { Mask } from '../../src/segmentation/index.js';
import { maskOf } from '../../src/segmentation/mask.js';

export function drawn(...rows: readonly string[]): Mask {
  const values = rows.flatMap((row) => [...row].map((c) => (c === '#' ? 1 : 0)));
  return maskOf(values, rows[0]!.length, rows.length)!;
}

/** All pixels of a rectangle in a picture. */
export function rectangle(x: number, y: number, width: number, height: number): Mask {
  return { box: { x, y, width, height }, data: new Uint8Array(width * height).fill(1), area: width * height };
}
