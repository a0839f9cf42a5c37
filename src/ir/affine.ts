/**
 * The affine form of one value in another: y = M x + c with M and c computed from parameters alone. It is what merging means, whatever
 * the method: the rules are in `affine/`, and whatever has no rule is the obstacle that a message names.
 */
import { materialise } from './affine/apply.js';
import {
  addForms,
  type Form,
  isObstacle,
  type Obstacle,
  obstacle,
  type Patches,
  plain,
  type Scope,
  type Shift,
} from './affine/form.js';
import { type Matrix, zero } from './affine/matrix.js';
import { ruleOf } from './affine/rules.js';
import { Interner } from './intern.js';
import type { Builder } from './ops/builder.js';
import { sizeOf } from './ops/shapes.js';
import type { Value } from './types.js';

export { isObstacle, type Obstacle } from './affine/form.js';

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

/** The axis that channels lie on: that of the layer or norm below y, followed through transposes; the last where there is none. */
export function channelAxis(y: Value): number {
  let v = y;
  let axis: number | undefined;
  // Follow first operands down to an operator that says where its channels are, remembering how to come back.
  const way: Value[] = [];
  while (axis === undefined) {
    if (v.op === 'conv2d' || v.op === 'batch_norm' || v.op === 'group_norm') axis = 1;
    else if (v.op === 'linear' || v.op === 'matmul' || v.op === 'layer_norm') axis = v.type.shape.length - 1;
    else if (['add', 'sub', 'mul', 'div', 'neg', 'transpose', 'pad', 'roll', 'slice', 'concat'].includes(v.op)) {
      const next = v.inputs.find(
        (x) => x.type.shape.length === v.type.shape.length && x.op !== 'param' && x.op !== 'constant',
      );
      if (!next) break;
      way.push(v);
      v = next;
    } else break;
  }
  if (axis === undefined) return y.type.shape.length - 1;
  for (const step of way.reverse()) if (step.op === 'transpose') axis = step.attrs.perm.indexOf(axis);
  return axis;
}

/**
 * y as an affine function of x, both values of one graph, x reachable from y. Everything else that y reads must come from parameters.
 * `axis` is the channels' axis of y; by default the last, or axis 1 above a convolution.
 */
export function affineOf(y: Value, x: Value, axis: number = channelAxis(y)): Affine | Obstacle {
  const { build: b } = new Interner();
  const memo = new Map<string, Form | Obstacle>();
  const scope: Scope = {
    b,
    compose: true,
    norms: true,
    isBase: () => true,
    stop: (value, _axis, reason) => obstacle(value, reason),
    form: (value, at) => {
      if (value === x) return plain(x, at);
      const key = `${value.id} ${at}`;
      const known = memo.get(key);
      if (known) return known;
      const form = value.op === 'input' ? obstacle(value, 'it is another input') : ruleOf(scope, value, at);
      memo.set(key, form);
      return form;
    },
  };
  const form = scope.form(y, axis);
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
