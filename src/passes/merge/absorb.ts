/**
 * A scale or shift that an adapter puts above operators of the model moves down to where it can become part of the model: into a norm's
 * gain and shift, s·LN(g, h) + t = LN(s·g, s·h + t), into a gain or shift that the model multiplies or adds itself, or below those, to
 * the layer that they follow. The operators of the model stay in their places.
 */
import { isAdapters } from '../../ir/about.js';
import { dependsOnInput, factorOf } from '../../ir/affine/parse.js';
import { make, mapRoots, rewriteValues, withInputs } from '../../ir/graph.js';
import { type Builder, makeBuilder } from '../../ir/ops/builder.js';
import { type Arithmetic, type OpsWith, ruleIn, traitsOf } from '../../ir/ops/index.js';
import { sameShape, sizeOf, tryBroadcast } from '../../ir/ops/shapes.js';
import { Summary } from '../../ir/summary.js';
import type { About, Func, Module, Value } from '../../ir/types.js';
import { isStep } from '../values.js';

type Norm = Extract<Value, { op: OpsWith<'holds', 'norm'> }>;

const isNorm = (v: Value): v is Norm => traitsOf(v).holds === 'norm';

/** What is to be done to a value: multiply it by a constant of parameters, or add anything to it. */
interface Change {
  readonly op: 'mul' | 'add';
  readonly by: Value;
  readonly about: About | undefined;
}

/** A change one operator further down: it is done (`value`), or it goes to `below`, and `above` puts the operator back. */
type Moved =
  | { readonly value: Value }
  | { readonly below: Value; readonly change: Change; readonly above: (x: Value) => Value };

/** What a change may ask on its way. */
interface Place {
  /** Whether at most one value reads it. */
  readonly alone: (x: Value) => boolean;
  /** Whether the layout of the model has a place for other values of a constant. */
  readonly held: (constant: Value) => boolean;
  /** Remembers that a constant stands where the layout has a parameter, and gives it back. */
  readonly take: (constant: Value) => Value;
}

/**
 * Only through values that nothing else reads; otherwise they would be computed twice. Only what an adapter added moves.
 */
export function absorb(module: Module, func: Func): Func {
  const summary = Summary.of(func);
  /** New values that several read. */
  const shared = new Set<Value>();
  /** Constants that took changes in, and stand where the layout has a parameter. */
  const taken = new Set<Value>();
  const place: Place = {
    alone: (x) => !shared.has(x),
    held: (constant) => taken.has(constant) || held(module, constant),
    take: (constant) => {
      taken.add(constant);
      return constant;
    },
  };
  const image = rewriteValues(summary.roots, (v, inputs) => {
    const change = isAdapters(v) ? changeOf(v, inputs) : undefined;
    const made = change ? settle(place, change.x, change.change) : undefined;
    const value = made ?? withInputs(v, inputs);
    if (summary.isShared(v)) shared.add(value);
    return value;
  });
  return mapRoots(func, image);
}

interface Changed {
  readonly x: Value;
  readonly change: Change;
}

/** What an adapter's operator does to a value that depends on the input. Null: nothing that can be done elsewhere instead. */
const CHANGES: {
  readonly [O in Arithmetic]: ((first: Value, second: Value, about: About | undefined) => Changed | undefined) | null;
} = {
  mul: (first, second, about) => {
    const [x, by] = ordered(first, second);
    return dependsOnInput(by) ? undefined : { x, change: { op: 'mul', by, about } };
  },
  // Of two values that depend on the input the first is what the model computes, by the habit of adding an adapter to a layer.
  add: (first, second, about) => {
    const [x, by] = ordered(first, second);
    return { x, change: { op: 'add', by, about } };
  },
  sub: (x, second, about) => {
    if (!dependsOnInput(x)) return undefined;
    return { x, change: { op: 'add', by: builder(about).neg(second), about } };
  },
  div: (x, second, about) => {
    if (!dependsOnInput(x) || dependsOnInput(second)) return undefined;
    return { x, change: { op: 'mul', by: builder(about).div(1, second), about } };
  },
  neg: null,
  stop_gradient: null,
  again: null,
  dropout: null,
  drop_path: null,
  select: null,
};

const ordered = (first: Value, second: Value): [Value, Value] =>
  dependsOnInput(first) ? [first, second] : [second, first];

function changeOf(v: Value, [first, second]: readonly Value[]): Changed | undefined {
  const found = ruleIn(CHANGES, v.op)?.(first!, second!, v.about);
  return found && dependsOnInput(found.x) ? found : undefined;
}

const builder = (about: About | undefined): Builder =>
  makeBuilder((op, inputs, attrs, own) => make(op, inputs, attrs, own ?? about));

/** The value with the change done as far down as it goes; undefined where it does not move at all. */
function settle(place: Place, x: Value, change: Change): Value | undefined {
  const above: ((x: Value) => Value)[] = [];
  let value = x;
  let next = change;
  for (let done = false; !done; ) {
    const moved = place.alone(value) ? move(place, value, next) : undefined;
    if (!moved && above.length === 0) return undefined;
    if (moved && 'below' in moved) {
      above.push(moved.above);
      value = moved.below;
      next = moved.change;
      continue;
    }
    value = moved ? moved.value : builder(next.about)[next.op](value, next.by);
    done = true;
  }
  return above.reduceRight((made, put) => put(made), value);
}

/** What the change becomes at `x`, an operator of the model. */
function move({ held, take }: Place, x: Value, change: Change): Moved | undefined {
  if (isNorm(x)) {
    const value = dependsOnInput(change.by) ? undefined : intoNorm(x, change);
    return value && { value };
  }
  if (!isStep(x) || isAdapters(x) || !fits(x, change.by)) return undefined;
  const b = builder(change.about);
  const [first, second] = x.inputs as [Value, Value];
  const [y, other] = !second || dependsOnInput(first) ? [first, second] : [second, first];
  if (!sameShape(y.type.shape, x.type.shape) || (other && dependsOnInput(other))) return undefined;
  /** The operator again, over another y or beside another constant. */
  const again = (z: Value, constant = other): Value =>
    withInputs(
      x,
      x.inputs.map((v) => (v === y ? z : constant!)),
    );
  const down = (by: Value, constant = other): Moved => ({
    below: y,
    change: { ...change, by },
    above: (z) => again(z, constant),
  });
  const takes = other !== undefined && held(other) && fits(other, change.by) && !dependsOnInput(change.by);
  const passing = ruleIn(PASSING, x.op);
  return passing?.({ b, change, other, isFirst: y === first, takes, take, down, again: (c) => again(y, c) });
}

/** A change at an operator of the model. */
interface At {
  readonly b: Builder;
  readonly change: Change;
  /** Beside the value that the change is to go on to: a constant, if there is a second operand. */
  readonly other: Value | undefined;
  readonly isFirst: boolean;
  /** Whether `other` may become another constant, which `take` remembers. */
  readonly takes: boolean;
  readonly take: (constant: Value) => Value;
  /** The operator again, beside another constant. */
  readonly again: (constant: Value) => Value;
  /** The change goes on as this; above it the operator stands again, beside its constant or another one. */
  readonly down: (by: Value, constant?: Value) => Moved;
}

const sum =
  (join: 'add' | 'sub') =>
  ({ b, change, other, isFirst, takes, take, again, down }: At): Moved | undefined => {
    if (join === 'sub' && !isFirst) return undefined;
    if (change.op === 'add') return takes ? { value: again(take(b[join](other!, change.by))) } : down(change.by);
    // s·(y + p) = s·y + s·p, where the layout has a place for s·p.
    return takes ? down(change.by, take(b.mul(other!, change.by))) : undefined;
  };

/** How a change goes on through an operator of the model, or ends there. Null: it does not pass. */
const PASSING: { readonly [O in Arithmetic]: ((at: At) => Moved | undefined) | null } = {
  mul: ({ b, change, other, takes, take, again, down }) => {
    if (change.op === 'mul') return takes ? { value: again(take(b.mul(other!, change.by))) } : down(change.by);
    // g·y + t = g·(y + t/g), where g is known and not 0.
    if (other?.op !== 'constant' || !invertible(other.attrs.value)) return undefined;
    return down(b.mul(change.by, 1 / other.attrs.value));
  },
  div: ({ b, change, other, isFirst, down }) => {
    if (!isFirst) return undefined;
    return down(change.op === 'mul' ? change.by : b.mul(change.by, other!));
  },
  neg: ({ b, change, down }) => down(change.op === 'mul' ? change.by : b.neg(change.by)),
  add: sum('add'),
  sub: sum('sub'),
  stop_gradient: null,
  again: null,
  dropout: null,
  drop_path: null,
  select: null,
};

const invertible = (x: number): boolean => Number.isFinite(x) && Number.isFinite(1 / x);

/** Whether a constant is a parameter that the layout of the model holds, or a view of one. */
function held(module: Module, constant: Value): boolean {
  let x = constant;
  while (traitsOf(x).moves === 'once' && sizeOf(x.type.shape) === sizeOf(x.inputs[0]!.type.shape)) x = x.inputs[0]!;
  return x.op === 'param' && !x.about?.owner && module.params.get(x.attrs.name)?.role !== 'constant';
}

/** Whether `by` can be joined with a value without making it larger. */
function fits(value: Value, by: Value): boolean {
  const both = tryBroadcast(value.type.shape, by.type.shape);
  return both !== undefined && sameShape(both, value.type.shape);
}

function intoNorm(norm: Norm, { op, by, about }: Change): Value | undefined {
  const b = builder(about);
  const { shape } = norm.type;
  if (norm.inputs.slice(1).some(dependsOnInput) || !fits(norm, by)) return undefined;
  const axis = traitsOf(norm).channels === 'last' ? shape.length - 1 : 1;
  const factor = factorOf(b, by, shape, axis);
  if (factor.kind === 'full') return undefined;
  const size = shape[axis]!;
  const along = b.broadcast(factor.value, [size]);
  const gain = norm.inputs[1] ?? b.constant(1, norm.type.dtype, [size]);
  const shift = norm.inputs[2];
  const pair =
    op === 'mul'
      ? [b.mul(gain, factor.value), shift && b.mul(shift, factor.value)]
      : [gain, shift ? b.add(shift, along) : along];
  const vectors = pair.filter((x) => x !== undefined).map((x) => b.broadcast(x, [size]));
  const inputs = [norm.inputs[0]!, ...vectors, ...norm.inputs.slice(3)];
  return withInputs(norm, inputs);
}
