/**
 * The linear map of an affine form, kept structured: identity, diagonal, low rank (an unmultiplied product), Kronecker, stacked rows.
 * It is multiplied out last, if at all (`apply.ts`). A matrix is [out, in] and acts on columns: y = M x.
 */
import type { Builder } from '../ops/builder.js';
import type { Value } from '../types.js';

interface Size {
  readonly out: number;
  readonly in: number;
  /** A value [out, in] that already is this matrix: materialising it costs nothing. */
  readonly source?: Value;
}

export type Matrix = Size &
  (
    | { readonly kind: 'zero' }
    | { readonly kind: 'identity' }
    /** `scale` is [n], or [] for a multiple of the identity. */
    | { readonly kind: 'diagonal'; readonly scale: Value }
    | { readonly kind: 'dense'; readonly value: Value }
    | { readonly kind: 'product'; readonly left: Matrix; readonly right: Matrix }
    | { readonly kind: 'sum'; readonly terms: readonly Matrix[] }
    /** The first factor indexes the slow axis. */
    | { readonly kind: 'kron'; readonly left: Matrix; readonly right: Matrix }
    /** What an operator does to channels, `cost` multiply-adds a token: [t, in] -> [t, out]. */
    | { readonly kind: 'operator'; readonly cost: number; readonly run: Run }
    /** Stacked along `out`. */
    | { readonly kind: 'rows'; readonly parts: readonly Matrix[] }
    /** Side by side along `in`. */
    | { readonly kind: 'cols'; readonly parts: readonly Matrix[] }
  );

export type Run = (b: Builder, x: Value) => Value;

export const operator = (out: number, width: number, cost: number, run: Run): Matrix => ({
  kind: 'operator',
  out,
  in: width,
  cost,
  run,
});

export const zero = (out: number, width: number): Matrix => ({ kind: 'zero', out, in: width });
export const identity = (n: number): Matrix => ({ kind: 'identity', out: n, in: n });

/** From a value [n] or []. */
export function diagonal(n: number, scale: Value): Matrix {
  if (scale.op === 'constant' && scale.attrs.value === 1) return identity(n);
  if (scale.op === 'constant' && scale.attrs.value === 0) return zero(n, n);
  return { kind: 'diagonal', out: n, in: n, scale };
}

export function dense(value: Value): Matrix {
  const [out, width] = value.type.shape as [number, number];
  return { kind: 'dense', out, in: width, value, source: value };
}

/** A function of matrices, worked out once for each: it is asked for again and again, of parts that many matrices share. */
export function perMatrix<T extends number>(work: (m: Matrix) => T): (m: Matrix) => T {
  const known = new WeakMap<Matrix, T>();
  return (m) => {
    const found = known.get(m) ?? work(m);
    known.set(m, found);
    return found;
  };
}

/** What works on matrices recurses, level by level, and meets a part as often as it is used. */
export const MOST_LEVELS = 64;
const MOST_PARTS = 8192;

const levelsOf = perMatrix((m): number => partsOf(m).reduce((most, x) => Math.max(most, levelsOf(x)), 0) + 1);
const partsIn = perMatrix((m): number => partsOf(m).reduce((n, x) => n + partsIn(x), 1));

/** Whether the matrix has more structure than can be followed. */
export const isIntricate = (m: Matrix): boolean => levelsOf(m) > MOST_LEVELS || partsIn(m) > MOST_PARTS;

/** What a matrix is put together from. */
function partsOf(m: Matrix): readonly Matrix[] {
  switch (m.kind) {
    case 'product':
    case 'kron':
      return [m.left, m.right];
    case 'sum':
      return m.terms;
    case 'rows':
    case 'cols':
      return m.parts;
    default:
      return [];
  }
}

export const withSource = (m: Matrix, source: Value): Matrix => ({ ...m, source });

/** left · right */
export function product(b: Builder, left: Matrix, right: Matrix): Matrix {
  if (left.kind === 'identity') return right;
  if (right.kind === 'identity') return left;
  if (left.kind === 'zero' || right.kind === 'zero') return zero(left.out, right.in);
  if (left.kind === 'diagonal') {
    if (right.kind === 'diagonal') return diagonal(left.out, b.mul(left.scale, right.scale));
    // Diagonals gather, so that scales that cancel or fold meet each other.
    if (right.kind === 'product' && right.left.kind === 'diagonal') {
      return product(b, product(b, left, right.left), right.right);
    }
  }
  if (right.kind === 'diagonal' && left.kind === 'product' && left.right.kind === 'diagonal') {
    return product(b, left.left, product(b, left.right, right));
  }
  return { kind: 'product', out: left.out, in: right.in, left, right };
}

/** Multiples of the identity and diagonals add up to one term; it comes first. */
export function sum(b: Builder, all: readonly Matrix[]): Matrix {
  const flat = all.flatMap((m) => (m.kind === 'sum' ? m.terms : [m])).filter((m) => m.kind !== 'zero');
  const first = all[0]!;
  const simple = flat.filter((m) => m.kind === 'identity' || m.kind === 'diagonal');
  const rest = flat.filter((m) => m.kind !== 'identity' && m.kind !== 'diagonal');
  const terms: Matrix[] = [...rest];
  if (simple.length > 0) {
    const scale = simple.map((m) => (m.kind === 'diagonal' ? m.scale : b.constant(1))).reduce((x, y) => b.add(x, y));
    const merged: Matrix = simple.length === 1 ? simple[0]! : diagonal(first.out, scale);
    if (merged.kind !== 'zero') terms.unshift(merged);
  }
  if (terms.length === 0) return zero(first.out, first.in);
  if (terms.length === 1) return terms[0]!;
  return { kind: 'sum', out: first.out, in: first.in, terms };
}

export function kron(left: Matrix, right: Matrix): Matrix {
  return { kind: 'kron', out: left.out * right.out, in: left.in * right.in, left, right };
}

/** Neighbouring row ranges of one value become one range, and all of its rows the value itself. */
export function joinRows(b: Builder, values: readonly Value[]): Value {
  const joined: Value[] = [];
  for (const v of values) {
    const last = joined.at(-1);
    const merged = last && joinTwo(b, last, v);
    if (merged) joined[joined.length - 1] = merged;
    else joined.push(v);
  }
  return b.concat(joined, 0);
}

function joinTwo(b: Builder, first: Value, second: Value): Value | undefined {
  if (first.op !== 'slice' || second.op !== 'slice' || first.inputs[0] !== second.inputs[0]) return undefined;
  const whole = first.inputs[0]!;
  const others = first.attrs.start.every(
    (s, i) => i === 0 || (s === second.attrs.start[i] && first.attrs.end[i] === second.attrs.end[i]),
  );
  if (!others || first.attrs.end[0] !== second.attrs.start[0]) return undefined;
  return b.slice(whole, first.attrs.start, second.attrs.end);
}

/** Rows `from <= row < to`; a slice of a slice or of a concatenation reaches through. */
export function sliceRows(b: Builder, whole: Value, from: number, to: number): Value {
  const done: Value[] = [];
  // What is still to be cut, the first rows last.
  const stack = [{ value: whole, from, to }];
  for (let piece = stack.pop(); piece; piece = stack.pop()) {
    const { value } = piece;
    if (piece.from === 0 && piece.to === value.type.shape[0]) done.push(value);
    else if (value.op === 'slice') {
      const { start, end } = value.attrs;
      const top = start[0] ?? 0;
      const cut = (list: readonly number[], at: number) => list.map((s, i) => (i === 0 ? at : s));
      done.push(b.slice(value.inputs[0]!, cut(start, top + piece.from), cut(end, top + piece.to)));
    } else if (value.op === 'concat' && value.attrs.axis === 0) {
      const parts: typeof stack = [];
      let top = 0;
      for (const part of value.inputs) {
        const rows = part.type.shape[0] ?? 0;
        const low = Math.max(piece.from - top, 0);
        const high = Math.min(piece.to - top, rows);
        if (low < high) parts.push({ value: part, from: low, to: high });
        top += rows;
      }
      stack.push(...parts.reverse());
    } else done.push(b.sliceAxis(value, 0, piece.from, piece.to));
  }
  return joinRows(b, done);
}

export function rows(b: Builder, all: readonly Matrix[]): Matrix {
  const flat = all.flatMap((m) => (m.kind === 'rows' ? m.parts : [m]));
  const out = flat.reduce((n, m) => n + m.out, 0);
  const width = flat[0]!.in;
  if (flat.length === 1) return flat[0]!;
  if (flat.every((m) => m.kind === 'zero')) return zero(out, width);
  const parts: Matrix[] = [];
  for (const m of flat) {
    const last = parts.at(-1);
    const joined = last?.kind === 'dense' && m.kind === 'dense' ? joinTwo(b, last.value, m.value) : undefined;
    if (joined) parts[parts.length - 1] = dense(joined);
    else parts.push(m);
  }
  return parts.length === 1 ? parts[0]! : { kind: 'rows', out, in: width, parts };
}

export function cols(all: readonly Matrix[]): Matrix {
  if (all.length === 1) return all[0]!;
  const width = all.reduce((n, m) => n + m.in, 0);
  return { kind: 'cols', out: all[0]!.out, in: width, parts: all };
}

export function transposed(b: Builder, m: Matrix): Matrix {
  const t = (x: Matrix): Matrix => transposed(b, x);
  switch (m.kind) {
    case 'zero':
      return zero(m.in, m.out);
    case 'identity':
    case 'diagonal':
      return m;
    case 'dense':
      return dense(b.transpose(m.value));
    case 'product':
      return product(b, t(m.right), t(m.left));
    case 'sum':
      return { kind: 'sum', out: m.in, in: m.out, terms: m.terms.map(t) };
    case 'kron':
      return kron(t(m.left), t(m.right));
    case 'rows':
      return cols(m.parts.map(t));
    case 'cols':
      return rows(b, m.parts.map(t));
    case 'operator':
      return dense(m.run(b, eye(b, m.in)));
  }
}

/** The identity as a value [n, n]. */
export function eye(b: Builder, n: number): Value {
  return b.select(b.eq(b.iota([n, n], 0), b.iota([n, n], 1)), 1, 0);
}

/** Rows `from <= row < to` of the matrix; undefined where its structure has no such part (a stretch of an identity). */
export function rowRange(b: Builder, m: Matrix, from: number, to: number): Matrix | undefined {
  if (from === 0 && to === m.out) return m;
  const every = (list: readonly Matrix[]): Matrix[] | undefined => {
    const cut = list.map((x) => rowRange(b, x, from, to));
    return cut.every((x) => x !== undefined) ? cut : undefined;
  };
  switch (m.kind) {
    case 'zero':
      return zero(to - from, m.in);
    case 'identity':
    case 'diagonal':
    case 'operator':
      return undefined;
    case 'dense':
      return dense(sliceRows(b, m.value, from, to));
    case 'product': {
      if (m.left.kind === 'diagonal') {
        const below = rowRange(b, m.right, from, to);
        const scale = m.left.scale;
        const cut = scale.type.shape.length === 0 ? scale : sliceRows(b, scale, from, to);
        return below && product(b, diagonal(to - from, cut), below);
      }
      const left = rowRange(b, m.left, from, to);
      return left && product(b, left, m.right);
    }
    case 'sum': {
      const terms = every(m.terms);
      return terms && sum(b, terms);
    }
    case 'kron': {
      const step = m.right.out;
      if (from % step !== 0 || to % step !== 0) return undefined;
      const left = rowRange(b, m.left, from / step, to / step);
      return left && kron(left, m.right);
    }
    case 'rows': {
      const parts: Matrix[] = [];
      let top = 0;
      for (const part of m.parts) {
        const low = Math.max(from - top, 0);
        const high = Math.min(to - top, part.out);
        if (low < high) {
          const cut = rowRange(b, part, low, high);
          if (!cut) return undefined;
          parts.push(cut);
        }
        top += part.out;
      }
      return rows(b, parts);
    }
    case 'cols': {
      const parts = every(m.parts);
      return parts && cols(parts);
    }
  }
}

/** Whether the matrix or a part of its structure passes the test. */
export function somePart(m: Matrix, test: (part: Matrix) => boolean): boolean {
  return test(m) || partsOf(m).some((x) => somePart(x, test));
}

/** Whether a Kronecker product is anywhere in the structure. */
export const holdsKron = (m: Matrix): boolean => somePart(m, (x) => x.kind === 'kron');
