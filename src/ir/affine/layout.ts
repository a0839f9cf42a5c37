/** How layout operators treat an affine form: on other axes than the channels they commute with it, over the channels they cut or join. */
import type { OpsWith } from '../ops/index.js';
import type { OpName, Value, ValueOf } from '../types.js';
import {
  type Form,
  fullShift,
  isObstacle,
  type Obstacle,
  obstacle,
  type Shift,
  type Solver,
  sameInput,
  type Term,
} from './form.js';
import { joinRows, type Matrix, rowRange, rows, sliceRows, zero } from './matrix.js';
import { dependsOnInput } from './parse.js';

type Rule<O extends OpName> = (s: Solver, v: ValueOf<O>, axis: number) => Form | Obstacle;

/**
 * The form of a layout operator's result along `axis`.
 * Transpose, roll, reverse, slice, gather and broadcast of other axes commute, a reshape if it keeps the channels apart; padding with zeros
 * only if nothing was shifted: what is padded would be 0 before the map and c after it.
 */
export const LAYOUT: { readonly [O in OpsWith<'moves', 'once' | 'repeats' | 'picks' | 'fills'>]: Rule<O> } = {
  reshape: (s, v, axis) => {
    const from = channelBefore(v.inputs[0]!.type.shape, v.type.shape, axis);
    if (from === undefined) return obstacle(v, 'it splits or joins the channels');
    return moved(s, v, from, (y) =>
      s.b.reshape(
        y,
        v.type.shape.map((d, i) => (i === axis ? y.type.shape[from]! : d)),
      ),
    );
  },
  transpose: (s, v, axis) => moved(s, v, v.attrs.perm[axis]!, (y) => s.b.transpose(y, v.attrs.perm)),
  broadcast: (s, v, axis) => {
    const { shape } = v.inputs[0]!.type;
    const from = axis - (v.type.shape.length - shape.length);
    if (from < 0 || shape[from] !== v.type.shape[axis]) return obstacle(v, 'it repeats along the channels');
    return moved(s, v, from, (y) =>
      s.b.broadcast(
        y,
        v.type.shape.map((d, i) => (i === axis ? y.type.shape[from]! : d)),
      ),
    );
  },
  roll: (s, v, axis) => {
    if (v.attrs.axes.includes(axis)) return obstacle(v, 'it moves channels');
    return moved(s, v, axis, (y) => s.b.roll(y, v.attrs.shifts, v.attrs.axes));
  },
  reverse: (s, v, axis) => {
    if (v.attrs.axes.includes(axis)) return obstacle(v, 'it moves channels');
    return moved(s, v, axis, (y) => s.b.reverse(y, v.attrs.axes));
  },
  gather: (s, v, axis) => {
    const extra = v.inputs[1]!.type.shape.length - 1;
    const { axis: at } = v.attrs;
    if (dependsOnInput(v.inputs[1]!)) return obstacle(v, 'its indices depend on the input');
    if (axis >= at && axis <= at + extra) return obstacle(v, 'it picks channels');
    return moved(s, v, axis < at ? axis : axis - extra, (y) => s.b.gather(y, v.inputs[1]!, at));
  },
  pad: padForm,
  slice: sliceForm,
};

/** The axis of `before` that becomes `axis` of `after`: of the same size, with as many elements in front of it. */
function channelBefore(before: readonly number[], after: readonly number[], axis: number): number | undefined {
  let front = 1;
  for (let i = 0; i < axis; i++) front *= after[i]!;
  let have = 1;
  for (const [i, d] of before.entries()) {
    if (have === front && d === after[axis]) return i;
    have *= d;
  }
  return undefined;
}

/** Applies `move` to each x and to the shift. Patches do not commute: a convolution's result is kept where its layout changes. */
function moved(s: Solver, v: Value, from: number, move: (x: Value) => Value): Form | Obstacle {
  const x = v.inputs[0]!;
  const f = s.form(x, from);
  if (isObstacle(f)) return f;
  if (f.terms.some((t) => t.patches)) return obstacle(v, 'it rearranges the result of a convolution');
  const terms: Term[] = f.terms.map((t) => ({ ...t, x: move(t.x) }));
  if (!f.c || f.c.kind === 'channel') return f.c ? { terms, c: f.c } : { terms };
  const whole = s.b.broadcast(f.c.value, x.type.shape);
  return { terms, c: { kind: 'full', value: move(whole) } };
}

function padForm(s: Solver, v: ValueOf<'pad'>, axis: number): Form | Obstacle {
  const { low, high, value } = v.attrs;
  if (low[axis] !== 0 || high[axis] !== 0) return obstacle(v, 'it pads channels');
  if (value !== 0) return obstacle(v, `it pads with ${value}, which a linear map would change`);
  const f = s.form(v.inputs[0]!, axis);
  if (isObstacle(f)) return f;
  if (f.c) return obstacle(v, 'it pads with zeros, and a shift must not reach the padding');
  return moved(s, v, axis, (y) => s.b.pad(y, low, high, 0));
}

function sliceForm(s: Solver, v: ValueOf<'slice'>, axis: number): Form | Obstacle {
  const x = v.inputs[0]!;
  const { start, end } = v.attrs;
  const from = start[axis]!;
  const to = end[axis]!;
  const size = x.type.shape[axis]!;
  const cut = (y: Value): Value =>
    s.b.slice(
      y,
      start.map((n, i) => (i === axis ? 0 : n)),
      end.map((n, i) => (i === axis ? y.type.shape[i]! : n)),
    );
  const others = moved(s, v, axis, cut);
  if (isObstacle(others) || (from === 0 && to === size)) return others;
  const terms: Term[] = [];
  for (const t of others.terms) {
    const m = rowRange(s.b, t.m, from, to);
    if (!m) return obstacle(v, "it takes a stretch of channels that are not a layer's");
    if (m.kind !== 'zero') terms.push({ ...t, m });
  }
  if (!others.c) return { terms };
  return { terms, c: cutShift(s, others.c, axis, from, to) };
}

function cutShift(s: Solver, c: Shift, axis: number, from: number, to: number): Shift {
  if (c.kind === 'channel') return { kind: 'channel', value: sliceRows(s.b, c.value, from, to) };
  if (c.value.type.shape[axis] === 1) return c;
  return { kind: 'full', value: s.b.sliceAxis(c.value, axis, from, to) };
}

/** Layers that read the same values, joined along the channels, are one layer with stacked rows. */
export function concatForm(s: Solver, v: ValueOf<'concat'>, axis: number): Form | Obstacle {
  if (v.attrs.axis !== axis) return obstacle(v, 'it joins tokens that come from different values');
  const forms: Form[] = [];
  for (const x of v.inputs) {
    const f = s.form(x, axis);
    if (isObstacle(f)) return f;
    forms.push(f);
  }
  const some = forms.find((f) => f.terms.length > 0);
  if (!some) return obstacle(v, 'it joins constants');
  const same = (f: Form): boolean =>
    f.terms.every((t) => some.terms.some((u) => sameInput(u, t))) &&
    some.terms.every((u) => f.terms.length === 0 || f.terms.some((t) => sameInput(u, t)));
  if (!forms.every(same)) return obstacle(v, 'it joins maps of different values');
  // A copy, or a rescaled copy, beside a layer: a layer would have to multiply by an identity.
  if (forms.some((f) => f.terms.some((t) => t.m.kind === 'identity' || t.m.kind === 'diagonal'))) {
    return obstacle(v, 'it joins a value that no layer computes');
  }
  if (some.terms.some((t) => t.patches && t.patches.attrs.groups > 1))
    return obstacle(v, 'it joins grouped convolutions');
  const terms = some.terms.map((u): Term => {
    const parts = forms.map((f, i): Matrix => {
      const t = f.terms.find((w) => sameInput(w, u));
      return t?.m ?? zero(v.inputs[i]!.type.shape[axis]!, u.m.in);
    });
    return { ...u, m: rows(s.b, parts), base: forms.some((f) => f.terms.some((t) => t.base)) };
  });
  const c = joinShifts(s, forms, v, axis);
  return c ? { terms, c } : { terms };
}

function joinShifts(s: Solver, forms: readonly Form[], v: ValueOf<'concat'>, axis: number): Shift | undefined {
  if (forms.every((f) => !f.c)) return undefined;
  const size = (i: number): number => v.inputs[i]!.type.shape[axis]!;
  if (forms.every((f) => f.c?.kind !== 'full')) {
    const parts = forms.map((f, i) => f.c?.value ?? s.b.constant(0, 'f32', [size(i)]));
    return { kind: 'channel', value: joinRows(s.b, parts) };
  }
  const others = v.type.shape;
  const parts = forms.map((f, i) => {
    const shape = others.map((d, j) => (j === axis ? size(i) : d));
    const value = f.c ? fullShift(s.b, f.c, shape, axis) : s.b.constant(0, 'f32', shape);
    return s.b.broadcast(value, shape);
  });
  return { kind: 'full', value: s.b.concat(parts, axis) };
}
