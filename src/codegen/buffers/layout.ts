/**
 * Where the elements of a tensor lie in its buffer: an invertible index map, which belongs to the buffer and not to those that use it. The
 * CPU's packer, kernels that read and kernels that write all ask it for places, so that a tensor which several products read, each its own way
 * round, is stored once.
 *
 * A map is a mixed radix number. Each axis is taken apart into digits, as 137 is 4 thirty-twos and 9; the digits of all axes in some order,
 * outermost first, are counted like those of one number. Row-major is the map whose digits are whole axes; `tiles` cuts a matrix into blocks.
 */
import { div, flattenStored, type Index, mod, reshaped, scale, sum } from '../read/indexing.js';

/** Part of a coordinate: `floor(coordinate / by)`, of which there are `of`. */
export interface Digit {
  readonly axis: number;
  readonly by: number;
  readonly of: number;
}

export interface Layout {
  /** Of the tensor, without what pads it. */
  readonly shape: readonly number[];
  /** Outermost first. */
  readonly digits: readonly Digit[];
  /** Equal texts, equal maps. */
  readonly text: string;
}

/** @throws RangeError where the digits of an axis are not those of one number, or count less than the axis has. */
export function layout(shape: readonly number[], digits: readonly Digit[]): Layout {
  for (const [axis, size] of shape.entries()) {
    const own = digits.filter((d) => d.axis === axis && d.of > 1).sort((a, b) => a.by - b.by);
    const reach = own.reduce((by, d) => (d.by === by ? by * d.of : Number.NaN), 1);
    if (!(reach >= size)) throw new RangeError(`axis ${axis} of ${size} is not made of ${textOf(own)}`);
  }
  return { shape, digits, text: `${shape.join('x')} ${textOf(digits)}` };
}

const textOf = (digits: readonly Digit[]): string => digits.map((d) => `${d.axis}/${d.by}:${d.of}`).join(' ');

/** Outputs and inputs of one tile. */
export const TILE_N = 32;
export const TILE_K = 16;

/**
 * The layout `tiles:16x32` of a matrix: [ceil(n/32)][ceil(k/16)][16 inputs][32 outputs], zero padded. A tile is 16 neighbouring inputs of 32
 * neighbouring outputs, and a row of a tile is what the lanes of a subgroup read side by side; a pruned tile can be left out as a whole.
 * @param outputs The axis along which a product that sums over the other one has its columns
 */
export function tiles(shape: readonly [number, number], outputs: 0 | 1): Layout {
  const inputs = 1 - outputs;
  const blocks = (axis: number, by: number): Digit => ({ axis, by, of: Math.ceil(shape[axis]! / by) });
  return layout(shape, [
    blocks(outputs, TILE_N),
    blocks(inputs, TILE_K),
    { axis: inputs, by: 1, of: TILE_K },
    { axis: outputs, by: 1, of: TILE_N },
  ]);
}

/** How far an axis counts with what pads it. */
export function extent({ digits }: Layout, axis: number): number {
  return digits.reduce((n, d) => (d.axis === axis ? n * d.of : n), 1);
}

/** Elements of the buffer, with what pads the tensor. */
export function capacity({ digits }: Layout): number {
  return digits.reduce((n, d) => n * d.of, 1);
}

/** How far apart neighbours along each digit lie. */
function steps({ digits }: Layout): number[] {
  let step = 1;
  return digits
    .toReversed()
    .map((d) => {
      const own = step;
      step *= d.of;
      return own;
    })
    .toReversed();
}

/** Where an element lies. Coordinates may reach as far as `extent`. */
export function placeOf(at: Layout, coords: readonly Index[]): Index {
  const step = steps(at);
  const parts = at.digits.map(({ axis, by, of }, i) => {
    const whole = div(coords[axis]!, by);
    // The first digit of an axis needs no remainder: a coordinate lies inside.
    return scale(by * of === extent(at, axis) ? whole : mod(whole, of), step[i]!);
  });
  return sum(...parts);
}

/** Where an element of a tensor lies in its buffer: by the buffer's layout, or in row-major order with samples outermost. */
export function elementAt(
  buffer: { readonly layout?: Layout },
  coords: readonly Index[],
  shape: readonly number[],
): Index {
  if (!buffer.layout) return flattenStored(coords, shape);
  const own = buffer.layout.shape;
  const same = own.length === shape.length && own.every((d, i) => d === shape[i]);
  return placeOf(buffer.layout, same ? coords : reshaped(coords, shape, own));
}

/**
 * All elements, by runs that lie side by side in the buffer: `count` of them from `place` on, which in the row-major tensor lie `step` apart from
 * `from` on. In the order of the buffer; what pads the tensor is left out.
 */
export function eachRun(at: Layout, body: (from: number, step: number, place: number, count: number) => void): void {
  const { shape, digits } = at;
  const rows = shape.map((_, axis) => shape.slice(axis + 1).reduce((n, d) => n * d, 1));
  const step = steps(at);
  const coords = shape.map(() => 0);
  const walk = (depth: number, from: number, place: number): void => {
    const { axis, by, of } = digits[depth]!;
    const start = coords[axis]!;
    const count = Math.min(of, Math.ceil((shape[axis]! - start) / by));
    if (depth === digits.length - 1) {
      if (count > 0) body(from, by * rows[axis]!, place, count);
      return;
    }
    for (let i = 0; i < count; i++) {
      coords[axis] = start + i * by;
      walk(depth + 1, from + i * by * rows[axis]!, place + i * step[depth]!);
    }
    coords[axis] = start;
  };
  if (digits.length > 0) walk(0, 0, 0);
  else body(0, 1, 0, 1);
}
