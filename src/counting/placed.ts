/** The density of a picture, from what a model made of it: of the picture whole, or of its tiles, which are put together. */
import { planSteps } from '../../runtime/images/resample.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { asItIs, type Placement, plannedPlacement, stretched } from '../data/placement.js';
import { keepsSize } from '../data/tile-loader.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** How many there are in each cell of a map. */
export interface Density extends Size {
  /** Row by row, [height, width]. */
  readonly data: Float32Array;
  /** Where a place of the picture, in pixels, lies in the map, in cells. */
  readonly placement: Placement;
}

/** What a model made of a picture. */
export interface Seen {
  /** Where these leave a picture its size, the model sees it in tiles of its input, row by row; otherwise whole. */
  readonly preprocess: readonly PreprocessStep[];
  /** The model's input, in pixels, and the map of one sample, in cells. */
  readonly input: Size;
  readonly map: Size;
  /** [tiles, height, width] of maps. */
  readonly data: ArrayLike<number>;
}

export function placedDensity({ width, height }: Size, { preprocess, input, map, data }: Seen): Density {
  const across = map.width / input.width;
  const down = map.height / input.height;
  if (!keepsSize({ preprocess })) {
    const placement = stretched(plannedPlacement(planSteps(preprocess, width, height)), across, down);
    return { width: map.width, height: map.height, data: Float32Array.from(data), placement };
  }
  const tiles = data.length / (map.width * map.height);
  const columns = Math.ceil(width / input.width);
  const size = { width: columns * map.width, height: (tiles / columns) * map.height };
  const joined = new Float32Array(size.width * size.height);
  for (let tile = 0; tile < tiles; tile++) {
    const from = Math.floor(tile / columns) * map.height * size.width + (tile % columns) * map.width;
    for (let y = 0; y < map.height; y++)
      for (let x = 0; x < map.width; x++)
        joined[from + y * size.width + x] = data[(tile * map.height + y) * map.width + x]!;
  }
  return { ...size, data: joined, placement: stretched(asItIs(width, height), across, down) };
}
