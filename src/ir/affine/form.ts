/**
 * The affine form of a value: y = sum_j M_j x_j + c, along one axis of y, the channels. Each x_j has y's shape except along that axis,
 * where it has M_j's `in`; a convolution's x_j is its image, and M_j acts on the patches. c is a constant of parameters with axes of
 * its own, or structurally zero (absent), which is what lets a map cross zero padding.
 */
import { attrsKey } from '../intern.js';
import type { Builder } from '../ops/builder.js';
import type { OpAttrs, OpName, Value } from '../types.js';
import { apply, followed } from './apply.js';
import { dense, identity, kron, type Matrix, sum } from './matrix.js';

/** Patches of an image [b, c, h, w], columns ordered (channel within the group, row, column). */
export interface Patches {
  readonly attrs: OpAttrs['conv2d'];
  readonly kernel: readonly [number, number];
}

export interface Term {
  readonly x: Value;
  /** Present where M acts on patches of x. */
  readonly patches?: Patches;
  readonly m: Matrix;
  /** The weight that came with the layer and not with an adapter is part of M. */
  readonly base: boolean;
}

export type Shift =
  /** [channels] */
  | { readonly kind: 'channel'; readonly value: Value }
  /** Of y's rank, broadcastable to y's shape. */
  | { readonly kind: 'full'; readonly value: Value };

export interface Form {
  readonly terms: readonly Term[];
  readonly c?: Shift;
}

/** What stands in the way of an affine form. */
export interface Obstacle {
  readonly kind: 'obstacle';
  /** The operator that has no affine form here. */
  readonly value: Value;
  readonly op: OpName;
  /** Completes "cannot merge: ". */
  readonly reason: string;
}

export function obstacle(value: Value, reason: string): Obstacle {
  return { kind: 'obstacle', value, op: value.op, reason };
}

export const isObstacle = (x: object): x is Obstacle => 'kind' in x && x.kind === 'obstacle';

/** What a rule may ask while it works. */
export interface Solver {
  readonly b: Builder;
  /** The form of an operand along one of its axes. */
  readonly form: (value: Value, axis: number) => Form | Obstacle;
  /** The form of an operand along several axes, channels last; an obstacle where the form would end at it. */
  readonly group: (value: Value, axes: readonly number[]) => Form | Obstacle;
  /** Whether an operator may count as one that mixes channels (`operator.ts`); where not, the value under it stays. */
  readonly mixes: (value: Value) => boolean;
  /** Ends the form at an operand, which is then read as it is; an obstacle where nothing may be read but one value. */
  readonly stop: (value: Value, axis: number, reason: string) => Form | Obstacle;
  /** Whether a layer's own weight may be multiplied into another layer's; where not, the value between them stays. */
  readonly compose: boolean;
  /** Whether a weight holds parameters that came with the model, not only an adapter's. */
  readonly isBase: (weight: Value) => boolean;
  /** Whether BatchNorm, which is affine when it infers, counts as a step or as an end. */
  readonly norms: boolean;
}

/** The value as it is: y = I y. */
export function plain(value: Value, axis: number): Form {
  return { terms: [{ x: value, m: identity(value.type.shape[axis]!), base: false }] };
}

const samePatches = (p: Patches | undefined, q: Patches | undefined): boolean =>
  p === q || (p !== undefined && q !== undefined && attrsKey(p) === attrsKey(q));

export const sameInput = (s: Term, t: Term): boolean => s.x === t.x && samePatches(s.patches, t.patches);

/** Adds forms of one shape; terms of one x become one. */
export function addForms(b: Builder, forms: readonly Form[], shape: readonly number[], axis: number): Form {
  const image = shape.length === 4 && axis === 1;
  const terms: Term[] = [];
  for (const t of forms.flatMap((f) => f.terms)) {
    const at = terms.findIndex((s) => s.x === t.x && overOnePatch(b, s, t, image) !== undefined);
    const pair = at < 0 ? undefined : overOnePatch(b, terms[at]!, t, image);
    if (!pair) terms.push(t);
    else terms[at] = { ...pair[1], m: followed(b, sum(b, [pair[0].m, pair[1].m])), base: pair[0].base || t.base };
  }
  const c = forms.map((f) => f.c).reduce((p, q) => addShifts(b, p, q, shape, axis));
  return { terms: terms.filter((t) => t.m.kind !== 'zero'), ...(c ? { c } : {}) };
}

const POINT: Patches = {
  attrs: { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 },
  kernel: [1, 1],
};

/** Two terms of one x as maps of the same patches, if they are; a map of single pixels is one of larger patches, with zeros around it. */
function overOnePatch(b: Builder, s: Term, t: Term, image: boolean): [Term, Term] | undefined {
  if (samePatches(s.patches, t.patches)) return [s, t];
  if (!image) return undefined;
  const larger = widened(b, s, t.patches ?? POINT);
  if (larger) return [larger, t];
  const other = widened(b, t, s.patches ?? POINT);
  return other && [s, other];
}

function widened(b: Builder, t: Term, to: Patches): Term | undefined {
  const { attrs, kernel } = t.patches ?? POINT;
  if (kernel.join() !== '1,1' || attrs.groups > 1 || to.attrs.groups > 1) return undefined;
  if (attrs.stride.join() !== to.attrs.stride.join()) return undefined;
  // The place in the larger patch where the single pixel is.
  const [row, column] = [0, 1].map((i) => (to.attrs.padding[i]! - attrs.padding[i]!) / to.attrs.dilation[i]!) as [
    number,
    number,
  ];
  const inside = (at: number, size: number): boolean => Number.isInteger(at) && at >= 0 && at < size;
  if (!inside(row, to.kernel[0]) || !inside(column, to.kernel[1])) return undefined;
  const area = to.kernel[0] * to.kernel[1];
  const place = b.select(b.eq(b.iota([1, area], 1), b.constant(row * to.kernel[1] + column, 'i32')), 1, 0);
  return { ...t, patches: to, m: kron(t.m, dense(place)) };
}

function addShifts(
  b: Builder,
  p: Shift | undefined,
  q: Shift | undefined,
  shape: readonly number[],
  axis: number,
): Shift | undefined {
  if (!p || !q) return p ?? q;
  if (p.kind === 'channel' && q.kind === 'channel') return { kind: 'channel', value: b.add(p.value, q.value) };
  return { kind: 'full', value: b.add(fullShift(b, p, shape, axis), fullShift(b, q, shape, axis)) };
}

/** The shift with the rank of `shape`, size 1 along axes on which it does not depend. */
export function fullShift(b: Builder, c: Shift, shape: readonly number[], axis: number): Value {
  if (c.kind === 'full') return c.value;
  return b.reshape(
    c.value,
    shape.map((_, i) => (i === axis ? c.value.type.shape[0]! : 1)),
  );
}

/** The terms with their matrices changed; the base flag holds if it held or if `base`. */
export function mapMatrices(b: Builder, f: Form, change: (m: Matrix) => Matrix, base = false): Term[] {
  return f.terms
    .map((t) => ({ ...t, m: followed(b, change(t.m)), base: t.base || base }))
    .filter((t) => t.m.kind !== 'zero');
}

/**
 * M applied to a shift of a value of shape `shape` (before M) along `axis`. Shifts are small: the structure is followed.
 */
export function shiftThrough(b: Builder, m: Matrix, c: Shift, shape: readonly number[], axis: number): Shift {
  if (c.kind === 'channel')
    return { kind: 'channel', value: b.reshape(apply(b, m, b.reshape(c.value, [1, m.in])), [m.out]) };
  const whole = b.broadcast(
    c.value,
    c.value.type.shape.map((d, i) => (i === axis ? shape[i]! : d)),
  );
  const last = whole.type.shape.length - 1;
  if (axis === last) return { kind: 'full', value: apply(b, m, whole) };
  const swap = whole.type.shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  return { kind: 'full', value: b.transpose(apply(b, m, b.transpose(whole, swap)), swap) };
}
