/** Checks that a module keeps the rules that passes may rely on. Run between passes; a problem is a bug of the pass before. */
import { sameAbout } from './about.js';
import { hasBatch, wrongShape } from './batch.js';
import { rootsOf, topological, usedParams } from './graph.js';
import { ShapeError } from './ops/errors.js';
import { attrsOf, inferType } from './ops/index.js';
import { sameType, showType, sizeOf } from './ops/shapes.js';
import { sideBySide } from './parts.js';
import type { About, Func, Module, Param, Value } from './types.js';

export interface Problem {
  /** Function, absent for a problem of a parameter. */
  readonly func?: string;
  /** The value at fault, where there is one. */
  readonly value?: Value;
  readonly message: string;
}

/** All problems, or an empty list. Never throws. */
export function verifyModule(module: Module): Problem[] {
  const problems: Problem[] = [];
  for (const [id, a] of module.adapters) {
    if (a.id !== id) problems.push({ message: `adapter ${id} calls itself ${a.id}` });
  }
  const before = new Map<string, Param>();
  for (const [name, p] of module.params) {
    verifyParam(module, before, name, p, problems);
    before.set(name, p);
  }
  for (const [name, f] of module.funcs) {
    if (name !== f.name) problems.push({ func: name, message: `it is listed as ${name} and calls itself ${f.name}` });
    verifyFunc(module, f, problems);
  }
  return problems;
}

/** `before`: the parameters declared before it, which are those that its start may read. */
function verifyParam(module: Module, before: Module['params'], name: string, p: Param, problems: Problem[]): void {
  const say = (message: string): void => {
    problems.push({ message: `parameter ${name} ${message}` });
  };
  if (name !== p.name) say(`calls itself ${p.name}`);
  const wrong = wrongShape(p.type.shape);
  if (wrong !== undefined) say(`is ${showType(p.type)}, which ${wrong}`);
  else if (hasBatch(p.type.shape)) say(`is ${showType(p.type)}: one set of parameters serves every batch`);
  if (p.data && p.data.length !== sizeOf(p.type.shape)) {
    say(`is ${showType(p.type)} and holds ${p.data.length} elements`);
  }
  verifyAbout(module, p.about, say);
  const { owner, inside } = p.about ?? {};
  if (inside) say('is inside of an adapter; only layers are');
  if (owner?.kind === 'mask') {
    const of = module.params.get(owner.of);
    if (p.role !== 'constant') say(`masks ${owner.of} and is ${p.role}, not constant`);
    if (of && of.type.shape.join() !== p.type.shape.join())
      say(`is ${showType(p.type)} and masks ${owner.of}, which is ${showType(of.type)}`);
  } else if (p.role === 'constant' && !p.data) say('is constant and holds no elements');
  if (p.role === 'prepared') {
    const given = module.funcs.get('prepare')?.results.some((r) => r.name === name);
    if (!given) say('is prepared, and `prepare` does not give it');
  }
  if (p.parts) verifyParts(before, p, say);
  if (p.init?.kind === 'value') {
    const { value } = p.init;
    if (!sameType(value.type, p.type)) say(`is ${showType(p.type)} and starts as ${showType(value.type)}`);
    verifyValues({ ...module, params: before }, [value], new Set(), (v, message) => {
      problems.push({ value: v, message: `the start of parameter ${name}: ${message}` });
    });
  }
}

/** Declared before it, so that what starts as they do may be declared in between. */
function verifyParts(
  before: Module['params'],
  { role, type, parts = [] }: Param,
  say: (message: string) => void,
): void {
  const own = parts.map((name) => before.get(name));
  const wrong = parts.find((_, i) => own[i]?.role !== 'state' || own[i].parts !== undefined);
  if (role !== 'state') say(`is ${role} and holds others`);
  else if (wrong !== undefined) say(`holds ${wrong}, which is no state before it`);
  else if (new Set(parts).size < parts.length) say('holds a state twice');
  else {
    const types = own.map((p) => p!.type);
    const { length } = sideBySide(types);
    const taken = [...before.values()].find((p) => p.parts?.some((name) => parts.includes(name)));
    if (type.shape.join() !== String(length)) say(`is ${showType(type)} and holds ${length} elements`);
    else if (types.some((t) => t.dtype !== type.dtype)) say(`is ${showType(type)} and holds another type`);
    else if (taken) say(`holds what ${taken.name} holds`);
  }
}

function verifyFunc(module: Module, f: Func, problems: Problem[]): void {
  const say: Say = (value, message) => {
    problems.push({ func: f.name, ...(value ? { value } : {}), message });
  };
  const names = new Set<string>();
  for (const v of f.inputs) {
    if (v.op !== 'input') say(v, `an argument is made by ${v.op}`);
    else if (names.has(v.attrs.name)) say(v, `argument ${v.attrs.name} is there twice`);
    else names.add(v.attrs.name);
  }
  const results = new Set<string>();
  for (const r of f.results) {
    if (results.has(r.name)) say(r.value, `result ${r.name} is there twice`);
    results.add(r.name);
  }
  verifyValues(module, rootsOf(f), new Set(f.inputs), say);
  verifyUpdates(module, f, say);
  verifyWholes(module, f, say);
  if (f.after !== undefined) verifyAfter(module, f, f.after, say);
  if (f.name !== 'prepare') return;
  // It runs once, before any call, so that what it gives cannot follow a state.
  for (const state of usedParams(f).filter((name) => module.params.get(name)?.role === 'state'))
    say(undefined, `it reads the state ${state}`);
  // What `prepare` gives is declared, with the same type, as a parameter of role `prepared`.
  for (const r of f.results) {
    const p = module.params.get(r.name);
    if (!p) say(r.value, `result ${r.name} is not a parameter`);
    else if (p.role !== 'prepared') say(r.value, `result ${r.name} is a ${p.role} parameter`);
    else if (!sameType(p.type, r.value.type)) {
      say(r.value, `result ${r.name} is ${showType(r.value.type)} and declared ${showType(p.type)}`);
    }
  }
}

type Say = (value: Value | undefined, message: string) => void;

/** What lies in one place has one name in a function. */
function verifyWholes({ params }: Module, f: Func, say: Say): void {
  const touched = new Set([...usedParams(f), ...f.updates.map((u) => u.state)]);
  for (const name of touched) {
    const part = params.get(name)?.parts?.find((own) => touched.has(own));
    if (part !== undefined) say(undefined, `it touches ${name} and ${part}, which lies in it`);
  }
}

function verifyAfter({ funcs }: Module, f: Func, after: string, say: Say): void {
  const first = funcs.get(after);
  if (!first) say(undefined, `it comes after ${after}, which is not there`);
  else if (first.after !== undefined) say(undefined, `it comes after ${after}, which comes after another`);
  else {
    const named = ({ inputs, results }: Func): string[] => [
      ...inputs.map((v) => `argument ${v.op === 'input' ? v.attrs.name : ''}`),
      ...results.map((r) => `result ${r.name}`),
    ];
    const own = new Set(named(f));
    const both = named(first).find((name) => own.has(name));
    if (both !== undefined) say(undefined, `it and ${after} have the ${both}`);
  }
}

function verifyUpdates(module: Module, f: Func, say: Say): void {
  const updated = new Set<string>();
  for (const { state, value } of f.updates) {
    const p = module.params.get(state);
    if (!p) say(value, `state ${state} is not declared`);
    else if (p.role !== 'state') say(value, `${state} is updated and is a ${p.role} parameter`);
    else if (!sameType(p.type, value.type))
      say(value, `state ${state} becomes ${showType(value.type)} and is declared ${showType(p.type)}`);
    if (updated.has(state)) say(value, `state ${state} is updated twice`);
    updated.add(state);
    if (f.name === 'prepare') say(value, `it updates the state ${state}`);
  }
}

/** Ids name adapters of the module, each once; a mask is that of a parameter. */
function verifyAbout(module: Pick<Module, 'adapters'>, about: About | undefined, say: (message: string) => void): void {
  const { owner, inside } = about ?? {};
  const ids = (what: string, list: readonly string[]): void => {
    if (list.length === 0) say(`is ${what} no adapter`);
    if (new Set(list).size < list.length) say(`is ${what} one adapter twice`);
    for (const id of list) if (!module.adapters.has(id)) say(`is ${what} adapter ${id}, which is not declared`);
  };
  if (owner?.kind === 'adapter') ids('of', owner.ids);
  if (inside) ids('inside of', inside);
}

/** The first of an operator's attributes that is missing, of another kind or not its own. */
function wrongAttr(v: Value): string | undefined {
  const known = attrsOf(v.op);
  const given = v.attrs as Readonly<Record<string, unknown>>;
  const missing = Object.keys(known).find((key) => !known[key]!.is(given[key]));
  if (missing !== undefined) return `has ${JSON.stringify(given[missing]) ?? 'nothing'} as its ${missing}`;
  const surplus = Object.keys(given).find((key) => !Object.hasOwn(known, key));
  return surplus === undefined ? undefined : `has no attribute ${surplus}`;
}

function verifyValues(
  module: Pick<Module, 'params' | 'adapters'>,
  roots: readonly Value[],
  args: ReadonlySet<Value>,
  say: (value: Value, message: string) => void,
): void {
  for (const v of topological(roots)) {
    if (v.op === 'param') {
      const p = module.params.get(v.attrs.name);
      if (!p) say(v, `parameter ${v.attrs.name} is not declared`);
      else if (!sameType(p.type, v.type)) {
        say(v, `parameter ${v.attrs.name} is read as ${showType(v.type)} and declared ${showType(p.type)}`);
      } else if (!sameAbout(v.about, p.about)) {
        say(v, `parameter ${v.attrs.name} is read as another's or from another site than it is declared`);
      }
    } else if (v.op === 'input') {
      if (!args.has(v)) say(v, `argument ${v.attrs.name} is not declared`);
    } else {
      verifyAbout(module, v.about, (message) => say(v, `${v.op} ${message}`));
      if (v.about?.owner?.kind === 'mask') say(v, `${v.op} is a mask; only parameters are`);
      const late = v.inputs.find((x) => x.id >= v.id);
      if (late) say(v, `${v.op} was made before its operand ${late.op}`);
      const wrong = wrongAttr(v);
      if (wrong !== undefined) {
        say(v, `${v.op} ${wrong}`);
        continue;
      }
      try {
        const type = inferType(v.op, v.inputs, v.attrs);
        if (!sameType(type, v.type)) say(v, `${v.op} is ${showType(v.type)} and should be ${showType(type)}`);
      } catch (e) {
        if (!(e instanceof ShapeError)) throw e;
        say(v, e.message);
      }
    }
  }
}
