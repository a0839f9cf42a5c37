/**
 * The end of a kernel: from an element of the anchor to the element of the result that is stored. Layout operators of the path move
 * the coordinates forward; pointwise ones compute.
 */
import type { OpName, Value } from '../ir/types.js';
import type { Bindings, Slot } from './bindings.js';
import { type Expr, widen } from './emit.js';
import { constIndex, flatten, type Index, laneForm, mod, shift, substitute, unflatten } from './indexing.js';
import { type Condition, type Reader, uniformCondition } from './reader.js';

/** Operators that give every element of their operand at most one place in the result. */
export const FORWARD_OPS: ReadonlySet<OpName> = new Set(['reshape', 'transpose', 'slice', 'roll']);

function forward(v: Value, coords: readonly Index[], guards: Condition[]): readonly Index[] {
  switch (v.op) {
    case 'reshape':
      return unflatten(flatten(coords, v.inputs[0]!.type.shape), v.type.shape);
    case 'transpose':
      return v.attrs.perm.map((p) => coords[p]!);
    case 'slice':
      return coords.map((c, i) => {
        const moved = shift(c, -v.attrs.start[i]!);
        if (v.type.shape[i] !== v.inputs[0]!.type.shape[i]) guards.push({ index: moved, below: v.type.shape[i]! });
        return v.type.shape[i] === 1 ? constIndex(0) : moved;
      });
    case 'roll': {
      const to = [...coords];
      v.attrs.axes.forEach((axis, i) => {
        const size = v.type.shape[axis]!;
        to[axis] = mod(shift(to[axis]!, ((v.attrs.shifts[i]! % size) + size) % size), size);
      });
      return to;
    }
    default:
      throw new Error(`${v.op} does not move elements`);
  }
}

/** Finishes `value`, the anchor's element at `coords`, and stores it. Nothing is stored where a guard fails. */
export function finish(
  r: Reader,
  bindings: Bindings<string>,
  target: { anchor: Value; path: readonly Value[]; result: Value; slot: Slot },
  value: Expr,
  coords: readonly Index[],
  guards: readonly Condition[] = [],
): void {
  const when = [...guards];
  let at = coords;
  let e = value;
  r.give(target.anchor, e);
  for (const step of target.path) {
    if (FORWARD_OPS.has(step.op)) at = forward(step, at, when);
    else e = r.read(step, at);
    r.give(step, e);
  }
  store(r, bindings, target.slot, flatten(at, target.result.type.shape), e, when);
}

/** Writes one element, or four where `flat` holds LANE. */
export function store(
  r: Reader,
  bindings: Bindings<string>,
  slot: Slot,
  flat: Index,
  value: Expr,
  guards: readonly Condition[],
): void {
  const write = (i: Index): string => r.e.index(i);
  const form = laneForm(flat);
  const encode = (e: Expr): string => (e.type === 'bool' ? `${e.wide ? 'vec4u' : 'u32'}(${e.code})` : e.code);
  const guarded = (conditions: readonly Condition[], body: () => void): void => {
    if (conditions.some((c) => c.index.lo >= c.below)) return;
    const codes = conditions
      .filter((c) => !(c.index.lo >= 0 && c.index.hi < c.below))
      .map((c) => {
        const f = laneForm(c.index);
        return f.kind === 'quad' ? `${r.e.operand(f.quad)} < ${c.below / 4}u` : `${r.e.operand(c.index)} < ${c.below}u`;
      });
    if (codes.length === 0) body();
    else r.e.block(`if (${codes.join(' && ')})`, body);
  };
  // One place for four lanes: a slice that keeps one of them, which the guards tell apart.
  if (form.kind === 'uniform' && guards.every(uniformCondition)) {
    guarded(guards, () => r.e.line(bindings.storeElement(slot, flat, encode(value), write)));
    return;
  }
  const whole: Expr = value.wide ? value : { code: widen(value), type: value.type, wide: true };
  if (form.kind === 'quad' && bindings.quadsAllowed(slot) && guards.every(uniformCondition)) {
    guarded(guards, () => r.e.line(bindings.storeQuad(slot, form.quad, flat, encode(whole), write)));
    return;
  }
  const name = r.e.name('v', encode(whole));
  for (let lane = 0; lane < 4; lane++) {
    const one = (i: Index): Index => substitute(i, 'lane', constIndex(lane));
    guarded(
      guards.map((c) => ({ index: one(c.index), below: c.below })),
      () => r.e.line(bindings.storeElement(slot, one(flat), `${name}.${'xyzw'[lane]}`, write)),
    );
  }
}
