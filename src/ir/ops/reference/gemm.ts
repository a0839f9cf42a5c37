/** One dense f64 matrix product for the references: register tiles of 4x4 over cache blocks of k and n. */

/** Columns of k in a block: eight rows of it stay in L1. */
const K_BLOCK = 512;
/** Rows of b in a block: they stay in L2 while all rows of a pass. */
const N_BLOCK = 64;

/**
 * c[i, j] += sum over p of a[i, p]·b[j, p], for i < m, j < n, p < k. All three row-major and dense from their offsets: b is given
 * transposed, as a linear layer's weight lies.
 */
export function gemmTransposed(
  m: number,
  n: number,
  k: number,
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  c: Float64Array,
  cAt: number,
): void {
  for (let k0 = 0; k0 < k; k0 += K_BLOCK) {
    const depth = Math.min(K_BLOCK, k - k0);
    for (let n0 = 0; n0 < n; n0 += N_BLOCK) {
      const n1 = Math.min(n, n0 + N_BLOCK);
      let i = 0;
      for (; i + 4 <= m; i += 4) {
        let j = n0;
        for (; j + 4 <= n1; j += 4) tile(k, depth, a, aAt + i * k + k0, b, bAt + j * k + k0, c, cAt + i * n + j, n);
        for (; j < n1; j++) {
          for (let r = 0; r < 4; r++) {
            c[cAt + (i + r) * n + j]! += dot(depth, a, aAt + (i + r) * k + k0, b, bAt + j * k + k0);
          }
        }
      }
      for (; i < m; i++) {
        for (let j = n0; j < n1; j++) c[cAt + i * n + j]! += dot(depth, a, aAt + i * k + k0, b, bAt + j * k + k0);
      }
    }
  }
}

function dot(depth: number, a: Float64Array, aAt: number, b: Float64Array, bAt: number): number {
  let sum = 0;
  for (let p = 0; p < depth; p++) sum += a[aAt + p]! * b[bAt + p]!;
  return sum;
}

/** Named accumulators: an array of them would live in memory. */
function tile(
  k: number,
  depth: number,
  a: Float64Array,
  a0: number,
  b: Float64Array,
  b0: number,
  c: Float64Array,
  c0: number,
  n: number,
): void {
  const a1 = a0 + k;
  const a2 = a1 + k;
  const a3 = a2 + k;
  const b1 = b0 + k;
  const b2 = b1 + k;
  const b3 = b2 + k;
  let s00 = 0,
    s01 = 0,
    s02 = 0,
    s03 = 0;
  let s10 = 0,
    s11 = 0,
    s12 = 0,
    s13 = 0;
  let s20 = 0,
    s21 = 0,
    s22 = 0,
    s23 = 0;
  let s30 = 0,
    s31 = 0,
    s32 = 0,
    s33 = 0;
  for (let p = 0; p < depth; p++) {
    const x0 = a[a0 + p]!;
    const x1 = a[a1 + p]!;
    const x2 = a[a2 + p]!;
    const x3 = a[a3 + p]!;
    const y0 = b[b0 + p]!;
    s00 += x0 * y0;
    s10 += x1 * y0;
    s20 += x2 * y0;
    s30 += x3 * y0;
    const y1 = b[b1 + p]!;
    s01 += x0 * y1;
    s11 += x1 * y1;
    s21 += x2 * y1;
    s31 += x3 * y1;
    const y2 = b[b2 + p]!;
    s02 += x0 * y2;
    s12 += x1 * y2;
    s22 += x2 * y2;
    s32 += x3 * y2;
    const y3 = b[b3 + p]!;
    s03 += x0 * y3;
    s13 += x1 * y3;
    s23 += x2 * y3;
    s33 += x3 * y3;
  }
  c[c0]! += s00;
  c[c0 + 1]! += s01;
  c[c0 + 2]! += s02;
  c[c0 + 3]! += s03;
  c[c0 + n]! += s10;
  c[c0 + n + 1]! += s11;
  c[c0 + n + 2]! += s12;
  c[c0 + n + 3]! += s13;
  c[c0 + 2 * n]! += s20;
  c[c0 + 2 * n + 1]! += s21;
  c[c0 + 2 * n + 2]! += s22;
  c[c0 + 2 * n + 3]! += s23;
  c[c0 + 3 * n]! += s30;
  c[c0 + 3 * n + 1]! += s31;
  c[c0 + 3 * n + 2]! += s32;
  c[c0 + 3 * n + 3]! += s33;
}

/** The transpose of a dense [rows, cols] matrix, in blocks so that both sides stay in cache. */
export function transposed(x: Float64Array, at: number, rows: number, cols: number): Float64Array {
  const out = new Float64Array(rows * cols);
  for (let r0 = 0; r0 < rows; r0 += 32) {
    const r1 = Math.min(rows, r0 + 32);
    for (let c0 = 0; c0 < cols; c0 += 32) {
      const c1 = Math.min(cols, c0 + 32);
      for (let r = r0; r < r1; r++) for (let c = c0; c < c1; c++) out[c * rows + r] = x[at + r * cols + c]!;
    }
  }
  return out;
}
