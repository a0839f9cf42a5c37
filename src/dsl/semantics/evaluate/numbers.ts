/** Turning values into what a place needs: whole numbers, sizes, truth values, tensors. */
import { adaptersOf } from '../../../ir/about.js';
import { isBatch, perSample } from '../../../ir/batch.js';
import { build } from '../../../ir/build.js';
import { paramRef } from '../../../ir/graph.js';
import type { DType, Param, Value } from '../../../ir/types.js';
import type { Span } from '../../ast.js';
import type { Engine } from './engine.js';
import { describe, showNumber } from './show.js';
import type { TableVal, Val } from './values.js';

export function whole(engine: Engine, v: Val, what: string, span: Span): number {
  if (v.kind === 'num' && v.whole && Number.isSafeInteger(v.value)) return v.value;
  if (v.kind === 'num' && v.inexact) {
    const left = showNumber(v.inexact.left);
    const right = showNumber(v.inexact.right);
    return engine.report.stop(
      'ESP0303',
      { left, right, what },
      {
        primary: { span: v.inexact.span, text: `${left} / ${right} = ${showNumber(v.inexact.left / v.inexact.right)}` },
        secondary: v.inexact.span.start === span.start ? [] : [{ span, text: `${what} is made of it` }],
      },
    );
  }
  return mismatch(engine, v, what, 'a whole number', span);
}

/** The number, unless it is a multiple of the batch: how many samples there are is known when the program runs. */
export function known<V extends Val>(engine: Engine, v: V, span: Span): V {
  return v.kind === 'num' && isBatch(v.value) ? unknown(engine, showNumber(v.value), span) : v;
}

/** A number that a spec writes or works out must not be one of those that stand for the batch (batch.ts). */
export function ownNumber(engine: Engine, value: number, span: Span): void {
  if (!isBatch(value)) return;
  const about = { what: String(value), value: 'a number that stands for the batch inside of the compiler' };
  engine.report.stop('ESP0227', about, { primary: { span, text: 'take one beside it' } });
}

export function unknown(engine: Engine, what: string, span: Span): never {
  return engine.report.stop('ESP0318', { what }, { primary: { span, text: 'depends on the batch' } });
}

export function number(engine: Engine, v: Val, what: string, span: Span): number {
  return v.kind === 'num' ? known(engine, v, span).value : mismatch(engine, v, what, 'a number', span);
}

export function truth(engine: Engine, v: Val, what: string, span: Span): boolean {
  return v.kind === 'bool' ? v.value : mismatch(engine, v, what, 'true or false', span);
}

/** A whole number of at least 1, or a multiple of the batch. */
export function dimension(engine: Engine, v: Val, what: string, span: Span): number {
  const n = whole(engine, v, what, span);
  if (n < 1) engine.report.stop('ESP0304', { what, found: n }, { primary: { span, text: `this is ${n}` } });
  if (n > 2 ** 31 - 1 && !isBatch(n)) {
    engine.report.stop('ESP0310', { what, limit: 2 ** 31 - 1, found: n }, { primary: { span, text: `this is ${n}` } });
  }
  return n;
}

function mismatch(engine: Engine, v: Val, what: string, expected: string, span: Span): never {
  if (v.kind === 'tensor' || v.kind === 'table') {
    return engine.report.stop('ESP0218', { what }, { primary: { span, text: `this is ${describe(v)}` } });
  }
  return engine.report.stop(
    'ESP0205',
    { what, expected, found: describe(v) },
    { primary: { span, text: `this is ${describe(v)}` } },
  );
}

/** The tensor that a value is; a number becomes a constant, a multiple of the batch what it is at run time, a table a parameter of role `constant`. */
export function tensorOf(engine: Engine, v: Val, span: Span, dtype: DType = 'f32'): Value {
  if (v.kind === 'tensor') return v.value;
  if (v.kind === 'num') {
    if (!isBatch(v.value)) return build.constant(element(engine, v.value, dtype, span), dtype);
    return build.cast(build.mul(build.batchSize(engine.about(span)), perSample(v.value)), dtype);
  }
  if (v.kind === 'bool') return build.constant(v.value ? 1 : 0, 'bool');
  if (v.kind === 'table') return constantOf(engine, v, span);
  return engine.report.stop(
    'ESP0205',
    { what: 'this operand', expected: 'a tensor', found: describe(v) },
    { primary: { span, text: `this is ${describe(v)}` } },
  );
}

/** What elements are, where a number stands beside them. */
const ELEMENTS: Readonly<Record<DType, string>> = {
  f32: 'numbers (f32)',
  f16: 'numbers of half precision (f16)',
  i32: 'whole numbers (i32)',
  u32: 'whole numbers of at least 0 (u32)',
  bool: 'truth values (bool)',
};
const RANGES: Readonly<Record<DType, readonly [least: number, most: number]>> = {
  f32: [-3.4028234663852886e38, 3.4028234663852886e38],
  f16: [-65504, 65504],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  bool: [1, 0],
};

/** What to write instead where an element type stands in the way. */
export function castHelp(dtypes: readonly DType[]): string[] {
  return dtypes.includes('bool')
    ? ['`cast(x, f32)` makes 1 and 0 of truth values; `where(condition, a, b)` chooses between two.']
    : ['`cast(x, f32)` gives the same numbers as f32.'];
}

/** A number as an element of a tensor; refused where it would have to be changed for that. */
export function element(engine: Engine, value: number, dtype: DType, span: Span): number {
  const [least, most] = RANGES[dtype];
  const whole = dtype === 'f32' || dtype === 'f16' || Number.isInteger(value);
  if (whole && value >= least && value <= most) return value;
  const large = whole && dtype !== 'bool';
  return engine.report.stop(
    'ESP0314',
    {
      what: `the number ${showNumber(value)}`,
      why: large
        ? `it is beyond ${showNumber(value < 0 ? least : most)}, where ${dtype} ends`
        : `the tensor beside it holds ${ELEMENTS[dtype]}`,
    },
    { primary: { span, text: `no ${dtype}` }, help: large ? [] : castHelp([dtype]) },
  );
}

/**
 * Equal tables are one parameter, so that twelve blocks with the same window share it; but an adapter's is not the model's, into whose
 * weights adapters merge.
 */
function constantOf(engine: Engine, t: TableVal, span: Span): Value {
  const known = engine.tables;
  const about = engine.about(span);
  const [adapter] = adaptersOf(about);
  const owner = adapter === undefined ? '' : `${adapter}.`;
  const key = `${adapter === undefined ? 'model' : 'adapter'} ${t.dtype}[${t.shape.join(',')}]${hash(t.data)}`;
  const found = known.get(key);
  if (found?.data.every((x, i) => x === t.data[i])) return found.value;
  const type = { dtype: t.dtype, shape: t.shape };
  const data = t.dtype === 'i32' ? Int32Array.from(t.data) : t.dtype === 'bool' ? Uint8Array.from(t.data) : t.data;
  let name = t.name ?? `${owner}table.${known.size}`;
  while (engine.params.get(name)) name = `${name}'`;
  const param: Param = { name, type, role: 'constant', data, about };
  const value = paramRef(param);
  engine.params.add({ name, type, role: 'constant', data, span, value });
  known.set(key, { data: t.data, value });
  return value;
}

/** Two independent 32-bit FNV-style hashes of the elements' bytes. */
function hash(data: Float64Array): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b) ^ (b >>> 13);
  }
  return `${a >>> 0}.${b >>> 0}`;
}
