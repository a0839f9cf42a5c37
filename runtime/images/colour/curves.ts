/** What profiles compute with: curves of one number, and grids that are interpolated. */

export type Numbers = ArrayLike<number>;
/** Of [0, 1]; what lies outside is taken for the nearer end. */
export type Curve = (x: number) => number;
/** From coordinates in [0, 1] to values; both may be one array. */
export type Clut = (at: Numbers, values: Float64Array) => void;

const clamp = (x: number): number => (x > 0 ? (x < 1 ? x : 1) : 0);

/**
 * A curve as a tag holds it at a byte: listed (`curv`), or one of five formulas (`para`).
 * @param fail throws, for what is neither
 */
export function curveAt(
  tag: DataView,
  at: number,
  fail: (reason: string) => never,
): { readonly curve: Curve; readonly bytes: number } {
  const type = String.fromCharCode(...[0, 1, 2, 3].map((i) => tag.getUint8(at + i)));
  if (type === 'curv') {
    const count = tag.getUint32(at + 8);
    if (at + 12 + 2 * count > tag.byteLength) throw new RangeError('cut off');
    const bytes = 12 + 2 * count;
    if (count === 0) return { curve: clamp, bytes };
    if (count === 1) {
      const gamma = tag.getUint16(at + 12) / 256;
      return { curve: (x) => clamp(x) ** gamma, bytes };
    }
    const list = Float64Array.from({ length: count }, (_, i) => tag.getUint16(at + 12 + 2 * i) / 65535);
    return { curve: listed(list), bytes };
  }
  if (type !== 'para') return fail('is damaged: one of its curves is none');
  const kind = tag.getUint16(at + 8);
  const counts = [1, 3, 4, 5, 7];
  if (kind >= counts.length) return fail(`is damaged: a curve of kind ${kind}`);
  const numbers = Array.from({ length: counts[kind]! }, (_, i) => tag.getInt32(at + 12 + 4 * i) / 65536);
  return { curve: formula(kind, numbers), bytes: 12 + 4 * numbers.length };
}

/** Straight between values that lie as far apart. */
export function listed(list: Float64Array): Curve {
  const last = list.length - 1;
  return (x) => {
    const place = clamp(x) * last;
    const low = Math.floor(place);
    const from = list[low]!;
    return low === last ? from : from + (place - low) * (list[low + 1]! - from);
  };
}

/** The formulas of `parametricCurveType`, from `Y = X^g` to `(aX + b)^g + e` above d and `cX + f` below it. */
function formula(kind: number, [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0]: readonly number[]): Curve {
  const power = (x: number): number => Math.max(0, a * x + b) ** g;
  const curves: readonly Curve[] = [
    (x) => x ** g,
    (x) => (a * x + b >= 0 ? power(x) : 0),
    (x) => (a * x + b >= 0 ? power(x) + c : c),
    (x) => (x >= d ? power(x) : c * x),
    (x) => (x >= d ? power(x) + e : c * x + f),
  ];
  const curve = curves[kind]!;
  return (x) => clamp(curve(clamp(x)));
}

/**
 * A grid of colors, the first coordinate slowest: linear of one coordinate, of three by tetrahedra (Kasson et al. 1993), which leave grays gray; of four
 * linear in the first between two of three.
 * @param sides points along each coordinate, at least 2
 * @param values three at each point
 */
export function clutOf(sides: readonly number[], values: Float64Array): Clut {
  const strides = sides.map((_, i) => sides.slice(i + 1).reduce((x, y) => x * y, 3));
  const n = sides.length;
  const fraction = new Float64Array(n);
  const step = new Int32Array(n);
  const result = new Float64Array(3);
  const add = (at: number, share: number): void => {
    result[0]! += share * values[at]!;
    result[1]! += share * values[at + 1]!;
    result[2]! += share * values[at + 2]!;
  };
  /** Adds `share` of what the last three coordinates give, beginning at `base`. */
  const tetrahedron = (base: number, share: number): void => {
    // From the corner along the coordinate with the largest fraction, then the next one.
    let [a, b, c] = [n - 3, n - 2, n - 1];
    if (fraction[a]! < fraction[b]!) [a, b] = [b, a];
    if (fraction[b]! < fraction[c]!) [b, c] = [c, b];
    if (fraction[a]! < fraction[b]!) [a, b] = [b, a];
    const [first, second, third] = [fraction[a]!, fraction[b]!, fraction[c]!];
    const [one, two] = [base + step[a]!, base + step[a]! + step[b]!];
    add(base, share * (1 - first));
    add(one, share * (first - second));
    add(two, share * (second - third));
    add(two + step[c]!, share * third);
  };
  return (at, out) => {
    let base = 0;
    for (let i = 0; i < n; i++) {
      const place = clamp(at[i]!) * (sides[i]! - 1);
      const low = Math.floor(place);
      fraction[i] = place - low;
      // At the end of a side there is nothing further, and its share is 0.
      step[i] = low === sides[i]! - 1 ? 0 : strides[i]!;
      base += low * strides[i]!;
    }
    result.fill(0);
    if (n === 3) tetrahedron(base, 1);
    else {
      const between = n === 1 ? add : tetrahedron;
      between(base, 1 - fraction[0]!);
      between(base + step[0]!, fraction[0]!);
    }
    out.set(result);
  };
}
