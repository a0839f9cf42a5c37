/**
 * The affine form of one value in another: y = M x + c with M and c computed from parameters alone. It is what merging means, whatever
 * the method: the rules are in `affine/`, and whatever has no rule is the obstacle that a message names.
 */

import { deep } from '../deep.js';
import { Interner } from '../intern.js';
import type { Builder } from '../ops/builder.js';
import { mixedAxes, traitsOf } from '../ops/index.js';
import { sizeOf } from '../ops/shapes.js';
import type { Value } from '../types.js';
import { materialise } from './apply.js';
import { channelsOf } from './channels.js';
import {
  addForms,
  type Form,
  isObstacle,
  type Obstacle,
  obstacle,
  type Patches,
  plain,
  type Shift,
  type Solver,
} from './form.js';
import { type Matrix, zero } from './matrix.js';
import { apart, groupForm } from './operator.js';
import { dependsOnInput } from './parse.js';
import { ruleOf } from './rules.js';

export { isObstacle, type Obstacle } from './form.js';

export interface Affine {
  readonly kind: 'affine';
  readonly y: Value;
  /** `x` as `affineOf` was asked, rearranged along other axes than the channels where the way to y does that. */
  readonly x: Value;
  /** The channels' axis of y. */
  readonly axis: number;
  readonly m: Matrix;
  /** Present where M acts on patches of x: a convolution. */
  readonly patches?: Patches;
  readonly c?: Shift;
  readonly b: Builder;
}

/** Whether channels can be followed through an operator; all but transpose leave them on their axis. */
const keepsAxes = (v: Value): boolean => traitsOf(v).linear !== null && (v.op === 'transpose' || mixedAxes(v) !== null);

/**
 * The axis that channels lie on: that of the layer or norm below y, followed through transposes; without one, the axis along which a
 * constant is added or multiplied; otherwise the one that channels are seen to lie on, or the last.
 */
export function channelAxis(y: Value): number {
  const way: Value[] = [];
  let found: { axis: number; depth: number } | undefined;
  for (let v = y; ; ) {
    const axis = ownAxis(v);
    if (axis !== undefined) {
      found = { axis, depth: way.length };
      break;
    }
    const rank = v.type.shape.length;
    const next = keepsAxes(v) ? v.inputs.find((x) => dependsOnInput(x) && x.type.shape.length === rank) : undefined;
    if (!next) break;
    const factor = v.inputs.find((x) => !dependsOnInput(x));
    if (factor && !found) {
      const along = factorAxis(factor, rank);
      if (along !== undefined) found = { axis: along, depth: way.length };
    }
    way.push(v);
    v = next;
  }
  if (!found) {
    const [only, ...more] = channelsOf(y);
    return only !== undefined && more.length === 0 ? only : y.type.shape.length - 1;
  }
  let { axis } = found;
  for (const step of way.slice(0, found.depth).reverse()) {
    if (step.op === 'transpose') axis = step.attrs.perm.indexOf(axis);
  }
  return axis;
}

function ownAxis(v: Value): number | undefined {
  const { channels } = traitsOf(v);
  if (channels === null) return undefined;
  return channels === 'second' ? 1 : v.type.shape.length - 1;
}

/** The one axis, of `rank`, along which a constant varies, if channels lie there in images or in tokens. */
function factorAxis(constant: Value, rank: number): number | undefined {
  const { shape } = constant.type;
  const varies = shape.map((d, i) => (d > 1 ? i + rank - shape.length : -1)).filter((i) => i >= 0);
  const [axis] = varies;
  return varies.length === 1 && (axis === rank - 1 || (rank === 4 && axis === 1)) ? axis : undefined;
}

/**
 * y as an affine function of x, both values of one graph, x reachable from y. Everything else that y reads must come from parameters.
 * `axis` is the channels' axis of y; by default the last, or axis 1 above a convolution.
 */
export function affineOf(y: Value, x: Value, axis: number = channelAxis(y)): Affine | Obstacle {
  const { build: b } = new Interner();
  const formOf = deep(
    (value: Value, at: number) => `${value.id} ${at}`,
    (value, at): Form | Obstacle =>
      value.op === 'input' ? obstacle(value, 'it is another input') : ruleOf(solver, value, at),
  );
  const groupOf = deep(
    (value: Value, axes: readonly number[]) => `${value.id} ${axes}`,
    (value, axes) => (value.op === 'input' ? obstacle(value, 'it is another input') : groupForm(solver, value, axes)),
  );
  const solver: Solver = {
    b,
    compose: true,
    norms: true,
    isBase: () => true,
    stop: (value, _axis, reason) => obstacle(value, reason),
    form: (value, at) => (value === x ? plain(x, at) : formOf(value, at)),
    group: (value, axes) => (value === x ? apart(value) : groupOf(value, axes)),
    mixes: () => true,
  };
  const form = solver.form(y, axis);
  if (isObstacle(form)) return form;
  if (form.terms.length > 1) return obstacle(y, 'it adds maps of differently arranged inputs');
  const term = addForms(b, [form], y.type.shape, axis).terms[0];
  return {
    kind: 'affine',
    y,
    x: term?.x ?? x,
    axis,
    m: term?.m ?? zero(y.type.shape[axis]!, x.type.shape[Math.min(axis, x.type.shape.length - 1)]!),
    ...(term?.patches ? { patches: term.patches } : {}),
    ...(form.c ? { c: form.c } : {}),
    b,
  };
}

/** M as a value made of parameters: [out, in]; [out, in/groups, kh, kw] where x is convolved. */
export function weightOf(a: Affine): Value {
  const w = materialise(a.b, a.m);
  if (!a.patches) return w;
  const [kh, kw] = a.patches.kernel;
  return a.b.reshape(w, [a.m.out, sizeOf(w.type.shape) / (a.m.out * kh * kw), kh, kw]);
}

/**
 * c as a value made of parameters: [out] where it varies along the channels alone, otherwise of y's rank and broadcastable to y.
 * Undefined where nothing is added.
 */
export function biasOf(a: Affine): Value | undefined {
  return a.c?.value;
}
