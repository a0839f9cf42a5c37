/**
 * Binding times: what parameters alone compute moves from a function to `prepare` and becomes a prepared parameter, computed once when
 * weights are loaded. Parameters themselves, constants, and views of them stay: they cost nothing where they are read. What reads a state
 * stays too, since the next call may find another one there. Functions that prepare the same share it.
 */
import { adaptersOf, asParam, isAdapters, ownedBy } from '../ir/about.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { Numbering } from '../ir/equal.js';
import { paramRef, rewriteFunc, topological, usedParams, withInputs } from '../ir/graph.js';
import { isView, traitsOf } from '../ir/ops/index.js';
import { sameType, sizeOf } from '../ir/ops/shapes.js';
import { dependsOnBatch } from '../ir/run/samples.js';
import { Summary } from '../ir/summary.js';
import type { About, Func, Module, Param, Value } from '../ir/types.js';
import type { Pass, PassContext } from './pass.js';

/** The function whose results are the parameters of role `prepared`. */
export const PREPARE = 'prepare';

export const split: Pass = {
  name: 'split',
  doc: 'What parameters alone compute, whatever the batch size, moves to `prepare`.',
  run,
};

/** What is prepared is called after the parameter of the model that it stands for. */
const PREPARED = '#prepared';

/** The name of the parameter that a prepared one stands for. */
export const standsFor = (prepared: string): string => prepared.slice(0, prepared.lastIndexOf(PREPARED));

/** What a parameter is in the model as it was written: a prepared one that has the place of another is that one. */
export const nameAsWritten = (param: string): string => (param.endsWith(PREPARED) ? standsFor(param) : param);

/** A value of `prepare`, and the parameter that it becomes. */
interface Prepared {
  readonly param: Param;
  readonly value: Value;
  readonly replaces?: string;
}

function run(module: Module, name: string, ctx: PassContext): Module {
  const func = module.funcs.get(name);
  if (!func || name === PREPARE) return module;
  const numbering = new Numbering();
  const names = new Names(module);
  const prepared = new Map<number, Prepared>();
  for (const { name: known, value } of module.funcs.get(PREPARE)?.results ?? []) {
    prepared.set(numbering.of(value), { param: module.params.get(known)!, value });
  }
  const summary = Summary.of(func);
  const changing = new Set<Value>();
  for (const v of summary.order) {
    const isState = v.op === 'param' && module.params.get(v.attrs.name)?.role === 'state';
    if (isState || v.inputs.some((x) => changing.has(x))) changing.add(v);
  }
  for (const [v, readers] of hoist(summary, (x) => !dependsOnBatch(x) && !changing.has(x))) {
    const number = numbering.of(v);
    if (prepared.has(number)) continue;
    const { name, replaces, about } = names.of(v, readers);
    const param: Param = { name, type: v.type, role: 'prepared', ...(about ? { about } : {}) };
    prepared.set(number, { param, value: v, ...(replaces ? { replaces } : {}) });
    if (replaces) ctx.notes.replaced.set(replaces, name);
  }
  return splitModule(module, func, (v) => prepared.get(numbering.of(v))?.param, [...prepared.values()]);
}

function splitModule(
  module: Module,
  func: Func,
  paramOf: (v: Value) => Param | undefined,
  all: readonly Prepared[],
): Module {
  const inner = rewriteFunc(func, (v, inputs) => {
    const param = dependsOnInput(v) ? undefined : paramOf(v);
    return param ? paramRef(param) : withInputs(v, inputs);
  });
  const prepare: Func = {
    name: PREPARE,
    inputs: [],
    results: all.map(({ param, value }) => ({ name: param.name, value })),
    updates: [],
  };
  const funcs = new Map(module.funcs).set(PREPARE, prepare).set(func.name, inner);
  // What a parameter starts as may read those declared before it: they stay, and so does their order.
  const used = new Set(usedParams(...funcs.values()));
  for (const [name, p] of [...module.params].reverse()) {
    if (!used.has(name)) continue;
    for (const part of p.parts ?? []) used.add(part);
    if (p.init?.kind !== 'value') continue;
    for (const x of topological([p.init.value])) if (x.op === 'param') used.add(x.attrs.name);
  }
  const params = new Map([...module.params].filter(([name]) => used.has(name)));
  for (const { param } of all) params.set(param.name, param);
  return { ...module, params, funcs };
}

/** Values to prepare, each with who reads it in the function. What may not be hoisted stays, and what it reads is looked at instead. */
function hoist(summary: Summary, mayMove: (v: Value) => boolean): Map<Value, Value[]> {
  const hoisted = new Map<Value, Value[]>();
  const stays = new Set<Value>();
  const take = (read: Value, reader: Value | undefined): void => {
    for (let v = read; ; v = v.inputs[0]!) {
      // What an adapter's parameter has become, a layer's bias say, is the layer's: it gets a name of its own and can be swapped.
      const taken = v.op === 'param' && isAdapters(v) && reader !== undefined && !isAdapters(reader);
      if (dependsOnInput(v) || (!taken && isPlainView(v))) return;
      const x = v.inputs[0];
      // A view of what is computed is part of the computation if nobody looks at it differently and it has as many elements.
      if (x && isView(v) && (summary.readers(x).length > 1 || sizeOf(v.type.shape) !== sizeOf(x.type.shape))) continue;
      if (!mayMove(v)) {
        stays.add(v);
        return;
      }
      const readers = hoisted.get(v) ?? [];
      if (reader) readers.push(reader);
      hoisted.set(v, readers);
      return;
    }
  };
  for (const v of summary.order) if (dependsOnInput(v)) for (const x of v.inputs) take(x, v);
  for (const r of summary.roots) take(r, undefined);
  // Grows while it is walked.
  for (const v of stays) for (const x of v.inputs) take(x, v);
  return hoisted;
}

/** A chain of views of a parameter or constant. */
function isPlainView(v: Value): boolean {
  let x = v;
  while (isView(x)) x = x.inputs[0]!;
  return traitsOf(x).known !== null;
}

/** Names for prepared parameters. */
class Names {
  readonly #taken: Set<string>;
  readonly #params: ReadonlyMap<string, Param>;
  /** Weight that a layer reads -> the base parameter that it stands for. */
  readonly #standsFor = new Map<Value, string>();

  constructor({ params }: Module) {
    this.#params = params;
    this.#taken = new Set(this.#params.keys());
  }

  of(v: Value, readers: readonly Value[]): { name: string; replaces?: string; about?: About | undefined } {
    const own = this.#baseOf(v) ?? this.#newBias(v, readers);
    if (own) {
      this.#standsFor.set(v, own);
      const name = this.#fresh(`${own}${PREPARED}`);
      // What stands for a parameter of the model is the model's, whatever went into it.
      const about = asParam(ownedBy(v.about, []));
      return name === `${own}${PREPARED}` ? { name, replaces: own, about } : { name, about };
    }
    const site = adaptersOf(v.about)[0] ?? v.about?.site ?? readers[0]?.about?.site ?? 'value';
    return { name: this.#fresh(`${site}.${v.op}${PREPARED}`), about: asParam(v.about) };
  }

  /** The model's parameter of the same type that v is computed from: the first one met from v downwards. */
  #baseOf(v: Value): string | undefined {
    const seen = new Set<Value>([v]);
    for (const x of seen) {
      if (x.op === 'param') {
        const param = this.#params.get(x.attrs.name);
        const own = param && !param.about?.owner && param.role !== 'constant';
        if (own && sameType(param.type, v.type)) return param.name;
      }
      for (const y of x.inputs) seen.add(y);
    }
    return undefined;
  }

  /** `x.weight` -> `x.bias` for the bias of a layer that had none. */
  #newBias(v: Value, readers: readonly Value[]): string | undefined {
    for (const r of readers) {
      if (traitsOf(r).holds !== 'layer' || r.inputs[2] !== v) continue;
      const weight = r.inputs[1]!;
      const name = weight.op === 'param' ? weight.attrs.name : (this.#standsFor.get(weight) ?? this.#baseOf(weight));
      const bias = name?.replace(/\bweight$/, 'bias');
      if (bias && bias !== name && !this.#params.has(bias)) return bias;
    }
    return undefined;
  }

  #fresh(name: string): string {
    let free = name;
    for (let n = 2; this.#taken.has(free); n++) free = `${name}.${n}`;
    this.#taken.add(free);
    return free;
  }
}
