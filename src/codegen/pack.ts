/**
 * Weights in the order in which contractions read them. For y = x·Wᵀ with W of [n, k], the layout `tiles:16x32` is
 * [ceil(n/32)][ceil(k/16)][16 inputs][32 outputs], zero padded: one tile is 16 neighbouring inputs of 32 neighbouring outputs, and
 * a row of a tile is what the lanes of a subgroup read side by side. Packing once, when weights are loaded, makes every later
 * read contiguous; and a pruned tile can be left out as a whole.
 */
import { fromHalf, HALF_MAX, toHalf } from '../ir/half.js';

export const TILE_K = 16;
export const TILE_N = 32;

/** Bytes of a packed weight of [n, k]. */
export function packedBytes(n: number, k: number, dtype: 'f32' | 'f16'): number {
  return Math.ceil(n / TILE_N) * Math.ceil(k / TILE_K) * TILE_K * TILE_N * (dtype === 'f32' ? 4 : 2);
}

/** A finite weight lies outside the range of f16 storage. */
export class HalfOverflow extends RangeError {
  constructor(
    readonly row: number,
    readonly column: number,
    readonly value: number,
  ) {
    super(`weight[${row}, ${column}] = ${value} does not fit f16, whose largest value is ${HALF_MAX}`);
    this.name = 'HalfOverflow';
  }
}

/**
 * Packs a row-major weight of [n outputs, k inputs] into tiles.
 * @throws HalfOverflow if `dtype` is f16 and a finite weight rounds to infinity.
 * @throws RangeError if the weight has other than n * k elements.
 */
export function packTiles(weight: ArrayLike<number>, n: number, k: number, dtype: 'f32' | 'f16'): Uint8Array {
  if (weight.length !== n * k)
    throw new RangeError(`a weight of [${n}, ${k}] has ${n * k} elements, not ${weight.length}`);
  const bytes = new Uint8Array(packedBytes(n, k, dtype));
  if (dtype === 'f32') {
    const out = new Float32Array(bytes.buffer);
    eachRow(n, k, (from, to, count) => {
      for (let i = 0, at = from; i < count; i++, at += k) out[to + i] = weight[at]!;
    });
    return bytes;
  }
  const out = new Uint16Array(bytes.buffer);
  eachRow(n, k, (from, to, count) => {
    for (let i = 0, at = from; i < count; i++, at += k) {
      const value = weight[at]!;
      const half = toHalf(value);
      if ((half & 0x7fff) === 0x7c00 && Number.isFinite(value))
        throw new HalfOverflow(Math.floor(at / k), at % k, value);
      out[to + i] = half;
    }
  });
  return bytes;
}

/** The rows of all tiles in order: one input of `count` outputs, which are `k` apart in the weight from `from` on, and lie side by side at `to`. */
function eachRow(n: number, k: number, body: (from: number, to: number, count: number) => void): void {
  for (let row = 0; row < n; row += TILE_N) {
    const count = Math.min(TILE_N, n - row);
    for (let column = 0; column < k; column++) body(row * k + column, tileIndex(row, column, k), count);
  }
}

/** The inverse of `packTiles`: the row-major weight of [n, k]. */
export function unpackTiles(bytes: Uint8Array, n: number, k: number, dtype: 'f32' | 'f16'): Float32Array {
  if (bytes.byteLength !== packedBytes(n, k, dtype)) {
    throw new RangeError(
      `packed [${n}, ${k}] ${dtype} takes ${packedBytes(n, k, dtype)} bytes, not ${bytes.byteLength}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const weight = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < k; column++) {
      const at = tileIndex(row, column, k);
      weight[row * k + column] =
        dtype === 'f32' ? view.getFloat32(at * 4, true) : fromHalf(view.getUint16(at * 2, true));
    }
  }
  return weight;
}

/** Where weight[row, column] lies, in elements. */
function tileIndex(row: number, column: number, k: number): number {
  const tile = Math.floor(row / TILE_N) * Math.ceil(k / TILE_K) + Math.floor(column / TILE_K);
  return (tile * TILE_K + (column % TILE_K)) * TILE_N + (row % TILE_N);
}
