/** Expressions of a kernel as closures, each of which computes its value for all threads of a workgroup at once. */
import { written } from '../expr.js';
import type { BinaryOp, Builtin, Expr, Scalar, Type } from '../types.js';
import { collect } from './collectives.js';
import { alias, type Computed, expectType, fresh, typeText } from './computed.js';
import { type Frame, inOrder, type Run, type Scope } from './frame.js';
import {
  ARGUMENTS,
  binaryLoop,
  builtinLoop,
  choose,
  convertLoop,
  dotFloat,
  dotInteger,
  isFloat,
  type Loop,
  makeValues,
  nearestHalf,
  negateFloat,
  negateInteger,
  not,
  packHalves,
  roundToHalf,
  unpackHalves,
  type Values,
} from './math.js';
import { fetchItems, outside, readPrivate, readShared } from './memory.js';

type Of<K extends Expr['kind']> = Extract<Expr, { readonly kind: K }>;

const U32: Type = { scalar: 'u32', lanes: 1 };

/**
 * @throws TypeError where operands do not fit, Error for names that are not in scope and for what only a kernel before addresses.ts has
 */
export function compileExpr(expr: Expr, scope: Scope, frame: Frame): Computed {
  switch (expr.kind) {
    case 'literal':
      return literal(expr, frame);
    case 'name': {
      const { type, values } = scope.value(expr.name);
      expectType(`"${expr.name}"`, expr, type);
      return alias(expr, values);
    }
    case 'unary':
      return unary(expr, scope, frame);
    case 'binary':
      return expr.op === '&&' || expr.op === '||' ? logical(expr, scope, frame) : binary(expr, scope, frame);
    case 'builtin':
      return builtin(expr, scope, frame);
    case 'call':
      return call(expr, scope, frame);
    case 'convert': {
      const x = compileExpr(expr.x, scope, frame);
      if (x.type.lanes !== expr.lanes) throw new TypeError(`${typeText(x.type)} becomes ${typeText(expr)}`);
      return elementwise(expr, frame, convertLoop(x.type.scalar, expr.scalar), [x], expr.lanes);
    }
    case 'bitcast':
      return bitcast(expr, scope, frame);
    case 'splat': {
      const x = compileExpr(expr.x, scope, frame);
      expectType('a value that is spread', x.type, { scalar: expr.scalar, lanes: 1 });
      return vector(expr, Array<Computed>(expr.lanes).fill(x), frame, [x.run]);
    }
    case 'vector': {
      const parts = expr.parts.map((p) => compileExpr(p, scope, frame));
      return vector(
        expr,
        parts,
        frame,
        parts.map((p) => p.run),
      );
    }
    case 'component':
      return component(expr, scope, frame);
    case 'fetch': {
      const { machine, windows } = frame.unit;
      const window = windows.get(expr.buffer);
      if (!window) throw new Error(`no window "${expr.buffer}"`);
      expectType(`an item of "${expr.buffer}"`, expr, window.item);
      const at = index(expr.at, scope, frame);
      const { place } = frame;
      return fresh(expr, frame, true, [at], (out) => {
        fetchItems(machine, window, at.values, out, expr.speculative, place);
      });
    }
    case 'item':
      return item(expr, scope, frame);
    case 'collective':
      return collective(expr, scope, frame);
    case 'load':
    case 'address':
    case 'below':
      throw new Error(`"${expr.kind}" in a kernel whose addresses should be explicit`);
  }
}

/** An index: u32. */
export function index(expr: Expr, scope: Scope, frame: Frame): Computed {
  expectType('an index', expr, U32);
  return compileExpr(expr, scope, frame);
}

/** Computed by a loop over all threads, active or not; `work` operations for each active one. */
function elementwise(
  type: Type,
  frame: Frame,
  loop: Loop,
  operands: readonly Computed[],
  work: number,
  careful = false,
): Computed {
  const { machine } = frame.unit;
  const { stats } = machine;
  const [a, b, c] = operands.map((x) => x.values) as [Values, Values, Values];
  const round = type.scalar === 'f16';
  return fresh(type, frame, careful, operands, (out) => {
    loop(out, a, b, c);
    if (round) roundToHalf(out);
    stats.operations += machine.active * work;
  });
}

function literal(expr: Of<'literal'>, frame: Frame): Computed {
  const { value, scalar } = expr;
  const held = makeValues(scalar, 1);
  held[0] = scalar === 'f16' ? nearestHalf(written(value, scalar)) : scalar === 'f32' ? written(value, scalar) : value;
  // An integer or bool that its type does not have would have wrapped.
  if (!isFloat(scalar) && held[0] !== value) throw new TypeError(`${value} is no ${scalar}`);
  return { ...alias(expr, frame.filled(scalar, held[0]!)), constant: true };
}

function unary(expr: Of<'unary'>, scope: Scope, frame: Frame): Computed {
  const x = compileExpr(expr.x, scope, frame);
  expectType(`the operand of ${expr.op}`, x.type, expr);
  const wrong = expr.op === '!' ? expr.scalar !== 'bool' : expr.scalar === 'bool' || expr.scalar === 'u32';
  if (wrong) throw new TypeError(`${expr.op} of ${typeText(expr)}`);
  const loop = expr.op === '!' ? not : isFloat(expr.scalar) ? negateFloat : negateInteger;
  return elementwise(expr, frame, loop, [x], expr.lanes);
}

const COMPARES: ReadonlySet<BinaryOp> = new Set(['<', '<=', '>', '>=', '==', '!=']);

function binary(expr: Of<'binary'>, scope: Scope, frame: Frame): Computed {
  const { op } = expr;
  const a = compileExpr(expr.a, scope, frame);
  const b = compileExpr(expr.b, scope, frame);
  const { scalar, lanes } = a.type;
  const shift = op === '<<' || op === '>>';
  expectType(`the right side of ${op}`, b.type, { scalar: shift ? 'u32' : scalar, lanes });
  expectType(`the result of ${op}`, expr, { scalar: COMPARES.has(op) ? 'bool' : scalar, lanes });
  const loop = binaryLoop(op, scalar);
  if (!loop) throw new TypeError(`${op} of ${typeText(a.type)}`);
  const divides = (op === '/' || op === '%') && !isFloat(scalar);
  if (!divides || (expr.b.kind === 'literal' && expr.b.value !== 0)) {
    return elementwise(expr, frame, loop, [a, b], lanes);
  }
  const checked: Computed = { ...b, run: inOrder([b.run, checkDivisor(b.values, op, frame)]) };
  return elementwise(expr, frame, loop, [a, checked], lanes, true);
}

function checkDivisor(divisor: Values, op: BinaryOp, frame: Frame): Run {
  const { machine } = frame.unit;
  const { place } = frame;
  return () => {
    for (let i = 0; i < divisor.length; i++) {
      if (divisor[i] !== 0) continue;
      const t = i % machine.threads;
      if (machine.mask[t] === 1) machine.report('division-by-zero', op, place, t, `an integer ${op} 0`);
    }
  };
}

/** && and ||: the right side is for the threads whose left side does not settle it. */
function logical(expr: Of<'binary'>, scope: Scope, frame: Frame): Computed {
  const { op, lanes } = expr;
  const a = compileExpr(expr.a, scope, frame);
  const b = compileExpr(expr.b, scope, frame);
  for (const x of [a, b, { type: expr }]) expectType(`${op}`, x.type, { scalar: 'bool', lanes });
  const loop = binaryLoop(op, 'bool')!;
  if (!b.careful || lanes !== 1) return elementwise(expr, frame, loop, [a, b], lanes);
  const { machine } = frame.unit;
  const asks = new Uint8Array(machine.threads);
  const settles = op === '||' ? 1 : 0;
  const right: Computed = {
    ...b,
    run: () => {
      const { mask, active } = machine;
      let count = 0;
      for (let t = 0; t < asks.length; t++) {
        asks[t] = mask[t]! & (a.values[t] === settles ? 0 : 1);
        count += asks[t]!;
      }
      if (count === 0) return;
      machine.mask = asks;
      machine.active = count;
      b.run?.();
      machine.mask = mask;
      machine.active = active;
    },
  };
  return elementwise(expr, frame, loop, [a, right], lanes);
}

/** Types of the arguments of functions that are not of one type throughout. */
const SIGNATURES: Partial<Record<Builtin, { readonly args: readonly Type[]; readonly result: Type }>> = {
  unpack2x16float: { args: [U32], result: { scalar: 'f32', lanes: 2 } },
  pack2x16float: { args: [{ scalar: 'f32', lanes: 2 }], result: U32 },
};

function builtin(expr: Of<'builtin'>, scope: Scope, frame: Frame): Computed {
  const { fn } = expr;
  const args = expr.args.map((x) => compileExpr(x, scope, frame));
  if (args.length !== ARGUMENTS[fn]) throw new TypeError(`${fn} of ${args.length} arguments`);
  const first = args[0]!.type;
  const own = SIGNATURES[fn];
  const wanted = own?.args ?? args.map(() => (fn === 'dot' ? first : expr));
  args.forEach((x, i) => {
    // One condition may be for all components.
    const condition = fn === 'select' && i === 2;
    const want = condition ? { scalar: 'bool' as Scalar, lanes: x.type.lanes === 1 ? 1 : expr.lanes } : wanted[i]!;
    expectType(`argument ${i} of ${fn}`, x.type, want);
  });
  if (own) expectType(fn, expr, own.result);
  const { threads } = frame.unit.machine;
  switch (fn) {
    case 'select':
      return elementwise(expr, frame, choose, args, expr.lanes);
    case 'dot':
      expectType(fn, expr, { scalar: first.scalar, lanes: 1 });
      if (first.lanes === 1 || first.scalar === 'bool') throw new TypeError(`dot of ${typeText(first)}`);
      return elementwise(expr, frame, isFloat(first.scalar) ? dotFloat : dotInteger, args, first.lanes);
    case 'unpack2x16float':
      return elementwise(expr, frame, (o, a) => unpackHalves(o, a, threads), args, 1);
    case 'pack2x16float':
      return elementwise(expr, frame, (o, a) => packHalves(o, a, threads), args, 1);
    default: {
      const loop = builtinLoop(fn, expr.scalar);
      if (!loop) throw new TypeError(`${fn} of ${typeText(expr)}`);
      return elementwise(expr, frame, loop, args, expr.lanes);
    }
  }
}

/** Arguments go to the function's parameters. What inactive threads get there is never looked at. */
export function passArguments(fn: string, args: readonly Expr[], scope: Scope, frame: Frame): Run {
  const callee = frame.unit.functions.get(fn);
  if (!callee) throw new Error(`no function "${fn}" before its use`);
  if (args.length !== callee.params.length) throw new TypeError(`"${fn}" of ${args.length} arguments`);
  const values = args.map((x) => compileExpr(x, scope, frame));
  const passes = values.map((x, i) => {
    const param = callee.params[i]!;
    expectType(`argument ${i} of "${fn}"`, x.type, param.type);
    return () => param.values.set(x.values);
  });
  return inOrder([...values.map((x) => x.run), ...passes, callee.run])!;
}

function call(expr: Of<'call'>, scope: Scope, frame: Frame): Computed {
  const run = passArguments(expr.fn, expr.args, scope, frame);
  const { result } = frame.unit.functions.get(expr.fn)!;
  if (!result) throw new TypeError(`"${expr.fn}" has no result`);
  expectType(`the result of "${expr.fn}"`, expr, result.type);
  return fresh(expr, frame, true, [], (out) => {
    run();
    out.set(result.values);
  });
}

function bitcast(expr: Of<'bitcast'>, scope: Scope, frame: Frame): Computed {
  const x = compileExpr(expr.x, scope, frame);
  const from = x.type;
  const size = ({ scalar, lanes }: Type): number => (scalar === 'bool' ? Number.NaN : scalar === 'f16' ? 2 : 4) * lanes;
  if (size(from) !== size(expr)) throw new TypeError(`the bits of ${typeText(from)} as ${typeText(expr)}`);
  if (from.scalar === expr.scalar) return x;
  const { threads } = frame.unit.machine;
  const bits = (scalar: Scalar, v: Values): Values => {
    const Word = scalar === 'f32' ? Float32Array : scalar === 'i32' ? Int32Array : Uint32Array;
    return new Word(v.buffer as ArrayBuffer, v.byteOffset, v.length);
  };
  if (expr.scalar === 'f16') {
    return fresh(expr, frame, false, [x], (out) => unpackHalves(out, bits('u32', x.values), threads));
  }
  if (from.scalar === 'f16') {
    return fresh(expr, frame, false, [x], (out) => packHalves(bits('u32', out), x.values, threads));
  }
  return alias(expr, bits(expr.scalar, x.values), x);
}

function vector(type: Type, parts: readonly Computed[], frame: Frame, runs: readonly (Run | undefined)[]): Computed {
  for (const p of parts) expectType('a part of a vector', p.type, { scalar: type.scalar, lanes: p.type.lanes });
  const lanes = parts.reduce((sum, p) => sum + p.type.lanes, 0);
  if (lanes !== type.lanes) throw new TypeError(`${typeText(type)} of ${lanes} components`);
  const { threads } = frame.unit.machine;
  const starts = parts.map((_, i) => parts.slice(0, i).reduce((sum, p) => sum + p.type.lanes, 0) * threads);
  const gather = (out: Values): void => {
    for (let i = 0; i < parts.length; i++) out.set(parts[i]!.values, starts[i]!);
  };
  if (parts.every((p) => p.constant)) {
    const values = frame.own(type);
    gather(values);
    return { ...alias(type, values), constant: true };
  }
  const careful = parts.some((p) => p.careful);
  const before = inOrder(runs);
  return fresh(type, frame, careful, [], (out) => {
    before?.();
    gather(out);
  });
}

function component(expr: Of<'component'>, scope: Scope, frame: Frame): Computed {
  const x = compileExpr(expr.x, scope, frame);
  expectType('a component', expr, { scalar: x.type.scalar, lanes: 1 });
  const { lanes } = x.type;
  const { machine } = frame.unit;
  const { threads } = machine;
  if (typeof expr.at === 'number') {
    if (!(Number.isInteger(expr.at) && expr.at >= 0 && expr.at < lanes)) {
      throw new RangeError(`component ${expr.at} of ${typeText(x.type)}`);
    }
    return alias(expr, x.values.subarray(expr.at * threads, (expr.at + 1) * threads), x);
  }
  const at = index(expr.at, scope, frame);
  const { place } = frame;
  return fresh(expr, frame, true, [x, at], (out) => {
    for (let t = 0; t < threads; t++) {
      if (machine.mask[t] === 0) continue;
      const k = at.values[t]!;
      if (k >= lanes) machine.report('out-of-bounds', 'a vector', place, t, outside('a vector', k, lanes));
      out[t] = k < lanes ? x.values[k * threads + t]! : 0;
    }
  });
}

function item(expr: Of<'item'>, scope: Scope, frame: Frame): Computed {
  const { machine, shared } = frame.unit;
  const { place } = frame;
  const entry = scope.find(expr.array);
  const at = index(expr.at, scope, frame);
  if (entry?.kind === 'array') {
    const { array } = entry;
    expectType(`an item of "${expr.array}"`, expr, array.type);
    if (expr.at.kind === 'literal' && expr.at.value < array.count) {
      const size = machine.threads * array.type.lanes;
      return alias(expr, array.values.subarray(expr.at.value * size, (expr.at.value + 1) * size));
    }
    return fresh(expr, frame, true, [at], (out) => readPrivate(machine, array, at.values, out, place));
  }
  const array = entry ? undefined : shared.get(expr.array);
  if (!array) throw new Error(`no array "${expr.array}" in scope`);
  expectType(`an item of "${expr.array}"`, expr, array.type);
  return fresh(expr, frame, true, [at], (out) => readShared(machine, array, at.values, out, place));
}

function collective(expr: Of<'collective'>, scope: Scope, frame: Frame): Computed {
  const { op } = expr;
  const { machine, subgroups } = frame.unit;
  if (!subgroups) throw new Error(`subgroup ${op} in a kernel that does not say how many lanes a subgroup has`);
  const x = compileExpr(expr.x, scope, frame);
  expectType(`subgroup ${op}`, x.type, expr);
  if (expr.scalar === 'bool') throw new TypeError(`subgroup ${op} of bool`);
  const exchanges = op === 'broadcast' || op === 'shuffle' || op === 'shuffle_xor';
  if (exchanges !== (expr.lane !== undefined)) {
    throw new TypeError(`subgroup ${op} ${exchanges ? 'of no lane' : 'of a lane'}`);
  }
  if (exchanges && op !== 'shuffle' && expr.lane?.kind !== 'literal') {
    throw new TypeError(`the lane of subgroup ${op} has to be a literal`);
  }
  const lane = expr.lane && index(expr.lane, scope, frame);
  const { place } = frame;
  return fresh(expr, frame, true, lane ? [x, lane] : [x], (out) => {
    collect(machine, op, subgroups, x.values, lane?.values, out, expr.scalar === 'f16', place);
  });
}
