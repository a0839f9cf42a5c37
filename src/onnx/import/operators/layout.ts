/** Operators that move elements and compute nothing. Shapes, axes and lengths are known when a graph is imported. */
import { isBatch } from '../../../ir/batch.js';
import type { OnnxNode, Operand, Rule, Rules } from '../rule.js';
import { along, axesOf, axisOf, number, product, range, rankOf, reshaped, size, sizes, transposed } from './text.js';

/** The shape that `Reshape` means: 0 keeps a size, -1 is what is left. */
export function reshapeTo(n: OnnxNode, from: readonly number[], said: readonly number[]): number[] {
  const keep = n.int('allowzero', 0) !== 1;
  const shape = said.map((d, i) => (d === 0 && keep ? (from[i] ?? n.fail(`keeps axis ${i} of ${from.length}`)) : d));
  const open = shape.indexOf(-1);
  if (open < 0) return shape;
  const left = product(from) / product(shape.filter((_, i) => i !== open));
  if (!Number.isInteger(left)) return n.fail(`makes ${sizes(said)} of ${sizes(from)}, which does not divide`);
  return shape.map((d, i) => (i === open ? left : d));
}

/** Axes that were an attribute once and are an operand since version 13. */
export const axesGiven = (n: OnnxNode): readonly number[] =>
  n.opset >= 13 ? (n.has(1) ? n.whole(1) : []) : n.ints('axes', []);

const unsqueezed = (n: OnnxNode, shape: readonly number[]): number[] => {
  const axes = axesOf(n, axesGiven(n), shape.length + axesGiven(n).length);
  const rest = [...shape];
  return range(shape.length + axes.length).map((i) => (axes.includes(i) ? 1 : rest.shift()!));
};

const squeezed = (n: OnnxNode, shape: readonly number[]): number[] => {
  const said = axesGiven(n);
  const axes = said.length > 0 ? axesOf(n, said, shape.length) : range(shape.length).filter((i) => shape[i] === 1);
  const wide = axes.find((a) => shape[a] !== 1);
  if (wide !== undefined) return n.fail(`takes away axis ${wide}, which is ${size(shape[wide]!)} long`);
  return shape.filter((_, i) => !axes.includes(i));
};

/** A function of an operand's shape. */
const toShape =
  (shape: (n: OnnxNode, from: readonly number[]) => readonly number[]): Rule =>
  (n) => {
    const x = n.in(0);
    return reshaped(x.text, x.type.shape, shape(n, x.type.shape));
  };

const transpose: Rule = (n) => {
  const rank = rankOf(n.in(0));
  const perm = n.ints('perm', range(rank).reverse());
  return transposed(n.in(0).text, axesOf(n, perm, rank));
};

const concat: Rule = (n) => {
  const axis = axisOf(n, n.int('axis'), rankOf(n.in(0)));
  const items = range(n.inputs).map((i) => n.in(i).text);
  return items.length === 1 ? items[0]! : `concat(${items.join(', ')}, axis: ${axis})`;
};

/** How long each part is: said, or as equal as can be. */
function parts(n: OnnxNode, length: number): readonly number[] {
  const said = n.opset >= 13 ? (n.has(1) ? n.whole(1) : []) : n.ints('split', []);
  if (said.length > 0) return said;
  const count = n.opset >= 18 && n.hasAttribute('num_outputs') ? n.int('num_outputs') : n.wanted.length;
  const each = Math.ceil(length / count);
  return range(count).map((i) => (i < count - 1 ? each : length - each * (count - 1)));
}

const split: Rule = (n) => {
  const x = n.in(0);
  const axis = axisOf(n, n.int('axis', 0), rankOf(x));
  const lengths = parts(n, x.type.shape[axis]!);
  let at = 0;
  return lengths.map((length) => {
    const [start, end] = [at, at + length];
    at = end;
    return lengths.length === 1 ? x.text : cut(n, x, [{ axis, start, end, step: 1 }]);
  });
};

export interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Stretches of axes; a step above 1 takes the first of each so many, one below 0 goes backwards. */
function cut(n: OnnxNode, x: Operand, cuts: readonly Cut[]): string {
  const { shape } = x.type;
  let text = x.text;
  const now = [...shape];
  const plain = cuts.map((c) => {
    const count = Math.ceil((c.end - c.start) / c.step);
    if (!(count > 0)) return n.fail(`takes nothing of axis ${c.axis}: a tensor has elements here`);
    if (c.step > 0) return { ...c, count, step: c.step, back: false };
    return { axis: c.axis, start: c.start + (count - 1) * c.step, end: c.start + 1, count, step: -c.step, back: true };
  });
  const some = plain.filter((c) => c.start !== 0 || c.end !== shape[c.axis]);
  if (some.length > 0) {
    const index = shape.map((d, i) => {
      const c = some.find((s) => s.axis === i);
      if (!c) return ':';
      now[i] = c.end - c.start;
      return c.end === d ? `${c.start}..` : `${c.start}..${size(c.end)}`;
    });
    while (index.at(-1) === ':') index.pop();
    text = `${text}[${index.join(', ')}]`;
  }
  for (const c of plain) {
    if (c.step === 1) continue;
    const length = now[c.axis]!;
    text = along(
      { ...x, text, type: { ...x.type, shape: [...now] } },
      c.axis,
      (t) => `onnx_every(${t}, ${c.step})`,
      c.count,
    );
    now[c.axis] = Math.ceil(length / c.step);
  }
  const back = plain.filter((c) => c.back).map((c) => c.axis);
  return back.length > 0 ? `reverse(${text}, [${back.join(', ')}])` : text;
}

/** What `Slice` says, with ends held to the axis. */
export function sliceCuts(n: OnnxNode, shape: readonly number[]): Cut[] {
  const since10 = n.opset >= 10;
  const starts = since10 ? n.whole(1) : n.ints('starts');
  const ends = since10 ? n.whole(2) : n.ints('ends');
  const said = since10 ? (n.has(3) ? n.whole(3) : []) : n.ints('axes', []);
  const axes = axesOf(n, said.length > 0 ? said : range(starts.length), shape.length);
  const steps = since10 && n.has(4) ? n.whole(4) : starts.map(() => 1);
  return axes.map((axis, i) => {
    const [length, step] = [shape[axis]!, steps[i]!];
    if (step === 0) return n.fail('goes on by steps of 0');
    const held = (at: number, least: number, most: number) =>
      Math.min(most, Math.max(least, at < 0 ? at + length : at));
    if (step > 0) return { axis, start: held(starts[i]!, 0, length), end: held(ends[i]!, 0, length), step };
    return { axis, start: held(starts[i]!, 0, length - 1), end: held(ends[i]!, -1, length - 1), step };
  });
}

const slice: Rule = (n) => {
  const x = n.in(0);
  const cuts = sliceCuts(n, x.type.shape).filter(
    (c) => !(c.start === 0 && c.end === x.type.shape[c.axis] && c.step === 1),
  );
  return cuts.length === 0 ? x.text : cut(n, x, cuts);
};

/** Places counted from the end are ones below 0. */
export const indices = (x: Operand, length: number): string => {
  if (!x.known) return `onnx_places(${x.text}, ${size(length)})`;
  return x.text;
};

const gather: Rule = (n) => {
  const [x, at] = [n.in(0), n.in(1)];
  const { shape } = x.type;
  const axis = axisOf(n, n.int('axis', 0), shape.length);
  const length = shape[axis]!;
  if (!at.known) return `gather(${x.text}, ${indices(at, length)}, axis: ${axis})`;
  const places = n.whole(1).map((i) => (i < 0 ? i + length : i));
  const outside = places.find((i) => i < 0 || i >= length);
  if (outside !== undefined) return n.fail(`reads place ${outside} of an axis of ${size(length)}`);
  const index = (text: string) => `${x.text}[${[...range(axis).map(() => ':'), text].join(', ')}]`;
  if (at.known.shape.length === 0) return index(String(places[0]!));
  const first = places[0]!;
  if (at.known.shape.length === 1 && places.every((p, i) => p === first + i)) {
    return places.length === length ? x.text : index(`${first}..${first + places.length}`);
  }
  const list = n.constant({ dtype: 'int64', shape: at.known.shape, data: places });
  return `gather(${x.text}, ${list}, axis: ${axis})`;
};

const expand: Rule = (n) => {
  const x = n.in(0);
  const from = x.type.shape;
  const said = n.whole(1);
  const rank = Math.max(from.length, said.length);
  const to = range(rank).map((i) => {
    const [a, b] = [from[i - rank + from.length] ?? 1, said[i - rank + said.length] ?? 1];
    return a === 1 ? b : a;
  });
  return from.length === rank && from.every((d, i) => d === to[i]) ? x.text : `broadcast(${x.text}, ${sizes(to)})`;
};

/** Each axis beside a new one of its repeats, which are then one. */
const tile: Rule = (n) => {
  const x = n.in(0);
  const from = x.type.shape;
  const repeats = n.whole(1);
  if (repeats.length !== from.length) return n.fail(`repeats ${repeats.length} of ${from.length} axes`);
  if (repeats.every((r) => r === 1)) return x.text;
  if (repeats.some((r) => r < 1)) return n.fail('repeats no times: a tensor has elements here');
  const open = from.flatMap((d, i) => (repeats[i] === 1 ? [d] : [1, d]));
  const wide = from.flatMap((d, i) => (repeats[i] === 1 ? [d] : [repeats[i]!, d]));
  const to = from.map((d, i) => d * repeats[i]!);
  return `reshape(broadcast(${reshaped(x.text, from, open)}, ${sizes(wide)}), ${sizes(to)})`;
};

const PADDED = { constant: '', reflect: 'reflect', edge: 'edge', wrap: 'wrap' } as const;

const pad: Rule = (n) => {
  const x = n.in(0);
  const rank = rankOf(x);
  const mode = n.text('mode', 'constant');
  if (!Object.hasOwn(PADDED, mode)) return n.fail(`pads by \`${mode}\``);
  const said = n.opset >= 11 ? n.whole(1) : n.ints('pads');
  const axes = n.has(3) ? axesOf(n, n.whole(3), rank) : range(rank);
  if (said.length !== 2 * axes.length) return n.fail(`gives ${said.length} paddings for ${axes.length} axes`);
  const side = (from: number) => range(rank).map((i) => (axes.includes(i) ? said[from + axes.indexOf(i)]! : 0));
  const [low, high] = [side(0), side(axes.length)];
  if (mode !== 'constant') return mirrored(n, x, mode, low, high);
  // Below 0 elements are taken away.
  const cuts = range(rank)
    .filter((i) => low[i]! < 0 || high[i]! < 0)
    .map((i) => ({ axis: i, start: Math.max(0, -low[i]!), end: x.type.shape[i]! + Math.min(0, high[i]!), step: 1 }));
  const inner = cuts.length > 0 ? cut(n, x, cuts) : x.text;
  const more = (list: readonly number[]) => list.map((p) => Math.max(0, p));
  if ([...low, ...high].every((p) => p <= 0)) return inner;
  const value = n.opset >= 11 ? (n.has(2) ? padValue(n, n.in(2)) : undefined) : number(n, n.float('value', 0));
  const fill = value === undefined || value === '0' ? '' : `, value: ${value}`;
  if (x.type.dtype === 'bool' && fill !== '')
    return `cast(pad(cast(${inner}, i32), ${sizes(more(low))}, ${sizes(more(high))}, value: 1), bool)`;
  return `pad(${inner}, ${sizes(more(low))}, ${sizes(more(high))}${fill})`;
};

function padValue(n: OnnxNode, x: Operand): string {
  const value = x.known?.data[0];
  if (value === undefined) return n.fail('pads with a value that is not known before it runs');
  return number(n, Number(value));
}

/** Elements of the tensor itself, beyond its ends: places along one axis after another. */
function mirrored(n: OnnxNode, x: Operand, mode: string, low: readonly number[], high: readonly number[]): string {
  let text = x.text;
  x.type.shape.forEach((d, axis) => {
    const [before, after] = [low[axis]!, high[axis]!];
    if (before === 0 && after === 0) return;
    if (isBatch(d)) n.fail('pads the batch');
    const around = 2 * (d - 1) || 1;
    const place = (i: number): number => {
      if (mode === 'edge') return Math.min(d - 1, Math.max(0, i));
      if (mode === 'wrap') return ((i % d) + d) % d;
      const at = ((i % around) + around) % around;
      return at < d ? at : around - at;
    };
    const places = range(before + d + after, -before).map(place);
    text = `gather(${text}, ${n.constant({ dtype: 'int64', shape: [places.length], data: places })}, axis: ${axis})`;
  });
  return text;
}

/** [n, c, h, w] in blocks of channels, or blocks of places as channels. */
const depthToSpace: Rule = (n) => {
  const block = n.int('blocksize');
  const mode = n.text('mode', 'DCR');
  if (mode !== 'DCR' && mode !== 'CRD') return n.fail(`orders channels by \`${mode}\``);
  const from = mode === 'DCR' ? '(i j c)' : '(c i j)';
  return `rearrange(${n.in(0).text}, "n ${from} h w -> n c (h i) (w j)", i: ${block}, j: ${block})`;
};

const spaceToDepth: Rule = (n) => {
  const block = n.int('blocksize');
  return `rearrange(${n.in(0).text}, "n c (h i) (w j) -> n (i j c) h w", i: ${block}, j: ${block})`;
};

/** The lower or upper triangle of the last two axes. */
const trilu: Rule = (n) => {
  const x = n.in(0);
  const [rows, columns] = x.type.shape.slice(-2) as [number, number];
  const k = n.has(1) ? n.whole(1)[0]! : 0;
  const text = x.type.dtype === 'bool' ? `cast(${x.text}, i32)` : x.text;
  const far = rows + columns;
  const held = Math.max(-far, Math.min(far, k));
  const kept = `onnx_triangle(${text}, ${held}, upper: ${n.int('upper', 1) === 1})`;
  return x.type.dtype === 'bool' ? `cast(${kept}, bool)` : kept;
};

/** The first so many of each sequence backwards, the others as they are. */
const reverseSequence: Rule = (n) => {
  const x = n.in(0);
  const rank = rankOf(x);
  const time = axisOf(n, n.int('time_axis', 0), rank);
  const batch = axisOf(n, n.int('batch_axis', 1), rank);
  if (time === batch || time > 1 || batch > 1) return n.fail(`has time on axis ${time} and sequences on axis ${batch}`);
  const [sequences, steps] = [x.type.shape[batch]!, x.type.shape[time]!];
  const rest = product(x.type.shape.slice(2));
  const first = time === 0 ? transposed(x.text, [1, 0, ...range(rank - 2, 2)]) : x.text;
  const shape = [sequences, steps, ...x.type.shape.slice(2)];
  const turned = reshaped(
    `onnx_reverse_sequence(${reshaped(first, shape, [sequences, steps, rest])}, ${n.in(1).text})`,
    [sequences, steps, rest],
    shape,
  );
  return time === 0 ? transposed(turned, [1, 0, ...range(rank - 2, 2)]) : turned;
};

/** Which elements are kept is known, or their number would not be. */
const compress: Rule = (n) => {
  const x = n.in(0);
  const kept = n.whole(1).flatMap((keep, i) => (keep !== 0 ? [i] : []));
  if (kept.length === 0) return n.fail('keeps nothing: a tensor has elements here');
  const list = n.constant({ dtype: 'int64', shape: [kept.length], data: kept });
  if (n.hasAttribute('axis')) return `gather(${x.text}, ${list}, axis: ${axisOf(n, n.int('axis'), rankOf(x))})`;
  return `gather(${reshaped(x.text, x.type.shape, [product(x.type.shape)])}, ${list})`;
};

/** Both around the middle: what is too long is cut, what is too short filled up with zeros. */
const centerCropPad: Rule = (n) => {
  const x = n.in(0);
  const { shape } = x.type;
  const axes = axesOf(n, n.ints('axes', range(shape.length)), shape.length);
  const to = n.whole(1);
  const cuts: Cut[] = [];
  const [low, high] = [shape.map(() => 0), shape.map(() => 0)];
  axes.forEach((axis, i) => {
    const [have, want] = [shape[axis]!, to[i]!];
    const start = Math.floor(Math.abs(have - want) / 2);
    if (want < have) cuts.push({ axis, start, end: start + want, step: 1 });
    if (want > have) {
      low[axis] = start;
      high[axis] = want - have - start;
    }
  });
  const inner = cuts.length > 0 ? cut(n, x, cuts) : x.text;
  return [...low, ...high].some((p) => p > 0) ? `pad(${inner}, ${sizes(low)}, ${sizes(high)})` : inner;
};

export const LAYOUT: Rules = {
  Reshape: toShape((n, from) => reshapeTo(n, from, n.whole(1))),
  Flatten: toShape((n, from) => {
    const axis = n.int('axis', 1);
    const at = axis < 0 ? axis + from.length : axis;
    return [product(from.slice(0, at)), product(from.slice(at))];
  }),
  Unsqueeze: toShape(unsqueezed),
  Squeeze: toShape(squeezed),
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Trilu: trilu,
  ReverseSequence: reverseSequence,
  Compress: compress,
  CenterCropPad: centerCropPad,
};
