/** Places that other tensors hold: elements picked by them, and put back at them. */
import type { OnnxNode, Operand, Rule, Rules } from '../../rule.js';
import { indices } from '../layout.js';
import { axisOf, dtypeOf, product, range, rankOf, reshaped, size, sizes } from '../text.js';

/** The place in the flat tensor that each index of an axis means, beside its own on the other axes. */
function flatPlaces(x: Operand, at: Operand, axis: number): string {
  const { shape } = x.type;
  const own = at.type.shape;
  const terms = own.flatMap((d, i) => {
    const step = product(shape.slice(i + 1));
    if (i === axis) return [step === 1 ? indices(at, shape[axis]!) : `${indices(at, shape[axis]!)} * ${size(step)}`];
    if (d === 1) return [];
    const along = `reshape(arange(${size(d)}), ${sizes(own.map((_, a) => (a === i ? d : 1)))})`;
    return [step === 1 ? along : `${along} * ${size(step)}`];
  });
  return `(${terms.join(' + ')})`;
}

const gatherElements: Rule = (n) => {
  const [x, at] = [n.in(0), n.in(1)];
  const axis = axisOf(n, n.int('axis', 0), rankOf(x));
  return `gather(${reshaped(x.text, x.type.shape, [product(x.type.shape)])}, ${flatPlaces(x, at, axis)})`;
};

/** Each row of the last axis is a place on the first axes after `batch` of them, which both have. */
function tuplePlaces(
  n: OnnxNode,
  x: Operand,
  at: Operand,
  batch: number,
): { readonly text: string; readonly depth: number } {
  const { shape } = x.type;
  const depth = at.type.shape.at(-1)!;
  if (batch + depth > shape.length) return n.fail(`has places of ${depth} axes in ${sizes(shape)}`);
  const index = [...range(at.type.shape.length - 1).map(() => ':')];
  const part = (i: number): Operand => ({ ...at, text: `${at.text}[${[...index, String(i)].join(', ')}]` });
  const step = (axis: number) => product(shape.slice(axis + 1, batch + depth));
  const terms = range(depth).map((i) => {
    const { text, known, ...rest } = part(i);
    const place = indices({ text, ...rest, ...(known ? { known } : {}) }, shape[batch + i]!);
    const held =
      known && Array.from(known.data).some((v) => v < 0) ? `onnx_places(${text}, ${size(shape[batch + i]!)})` : place;
    return step(batch + i) === 1 ? held : `${held} * ${size(step(batch + i))}`;
  });
  const own = at.type.shape.slice(0, -1);
  range(batch).forEach((i) => {
    if (own[i] === 1) return;
    terms.push(
      `reshape(arange(${size(own[i]!)}), ${sizes(own.map((_, a) => (a === i ? own[i]! : 1)))}) * ${size(step(i))}`,
    );
  });
  return { text: `(${terms.join(' + ')})`, depth };
}

const gatherND: Rule = (n) => {
  const [x, at] = [n.in(0), n.in(1)];
  const batch = n.int('batch_dims', 0);
  const { text, depth } = tuplePlaces(n, x, at, batch);
  const { shape } = x.type;
  const flat = [product(shape.slice(0, batch + depth)), ...shape.slice(batch + depth)];
  return `gather(${reshaped(x.text, shape, flat)}, ${text})`;
};

const REDUCED = ['none', 'add', 'mul', 'max', 'min'];

/** Rows [count, width] of updates at places [count] of rows [length, width]. */
function scattered(n: OnnxNode, x: Operand, places: string, updates: Operand, count: number, width: number): string {
  const reduction = n.text('reduction', 'none');
  if (!REDUCED.includes(reduction)) return n.fail(`takes what meets together by \`${reduction}\``);
  const { shape, dtype } = x.type;
  const length = product(shape) / width;
  const rows = (text: string, from: readonly number[], d: number) => {
    const flat = reshaped(text, from, [d, width]);
    return dtype === 'f32' ? flat : `cast(${flat}, f32)`;
  };
  const at = reshaped(places, [], [count]);
  const made = `onnx_scatter(${rows(x.text, shape, length)}, ${at}, ${rows(updates.text, updates.type.shape, count)}, ${reduction})`;
  const back = reshaped(made, [length, width], shape);
  return dtype === 'f32' ? back : `cast(${back}, ${dtype})`;
}

const scatterElements: Rule = (n) => {
  const [x, at, updates] = [n.in(0), n.in(1), n.in(2)];
  const axis = axisOf(n, n.int('axis', 0), rankOf(x));
  const count = product(at.type.shape);
  return scattered(n, x, flatPlaces(x, at, axis), updates, count, 1);
};

const scatterND: Rule = (n) => {
  const [x, at, updates] = [n.in(0), n.in(1), n.in(2)];
  const { text, depth } = tuplePlaces(n, x, at, 0);
  return scattered(n, x, text, updates, product(at.type.shape.slice(0, -1)), product(x.type.shape.slice(depth)));
};

/** 1 at a place of a new axis and 0 elsewhere, or two other values. */
const oneHot: Rule = (n) => {
  const [at, values] = [n.in(0), n.in(2)];
  const [depth] = n.whole(1);
  const rank = rankOf(at);
  const axis = axisOf(n, n.int('axis', -1), rank + 1);
  const shape = [...at.type.shape.slice(0, axis), 1, ...at.type.shape.slice(axis)];
  const line = range(rank + 1).map((i) => (i === axis ? depth! : 1));
  const whole = at.type.dtype === 'i32' ? at.text : `cast(${at.text}, i32)`;
  const hot = `(onnx_places(${reshaped(whole, at.type.shape, shape)}, ${depth}) == reshape(arange(${depth}), ${sizes(line)}))`;
  const dtype = dtypeOf(values.onnx);
  if (dtype === 'bool') return `onnx_choose_truth(${hot}, ${values.text}[1], ${values.text}[0])`;
  return `where(${hot}, ${values.text}[1], ${values.text}[0])`;
};

export const SCATTERS: Rules = {
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterND,
  OneHot: oneHot,
};
