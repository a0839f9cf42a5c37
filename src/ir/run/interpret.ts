/**
 * Runs a function by the operators' references, in f64: what a program means, slow but sure. Also how parameters are merged,
 * masks found and programs given their golden output, so its products are blocked and values die at their last use.
 */
import { hasBatch } from '../batch.js';
import { rootsOf, topological } from '../graph.js';
import { DataError } from '../ops/errors.js';
import { auxOf, OPS } from '../ops/index.js';
import { sameType, showType } from '../ops/shapes.js';
import { dealt, gathered } from '../parts.js';
import type { ArrayOf, Func, Module, OpAttrs, OpName, Tensor, Value } from '../types.js';
import { Recycler } from './recycle.js';
import { funcAt, hasSamples, samplesOf } from './samples.js';

export interface InterpretOptions {
  /** Arguments by name. */
  readonly inputs?: ReadonlyMap<string, Tensor>;
  /** Gives a parameter's elements; asked once for each parameter that is reached. Constants with data are not asked for. */
  readonly params?: (name: string) => Tensor;
}

/** An argument or parameter is missing or has another type than the program declares. */
export class InterpretError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InterpretError';
  }
}

/** What a call gives, by name: its results, and what the states that it updates are after it. */
export interface Call {
  readonly results: Map<string, Tensor>;
  readonly states: Map<string, Tensor>;
}

/**
 * A call of one function of a module. It changes nothing: what states become is given back, and the caller passes it to the next call.
 * @throws as `interpret`
 */
export function interpretCall(module: Module, funcName: string, options: InterpretOptions = {}): Call {
  const func = forSamplesOf(functionOf(module, funcName), options);
  const before = func.after === undefined ? undefined : interpretCall(module, func.after, options);
  const now = declaredFirst(module, options);
  const params = before ? (name: string): Tensor => before.states.get(name) ?? now(name) : now;
  const values = interpretValues(rootsOf(func), { ...options, params: withParts(module, params) });
  const results = func.results.map(({ name }, i) => [name, values[i]!] as const);
  const states = func.updates.flatMap(({ state }, i) => {
    const value = values[results.length + i]!;
    const param = module.params.get(state)!;
    return param.parts ? dealt(module, param, value) : [[state, value] as const];
  });
  return {
    results: new Map([...(before?.results ?? []), ...results]),
    states: new Map([...(before?.states ?? []), ...states]),
  };
}

/** What lies side by side in another is asked for by itself. */
function withParts(module: Module, params: (name: string) => Tensor): (name: string) => Tensor {
  return (name) => {
    const param = module.params.get(name);
    return param?.parts ? gathered(module, param, params) : params(name);
  };
}

/**
 * Results of one function of a module, by name, for as many samples as the arguments hold. Floats come back as Float64Array, not rounded to
 * their dtype. What the function does to its states is not computed (`interpretCall`).
 * @throws InterpretError when an argument or parameter is missing or of another shape or element type.
 * @throws DataError from an operator whose data makes it undefined (an index out of range, a singular matrix).
 */
export function interpret(module: Module, funcName: string, options: InterpretOptions = {}): Map<string, Tensor> {
  if (functionOf(module, funcName).after !== undefined) return interpretCall(module, funcName, options).results;
  const params = withParts(module, declaredFirst(module, options));
  return interpretFunc(functionOf(module, funcName), { ...options, params });
}

function functionOf(module: Module, name: string): Func {
  const func = module.funcs.get(name);
  if (!func) throw new InterpretError(`module ${module.name} has no function ${name}`);
  return func;
}

/** A declared constant's own data, otherwise what the caller gives. */
function declaredFirst(module: Module, options: InterpretOptions): (name: string) => Tensor {
  return (name) => {
    const param = module.params.get(name);
    if (param?.data) return { type: param.type, data: param.data };
    if (!options.params) throw new InterpretError(`no value for parameter ${name}`);
    return options.params(name);
  };
}

/** The same for a function that stands alone: every parameter is asked for. */
export function interpretFunc(func: Func, options: InterpretOptions = {}): Map<string, Tensor> {
  const { results } = forSamplesOf(func, options);
  const values = interpretValues(
    results.map((r) => r.value),
    options,
  );
  return new Map(results.map((r, i) => [r.name, values[i]!]));
}

/** The function for as many samples as the arguments hold. */
function forSamplesOf(func: Func, { inputs }: InterpretOptions): Func {
  if (!hasSamples(func)) return func;
  try {
    return funcAt(
      func,
      samplesOf(func, (name) => inputs?.get(name)?.type.shape),
    );
  } catch (error) {
    if (error instanceof RangeError) throw new InterpretError(error.message);
    throw error;
  }
}

/** The tensors of some values, none of which depends on the batch. */
export function interpretValues(roots: readonly Value[], options: InterpretOptions = {}): Tensor[] {
  const results = new Map<Value, Tensor>();
  interpretEach(roots, options, (value, tensor) => {
    results.set(value, tensor);
    return 'kept';
  });
  return roots.map((r) => results.get(r)!);
}

/**
 * Hands each root over as soon as it is known and keeps none: how a whole model's weights are prepared without all of them in memory in
 * f64. Values are computed in topological order from the roots as listed; one is dropped after its last use, a root after it was taken and used.
 * @param take Says whether it keeps the tensor; otherwise the memory is used again, and the tensor is good only during the call.
 * @throws InterpretError, RangeError as `interpret`; InterpretError for a value whose size is a multiple of the batch
 */
export function interpretEach(
  roots: readonly Value[],
  options: InterpretOptions,
  take: (root: Value, tensor: Tensor) => 'kept' | 'done',
): void {
  const order = topological(roots);
  const open = order.find((v) => hasBatch(v.type.shape));
  if (open)
    throw new InterpretError(`${open.op} is ${showType(open.type)}: values have to be bound to a number of samples`);
  const wanted = new Set(roots);
  // All readings of one parameter are one value, so that it is fetched and converted once and freed.
  const byName = new Map<string, Value>();
  const same = (v: Value): Value => {
    if (v.op !== 'param') return v;
    const first = byName.get(v.attrs.name);
    if (!first) byName.set(v.attrs.name, v);
    return first ?? v;
  };
  const lastUse = new Map<Value, number>();
  const auxes = new Map<Value, Value[]>();
  order.forEach((v, i) => {
    lastUse.set(same(v), i);
    for (const x of v.inputs) lastUse.set(same(x), i);
    if (v.op === 'aux') auxes.set(v.inputs[0]!, [...(auxes.get(v.inputs[0]!) ?? []), v]);
  });

  const memory = new Recycler();
  const known = new Map<Value, Tensor>();
  const remember = (key: Value, made: Tensor): void => {
    if (known.has(key)) return;
    known.set(key, made);
    memory.hold(made);
  };
  const forget = (key: Value): void => {
    const dead = known.get(key);
    if (!dead) return;
    known.delete(key);
    memory.drop(dead);
  };
  order.forEach((v, i) => {
    const key = same(v);
    const inputs = v.inputs.map((x) => known.get(same(x))!);
    const made = known.get(key) ?? evaluate(v, inputs, options, memory.allocate);
    remember(key, made);
    if (wanted.has(v) && take(v, made) === 'kept') memory.keep(made);
    // Other results need the owner's operands, which may die here.
    for (const a of auxes.get(v) ?? []) remember(a, evaluateAux(a, inputs));
    if (lastUse.get(key) === i) forget(key);
    for (const x of v.inputs) if (lastUse.get(same(x)) === i) forget(same(x));
  });
}

function evaluate(v: Value, inputs: readonly Tensor[], options: InterpretOptions, array: ArrayOf): Tensor {
  if (v.op === 'param') return prepare(options.params?.(v.attrs.name), v, `parameter ${v.attrs.name}`, array);
  if (v.op === 'input') return prepare(options.inputs?.get(v.attrs.name), v, `argument ${v.attrs.name}`, array);
  return apply(v.op, inputs, v, array);
}

/** `O` ties the operator to its attributes, which a union of values does not. */
function apply<O extends OpName>(op: O, inputs: readonly Tensor[], v: Value, array: ArrayOf): Tensor {
  const reference = OPS[op].reference;
  if (!reference) throw new InterpretError(`${op} has no reference`);
  try {
    return reference(inputs, v.attrs as OpAttrs[O], v.type, array);
  } catch (error) {
    if (error instanceof DataError) error.at ??= v.about?.at;
    throw error;
  }
}

function evaluateAux(v: Value, ownerInputs: readonly Tensor[]): Tensor {
  const owner = v.inputs[0]!;
  const def = v.op === 'aux' ? auxOf(owner, v.attrs.output) : undefined;
  if (!def) throw new InterpretError(`${owner.op} has no such other result`);
  return def.reference(ownerInputs, owner.attrs, v.type);
}

/** Checks what came from outside and puts floats into f64, the one array type that the references' loops then see. */
function prepare(given: Tensor | undefined, v: Value, what: string, array: ArrayOf): Tensor {
  if (!given) throw new InterpretError(`no value for ${what}`);
  // f16 and f32 differ in storage only, so either may stand for the other.
  const float = (t: Tensor['type']): Tensor['type'] => (t.dtype === 'f16' ? { ...t, dtype: 'f32' } : t);
  if (!sameType(float(given.type), float(v.type))) {
    throw new InterpretError(`${what} is ${showType(given.type)}, where ${showType(v.type)} is declared`);
  }
  const isFloat = v.type.dtype === 'f32' || v.type.dtype === 'f16';
  if (!isFloat || given.data instanceof Float64Array) return { type: v.type, data: given.data };
  const data = array(given.data.length);
  data.set(given.data);
  return { type: v.type, data };
}
