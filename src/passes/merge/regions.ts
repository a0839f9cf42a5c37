/**
 * Finds the affine regions of a function: which values must exist (anchors), and the affine form of each in others of them.
 *
 * An anchor is a value that something reads which no rule passes through, or a result. Forms end at anchors: a residual stream that a
 * norm reads is never expanded into the sum that it is. Values between anchors may be used several times; whether such a value should
 * be an anchor too is the caller's choice by cost (`cuts`).
 */

import { isAdapters } from '../../ir/about.js';
import { channelAxis } from '../../ir/affine/affine.js';
import { channelsOf } from '../../ir/affine/channels.js';
import { type Form, isObstacle, type Obstacle, obstacle, plain, type Solver } from '../../ir/affine/form.js';
import { apart, groupForm } from '../../ir/affine/operator.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { isRuled, ruleOf } from '../../ir/affine/rules.js';
import { deep } from '../../ir/deep.js';
import type { Builder } from '../../ir/ops/builder.js';
import { isLayout } from '../../ir/ops/index.js';
import type { Value } from '../../ir/types.js';
import { isStep, stretch } from '../values.js';

/** A form with the channels on one axis, or on several, and then last in the form. */
export interface Formed {
  readonly form: Form;
  readonly axes: readonly number[];
}

export interface Solution {
  /** Every value that must exist and has a form, with it. */
  readonly forms: ReadonlyMap<Value, Formed>;
  readonly anchors: ReadonlySet<Value>;
  /** Operators that no rule passes through, and why. */
  readonly ends: ReadonlyMap<Value, Obstacle>;
  /** Values at which a form was ended by choice, and why. */
  readonly stops: ReadonlyMap<Value, string>;
  /** The values of an anchor's region, from it down to where forms end; operands first. */
  readonly region: (anchor: Value) => readonly Value[];
}

/** Whether a walk down from `root` ends at `v`. */
export const stopAt =
  (s: Pick<Solution, 'anchors' | 'ends'>, root: Value) =>
  (v: Value): boolean =>
    v !== root && (s.anchors.has(v) || s.ends.has(v));

/** Layout operators on top of a region stay where they are: the region ends below them. */
export function below(v: Value): Value {
  let x = v;
  while (isLayout(x) && dependsOnInput(x.inputs[0]!)) x = x.inputs[0]!;
  return x;
}

/** Operands of what no rule can pass: they must exist whatever is chosen. */
export function fixedAnchors(order: readonly Value[], results: readonly Value[]): Set<Value> {
  const anchors = new Set<Value>();
  const need = (v: Value): void => {
    if (dependsOnInput(v)) anchors.add(below(v));
  };
  for (const v of order) if (!isRuled(v)) v.inputs.forEach(need);
  results.forEach(need);
  return anchors;
}

/**
 * Operators between layers that are the model's own: a form ends at them, so that they stay where the layout has them
 * and an adapter merges on its side of them. Layers, their joined and cut rows, and changes of layout are none.
 */
export function ownSteps(values: Iterable<Value>): Set<Value> {
  const found = new Set<Value>();
  for (const v of values) if (isStep(v) && !isAdapters(v)) found.add(v);
  return found;
}

/**
 * Forms of `roots` and of every value that turns out to be needed on the way, given that `fixed` and `cuts` exist anyway
 * and that no form passes through what is `closed`.
 * Runs until nothing new must exist; the set only grows, so it ends.
 */
export function solve(
  b: Builder,
  roots: Iterable<Value>,
  fixed: ReadonlySet<Value>,
  cuts: Iterable<Value>,
  closed: ReadonlySet<Value>,
): Solution {
  const anchors = new Set([...fixed, ...cuts]);
  const ends = new Map<Value, Obstacle>();
  const stops = new Map<Value, string>();
  const wanted = new Set([...roots, ...cuts]);
  let changed = true;
  let forms = new Map<Value, Formed>();

  const need = (v: Value): void => {
    if (!dependsOnInput(v)) return;
    const anchor = below(v);
    if (!anchors.has(anchor)) {
      anchors.add(anchor);
      changed = true;
    }
    wanted.add(anchor);
  };
  const end = (v: Value, why: Obstacle): void => {
    if (ends.has(v)) return;
    ends.set(v, why);
    v.inputs.forEach(need);
    changed = true;
  };

  const rule = (solver: Solver, v: Value, axis: number): Form | Obstacle =>
    closed.has(v) ? obstacle(v, "it is the model's own, and stays where the model has it") : ruleOf(solver, v, axis);

  const formed = (solver: Solver, root: Value): Formed | Obstacle => {
    const several = channelsOf(root);
    if (several.length > 1 && !closed.has(root) && solver.mixes(root)) {
      const form = groupForm(solver, root, several);
      if (!isObstacle(form)) return { form, axes: several };
    }
    const axis = channelAxis(root);
    const form = rule(solver, root, axis);
    return isObstacle(form) ? form : { form, axes: [axis] };
  };

  while (changed) {
    changed = false;
    forms = new Map();
    const formOf = deep(
      (v: Value, axis: number) => `${v.id} ${axis}`,
      (v, axis): Form => {
        const form = rule(solver, v, axis);
        if (!isObstacle(form)) return form;
        end(v, form);
        return plain(v, axis);
      },
    );
    const groupOf = deep(
      (v: Value, axes: readonly number[]) => `${v.id} ${axes}`,
      (v, axes) => groupForm(solver, v, axes),
    );
    const solver: Solver = {
      b,
      compose: false,
      norms: false,
      isBase: (v) => v.readsBase,
      stop: (value, axis, reason) => {
        stops.set(below(value), reason);
        need(value);
        return plain(value, axis);
      },
      // Along several axes a form has nothing to end at: the operator that joins them does.
      group: (v, axes) =>
        anchors.has(v) || ends.has(v) || closed.has(v) || v.op === 'input' ? apart(v) : groupOf(v, axes),
      // Of what the algebra made itself, an operand that is broadcast, no site is known.
      mixes: (v) => isAdapters(v) || v.about?.site === undefined,
      form: (v, axis) => (anchors.has(v) || ends.has(v) || v.op === 'input' ? plain(v, axis) : formOf(v, axis)),
    };
    // `wanted` grows while it is walked; a set's iteration meets what is added.
    for (const root of wanted) {
      if (root.op === 'input' || ends.has(root)) continue;
      const made = formed(solver, root);
      if (isObstacle(made)) end(root, made);
      else forms.set(root, made);
    }
  }
  const regions = new Map<Value, readonly Value[]>();
  const region = (anchor: Value): readonly Value[] => {
    const known = regions.get(anchor) ?? stretch([anchor], stopAt({ anchors, ends }, anchor));
    regions.set(anchor, known);
    return known;
  };
  return { forms, anchors, ends, stops, region };
}
