/** A mask of one thing in a picture: which pixels are its, kept as the part of the picture that it lies in. Pixels are counted by whole numbers. */

/** Pixels [x, x + width) of rows [y, y + height). */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Mask {
  /** The smallest box with all of its pixels. */
  readonly box: Box;
  /** The box's pixels row by row: 1 is the thing's, 0 is not. */
  readonly data: Uint8Array;
  /** How many pixels it has; at least 1. */
  readonly area: number;
}

/** The pixels of a picture, row by row, whose value is above the threshold; undefined if there are none. */
export function maskOf(values: ArrayLike<number>, width: number, height: number, threshold = 0): Mask | undefined {
  let [left, right, top, bottom, area] = [width, 0, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (!(values[y * width + x]! > threshold)) continue;
      area++;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  if (area === 0) return undefined;
  const box = { x: left, y: top, width: right - left, height: bottom - top };
  const data = new Uint8Array(box.width * box.height);
  for (let y = 0; y < box.height; y++)
    for (let x = 0; x < box.width; x++)
      data[y * box.width + x] = values[(top + y) * width + left + x]! > threshold ? 1 : 0;
  return { box, data, area };
}

/** Whether a pixel of the picture is the mask's. */
export function contains({ box, data }: Mask, x: number, y: number): boolean {
  const [column, row] = [x - box.x, y - box.y];
  return column >= 0 && column < box.width && row >= 0 && row < box.height && data[row * box.width + column] === 1;
}

/** What two boxes have in common; of no width or height if that is nothing. */
function common(a: Box, b: Box): Box {
  const [x, y] = [Math.max(a.x, b.x), Math.max(a.y, b.y)];
  const width = Math.max(0, Math.min(a.x + a.width, b.x + b.width) - x);
  const height = Math.max(0, Math.min(a.y + a.height, b.y + b.height) - y);
  return { x, y, width, height };
}

/** Intersection over union of two boxes, 0 to 1. */
export function boxOverlap(a: Box, b: Box): number {
  const { width, height } = common(a, b);
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/** How many pixels are in both masks. */
export function sharedArea(a: Mask, b: Mask): number {
  const { x, y, width, height } = common(a.box, b.box);
  let count = 0;
  for (let row = y; row < y + height; row++) {
    const inA = (row - a.box.y) * a.box.width - a.box.x;
    const inB = (row - b.box.y) * b.box.width - b.box.x;
    for (let column = x; column < x + width; column++) count += a.data[inA + column]! & b.data[inB + column]!;
  }
  return count;
}

/** Intersection over union of two masks, 0 to 1. */
export function maskOverlap(a: Mask, b: Mask): number {
  const shared = sharedArea(a, b);
  return shared / (a.area + b.area - shared);
}
