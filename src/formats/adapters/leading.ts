/**
 * What a matrix is mostly made of: the part of it that its largest singular values make, or that lies in what its first columns span. Both are products
 * of two factors of a rank, which adapters of the library `peft` may start as; both are worked out in f64.
 */

/** A part of a matrix as B A: B [rows, rank], A [rank, columns], one row after another. */
export interface Part {
  readonly A: Float64Array;
  readonly B: Float64Array;
}

type Numbers = ArrayLike<number>;

/** Where what comes next is larger than this share of the last that is taken, and no smaller than it by such a share, either might have been taken. */
const GAP = 1e-5;

/**
 * The part of the `rank` largest singular values (Eckart and Young, 1936).
 * @returns undefined where the next singular value is as large as the last of them, so that there are several
 */
export function singularPart(w: Numbers, rows: number, columns: number, rank: number): Part | undefined {
  const size = Math.min(rows, columns);
  const wide = columns > rows;
  const { values, vectors } = largestEigen(gram(w, rows, columns, wide), size, Math.min(rank + 1, size));
  const of = (i: number) => Math.sqrt(Math.max(values[i] ?? 0, 0));
  if (rank < size && of(rank - 1) - of(rank) <= GAP * of(0)) return undefined;
  const taken = Math.min(rank, size);
  const basis = new Float64Array(rank * size);
  basis.set(vectors.subarray(0, taken * size));
  // The other factor is the matrix times the basis.
  if (wide) return { B: transposed(basis, rank, size), A: times(basis, w, rank, rows, columns) };
  return { A: basis, B: times(w, transposed(basis, rank, size), rows, columns, rank) };
}

/**
 * What of the matrix lies in the space that its first columns span: Q_r Q_r^T W = Q_r R_r of W = Q R.
 * @returns undefined where these columns depend on each other
 */
export function columnPart(w: Numbers, rows: number, columns: number, rank: number): Part | undefined {
  const basis = new Float64Array(rank * rows);
  for (let j = 0; j < rank; j++) {
    const q = basis.subarray(j * rows, (j + 1) * rows);
    if (j >= columns || j >= rows) return undefined;
    for (let i = 0; i < rows; i++) q[i] = w[i * columns + j]!;
    const before = Math.sqrt(dot(q, q));
    makeOrthogonal(q, basis, j);
    if (!(Math.sqrt(dot(q, q)) > GAP * before)) return undefined;
    normalise(q);
  }
  return { B: transposed(basis, rank, rows), A: times(basis, w, rank, rows, columns) };
}

function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function normalise(v: Float64Array): void {
  const length = Math.sqrt(dot(v, v));
  for (let i = 0; i < v.length; i++) v[i]! /= length;
}

/** Takes out of a vector what it has of the first `count` rows of an orthonormal basis: twice, since once leaves rounding. */
function makeOrthogonal(v: Float64Array, basis: Float64Array, count: number): void {
  for (let again = 0; again < 2; again++)
    for (let k = 0; k < count; k++) {
      const other = basis.subarray(k * v.length, (k + 1) * v.length);
      const share = dot(v, other);
      for (let i = 0; i < v.length; i++) v[i]! -= share * other[i]!;
    }
}

/** [n, k] times [k, m]. */
function times(a: Numbers, b: Numbers, n: number, k: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let l = 0; l < k; l++) {
      const factor = a[i * k + l]!;
      if (factor !== 0) for (let j = 0; j < m; j++) out[i * m + j]! += factor * b[l * m + j]!;
    }
  return out;
}

function transposed(a: Numbers, rows: number, columns: number): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]!;
  return out;
}

/** W W^T where `ofRows`, else W^T W. */
function gram(w: Numbers, rows: number, columns: number, ofRows: boolean): Float64Array {
  const a = ofRows ? Float64Array.from(w) : transposed(w, rows, columns);
  return ofRows
    ? times(a, transposed(a, rows, columns), rows, columns, rows)
    : times(a, Float64Array.from(w), columns, rows, columns);
}

/**
 * The `count` largest eigenvalues of a symmetric matrix [n, n], falling, and their vectors, one a row: by Householder's reduction to three diagonals, bisection
 * with Sturm's counts, and inverse iteration (Golub and Van Loan, Matrix Computations, 8.3 and 8.4).
 * @param a is overwritten
 */
function largestEigen(a: Float64Array, n: number, count: number): { values: Float64Array; vectors: Float64Array } {
  const { diagonal, beside, reflections } = tridiagonal(a, n);
  const values = new Float64Array(count);
  const vectors = new Float64Array(count * n);
  for (let k = 0; k < count; k++) {
    values[k] = eigenvalue(diagonal, beside, k);
    const v = vectors.subarray(k * n, (k + 1) * n);
    // No start is orthogonal to all vectors that are wanted: these numbers have no pattern.
    for (let i = 0; i < n; i++) v[i] = Math.sin(1 + 7.7 * i + 1.3 * k * i) + 0.5;
    for (let step = 0; step < 4; step++) {
      makeOrthogonal(v, vectors, k);
      normalise(v);
      solveShifted(diagonal, beside, values[k]!, v);
      normalise(v);
    }
    makeOrthogonal(v, vectors, k);
    normalise(v);
  }
  // Back from the three diagonals, the last reflection first.
  for (let k = 0; k < count; k++) {
    const v = vectors.subarray(k * n, (k + 1) * n);
    for (const [first, h] of reflections.toReversed()) {
      const tail = v.subarray(first);
      const share = 2 * dot(h, tail);
      for (let i = 0; i < tail.length; i++) tail[i]! -= share * h[i]!;
    }
  }
  return { values, vectors };
}

/** Reflections are unit vectors of the last places, from `first` on. */
function tridiagonal(a: Float64Array, n: number) {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(Math.max(0, n - 1));
  const reflections: [first: number, h: Float64Array][] = [];
  for (let k = 0; k + 2 < n; k++) {
    const h = Float64Array.from({ length: n - k - 1 }, (_, i) => a[(k + 1 + i) * n + k]!);
    const length = Math.sqrt(dot(h, h));
    beside[k] = h[0]! > 0 ? -length : length;
    if (length === 0) continue;
    h[0]! -= beside[k]!;
    normalise(h);
    reflections.push([k + 1, h]);
    // A := (1 - 2 h h^T) A (1 - 2 h h^T), below and right of k.
    const p = Float64Array.from(h, (_, i) => dot(h, a.subarray((k + 1 + i) * n + k + 1, (k + 2 + i) * n)));
    const share = dot(h, p);
    for (let i = 0; i < h.length; i++) p[i] = 2 * (p[i]! - share * h[i]!);
    for (let i = 0; i < h.length; i++) {
      const row = a.subarray((k + 1 + i) * n + k + 1, (k + 2 + i) * n);
      const [hi, pi] = [h[i]!, p[i]!];
      for (let j = 0; j < row.length; j++) row[j]! -= hi * p[j]! + pi * h[j]!;
    }
  }
  for (let i = 0; i < n; i++) diagonal[i] = a[i * n + i]!;
  if (n > 1) beside[n - 2] = a[(n - 1) * n + n - 2]!;
  return { diagonal, beside, reflections };
}

/** The k-th largest, from 0. */
function eigenvalue(diagonal: Float64Array, beside: Float64Array, k: number): number {
  const n = diagonal.length;
  const around = (i: number) => Math.abs(beside[i - 1] ?? 0) + Math.abs(beside[i] ?? 0);
  let low = Math.min(...Array.from(diagonal, (d, i) => d - around(i)));
  let high = Math.max(...Array.from(diagonal, (d, i) => d + around(i)));
  const tiny = Number.EPSILON * Math.max(Math.abs(low), Math.abs(high), Number.MIN_VALUE);
  for (let step = 0; step < 128 && high - low > tiny; step++) {
    const middle = (low + high) / 2;
    // As many are below it as there are negative pivots.
    let below = 0;
    let pivot = 1;
    for (let i = 0; i < n; i++) {
      const e = i === 0 ? 0 : beside[i - 1]!;
      pivot = diagonal[i]! - middle - (e * e) / pivot;
      if (pivot === 0) pivot = -tiny;
      if (pivot < 0) below++;
    }
    if (n - below > k) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** (T - shift) x = v, by elimination with exchanges of rows; x takes the place of v. */
function solveShifted(diagonal: Float64Array, beside: Float64Array, shift: number, v: Float64Array): void {
  const n = diagonal.length;
  const d = Float64Array.from(diagonal, (x) => x - shift);
  const up = Float64Array.from({ length: n }, (_, i) => beside[i] ?? 0);
  const upper = new Float64Array(n);
  const tiny = Number.EPSILON * Math.max(...Array.from(diagonal, Math.abs), Number.MIN_VALUE);
  for (let i = 0; i + 1 < n; i++) {
    let low = beside[i]!;
    if (Math.abs(low) > Math.abs(d[i]!)) {
      [d[i], low] = [low, d[i]!];
      [up[i], d[i + 1]] = [d[i + 1]!, up[i]!];
      [upper[i], up[i + 1]] = [up[i + 1]!, 0];
      [v[i], v[i + 1]] = [v[i + 1]!, v[i]!];
    }
    if (d[i] === 0) d[i] = tiny;
    const factor = low / d[i]!;
    d[i + 1]! -= factor * up[i]!;
    up[i + 1]! -= factor * upper[i]!;
    v[i + 1]! -= factor * v[i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    if (d[i] === 0) d[i] = tiny;
    v[i] = (v[i]! - up[i]! * (v[i + 1] ?? 0) - upper[i]! * (v[i + 2] ?? 0)) / d[i]!;
  }
  // What is nearly singular makes large numbers, which is wanted; they are brought back so that squares of them are numbers.
  const largest = Math.max(...Array.from(v, Math.abs));
  if (largest > 0) for (let i = 0; i < n; i++) v[i]! /= largest;
}
