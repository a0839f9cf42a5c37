/** Control flow of a simulated kernel, how faults are told, and kernels that are refused. */
import { describe, expect, it } from 'vitest';
import {
  add,
  address,
  below,
  binary,
  call,
  collective,
  component,
  convert,
  eq,
  F32,
  F32X4,
  f32,
  fetch,
  item,
  load,
  lt,
  mul,
  name,
  rem,
  splat,
  sub,
  U32,
  u32,
  uint,
  unary,
  vector,
} from '../../../src/codegen/kernel/expr.js';
import { type FaultKind, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { BinaryOp, Expr, KernelFunction, Stmt } from '../../../src/codegen/kernel/types.js';
import { variable } from '../../../src/codegen/read/indexing.js';
import {
  assign,
  floats,
  i,
  kindsOf,
  leave,
  letOf,
  li,
  loop,
  lowered,
  put,
  run,
  valuesOf,
  varOf,
  when,
  words,
  write,
} from './simulate-programs.js';

describe('control flow', () => {
  it('takes the first case that holds', () => {
    const is = (k: number, body: Stmt[]) => ({ when: lt(li, u32(k)), body });
    const cases: Stmt = {
      kind: 'if',
      cases: [is(1, [assign('x', u32(10))]), is(3, [assign('x', u32(20))])],
      otherwise: [assign('x', add(uint('x'), u32(1)))],
    };
    expect(valuesOf(uint('x'), [varOf('x', u32(5)), cases])).toEqual([10, 20, 20, 6]);
  });

  it('lets every thread leave a loop at its own time', () => {
    const body = [assign('x', add(uint('x'), add(uint('k'), u32(1))))];
    expect(valuesOf(uint('x'), [varOf('x', u32(0)), loop('k', li, body)])).toEqual([0, 1, 3, 6]);
    expect(valuesOf(uint('x'), [varOf('x', u32(0)), loop('k', u32(7), body, 3)])).toEqual([12, 12, 12, 12]);
  });

  it('evaluates the end of a loop every turn', () => {
    const body = [assign('end', sub(uint('end'), u32(1))), assign('x', add(uint('x'), u32(1)))];
    expect(
      valuesOf(uint('x'), [varOf('x', u32(0)), varOf('end', mul(li, u32(2))), loop('k', uint('end'), body)]),
    ).toEqual([0, 1, 2, 3]);
  });

  it('gives up on a loop whose end has wrapped', () => {
    const main = (end: Expr): Stmt[] => [loop('k', end, [])];
    expect(run({ main: main(add(li, u32(3))) }, {}).faults).toEqual([]);
    expect(kindsOf(run({ main: main(sub(u32(2), li)) }, {}))).toEqual(['endless-loop']);
  });

  it('forgets a variable at the end of its block, and sets it anew', () => {
    const inner: Stmt[] = [
      { kind: 'var', name: 'y', type: U32 },
      assign('y', add(uint('y'), u32(1))),
      assign('x', add(uint('x'), uint('y'))),
    ];
    expect(valuesOf(uint('x'), [varOf('x', u32(0)), loop('k', u32(3), inner)])).toEqual([3, 3, 3, 3]);
    const shadow: Stmt = { kind: 'block', body: [letOf('x', f32(9)), letOf('z', name('x', F32))] };
    expect(valuesOf(uint('x'), [varOf('x', u32(1)), shadow])).toEqual([1, 1, 1, 1]);
  });

  it('stops a thread that returns', () => {
    const out = { data: words(4), out: true };
    const main = [
      loop('k', u32(3), [when(eq(uint('k'), li), [leave]), when(lt(uint('k'), u32(9)), [letOf('z', u32(0))])]),
      write('out', i, u32(7)),
    ];
    expect(run({ main }, { out }).faults).toEqual([]);
    expect([...out.data]).toEqual([0, 0, 0, 7]);
  });

  it('begins every workgroup with all threads', () => {
    const out = { data: words(8), out: true };
    const [first, last] = [lt(i, u32(2)), lt(u32(5), i)];
    const main = [when(first, [leave]), when(last, [leave]), write('out', i, u32(7))];
    expect(run({ main }, { out }, 2).faults).toEqual([]);
    expect([...out.data]).toEqual([0, 0, 7, 7, 7, 7, 0, 0]);
  });

  const inLoop: KernelFunction = {
    name: 'firstAbove',
    params: [
      { name: 'x', type: U32 },
      { name: 'most', type: U32 },
    ],
    result: U32,
    body: [
      when(eq(uint('x'), u32(0)), [{ kind: 'return', value: u32(100) }]),
      loop('k', uint('most'), [when(lt(uint('x'), mul(uint('k'), uint('k'))), [{ kind: 'return', value: uint('k') }])]),
      { kind: 'return', value: u32(200) },
    ],
  };
  const first = (x: Expr, most: Expr): Expr => call('firstAbove', U32, [x, most]);

  it('calls functions that return early', () => {
    const functions = [inLoop];
    expect(valuesOf(first(li, u32(2)), [], { functions })).toEqual([100, 200, 200, 200]);
    expect(valuesOf(first(li, u32(9)), [], { functions })).toEqual([100, 2, 2, 2]);
    // Two calls in one expression, one of them the argument of the other.
    const twice = sub(first(first(mul(li, u32(9)), u32(9)), u32(99)), first(li, u32(9)));
    expect(valuesOf(twice, [], { functions })).toEqual([11 - 100, 3 - 2, 3 - 2, 3 - 2].map((k) => k >>> 0));
  });

  it('calls functions for their effect, which see their own names alone', () => {
    const log: KernelFunction = {
      name: 'log_it',
      params: [{ name: 'where', type: U32 }],
      body: [when(eq(uint('where'), u32(2)), [leave]), write('out', uint('where'), u32(5))],
    };
    const out = { data: words(4), out: true };
    const main: Stmt[] = [{ kind: 'do', fn: 'log_it', args: [i] }, when(eq(i, u32(2)), [write('out', i, u32(6))])];
    expect(run({ functions: [log], main }, { out }, 1, { results: ['out'] }).faults).toEqual([]);
    expect([...out.data]).toEqual([5, 5, 6, 5]);
    const nosy: KernelFunction = { ...log, body: [letOf('x', i)] };
    expect(() => run({ functions: [nosy], main }, { out })).toThrow('no value "i" in scope');
  });

  it('wants a result from a function that has one', () => {
    const half: KernelFunction = { ...inLoop, body: inLoop.body.slice(0, 1) };
    const main = [letOf('x', call('firstAbove', U32, [u32(0), u32(0)])), letOf('y', first(li, u32(1)))];
    expect(run({ functions: [inLoop], main }, {}).faults).toEqual([]);
    expect(run({ functions: [half], main }, {}).faults).toMatchObject([{ kind: 'no-result', count: 1 }]);
  });

  it.each<[string, Expr, number[], FaultKind[]]>([
    ['within', rem(add(li, u32(1)), u32(3)), [20, 30, 10, 20], []],
    ['beyond', li, [10, 20, 30, 0], ['out-of-bounds']],
  ])('reads private arrays at computed places: %s', (_, at, values, kinds) => {
    const out = { data: words(4), out: true };
    const array: Stmt = { kind: 'array', name: 'p', type: U32, values: [u32(10), u32(20), u32(30)] };
    expect(kindsOf(run({ main: [array, write('out', i, item('p', U32, at))] }, { out }))).toEqual(kinds);
    expect([...out.data]).toEqual(values);
  });

  it('writes private arrays, each thread its own', () => {
    const zero = splat(f32(0), 4);
    const array: Stmt = { kind: 'array', name: 'p', type: F32X4, values: [zero, zero, zero, zero] };
    const value = vector(f32(1), convert(li, 'f32'), f32(2), f32(3));
    const main = [
      array,
      put('p', li, value),
      put('p', u32(0), add(item('p', F32X4, u32(0)), f32(1))),
      when(lt(li, u32(2)), [put('p', u32(1), splat(f32(8), 4))]),
    ];
    const of = (at: number, k: number): number[] => valuesOf(component(item('p', F32X4, u32(at)), k), main);
    expect(of(0, 0)).toEqual([2, 1, 1, 1]);
    expect(of(1, 1)).toEqual([8, 8, 0, 0]);
    expect(of(2, 1)).toEqual([0, 0, 2, 0]);
    expect(of(3, 3)).toEqual([0, 0, 0, 3]);
    expect(kindsOf(run({ main: [array, put('p', add(li, u32(1)), value)] }, {}))).toEqual(['out-of-bounds']);
  });

  it('evaluates the right side of && and || where it matters', () => {
    const a = { data: floats(3, (k) => k) };
    const large = lt(f32(0), fetch('a', F32, i));
    const guarded = (op: BinaryOp, guard: Expr): Stmt[] => [letOf('x', binary(op, guard, large))];
    expect(run({ main: guarded('&&', lt(i, u32(3))) }, { a }).faults).toEqual([]);
    expect(run({ main: guarded('||', lt(u32(2), i)) }, { a }).faults).toEqual([]);
    expect(kindsOf(run({ main: guarded('&', lt(i, u32(3))) }, { a }))).toEqual(['out-of-bounds']);
    expect(kindsOf(run({ main: guarded('&&', lt(i, u32(4))) }, { a }))).toEqual(['out-of-bounds']);
    const guard = lt(i, u32(3));
    const out = { data: words(4), out: true };
    const found = run({ main: [write('out', i, convert(binary('&&', guard, large), 'u32'))] }, { a, out });
    expect(found.stats.loads).toBe(3);
    expect([...out.data]).toEqual([0, 1, 1, 0]);
  });
});

describe('faults', () => {
  it('are one for each kind, subject and statement, and only so many', () => {
    const a = { data: floats(4) };
    const beyond = (k: number): Stmt => letOf(`x${k}`, fetch('a', F32, add(i, u32(k))));
    const main = [1, 2, 3].map(beyond);
    expect(run({ main }, { a }, 2).faults.map((f) => f.count)).toEqual([5, 6, 7]);
    expect(run({ main }, { a }, 2, { maxFaults: 2 }).faults.map((f) => f.count)).toEqual([5, 6]);
    expect(run({ main: [letOf('x0', fetch('a', F32, i))] }, { a }).faults).toEqual([]);
  });
});

describe('a kernel that is none', () => {
  const x = variable('x', 4);
  const float = letOf('f', f32(1));
  const f = name('f', F32);
  it.each<[string, string, Stmt[]]>([
    ['a load', '"load"', [letOf('y', load('a', 'f32', x))]],
    ['a store', '"store"', [{ kind: 'store', buffer: 'out', at: x, value: f32(1), when: [] }]],
    ['an address', '"address"', [letOf('x', i), letOf('y', address(x))]],
    ['below', '"below"', [letOf('x', i), letOf('y', below(x, 3))]],
    ['an unknown name', 'no value "nothing"', [letOf('y', uint('nothing'))]],
    ['a name of another type', '"f" is u32, not f32', [float, letOf('y', uint('f'))]],
    ['a name out of its block', 'no value "f"', [{ kind: 'block', body: [float] }, letOf('y', f)]],
    ['a name twice', '"f" is declared twice', [float, float]],
    ['a constant that is assigned', '"f" is no variable', [float, assign('f', f32(2))]],
    ['a value of another type', '"v" is f32, not u32', [{ kind: 'var', name: 'v', type: U32, value: f32(1) }]],
    ['an index of another type', 'an index is f32', [letOf('y', fetch('a', F32, f32(1)))]],
    ['an item of another type', 'an item of "a" is u32', [letOf('y', fetch('a', U32, i))]],
    ['an unknown buffer', 'no window "b"', [letOf('y', fetch('b', F32, i))]],
    ['an unknown array', 'no array "b"', [letOf('y', item('b', F32, i))]],
    ['a write to what is read', 'no window "a" that can be written', [write('a', i, f32(1))]],
    [
      'operands that differ',
      'the right side of + is u32, not f32',
      [letOf('y', { kind: 'binary', ...F32, op: '+', a: f32(1), b: u32(1) })],
    ],
    ['! of a number', '! of u32', [letOf('y', unary('!', u32(1)))]],
    ['- of u32', '- of u32', [letOf('y', unary('-', u32(1)))]],
    ['bits of floats', '& of f32', [letOf('y', binary('&', f32(1), f32(1)))]],
    ['a condition that is a number', 'a condition is u32', [when(u32(1), [])]],
    ['a literal out of its range', '-1 is no u32', [letOf('y', u32(-1))]],
    ['a component beyond', 'component 2 of vec2<f32>', [letOf('y', component(splat(f32(1), 2), 2))]],
    ['a loop that stands still', 'step 0', [loop('k', u32(3), [], 0)]],
    ['a collective without subgroups', 'how many lanes', [letOf('y', collective('add', f32(1)))]],
    ['an unknown function', 'no function "g"', [{ kind: 'do', fn: 'g', args: [] }]],
    ['a result of main', 'a return with or without a value', [{ kind: 'return', value: f32(1) }]],
  ])('is refused: %s', (_, message, main) => {
    const buffers = { a: { data: floats(4) }, out: { data: floats(4), out: true } };
    expect(run({ main: [] }, buffers).faults).toEqual([]);
    expect(() => run({ main }, buffers)).toThrow(message);
  });

  it('has a buffer for every window, none too short', () => {
    const kernel = lowered({ main: [] }, { a: { data: floats(4) } });
    expect(() => simulate(kernel, [], [1, 1, 1])).toThrow(RangeError);
    expect(() => simulate(kernel, [{ data: floats(3) }], [1, 1, 1])).toThrow(RangeError);
    expect(simulate(kernel, [{ data: floats(4) }], [1, 1, 1]).faults).toEqual([]);
  });

  it('wants a literal for the lane of a broadcast', () => {
    const main = (lane: Expr): Stmt[] => [letOf('y', collective('broadcast', f32(1), lane))];
    expect(run({ subgroup: 4, main: main(u32(1)) }, {}).faults).toEqual([]);
    expect(() => run({ subgroup: 4, main: main(li) }, {})).toThrow(TypeError);
  });
});
