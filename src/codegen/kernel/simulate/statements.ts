/**
 * Statements of a kernel as closures. Control flow is a mask: a branch runs for the threads that take it, a loop for those that are still in it, and
 * nothing runs for threads that have returned.
 */

import { BOOL, U32 } from '../expr.js';
import type { Expr, KernelFunction, Stmt, Type } from '../types.js';
import { expectType } from './computed.js';
import { compileExpr, index, passArguments } from './expressions.js';
import { type Compiled, Frame, type Named, type Run, Scope, type Unit } from './frame.js';
import { makeValues, type Values } from './math.js';
import { type Private, writeItems, writePrivate, writeShared } from './memory.js';

type Of<K extends Stmt['kind']> = Extract<Stmt, { readonly kind: K }>;

/** Statements that are ready to be run. */
interface Body {
  readonly run: Run;
  /** A thread may return in them; it is then off in the mask that was on when they began. */
  readonly returns: boolean;
}

/** Turns that one run of a loop may take; kernels for small tensors take few. */
const MOST_TURNS = 1 << 18;

/** @throws what compileExpr throws, for statements too */
export function compileFunction(fn: KernelFunction, unit: Unit): Compiled {
  const { machine } = unit;
  const make = (type: Type): Values => new Frame(unit).own(type);
  const result: Named | undefined = fn.result && {
    kind: 'value',
    type: fn.result,
    values: make(fn.result),
    mutable: false,
  };
  const frame = new Frame(unit, result);
  const scope = new Scope();
  const params = fn.params.map(({ name, type }): Named => {
    const param: Named = { kind: 'value', type, values: make(type), mutable: false };
    scope.declare(name, param);
    return param;
  });
  const body = compileBody(fn.body, scope, frame, fn.name);
  const mask = new Uint8Array(machine.threads);
  const place = { text: `the end of ${fn.name}` };
  const run = (): void => {
    const { mask: outer, active } = machine;
    mask.set(outer);
    machine.mask = mask;
    frame.returned.fill(0);
    body.run();
    if (result && machine.active > 0) {
      machine.report('no-result', fn.name, place, mask.indexOf(1), `"${fn.name}" ends without a result`);
    }
    machine.mask = outer;
    machine.active = active;
  };
  return result ? { params, result, run } : { params, run };
}

/** `path` says where the statements are. */
export function compileBody(body: readonly Stmt[], scope: Scope, frame: Frame, path: string): Body {
  const { machine } = frame.unit;
  const all = body.flatMap((s, i) => {
    frame.begin({ text: `${path}[${i}] (${describe(s)})` });
    return compileStmt(s, scope, frame, `${path}[${i}]`) ?? [];
  });
  const runs = all.map((s) => s.run);
  const returns = all.some((s) => s.returns);
  return {
    returns,
    run: () => {
      for (let i = 0; i < runs.length; i++) {
        runs[i]!();
        if (returns && machine.active === 0) return;
      }
    },
  };
}

function describe(s: Stmt): string {
  switch (s.kind) {
    case 'let':
    case 'var':
    case 'array':
    case 'assign':
    case 'for':
      return `${s.kind} ${s.name}`;
    case 'put':
      return `put ${s.array}`;
    case 'write':
      return `write ${s.buffer}`;
    case 'do':
      return `do ${s.fn}`;
    default:
      return s.kind;
  }
}

function compileStmt(s: Stmt, scope: Scope, frame: Frame, path: string): Body | undefined {
  switch (s.kind) {
    case 'comment':
      return undefined;
    case 'let':
      return declare(s.name, s.value, s.value, false, scope, frame);
    case 'var':
      return declare(s.name, s.type, s.value, true, scope, frame);
    case 'array':
      return declareArray(s, scope, frame);
    case 'assign': {
      const { type, values, mutable } = scope.value(s.name);
      if (!mutable) throw new Error(`"${s.name}" is no variable`);
      return step(compileInto(s.name, type, values, s.value, scope, frame));
    }
    case 'put':
      return put(s, scope, frame);
    case 'write':
      return write(s, scope, frame);
    case 'if':
      return choice(s, scope, frame, path);
    case 'for':
      return loop(s, scope, frame, path);
    case 'block':
      return compileBody(s.body, new Scope(scope), frame, path);
    case 'do': {
      const run = passArguments(s.fn, s.args, scope, frame);
      if (frame.unit.functions.get(s.fn)!.result) throw new TypeError(`the result of "${s.fn}" is not used`);
      return step(run);
    }
    case 'barrier':
      return step(barrier(frame));
    case 'return':
      return leave(s, scope, frame);
    case 'store':
      throw new Error('"store" in a kernel whose addresses should be explicit');
  }
}

const step = (run: Run): Body => ({ run, returns: false });

/** What a thread does not declare it does not use, so that inactive threads may be given a value as well. */
function declare(
  name: string,
  type: Type,
  value: Expr | undefined,
  mutable: boolean,
  scope: Scope,
  frame: Frame,
): Body {
  if (!value) {
    const values = frame.own(type);
    scope.declare(name, { kind: 'value', type, values, mutable });
    return step(() => values.fill(0));
  }
  const x = compileExpr(value, scope, frame);
  expectType(`"${name}"`, x.type, type);
  if (x.fresh) {
    frame.keep(type, x.values);
    scope.declare(name, { kind: 'value', type, values: x.values, mutable });
    return step(x.run!);
  }
  const values = frame.own(type);
  scope.declare(name, { kind: 'value', type, values, mutable });
  return step(() => {
    x.run?.();
    values.set(x.values);
  });
}

function declareArray(s: Of<'array'>, scope: Scope, frame: Frame): Body {
  const { name, type } = s;
  const size = type.lanes * frame.unit.machine.threads;
  const count = s.values.length;
  const array: Private = { name, type, count, values: makeValues(type.scalar, count * size) };
  const items = s.values.map((v) => compileExpr(v, scope, frame));
  for (const x of items) expectType(`an item of "${name}"`, x.type, type);
  scope.declare(name, { kind: 'array', array });
  return step(() => {
    for (const x of items) x.run?.();
    items.forEach((x, i) => {
      array.values.set(x.values, i * size);
    });
  });
}

/** Computes a value and gives it to the active threads. */
function compileInto(what: string, type: Type, to: Values, value: Expr, scope: Scope, frame: Frame): Run {
  const { machine } = frame.unit;
  const x = compileExpr(value, scope, frame);
  expectType(`"${what}"`, x.type, type);
  const { threads } = machine;
  return () => {
    x.run?.();
    if (machine.active === threads) {
      to.set(x.values);
      return;
    }
    const { mask } = machine;
    for (let first = 0; first < to.length; first += threads) {
      for (let t = 0; t < threads; t++) {
        if (mask[t] === 1) to[first + t] = x.values[first + t]!;
      }
    }
  };
}

function put(s: Of<'put'>, scope: Scope, frame: Frame): Body {
  const { machine, shared } = frame.unit;
  const { place } = frame;
  const entry = scope.find(s.array);
  if (entry?.kind === 'array') {
    const { array } = entry;
    const { type, count, values } = array;
    if (s.at.kind === 'literal' && s.at.scalar === 'u32' && s.at.value < count) {
      const size = type.lanes * machine.threads;
      const part = values.subarray(s.at.value * size, (s.at.value + 1) * size);
      return step(compileInto(s.array, type, part, s.value, scope, frame));
    }
    const at = index(s.at, scope, frame);
    const x = compileExpr(s.value, scope, frame);
    expectType(`an item of "${s.array}"`, x.type, type);
    return step(() => {
      at.run?.();
      x.run?.();
      writePrivate(machine, array, at.values, x.values, place);
    });
  }
  const array = entry ? undefined : shared.get(s.array);
  if (!array) throw new Error(`no array "${s.array}" in scope`);
  const at = index(s.at, scope, frame);
  const x = compileExpr(s.value, scope, frame);
  expectType(`an item of "${s.array}"`, x.type, array.type);
  return step(() => {
    at.run?.();
    x.run?.();
    writeShared(machine, array, at.values, x.values, place);
  });
}

function write(s: Of<'write'>, scope: Scope, frame: Frame): Body {
  const { machine, windows } = frame.unit;
  const { place } = frame;
  const window = windows.get(s.buffer);
  if (!window?.writable) throw new Error(`no window "${s.buffer}" that can be written`);
  const at = index(s.at, scope, frame);
  const x = compileExpr(s.value, scope, frame);
  expectType(`an item of "${s.buffer}"`, x.type, window.item);
  return step(() => {
    at.run?.();
    x.run?.();
    writeItems(machine, window, at.values, x.values, place);
  });
}

/** Takes threads that have returned out of the present mask. */
function dropReturned(frame: Frame): void {
  const { machine } = frame.unit;
  const { mask } = machine;
  let active = 0;
  for (let t = 0; t < mask.length; t++) {
    if (frame.returned[t] === 1) mask[t] = 0;
    active += mask[t]!;
  }
  machine.active = active;
}

function choice(s: Of<'if'>, scope: Scope, frame: Frame, path: string): Body {
  const { machine } = frame.unit;
  const { threads } = machine;
  const { place } = frame;
  const cases = s.cases.map(({ when, body }, i) => {
    frame.begin(place);
    const condition = compileExpr(when, scope, frame);
    expectType('a condition', condition.type, BOOL);
    return { condition, body: compileBody(body, new Scope(scope), frame, `${path}.${i}`) };
  });
  const otherwise = s.otherwise && compileBody(s.otherwise, new Scope(scope), frame, `${path}.else`);
  const returns = cases.some((c) => c.body.returns) || (otherwise?.returns ?? false);
  /** Threads for which no case has held, and those of the case that is run. */
  const rest = new Uint8Array(threads);
  const taken = new Uint8Array(threads);
  const run = (): void => {
    const { mask: outer, active } = machine;
    rest.set(outer);
    let left = active;
    for (const { condition, body } of cases) {
      if (left === 0) break;
      machine.mask = rest;
      machine.active = left;
      condition.run?.();
      const holds = condition.values;
      let count = 0;
      for (let t = 0; t < threads; t++) {
        const on = rest[t]! & holds[t]!;
        taken[t] = on;
        rest[t]! ^= on;
        count += on;
      }
      if (count === 0) continue;
      left -= count;
      machine.mask = taken;
      machine.active = count;
      body.run();
    }
    if (otherwise && left > 0) {
      machine.mask = rest;
      machine.active = left;
      otherwise.run();
    }
    machine.mask = outer;
    machine.active = active;
    if (returns) dropReturned(frame);
  };
  return { run, returns };
}

function loop(s: Of<'for'>, scope: Scope, frame: Frame, path: string): Body {
  if (!(Number.isInteger(s.step) && s.step > 0)) throw new RangeError(`a loop with step ${s.step}`);
  const { machine } = frame.unit;
  const { threads } = machine;
  const { place } = frame;
  const from = index(s.from, scope, frame);
  const counter = frame.own(U32);
  const inside = new Scope(scope);
  inside.declare(s.name, { kind: 'value', type: U32, values: counter, mutable: false });
  // `from` is done with before this is computed.
  frame.begin(place);
  const below = index(s.below, inside, frame);
  const body = compileBody(s.body, new Scope(inside), frame, path);
  const mask = new Uint8Array(threads);
  const run = (): void => {
    const { mask: outer, active } = machine;
    from.run?.();
    counter.set(from.values);
    mask.set(outer);
    machine.mask = mask;
    const end = below.values;
    for (let turn = 0; ; turn++) {
      below.run?.();
      let count = 0;
      for (let t = 0; t < threads; t++) {
        mask[t]! &= counter[t]! < end[t]! ? 1 : 0;
        count += mask[t]!;
      }
      if (count === 0) break;
      if (turn === MOST_TURNS) {
        machine.report('endless-loop', s.name, place, mask.indexOf(1), `"${s.name}" after ${turn} turns`);
        break;
      }
      machine.active = count;
      body.run();
      for (let t = 0; t < threads; t++) counter[t]! += s.step;
    }
    machine.mask = outer;
    machine.active = active;
    if (body.returns) dropReturned(frame);
  };
  return { run, returns: body.returns };
}

function barrier(frame: Frame): Run {
  const { machine } = frame.unit;
  const { place } = frame;
  return () => {
    if (machine.active < machine.threads) {
      const what = `a barrier without ${machine.threads - machine.active} threads, such as`;
      machine.report('divergent-barrier', '', place, machine.mask.indexOf(0), what);
    }
    machine.interval++;
  };
}

function leave(s: Of<'return'>, scope: Scope, frame: Frame): Body {
  const { machine } = frame.unit;
  const { result } = frame;
  if ((s.value === undefined) !== (result === undefined)) throw new TypeError('a return with or without a value');
  const give =
    result && s.value ? compileInto('a result', result.type, result.values, s.value, scope, frame) : undefined;
  const run = (): void => {
    give?.();
    const { mask } = machine;
    for (let t = 0; t < mask.length; t++) {
      frame.returned[t]! |= mask[t]!;
      mask[t] = 0;
    }
    machine.active = 0;
  };
  return { run, returns: true };
}
