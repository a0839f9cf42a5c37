/** What single expressions of a simulated kernel are. */
import { describe, expect, it } from 'vitest';
import {
  add,
  binary,
  builtin,
  component,
  convert,
  div,
  dot,
  F32,
  f32,
  fetch,
  i32,
  literal,
  lt,
  mul,
  name,
  rem,
  select,
  splat,
  sub,
  U32,
  u32,
  unpackHalves,
  vector,
} from '../../../src/codegen/kernel/expr.js';
import { printKernel } from '../../../src/codegen/kernel/print.js';
import type { FaultKind } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { BinaryOp, Expr } from '../../../src/codegen/kernel/types.js';
import { fromHalf, toHalf } from '../../../src/ir/run/half.js';
import {
  F32X2,
  floats,
  I32,
  i,
  kindsOf,
  letOf,
  li,
  lowered,
  run,
  valuesOf,
  when,
  words,
  write,
} from './simulate-programs.js';

describe('values', () => {
  const of = (value: Expr): number => valuesOf(value)[3]!;
  const shifted = (op: '<<' | '>>', a: Expr, by: number): Expr => ({ ...a, kind: 'binary', op, a, b: u32(by) });

  it('wraps integers', () => {
    expect(of(add(u32(0xffffffff), u32(2)))).toBe(1);
    expect(of(sub(u32(1), u32(2)))).toBe(0xffffffff);
    expect(of(mul(u32(0xdeadbeef), u32(0xcafebabe)))).toBe(Number((0xdeadbeefn * 0xcafebaben) & 0xffffffffn));
    expect(of(add(i32(0x7fffffff), i32(1)))).toBe(-0x80000000);
    expect(of(mul(i32(-0x80000000), i32(-1)))).toBe(-0x80000000);
    expect(of(div(i32(-0x80000000), i32(-1)))).toBe(-0x80000000);
    expect(of(builtin('abs', i32(-0x80000000)))).toBe(-0x80000000);
    expect(of(div(i32(-7), i32(2)))).toBe(-3);
    expect(of(rem(i32(-7), i32(2)))).toBe(-1);
    expect(of(shifted('>>', i32(-8), 1))).toBe(-4);
    expect(of(shifted('>>', u32(0xfffffff8), 1))).toBe(0x7ffffffc);
    expect(of(shifted('<<', u32(3), 31))).toBe(0x80000000);
    expect(of(binary('|', u32(0x80000000), u32(1)))).toBe(0x80000001);
  });

  it.each<[BinaryOp, Expr, FaultKind[]]>([
    ['/', add(li, u32(1)), []],
    ['/', li, ['division-by-zero']],
    ['%', add(li, u32(1)), []],
    ['%', li, ['division-by-zero']],
    ['/', u32(0), ['division-by-zero']],
  ])('%s divides by all but 0', (op, by, kinds) => {
    expect(kindsOf(run({ main: [letOf('x', binary(op, u32(6), by))] }, {}))).toEqual(kinds);
    expect(run({ main: [when(lt(u32(9), li), [letOf('x', binary(op, u32(6), by))])] }, {}).faults).toEqual([]);
  });

  it('rounds f32 after every operation', () => {
    expect(of(sub(add(f32(2 ** 24), f32(1)), f32(2 ** 24)))).toBe(0);
    expect(of(mul(f32(0.1), f32(3)))).toBe(Math.fround(Math.fround(0.1) * 3));
    const one = f32(1 + 2 ** -12);
    expect(of(builtin('fma', one, one, f32(-1)))).toBe(2 ** -11 + 2 ** -24);
    expect(of(sub(mul(one, one), f32(1)))).toBe(2 ** -11);
    expect(of(dot(vector(f32(1), f32(2 ** -24)), splat(f32(1), 2)))).toBe(1);
    expect(of(dot(vector(f32(-1), one), vector(f32(1), one)))).toBe(2 ** -11);
  });

  it('knows the functions of WGSL', () => {
    const two = f32(2);
    expect([-2.5, -0.5, 0.5, 1.5, 2.5, 2.7].map((x) => of(builtin('round', f32(x))))).toEqual([-2, -0, 0, 2, 2, 3]);
    // A literal is what WGSL can write; results overflow.
    expect(of(f32(Number.NEGATIVE_INFINITY))).toBe(-3.4028234663852886e38);
    expect(of(builtin('round', binary('*', f32(Number.NEGATIVE_INFINITY), two)))).toBe(Number.NEGATIVE_INFINITY);
    expect(of(builtin('floor', f32(-1.5)))).toBe(-2);
    expect(of(builtin('exp', two))).toBe(Math.fround(Math.exp(2)));
    expect(of(builtin('log', two))).toBe(Math.fround(Math.log(2)));
    expect(of(builtin('sqrt', two))).toBe(Math.fround(Math.SQRT2));
    expect(of(builtin('sin', two))).toBe(Math.fround(Math.sin(2)));
    expect(of(builtin('cos', two))).toBe(Math.fround(Math.cos(2)));
    expect(of(builtin('pow', two, f32(10)))).toBe(1024);
    expect(of(builtin('pow', f32(-2), two))).toBeNaN();
    expect(of(builtin('sign', f32(-3)))).toBe(-1);
    expect(of(builtin('clamp', i32(-3), i32(-2), i32(5)))).toBe(-2);
    expect(of(builtin('min', u32(0xffffffff), u32(1)))).toBe(1);
  });

  it('converts by value and by bits', () => {
    expect(of(convert(f32(-1.7), 'i32'))).toBe(-1);
    expect(of(convert(f32(-1.7), 'u32'))).toBe(0);
    expect(of(convert(f32(1e20), 'i32'))).toBe(0x7fffffff);
    expect(of(convert(i32(-1), 'u32'))).toBe(0xffffffff);
    expect(of(convert(u32(0xffffffff), 'f32'))).toBe(2 ** 32);
    expect(of(convert(lt(li, u32(9)), 'f32'))).toBe(1);
    expect(of(convert(convert(f32(0.5), 'bool'), 'u32'))).toBe(1);
    expect(of({ kind: 'bitcast', ...U32, x: f32(-2) })).toBe(0xc0000000);
    expect(of({ kind: 'bitcast', ...F32, x: u32(0xc0000000) })).toBe(-2);
    expect(of({ kind: 'bitcast', ...I32, x: u32(0xc0000000) })).toBe(-0x40000000);
  });

  it('knows every half', () => {
    const count = 0x10000;
    const buffers = {
      bits: { data: words(count, (k) => k | ((0xffff - k) << 16)) },
      low: { data: floats(count), out: true },
      high: { data: floats(count), out: true },
      again: { data: words(count), out: true },
    };
    const halves = name('h', F32X2);
    const main = [
      letOf('h', unpackHalves(fetch('bits', U32, i))),
      write('low', i, component(halves, 0)),
      write('high', i, component(halves, 1)),
      write('again', i, { kind: 'builtin', ...U32, fn: 'pack2x16float', args: [halves] }),
    ];
    expect(run({ threads: 256, main }, buffers, count / 256).faults).toEqual([]);
    const wanted = floats(count, fromHalf);
    expect(buffers.low.data).toEqual(wanted);
    expect(buffers.high.data).toEqual(wanted.slice().reverse());
    const nan = (k: number): boolean => Number.isNaN(fromHalf(k));
    const wrong = [...buffers.again.data].filter((w, k) => !nan(k) && !nan(0xffff - k) && w !== buffers.bits.data[k]);
    expect(wrong).toEqual([]);
  });

  it('rounds to halves, subnormal ones too', () => {
    for (const x of [0.1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -24, 2 ** -25, 3 * 2 ** -25, -0.3e-5]) {
      const half = fromHalf(toHalf(x));
      expect(of(convert(convert(f32(x), 'f16'), 'f32'))).toBe(half);
      // There is no literal for an infinity.
      expect(of(convert(literal(x, 'f16'), 'f32'))).toBe(Math.min(half, 65504));
    }
    const least = convert(literal(Number.NEGATIVE_INFINITY, 'f16'), 'f32');
    expect(of(least)).toBe(-65504);
    const y = { data: floats(1), out: true };
    expect(printKernel(lowered({ main: [write('y', u32(0), least)] }, { y }))).toContain('f32(-65504.0h)');
    const sum = add(literal(2048, 'f16'), literal(1, 'f16'));
    expect(of(convert(sum, 'f32'))).toBe(2048);
    const pair: Expr = { kind: 'bitcast', scalar: 'f16', lanes: 2, x: u32(0x3c004000) };
    expect(of(convert(component(pair, 0), 'f32'))).toBe(2);
    expect(of({ kind: 'bitcast', ...U32, x: pair })).toBe(0x3c004000);
  });

  it.each<[string, Expr, number[], FaultKind[]]>([
    ['within', sub(u32(3), li), [3, 2, 1, 0], []],
    ['beyond', add(li, u32(2)), [2, 3, 0, 0], ['out-of-bounds']],
  ])('takes a component at a computed place: %s', (_, at, values, kinds) => {
    const out = { data: floats(4), out: true };
    const v = vector(f32(0), vector(f32(1), f32(2)), f32(3));
    expect(kindsOf(run({ main: [write('out', i, component(v, at))] }, { out }))).toEqual(kinds);
    expect([...out.data]).toEqual(values);
  });

  it('selects by one condition or by one for each component', () => {
    const [no, yes] = [splat(f32(0), 4), vector(f32(1), f32(2), f32(3), f32(4))];
    const all = (value: Expr, k: number): number[] => valuesOf(component(value, k));
    expect(all(select(no, yes, lt(li, u32(2))), 2)).toEqual([3, 3, 0, 0]);
    const each = lt(vector(u32(0), u32(1), u32(2), u32(3)), li);
    expect(all(select(no, yes, each), 1)).toEqual([0, 0, 2, 2]);
    expect(all(select(no, yes, each), 3)).toEqual([0, 0, 0, 0]);
  });
});
