/**
 * Packed matrices of which only the tiles that hold something are stored. A tile is TILE_K inputs of TILE_N outputs (layout.ts). The stored tiles
 * of each strip of TILE_N outputs follow one another, and so do the strips: that is a matrix of TILE_N columns by itself, row by row, in which a
 * product that reads it finds TILE_K inputs at once. Two lists say which inputs these are.
 */
import { capacity, eachRun, type Layout, TILE_K, TILE_N } from './layout.js';

export interface KeptTiles {
  /** Of each strip, where its tiles begin among those that are stored; and where the last strip ends. */
  readonly starts: Uint32Array;
  /** The block of TILE_K inputs that each stored tile holds, ascending within a strip. At least one tile is stored. */
  readonly blocks: Uint32Array;
  /** All tiles of the matrix. */
  readonly of: number;
}

/** The lists of a packed weight of which not all tiles are stored. */
export type KeptList = 'starts' | 'blocks';

const TILE = TILE_K * TILE_N;

/**
 * The tiles of a layout of `tiles` that hold an element which is not zero.
 * @param elements Of the matrix, row by row
 */
export function keptTiles(at: Layout, elements: ArrayLike<number>): KeptTiles {
  const all = new Uint8Array(capacity(at) / TILE);
  eachRun(at, (from, step, place, count) => {
    const tile = Math.floor(place / TILE);
    for (let i = 0, x = from; i < count && all[tile] === 0; i++, x += step) if (elements[x] !== 0) all[tile] = 1;
  });
  // A buffer holds something.
  if (!all.includes(1)) all[0] = 1;
  const [strips, depth] = [at.digits[0]!.of, at.digits[1]!.of];
  const starts = new Uint32Array(strips + 1);
  const blocks: number[] = [];
  for (let strip = 0; strip < strips; strip++) {
    for (let block = 0; block < depth; block++) if (all[strip * depth + block]) blocks.push(block);
    starts[strip + 1] = blocks.length;
  }
  return { starts, blocks: Uint32Array.from(blocks), of: all.length };
}

/**
 * The stored tiles of a packed matrix.
 * @param dense All of its bytes (`pack`)
 * @throws RangeError where a tile that is left out holds something: what was said of the matrix is not so.
 */
export function packKept(dense: Uint8Array, { starts, blocks, of }: KeptTiles): Uint8Array {
  const bytes = dense.length / of;
  const depth = of / (starts.length - 1);
  const out = new Uint8Array(blocks.length * bytes);
  let next = 0;
  for (let tile = 0; tile < of; tile++) {
    const strip = Math.floor(tile / depth);
    const own = dense.subarray(tile * bytes, (tile + 1) * bytes);
    if (next < starts[strip + 1]! && blocks[next] === tile % depth) out.set(own, bytes * next++);
    else if (holdsNumber(own, bytes / TILE)) throw new RangeError(`tile ${tile} of ${of} is left out and is not zero`);
  }
  return out;
}

/** Whether any number of so many bytes is not 0. Of -0 the sign alone is set, which is in the last byte. */
function holdsNumber(bytes: Uint8Array, width: number): boolean {
  return bytes.some((b, i) => (i % width === width - 1 ? b & 0x7f : b) !== 0);
}
