/**
 * Tiles of a picture of any size, as counting is evaluated: each has the size that the model takes, they do not overlap, and together they cover the
 * picture from its top left corner. Those of the last column and row reach past it; what is outside is zeros, put in after the pixels are normalized.
 */
import type { Box } from '../../../runtime/images/resample.js';

/**
 * The parts of a picture that are tiles, row by row from the top left, each cut off at the picture's border: what is missing of a tile lies right of its
 * part and below it. The count of a picture is the sum of the counts of its tiles.
 * @param tile width and height of the model's input, in pixels
 */
export function tilesOf(
  width: number,
  height: number,
  tile: { readonly width: number; readonly height: number },
): Box[] {
  const tiles: Box[] = [];
  for (let y = 0; y < height; y += tile.height)
    for (let x = 0; x < width; x += tile.width)
      tiles.push({ x, y, width: Math.min(tile.width, width - x), height: Math.min(tile.height, height - y) });
  return tiles;
}
