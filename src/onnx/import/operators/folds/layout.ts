/** Moving what is known: elements go to other places as they are, the batch among them. */
import { stridesOf } from '../../../../ir/ops/shapes.js';
import type { Fold, Folds, Known, OnnxNode } from '../../rule.js';
import { axesGiven, reshapeTo, sliceCuts } from '../layout.js';
import { axesOf, axisOf, product, range } from '../text.js';
import { isLong, known, needed, reader } from './known.js';

/** A tensor of this shape whose elements stand in another at the places that `from` says of theirs. */
export function moved(x: Known, shape: readonly number[], from: (place: readonly number[]) => number): Known {
  const strides = stridesOf(shape);
  const data = Array.from(
    { length: product(shape) },
    (_, flat) => x.data[from(shape.map((d, i) => Math.floor(flat / strides[i]!) % d))]!,
  );
  return known(x.dtype, shape, data);
}

/** The same elements under another shape. */
const under =
  (shape: (n: OnnxNode, x: Known, inputs: readonly (Known | undefined)[]) => readonly number[]): Fold =>
  (n, inputs) => {
    const x = needed(n, inputs[0]);
    return [known(x.dtype, shape(n, x, inputs), x.data)];
  };

const numbersOf = (n: OnnxNode, x: Known | undefined): number[] => Array.from(needed(n, x).data, Number);

const at = (place: readonly number[], strides: readonly number[]): number =>
  place.reduce((sum, p, i) => sum + p * strides[i]!, 0);

const gather: Fold = (n, inputs) => {
  const [x, where] = [needed(n, inputs[0]), needed(n, inputs[1])];
  const axis = axisOf(n, n.int('axis', 0), x.shape.length);
  const length = x.shape[axis]!;
  const places = Array.from(where.data, (i) => (i < 0 ? i + length : i));
  const outside = places.find((i) => i < 0 || i >= length);
  if (outside !== undefined) return n.fail(`reads place ${outside} of an axis of ${length}`);
  const rank = where.shape.length;
  const shape = [...x.shape.slice(0, axis), ...where.shape, ...x.shape.slice(axis + 1)];
  const [strides, own] = [stridesOf(x.shape), stridesOf(where.shape)];
  return [
    moved(x, shape, (p) => {
      const index = places[at(p.slice(axis, axis + rank), own)]!;
      return at([...p.slice(0, axis), index, ...p.slice(axis + rank)], strides);
    }),
  ];
};

const concat: Fold = (n, inputs) => {
  const all = inputs.map((x) => needed(n, x));
  const first = needed(n, all[0]);
  const axis = axisOf(n, n.int('axis'), first.shape.length);
  const inner = (x: Known) => product(x.shape.slice(axis));
  const outer = product(first.shape.slice(0, axis));
  const data = range(outer).flatMap((o) =>
    all.flatMap((x) => Array.from(x.data).slice(o * inner(x), (o + 1) * inner(x))),
  );
  const length = all.reduce((sum, x) => sum + x.shape[axis]!, 0);
  return [
    known(
      first.dtype,
      first.shape.map((d, i) => (i === axis ? length : d)),
      data,
    ),
  ];
};

const slice: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const cuts = sliceCuts(n, x.shape);
  const shape = [...x.shape];
  const start = x.shape.map(() => 0);
  const step = x.shape.map(() => 1);
  for (const c of cuts) {
    shape[c.axis] = Math.max(0, Math.ceil((c.end - c.start) / c.step));
    start[c.axis] = c.start;
    step[c.axis] = c.step;
  }
  const strides = stridesOf(x.shape);
  return [
    moved(x, shape, (p) =>
      at(
        p.map((i, a) => start[a]! + i * step[a]!),
        strides,
      ),
    ),
  ];
};

const split: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const axis = axisOf(n, n.int('axis', 0), x.shape.length);
  const length = x.shape[axis]!;
  const given = n.opset >= 13 ? (inputs[1] ? numbersOf(n, inputs[1]) : []) : n.ints('split', []);
  const count = n.wanted.length;
  const each = Math.ceil(length / count);
  const lengths =
    given.length > 0 ? given : range(count).map((i) => (i < count - 1 ? each : length - each * (count - 1)));
  const strides = stridesOf(x.shape);
  let from = 0;
  return lengths.map((own) => {
    const start = from;
    from += own;
    return moved(
      x,
      x.shape.map((d, i) => (i === axis ? own : d)),
      (p) => at(p, strides) + start * strides[axis]!,
    );
  });
};

const transpose: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const perm = axesOf(n, n.ints('perm', range(x.shape.length).reverse()), x.shape.length);
  const strides = stridesOf(x.shape);
  return [
    moved(
      x,
      perm.map((p) => x.shape[p]!),
      (p) => p.reduce((sum, i, a) => sum + i * strides[perm[a]!]!, 0),
    ),
  ];
};

const expand: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const said = numbersOf(n, inputs[1]);
  const rank = Math.max(x.shape.length, said.length);
  const shape = range(rank).map((i) => {
    const [a, b] = [x.shape[i - rank + x.shape.length] ?? 1, said[i - rank + said.length] ?? 1];
    return a === 1 ? b : a;
  });
  if (isLong(shape)) return [];
  const read = reader(x, shape);
  return [known(x.dtype, shape, range(product(shape)).map(read))];
};

const tile: Fold = (n, inputs) => {
  const x = needed(n, inputs[0]);
  const repeats = numbersOf(n, inputs[1]);
  const strides = stridesOf(x.shape);
  const shape = x.shape.map((d, i) => d * repeats[i]!);
  if (isLong(shape)) return [];
  return [
    moved(x, shape, (p) =>
      at(
        p.map((i, a) => i % x.shape[a]!),
        strides,
      ),
    ),
  ];
};

const squeezedShape = (n: OnnxNode, x: Known): number[] => {
  const said = axesGiven(n);
  const axes =
    said.length > 0 ? axesOf(n, said, x.shape.length) : range(x.shape.length).filter((i) => x.shape[i] === 1);
  return x.shape.filter((_, i) => !axes.includes(i));
};

const unsqueezedShape = (n: OnnxNode, x: Known): number[] => {
  const axes = axesOf(n, axesGiven(n), x.shape.length + axesGiven(n).length);
  const rest = [...x.shape];
  return range(x.shape.length + axes.length).map((i) => (axes.includes(i) ? 1 : rest.shift()!));
};

export const LAYOUT_FOLDS: Folds = {
  Identity: under((_n, x) => x.shape),
  Reshape: under((n, x, inputs) => reshapeTo(n, x.shape, numbersOf(n, inputs[1]))),
  Flatten: under((n, x) => {
    const axis = n.int('axis', 1);
    const cut = axis < 0 ? axis + x.shape.length : axis;
    return [product(x.shape.slice(0, cut)), product(x.shape.slice(cut))];
  }),
  Squeeze: under(squeezedShape),
  Unsqueeze: under(unsqueezedShape),
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Split: split,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
};
