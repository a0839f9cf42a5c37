/**
 * The verifier on programs built by hand: for every rule, programs that break it beside near twins that keep it, and whole kernels of the
 * shapes that generators emit.
 */
import { describe, expect, it } from 'vitest';
import {
  constIndex,
  div,
  type Index,
  LANE,
  mod,
  scale,
  shift,
  sum,
  unflatten,
  variable,
} from '../../../src/codegen/indexing.js';
import * as e from '../../../src/codegen/kernel/expr.js';
import type { Buffer, Expr, Kernel, KernelFunction, Stmt, Type } from '../../../src/codegen/kernel/types.js';
import { type Rule, type VerifyOptions, verifyKernel } from '../../../src/codegen/kernel/verify.js';

const { u32, f32, uint, add, sub, mul, div: over, rem, lt, F32, F32X4, U32 } = e;
const U32X3: Type = { scalar: 'u32', lanes: 3 };

const let_ = (name: string, value: Expr): Stmt => ({ kind: 'let', name, value });
const var_ = (name: string, type: Type, value?: Expr): Stmt => ({
  kind: 'var',
  name,
  type,
  ...(value ? { value } : {}),
});
const array = (name: string, type: Type, values: readonly Expr[]): Stmt => ({ kind: 'array', name, type, values });
const assign = (name: string, value: Expr): Stmt => ({ kind: 'assign', name, value });
const put = (name: string, at: Expr, value: Expr): Stmt => ({ kind: 'put', array: name, at, value });
const if_ = (when: Expr, body: readonly Stmt[], otherwise?: readonly Stmt[]): Stmt => ({
  kind: 'if',
  cases: [{ when, body }],
  ...(otherwise ? { otherwise } : {}),
});
const for_ = (name: string, from: Expr, below: Expr, step: number, body: readonly Stmt[]): Stmt => ({
  kind: 'for',
  name,
  from,
  below,
  step,
  body,
});
const do_ = (fn: string, ...args: readonly Expr[]): Stmt => ({ kind: 'do', fn, args });
const barrier: Stmt = { kind: 'barrier' };
const ret = (value?: Expr): Stmt => ({ kind: 'return', ...(value ? { value } : {}) });
const store = (
  buffer: string,
  at: Index,
  value: Expr,
  when: readonly { index: Index; below: number }[] = [],
): Stmt => ({ kind: 'store', buffer, at, value, when });
const fn = (name: string, params: readonly [string, Type][], body: readonly Stmt[], result?: Type): KernelFunction => ({
  name,
  params: params.map(([n, type]) => ({ name: n, type })),
  body,
  ...(result ? { result } : {}),
});

const and = (...all: readonly Expr[]): Expr => e.all(all)!;
const xyz = (name: string, at: number): Expr => e.component(e.name(name, U32X3), at);
const thread = uint('thread');
const zero4 = e.splat(f32(0), 4);
const quad = (q: Index): Index => sum(scale(q, 4), LANE);
/** A name of the program as an address's variable. */
const v = variable;

const buffer = (name: string, count: number, more: Partial<Buffer> = {}): Buffer => ({
  name,
  access: name.startsWith('y') ? 'read_write' : 'read',
  element: 'f32',
  count,
  padded: false,
  ...more,
});

/** 64 threads, `x` of 256 elements to read, `y` of 256 to write. */
function kernel(main: readonly Stmt[], more: Partial<Kernel> = {}): Kernel {
  return {
    workgroup: [64, 1, 1],
    inputs: [
      { name: 'tile', builtin: 'workgroup_id' },
      { name: 'thread', builtin: 'local_invocation_index' },
    ],
    buffers: [buffer('x', 256), buffer('y', 256)],
    shared: [],
    functions: [],
    main,
    ...more,
  };
}

const SHARED = {
  shared: [
    { name: 'a', type: F32, count: 64 },
    { name: 'b', type: F32, count: 64 },
  ],
};
/** One subgroup of 8 to a workgroup. */
const LANES: Partial<Kernel> = {
  workgroup: [8, 1, 1],
  subgroup: 8,
  inputs: [
    { name: 'tile', builtin: 'workgroup_id' },
    { name: 'own', builtin: 'subgroup_invocation_id' },
  ],
};
const own = uint('own');

function accepted(k: Kernel, options?: VerifyOptions): void {
  expect(verifyKernel(k, options)).toEqual([]);
}

function rejected(k: Kernel, rule: Rule, what: RegExp, options?: VerifyOptions): void {
  const problems = verifyKernel(k, options);
  expect(problems.map((p) => `${p.rule}: ${p.what} (${p.where})`).join('\n')).toMatch(what);
  // One mistake, one rule: a program that is wrong in one way should not be said to be wrong in others.
  expect([...new Set(problems.map((p) => p.rule))]).toEqual([rule]);
}

/** [what is wrong, the wrong program, what is said, its twin, options for both] */
type Twins = readonly (readonly [string, Kernel, RegExp, Kernel, VerifyOptions?])[];

function twins(rule: Rule, all: Twins): void {
  describe(rule, () => {
    for (const [title, wrong, what, right, options] of all) {
      it(title, () => {
        rejected(wrong, rule, what, options);
        accepted(right, options);
      });
    }
  });
}

const loadOwn = e.load('x', 'f32', v('thread', 64));
const storeOwn = (value: Expr = f32(1)): Stmt => store('y', v('thread', 64), value);
const helper = fn('half', [['t', U32]], [ret(over(uint('t'), u32(2)))], U32);

twins('scope', [
  [
    'an unknown name',
    kernel([let_('i', add(thread, uint('n')))]),
    /n is not declared/,
    kernel([let_('i', add(thread, u32(1)))]),
  ],
  [
    'a name after the end of its block',
    kernel([if_(lt(thread, u32(3)), [let_('i', thread)]), let_('j', uint('i'))]),
    /i is not declared/,
    kernel([let_('i', thread), if_(lt(thread, u32(3)), [let_('j', uint('i'))])]),
  ],
  [
    'a name declared again inside',
    kernel([let_('i', thread), if_(lt(thread, u32(3)), [let_('i', u32(1))])]),
    /i is declared twice/,
    kernel([if_(lt(thread, u32(3)), [let_('i', u32(1))]), let_('i', thread)]),
  ],
  [
    'an assigned let',
    kernel([let_('i', u32(0)), assign('i', u32(1))]),
    /i is not a variable/,
    kernel([var_('i', U32), assign('i', u32(1))]),
  ],
  [
    'an assigned parameter',
    kernel([do_('f', u32(1))], { functions: [fn('f', [['i', U32]], [assign('i', u32(1))])] }),
    /i is not a variable/,
    kernel([do_('f', u32(1))], {
      functions: [fn('f', [['i', U32]], [var_('j', U32, uint('i')), assign('j', u32(1))])],
    }),
  ],
  [
    'an assigned counter',
    kernel([for_('i', u32(0), u32(4), 1, [assign('i', u32(0))])]),
    /i is not a variable/,
    kernel([var_('j', U32), for_('i', u32(0), u32(4), 1, [assign('j', uint('i'))])]),
  ],
  [
    'a function that comes later',
    kernel([do_('g')], { functions: [fn('g', [], [let_('i', e.call('half', U32, [u32(2)]))]), helper] }),
    /half is not a function declared before/,
    kernel([do_('g')], { functions: [helper, fn('g', [], [let_('i', e.call('half', U32, [u32(2)]))])] }),
  ],
  [
    'an unknown buffer',
    kernel([storeOwn(e.load('w', 'f32', v('thread', 64)))]),
    /w is not declared/,
    kernel([storeOwn(loadOwn)]),
  ],
  [
    'an unknown array',
    kernel([put('a', thread, f32(0))]),
    /a is not an array/,
    kernel([put('a', thread, f32(0))], SHARED),
  ],
  [
    'an unknown name in an address',
    kernel([storeOwn(e.load('x', 'f32', sum(v('thread', 64), v('i', 4))))]),
    /i is not declared/,
    kernel([let_('i', u32(3)), storeOwn(e.load('x', 'f32', sum(v('thread', 64), v('i', 4))))]),
  ],
  [
    'a variable called lane that is not LANE',
    kernel([let_('lane', rem(thread, u32(8))), if_(e.below(v('lane', 8), 4), [storeOwn()])]),
    /lane in lane is not LANE/,
    kernel([let_('part', rem(thread, u32(8))), if_(e.below(v('part', 8), 4), [storeOwn()])]),
  ],
]);

twins('type', [
  [
    'operands of two types',
    kernel([let_('i', { ...add(thread, u32(1)), b: f32(1) } as Expr)]),
    /u32 \+ f32/,
    kernel([let_('i', add(thread, u32(1)))]),
  ],
  [
    'a condition that is no bool',
    kernel([if_(thread, [])]),
    /condition is u32, not bool/,
    kernel([if_(lt(thread, u32(1)), [])]),
  ],
  [
    'a vector condition of an if',
    kernel([let_('w', lt(e.LANES, e.splat(thread, 4))), if_(e.name('w', { scalar: 'bool', lanes: 4 }), [])]),
    /condition is vec4<bool>/,
    kernel([
      let_('w', lt(e.LANES, e.splat(thread, 4))),
      if_(e.component(e.name('w', { scalar: 'bool', lanes: 4 }), 0), []),
    ]),
  ],
  [
    'a load of another element',
    kernel([storeOwn(loadOwn)], { buffers: [buffer('x', 256, { element: 'u32' }), buffer('y', 256)] }),
    /x\[thread\] is u32, but taken for f32/,
    kernel([storeOwn(e.convert(e.load('x', 'u32', v('thread', 64)), 'f32'))], {
      buffers: [buffer('x', 256, { element: 'u32' }), buffer('y', 256)],
    }),
  ],
  [
    'a narrow value for a wide store',
    kernel([store('y', quad(v('thread', 64)), loadOwn)]),
    /a store of 4 gets f32/,
    kernel([store('y', quad(v('thread', 64)), e.splat(loadOwn, 4))]),
  ],
  [
    'a store to what is only read',
    kernel([store('x', v('thread', 64), f32(1))]),
    /x is only read/,
    kernel([storeOwn()]),
  ],
  [
    'too few arguments',
    kernel([let_('i', e.call('half', U32, []))], { functions: [helper] }),
    /half takes 1 arguments, not 0/,
    kernel([let_('i', e.call('half', U32, [thread]))], { functions: [helper] }),
  ],
  [
    'an argument of another type',
    kernel([let_('i', e.call('half', U32, [f32(1)]))], { functions: [helper] }),
    /t of half is u32, not f32/,
    kernel([let_('i', e.call('half', U32, [e.convert(f32(1), 'u32')]))], { functions: [helper] }),
  ],
  [
    'a function that may end without its result',
    kernel([], { functions: [fn('f', [['t', U32]], [if_(lt(uint('t'), u32(1)), [ret(u32(1))])], U32)] }),
    /may end without a result/,
    kernel([], { functions: [fn('f', [['t', U32]], [if_(lt(uint('t'), u32(1)), [ret(u32(1))], [ret(u32(2))])], U32)] }),
  ],
  [
    'the value of a function without one',
    kernel([let_('i', e.call('f', U32, []))], { functions: [fn('f', [], [])] }),
    /f has no result/,
    kernel([do_('f')], { functions: [fn('f', [], [])] }),
  ],
  [
    'a component past the end',
    kernel([let_('i', { ...xyz('tile', 2), at: 3 } as Expr)]),
    /component 3 of vec3<u32>/,
    kernel([let_('i', xyz('tile', 2))]),
  ],
  [
    'a logical operator on numbers',
    kernel([let_('c', e.binary('&&', thread, thread))]),
    /u32 && u32/,
    kernel([let_('c', e.binary('&&', lt(thread, u32(9)), lt(u32(1), thread)))]),
  ],
  [
    'a minus before an unsigned number',
    kernel([let_('i', e.unary('-', thread))]),
    /- of u32/,
    kernel([let_('i', e.unary('-', e.convert(thread, 'i32')))]),
  ],
  [
    'a number that takes LANE',
    kernel([let_('i', { kind: 'address', ...U32, index: quad(v('thread', 64)) })]),
    /depends on LANE/,
    kernel([let_('i', e.address(scale(v('thread', 64), 4)))]),
  ],
  [
    'a load of a packed buffer',
    kernel([storeOwn(loadOwn)], { buffers: [buffer('x', 64, { packed: F32X4 }), buffer('y', 256)] }),
    /x is packed/,
    kernel([storeOwn(e.component(e.fetch('x', F32X4, thread), 0))], {
      buffers: [buffer('x', 64, { packed: F32X4 }), buffer('y', 256)],
    }),
  ],
  [
    'a lane that is not a literal',
    kernel([let_('s', e.collective('broadcast', own, own))], LANES),
    /lane of broadcast is no literal/,
    kernel([let_('s', e.collective('shuffle', own, own))], LANES),
  ],
]);

const twice = fn('row', [['r', U32]], [ret(e.load('x', 'f32', scale(v('r', 64), 4)))], F32);
const q = let_('q', add(mul(xyz('tile', 0), u32(64)), thread));

twins('range', [
  [
    'an unguarded number of a thread',
    kernel([q, store('y', v('q', 200), f32(1))]),
    /q is 0\.\.255, but q takes it to be 0\.\.199/,
    kernel([q, if_(lt(uint('q'), u32(200)), [store('y', v('q', 200), f32(1))])]),
    { workgroups: [4, 1, 1] },
  ],
  [
    'a dispatch that is larger than the guard allows',
    kernel([q, if_(lt(uint('q'), u32(201)), [store('y', v('q', 200), f32(1))])]),
    /q is 0\.\.200/,
    kernel([q, if_(lt(uint('q'), u32(200)), [store('y', v('q', 200), f32(1))])]),
  ],
  [
    'a guard after the use',
    kernel([q, store('y', v('q', 200), f32(1)), if_(e.binary('>=', uint('q'), u32(200)), [ret()])]),
    /q is 0/,
    kernel([q, if_(e.binary('>=', uint('q'), u32(200)), [ret()]), store('y', v('q', 200), f32(1))]),
  ],
  [
    'an argument past what a function takes',
    kernel([storeOwn(e.call('row', F32, [add(thread, u32(1))]))], { functions: [twice] }),
    /r is 1\.\.64, but 4\*r takes it to be 0\.\.63/,
    kernel([storeOwn(e.call('row', F32, [e.builtin('min', add(thread, u32(1)), u32(63))]))], { functions: [twice] }),
  ],
  [
    'a guard on something else',
    kernel([q, if_(lt(thread, u32(9)), [store('y', v('q', 200), f32(1))])]),
    /q is 0/,
    kernel([q, if_(and(lt(thread, u32(9)), lt(uint('q'), u32(200))), [store('y', v('q', 200), f32(1))])]),
  ],
  [
    'either of two conditions',
    kernel([q, if_(e.binary('||', lt(uint('q'), u32(200)), lt(thread, u32(9))), [store('y', v('q', 200), f32(1))])]),
    /q is 0/,
    kernel([
      q,
      if_(e.binary('||', e.binary('>=', uint('q'), u32(200)), e.binary('>=', thread, u32(9))), [ret()]),
      store('y', v('q', 200), f32(1)),
    ]),
  ],
  [
    'a difference that may wrap',
    kernel([let_('i', sub(thread, u32(1))), storeOwn(e.load('x', 'f32', v('i', 64)))]),
    /i is 0\.\.4294967295/,
    kernel([if_(lt(u32(0), thread), [let_('i', sub(thread, u32(1))), storeOwn(e.load('x', 'f32', v('i', 64)))])]),
  ],
  [
    'a variable that grows in a loop',
    kernel([
      var_('i', U32),
      for_('n', u32(0), u32(9), 1, [storeOwn(e.load('x', 'f32', v('i', 64))), assign('i', add(uint('i'), u32(1)))]),
    ]),
    /i is 0/,
    kernel([
      var_('i', U32),
      for_('n', u32(0), u32(9), 1, [
        storeOwn(e.load('x', 'f32', v('i', 64))),
        assign('i', e.builtin('min', add(uint('i'), u32(1)), u32(63))),
      ]),
    ]),
  ],
  [
    'a variable that one branch sets too high',
    kernel([var_('i', U32), if_(lt(thread, u32(3)), [assign('i', u32(64))]), storeOwn(e.load('x', 'f32', v('i', 64)))]),
    /i is 0\.\.64/,
    kernel([var_('i', U32), if_(lt(thread, u32(3)), [assign('i', u32(63))]), storeOwn(e.load('x', 'f32', v('i', 64)))]),
  ],
  [
    'a sum that may wrap before it is divided',
    kernel([q, store('y', constIndex(0), f32(1), [{ index: div(scale(v('q', 2 ** 30), 7), 25), below: 9 }])]),
    /7\*q may be no u32/,
    kernel([
      q,
      if_(lt(uint('q'), u32(27)), [
        store('y', constIndex(0), f32(1), [{ index: div(scale(v('q', 2 ** 30), 7), 25), below: 9 }]),
      ]),
    ]),
    { workgroups: [2 ** 24, 1, 1] },
  ],
]);

const padded = { buffers: [buffer('x', 254, { padded: true }), buffer('y', 256)] };
const bare = { buffers: [buffer('x', 254), buffer('y', 256)] };
const wide = e.load('x', 'f32', quad(v('thread', 64)));
const storeWide = (value: Expr): Stmt => store('y', quad(v('thread', 64)), value);
const packedX = { buffers: [buffer('x', 63, { packed: F32X4 }), buffer('y', 256)] };

twins('bounds', [
  [
    'a load past the end',
    kernel([storeOwn(e.load('x', 'f32', shift(scale(v('thread', 64), 4), 4)))]),
    /x has 256 elements to read, the address is 4\.\.256/,
    kernel([storeOwn(e.load('x', 'f32', shift(scale(v('thread', 64), 4), 3)))]),
  ],
  [
    'four where the last ones are not there',
    kernel([storeWide(wide)], bare),
    /x has 254 .* 0\.\.255/,
    kernel([storeWide(wide)], padded),
  ],
  [
    'one in the padding',
    kernel([storeOwn(e.load('x', 'f32', shift(scale(v('thread', 64), 4), 2)))], padded),
    /x has 254/,
    kernel([storeOwn(e.load('x', 'f32', shift(scale(v('thread', 64), 4), 1)))], padded),
  ],
  [
    'a load before the start',
    kernel([storeOwn(e.load('x', 'f32', shift(v('thread', 64), -1)))]),
    /the address is -1\.\.62/,
    kernel([if_(e.below(shift(v('thread', 64), -1), 64), [storeOwn(e.load('x', 'f32', shift(v('thread', 64), -1)))])]),
  ],
  [
    'a store without its condition',
    kernel(
      [store('y', sum(scale(v('thread', 64), 4), v('i', 7)), f32(1))]
        .map((s) => s)
        .toSpliced(0, 0, let_('i', rem(thread, u32(7)))),
    ),
    /y has 256 elements to write, the address is 0\.\.258/,
    kernel([
      let_('i', rem(thread, u32(7))),
      store('y', sum(scale(v('thread', 64), 4), v('i', 7)), f32(1), [{ index: v('i', 7), below: 4 }]),
    ]),
  ],
  [
    'a store whose condition is too weak for the last lanes',
    kernel([store('y', shift(quad(v('thread', 64)), 2), zero4, [{ index: quad(v('thread', 64)), below: 255 }])]),
    /the address is/,
    kernel([store('y', shift(quad(v('thread', 64)), 2), zero4, [{ index: quad(v('thread', 64)), below: 254 }])]),
  ],
  [
    'a fetch past the end',
    kernel([storeWide(e.fetch('x', F32X4, thread))], packedX),
    /x has 63 elements, the index is 0\.\.63/,
    kernel([storeWide(e.fetch('x', F32X4, e.builtin('min', thread, u32(62))))], packedX),
  ],
  [
    'an item past the end of a private array',
    kernel([array('s', F32, [f32(1), f32(2)]), for_('i', u32(0), u32(3), 1, [storeOwn(e.item('s', F32, uint('i')))])]),
    /s has 2 elements, the index is 0\.\.2/,
    kernel([array('s', F32, [f32(1), f32(2)]), for_('i', u32(0), u32(2), 1, [storeOwn(e.item('s', F32, uint('i')))])]),
  ],
  [
    'a put past the end of workgroup memory',
    kernel([put('a', add(thread, u32(1)), f32(0))], SHARED),
    /a has 64 elements, the index is 1\.\.64/,
    kernel([if_(lt(thread, u32(63)), [put('a', add(thread, u32(1)), f32(0))])], SHARED),
  ],
  [
    'a component at a place that may be too large',
    kernel([storeOwn(e.component(wide, rem(thread, u32(5))))]),
    /the vector has 4 elements, the index is 0\.\.4/,
    kernel([storeOwn(e.component(wide, rem(thread, u32(4))))]),
  ],
]);

const far = (speculative: boolean): Expr => e.load('x', 'f32', shift(scale(v('thread', 64), 8), 1), speculative);
const inside = lt(thread, u32(31));
const chosen = e.select(f32(0), far(true), inside);

twins('speculation', [
  ['stored', kernel([storeOwn(far(true))]), /used as what is stored/, kernel([storeOwn(chosen)])],
  [
    'stored by a name, after arithmetic',
    kernel([let_('s', add(far(true), f32(1))), storeOwn(mul(e.name('s', F32), f32(2)))]),
    /used as what is stored/,
    kernel([let_('s', add(far(true), f32(1))), storeOwn(e.select(f32(0), mul(e.name('s', F32), f32(2)), inside))]),
  ],
  [
    'one element of a vector',
    kernel([storeWide(e.vector(f32(0), far(true), f32(0), f32(0)))]),
    /used as what is stored/,
    kernel([storeWide(e.vector(f32(0), chosen, f32(0), f32(0)))]),
  ],
  [
    'kept in a variable',
    kernel([var_('s', F32), assign('s', far(true))]),
    /used as the value of s/,
    kernel([var_('s', F32), assign('s', chosen)]),
  ],
  [
    'put',
    kernel([put('a', thread, far(true))], SHARED),
    /used as an element of a/,
    kernel([put('a', thread, chosen)], SHARED),
  ],
  [
    'passed on',
    kernel([do_('f', far(true))], { functions: [fn('f', [['s', F32]], [])] }),
    /used as an argument of f/,
    kernel([do_('f', chosen)], { functions: [fn('f', [['s', F32]], [])] }),
  ],
  [
    'returned',
    kernel([storeOwn(e.call('f', F32, [thread]))], { functions: [fn('f', [['thread', U32]], [ret(far(true))], F32)] }),
    /used as a result/,
    kernel([storeOwn(e.call('f', F32, [thread]))], { functions: [fn('f', [['thread', U32]], [ret(chosen)], F32)] }),
  ],
  [
    'in a condition',
    kernel([if_(lt(far(true), f32(1)), [storeOwn()])]),
    /used as a condition/,
    kernel([if_(lt(chosen, f32(1)), [storeOwn()])]),
  ],
  [
    'as what selects',
    kernel([storeOwn(e.select(f32(0), f32(1), lt(far(true), f32(1))))]),
    /used as the condition of a select/,
    kernel([storeOwn(e.select(f32(0), f32(1), lt(chosen, f32(1))))]),
  ],
  [
    'in an address',
    kernel([
      let_('i', e.builtin('min', e.convert(far(true), 'u32'), u32(9))),
      storeOwn(e.load('x', 'f32', v('i', 10))),
    ]),
    /i is speculative, and part of an address/,
    kernel([let_('i', e.builtin('min', e.convert(chosen, 'u32'), u32(9))), storeOwn(e.load('x', 'f32', v('i', 10)))]),
  ],
]);

const swap = (x: Expr): Expr => e.collective('shuffle_xor', x, u32(1));
const value = e.load('x', 'f32', v('own', 8));

twins('flow', [
  [
    'a shuffle under a condition on the lane',
    kernel([if_(lt(own, u32(4)), [let_('s', swap(value))])], LANES),
    /shuffle_xor where not all lanes/,
    kernel([if_(lt(xyz('tile', 0), u32(4)), [let_('s', swap(value))])], LANES),
  ],
  [
    'a barrier after threads have returned',
    kernel([if_(lt(thread, u32(9)), [ret()]), barrier]),
    /a barrier where not all threads/,
    kernel([if_(lt(xyz('tile', 0), u32(9)), [ret()]), barrier]),
  ],
  [
    'a barrier in a loop of as many turns as a thread needs',
    kernel([for_('i', thread, u32(64), 1, [barrier])]),
    /a barrier where/,
    kernel([for_('i', xyz('tile', 0), u32(64), 1, [barrier])]),
  ],
  [
    'a barrier under a condition on what was loaded',
    kernel([if_(lt(e.load('x', 'f32', v('thread', 64)), f32(1)), [barrier])]),
    /a barrier where/,
    kernel([if_(lt(e.load('x', 'f32', constIndex(3)), f32(1)), [barrier])]),
  ],
  [
    'a condition on what others may write',
    kernel([if_(lt(e.load('y', 'f32', constIndex(3)), f32(1)), [barrier])]),
    /a barrier where/,
    kernel([if_(lt(e.load('x', 'f32', constIndex(3)), f32(1)), [barrier])]),
  ],
  [
    'a variable that threads set apart',
    kernel([var_('i', U32), if_(lt(thread, u32(9)), [assign('i', u32(1))]), if_(lt(uint('i'), u32(1)), [barrier])]),
    /a barrier where/,
    kernel([
      var_('i', U32),
      if_(lt(xyz('tile', 0), u32(9)), [assign('i', u32(1))]),
      if_(lt(uint('i'), u32(1)), [barrier]),
    ]),
  ],
  [
    'a variable that is set apart at the end of a turn',
    kernel([
      var_('i', U32),
      for_('n', u32(0), u32(4), 1, [if_(lt(uint('i'), u32(1)), [barrier]), assign('i', thread)]),
    ]),
    /a barrier where/,
    kernel([
      var_('i', U32),
      for_('n', u32(0), u32(4), 1, [if_(lt(uint('i'), u32(1)), [barrier]), assign('i', xyz('tile', 0))]),
    ]),
  ],
  [
    'a return of some at the end of a turn',
    kernel([for_('n', u32(0), u32(4), 1, [barrier, if_(lt(thread, uint('n')), [ret()])])]),
    /a barrier where/,
    kernel([for_('n', u32(0), u32(4), 1, [barrier, if_(lt(xyz('tile', 0), uint('n')), [ret()])])]),
  ],
  [
    'a return that all take who are in a branch that some take',
    kernel([if_(lt(thread, u32(9)), [if_(lt(xyz('tile', 0), u32(1)), [ret()])]), barrier]),
    /a barrier where/,
    kernel([if_(lt(xyz('tile', 1), u32(9)), [if_(lt(xyz('tile', 0), u32(1)), [ret()])]), barrier]),
  ],
  [
    'an end of a loop that its turns change',
    kernel([var_('i', U32, u32(3)), for_('n', u32(0), uint('i'), 1, [assign('i', u32(2))])]),
    /the end of the loop may change/,
    kernel([var_('i', U32, u32(3)), let_('end', uint('i')), for_('n', u32(0), uint('end'), 1, [assign('i', u32(2))])]),
  ],
  [
    'a function with a collective, called by some lanes',
    kernel([if_(lt(own, u32(4)), [let_('s', e.call('f', F32, [value]))])], {
      ...LANES,
      functions: [fn('f', [['s', F32]], [ret(e.collective('add', e.name('s', F32)))], F32)],
    }),
    /add where not all lanes/,
    // Its result is the same for all, so what it decides all do.
    kernel(
      [let_('s', e.call('f', F32, [value])), if_(lt(e.name('s', F32), f32(1)), [let_('t', swap(value)), barrier])],
      {
        ...LANES,
        functions: [fn('f', [['s', F32]], [ret(e.collective('add', e.name('s', F32)))], F32)],
      },
    ),
  ],
  [
    'a barrier where only a subgroup is of one mind',
    kernel([let_('s', e.collective('broadcast', own, u32(0))), if_(lt(uint('s'), u32(1)), [barrier])], {
      ...LANES,
      workgroup: [16, 1, 1],
    }),
    /a barrier where/,
    kernel([let_('s', e.collective('broadcast', own, u32(0))), if_(lt(uint('s'), u32(1)), [barrier])], LANES),
  ],
  [
    'a collective that only some come to, by a shortcut',
    kernel([let_('s', and(lt(own, u32(4)), lt(swap(value), f32(1))))], LANES),
    /shuffle_xor where/,
    kernel([let_('s', and(lt(swap(value), f32(1)), lt(own, u32(4))))], LANES),
  ],
]);

twins('lanes', [
  [
    'a broadcast of a lane that is not there',
    kernel([let_('s', e.collective('broadcast', own, u32(8)))], LANES),
    /lane 8, of 8/,
    kernel([let_('s', e.collective('broadcast', own, u32(7)))], LANES),
  ],
  [
    'a shuffle to a lane that may not be there',
    kernel([let_('s', e.collective('shuffle', own, add(own, u32(1))))], LANES),
    /8 lanes, the lane is 1\.\.8/,
    kernel([let_('s', e.collective('shuffle', own, rem(add(own, u32(1)), u32(8))))], LANES),
  ],
  [
    'a distance that is no power of two',
    kernel([let_('s', e.collective('shuffle_xor', own, u32(3)))], LANES),
    /by 3, no power of two/,
    kernel([let_('s', e.collective('shuffle_xor', own, u32(4)))], LANES),
  ],
  [
    'a subgroup of 12',
    kernel([], { ...LANES, workgroup: [24, 1, 1], subgroup: 12 }),
    /no subgroup has 12 lanes/,
    kernel([], { ...LANES, workgroup: [24, 1, 1], subgroup: 8 }),
  ],
  [
    'a workgroup of one and a half subgroups',
    kernel([], { ...LANES, workgroup: [12, 1, 1] }),
    /12 is no multiple of 8/,
    kernel([], { ...LANES, workgroup: [4, 4, 1] }),
  ],
  [
    'a collective without a size',
    kernel([let_('s', e.collective('add', thread))]),
    /add without a known number of lanes/,
    kernel([let_('s', e.collective('add', thread))], { subgroup: 32 }),
  ],
  [
    'a lane number without a size',
    kernel([], { inputs: LANES.inputs! }),
    /subgroup_invocation_id without/,
    kernel([], { inputs: LANES.inputs!, subgroup: 64 }),
  ],
  [
    'a condition that lanes of an address may not share',
    kernel([if_(e.below(quad(v('thread', 64)), 250), [storeWide(zero4)])]),
    /may differ between the four/,
    kernel([if_(e.below(quad(v('thread', 64)), 252), [storeWide(zero4)])]),
  ],
]);

const itemA = (at: Expr): Expr => e.item('a', F32, at);
const neighbour = rem(add(thread, u32(1)), u32(64));

twins('shared', [
  [
    'a missing barrier between a put and a read',
    kernel([put('a', thread, f32(1)), storeOwn(itemA(neighbour))], SHARED),
    /read before a put and a barrier|another thread may have put/,
    kernel([put('a', thread, f32(1)), barrier, storeOwn(itemA(neighbour))], SHARED),
  ],
  [
    'a read of what nobody put',
    kernel([storeOwn(itemA(thread))], SHARED),
    /a is read before a put/,
    kernel([put('a', thread, f32(1)), storeOwn(itemA(thread))], SHARED),
  ],
  [
    'a put on one of two paths',
    kernel([if_(lt(xyz('tile', 0), u32(3)), [put('a', thread, f32(1))]), barrier, storeOwn(itemA(neighbour))], SHARED),
    /a is read before a put/,
    kernel(
      [
        if_(lt(xyz('tile', 0), u32(3)), [put('a', thread, f32(1))], [put('a', thread, f32(2))]),
        barrier,
        storeOwn(itemA(neighbour)),
      ],
      SHARED,
    ),
  ],
  [
    'a put of what others may still read',
    kernel([put('a', thread, f32(1)), barrier, let_('s', itemA(neighbour)), put('a', thread, f32(2))], SHARED),
    /a is put where another thread may have read/,
    kernel([put('a', thread, f32(1)), barrier, let_('s', itemA(neighbour)), barrier, put('a', thread, f32(2))], SHARED),
  ],
  [
    'a put of what others read in the turn before',
    kernel([for_('n', u32(0), u32(4), 1, [put('a', thread, f32(1)), barrier, let_('s', itemA(neighbour))])], SHARED),
    /a is put where another thread may have read/,
    kernel(
      [for_('n', u32(0), u32(4), 1, [put('a', thread, f32(1)), barrier, let_('s', itemA(neighbour)), barrier])],
      SHARED,
    ),
  ],
  [
    'one element that all put',
    kernel([put('a', u32(0), loadOwn), barrier], SHARED),
    /two threads may put the same element of a/,
    kernel([if_(e.eq(thread, u32(0)), [put('a', u32(0), loadOwn)]), barrier, storeOwn(itemA(u32(0)))], SHARED),
  ],
  [
    'halves of a tree that meet',
    kernel(
      [
        put('a', thread, f32(1)),
        barrier,
        if_(lt(thread, u32(33)), [put('a', thread, add(itemA(thread), itemA(add(thread, u32(31)))))]),
      ],
      SHARED,
    ),
    /another thread may have read/,
    kernel(
      [
        put('a', thread, f32(1)),
        barrier,
        if_(lt(thread, u32(32)), [put('a', thread, add(itemA(thread), itemA(add(thread, u32(32)))))]),
      ],
      SHARED,
    ),
  ],
  [
    'a tree of rows without its guard',
    kernel(
      [put('a', thread, f32(1)), barrier, put('a', thread, itemA(e.builtin('min', add(thread, u32(8)), u32(63))))],
      SHARED,
    ),
    /another thread may have read/,
    kernel(
      [
        put('a', thread, f32(1)),
        barrier,
        if_(lt(rem(thread, u32(16)), u32(8)), [put('a', thread, itemA(add(thread, u32(8))))]),
      ],
      SHARED,
    ),
  ],
  [
    'one element that threads put in two branches',
    kernel([if_(lt(thread, u32(32)), [put('a', thread, f32(1))], [put('a', sub(thread, u32(32)), f32(2))])], SHARED),
    /two threads may put the same element/,
    kernel([if_(lt(thread, u32(32)), [put('a', thread, f32(1))], [put('a', thread, f32(2))])], SHARED),
  ],
  [
    'a read in one branch of what the other puts',
    kernel(
      [
        put('a', thread, f32(1)),
        barrier,
        if_(lt(thread, u32(32)), [put('a', thread, f32(1))], [storeOwn(itemA(sub(thread, u32(32))))]),
      ],
      SHARED,
    ),
    /another thread may have put/,
    kernel(
      [
        put('a', thread, f32(1)),
        barrier,
        if_(lt(thread, u32(32)), [put('a', thread, f32(1))], [storeOwn(itemA(thread))]),
      ],
      SHARED,
    ),
  ],
  [
    'one element that some put before they return, and others in the other branch',
    kernel(
      [
        if_(
          lt(thread, u32(32)),
          [if_(lt(xyz('tile', 0), u32(1)), [put('a', thread, f32(1)), ret()])],
          [put('a', sub(thread, u32(32)), f32(2))],
        ),
      ],
      SHARED,
    ),
    /two threads may put the same element/,
    kernel(
      [
        if_(
          lt(thread, u32(32)),
          [if_(lt(xyz('tile', 0), u32(1)), [put('a', thread, f32(1)), ret()])],
          [put('a', thread, f32(2))],
        ),
      ],
      SHARED,
    ),
  ],
  [
    'elements that move with a loop',
    kernel(
      [for_('n', u32(0), u32(4), 1, [if_(lt(thread, u32(16)), [put('a', add(thread, uint('n')), f32(1))])])],
      SHARED,
    ),
    /two threads may put the same element/,
    kernel(
      [for_('n', u32(0), u32(4), 1, [if_(lt(thread, u32(16)), [put('a', add(thread, uint('n')), f32(1))]), barrier])],
      SHARED,
    ),
  ],
]);

describe('kernels as generators write them', () => {
  /** Contraction y[z, row, col] = sum of a and b over k, with nothing a multiple of anything. */
  const [batch, m, kTotal, n] = [3, 10, 18, 22];
  const [k4, col4] = [v('k4', 5), v('col4', 6)];
  const loadA = fn(
    'load_a4',
    [
      ['z', U32],
      ['row', U32],
      ['k', U32],
    ],
    [
      var_('a', F32X4),
      if_(and(lt(uint('row'), u32(m)), lt(uint('k'), u32(kTotal))), [
        let_('k4', over(uint('k'), u32(4))),
        let_(
          'v0',
          e.vector(
            ...[0, 1, 2, 3].map((lane) =>
              e.load(
                'x',
                'f32',
                sum(scale(v('z', batch), m * kTotal), scale(v('row', m), kTotal), scale(k4, 4), constIndex(lane)),
                true,
              ),
            ),
          ),
        ),
        assign('a', e.select(zero4, e.name('v0', F32X4), lt(add(e.splat(uint('k'), 4), e.LANES), u32(kTotal)))),
      ]),
      ret(e.name('a', F32X4)),
    ],
    F32X4,
  );
  const store4 = fn(
    'store4',
    [
      ['z', U32],
      ['row', U32],
      ['col', U32],
      ['s', F32X4],
    ],
    [
      let_('col4', over(uint('col'), u32(4))),
      store('y', sum(scale(v('z', batch), m * n), scale(v('row', m), n), quad(col4)), e.name('s', F32X4), [
        { index: quad(col4), below: n },
      ]),
    ],
  );
  const blocks = { n: Math.ceil(n / 32), k: Math.ceil(kTotal / 16) };
  /** Weights packed in tiles of 16 by 32. */
  const weight4 = fn(
    'weight4',
    [
      ['z', U32],
      ['k', U32],
      ['past', U32],
    ],
    [
      let_('column', e.builtin('min', uint('past'), u32(blocks.n * 32 - 4))),
      let_(
        'halves',
        e.fetch(
          'weight',
          { scalar: 'u32', lanes: 2 },
          add(
            add(
              mul(add(mul(over(uint('column'), u32(32)), u32(blocks.k)), over(uint('k'), u32(16))), u32(128)),
              mul(rem(uint('k'), u32(16)), u32(8)),
            ),
            over(rem(uint('column'), u32(32)), u32(4)),
          ),
        ),
      ),
      ret(
        e.vector(...[0, 1].map((i) => e.unpackHalves(e.component(e.name('halves', { scalar: 'u32', lanes: 2 }), i)))),
      ),
    ],
    F32X4,
  );
  const loadB = fn(
    'load_b4',
    [
      ['z', U32],
      ['k', U32],
      ['past', U32],
    ],
    [
      let_('column', e.builtin('min', uint('past'), u32(20))),
      let_('at', e.builtin('min', uint('k'), u32(kTotal - 1))),
      let_('col4', over(uint('column'), u32(4))),
      let_(
        's',
        e.vector(
          ...[0, 1, 2, 3].map((lane) =>
            e.load(
              'w',
              'f32',
              sum(scale(v('z', batch), kTotal * n), scale(v('at', kTotal), n), scale(col4, 4), constIndex(lane)),
              true,
            ),
          ),
        ),
      ),
      ret(e.select(zero4, e.name('s', F32X4), lt(add(e.splat(uint('column'), 4), e.LANES), u32(n)))),
    ],
    F32X4,
  );
  const contraction = {
    buffers: [
      buffer('x', batch * m * kTotal),
      buffer('w', batch * kTotal * n),
      buffer('weight', blocks.n * blocks.k * 128, { element: 'u32', packed: { scalar: 'u32', lanes: 2 } }),
      buffer('y', batch * m * n),
    ],
    functions: [loadA, loadB, weight4, store4],
  };
  const F = (name: string): Expr => e.name(name, F32X4);
  const paddedK = blocks.k * 16;
  const epilogue = (conditions: readonly Expr[], count: number): Stmt[] => [
    array(
      'sums',
      F32X4,
      Array.from({ length: count }, (_, i) => F(`c${i}`)),
    ),
    for_('i', u32(0), u32(count), 1, [
      let_('r', add(uint('row'), uint('i'))),
      let_('c', uint('column')),
      if_(and(...conditions), [do_('store4', uint('z'), uint('r'), uint('c'), e.item('sums', F32X4, uint('i')))]),
    ]),
  ];
  const product = (weights: string, count: number, take: (k: number, r: number) => Expr): Stmt[] =>
    [0, 1, 2, 3].flatMap((k) => [
      let_(`b${k}`, e.call(weights, F32X4, [uint('z'), add(uint('k'), u32(k)), uint('column')])),
      ...Array.from({ length: count }, (_, r) =>
        assign(`c${r}`, e.builtin('fma', e.splat(take(k, r), 4), F(`b${k}`), F(`c${r}`))),
      ),
    ]);
  const registers = (weights: string, rowGuard = true): Kernel => ({
    workgroup: [8, 8, 1],
    inputs: [{ name: 'tile', builtin: 'global_invocation_id' }],
    shared: [],
    ...contraction,
    main: [
      let_('z', xyz('tile', 2)),
      let_('row', mul(xyz('tile', 1), u32(2))),
      let_('column', mul(xyz('tile', 0), u32(4))),
      var_('c0', F32X4),
      var_('c1', F32X4),
      for_('k', u32(0), u32(paddedK), 4, [
        ...[0, 1].map((r) => let_(`a${r}`, e.call('load_a4', F32X4, [uint('z'), add(uint('row'), u32(r)), uint('k')]))),
        ...product(weights, 2, (k, r) => e.component(F(`a${r}`), k)),
      ]),
      ...epilogue([...(rowGuard ? [lt(uint('r'), u32(m))] : []), lt(uint('c'), u32(n))], 2),
    ],
  });
  const subgroups = (weights: string): Kernel => ({
    ...LANES,
    workgroup: [8, 1, 1],
    inputs: LANES.inputs!,
    shared: [],
    ...contraction,
    main: [
      let_('group', add(mul(xyz('tile', 1), u32(5)), xyz('tile', 0))),
      let_('z', over(uint('group'), u32(3))),
      let_('row', mul(rem(uint('group'), u32(3)), u32(4))),
      let_('column', mul(own, u32(4))),
      ...[0, 1, 2, 3].map((r) => var_(`c${r}`, F32X4)),
      for_('k', u32(0), u32(paddedK), 8, [
        let_(
          'a',
          e.call('load_a4', F32X4, [
            uint('z'),
            add(uint('row'), rem(own, u32(4))),
            add(uint('k'), mul(u32(4), rem(over(own, u32(4)), u32(2)))),
          ]),
        ),
        ...product(weights, 4, (k, r) => e.collective('broadcast', e.component(F('a'), k), u32(r))),
      ]),
      ...epilogue([lt(uint('z'), u32(batch)), lt(uint('r'), u32(m)), lt(uint('c'), u32(n))], 4),
    ],
  });
  const dispatch: VerifyOptions = { workgroups: [1, 1, batch] };

  it.each(['weight4', 'load_b4'])('a product in registers, with %s', (weights) => {
    accepted(registers(weights), dispatch);
  });
  it('a product without a guard for the last rows, or with too many batches', () => {
    rejected(registers('weight4', false), 'range', /row is 0\.\.15.*store4.*called by main/, dispatch);
    rejected(registers('load_b4'), 'range', /z is 0\.\.3/, { workgroups: [1, 1, batch + 1] });
  });
  it('a product through subgroups, its tiles counted in one row', () => {
    // Nine tiles in rows of five: the tenth has no batch, and a load that does not ask for it reads past the end.
    rejected(subgroups('weight4'), 'range', /z is 0\.\.3.*load_a4/, { workgroups: [5, 2, 1] });
    const clamped = subgroups('weight4');
    const main = clamped.main.map((s) =>
      s.kind === 'for'
        ? {
            ...s,
            body: [
              let_('zz', e.builtin('min', uint('z'), u32(batch - 1))),
              ...s.body.map((t) =>
                t.kind === 'let' && t.value.kind === 'call'
                  ? { ...t, value: { ...t.value, args: [uint('zz'), ...t.value.args.slice(1)] } }
                  : t,
              ),
            ],
          }
        : s,
    );
    accepted({ ...clamped, main }, { workgroups: [5, 2, 1] });
  });

  it('a pointwise kernel on four elements at a time, through views', () => {
    const [rows, columns] = [30, 24];
    const quads = (rows * columns) / 4;
    const at = quad(v('q', quads));
    const [r, c] = unflatten(at, [rows, columns]) as [Index, Index];
    const rolled = sum(scale(mod(shift(r, 7), rows), columns), c);
    const main = (end: number): Stmt[] => [
      let_('q', add(mul(add(mul(xyz('tile', 1), u32(2)), xyz('tile', 0)), u32(64)), thread)),
      if_(e.binary('>=', uint('q'), u32(end)), [ret()]),
      let_('row', e.load('bias', 'f32', r)),
      let_('v0', add(e.load('x', 'f32', rolled), e.name('row', F32))),
      store('y', at, e.name('v0', F32X4)),
    ];
    const more = { buffers: [buffer('x', rows * columns), buffer('bias', rows), buffer('y', rows * columns)] };
    accepted(kernel(main(quads), more), { workgroups: [2, 2, 1] });
    accepted(kernel(main(quads), more));
    rejected(kernel(main(quads + 1), more), 'range', /q is 0\.\.180/);
  });

  it('padding and joining, with guards or by speculative loads', () => {
    // 6 elements become 8: one zero before and after. Of the other, 3 and 5 are joined.
    const i = rem(thread, u32(8));
    const from = shift(v('i', 8), -1);
    const guarded: Stmt[] = [
      let_('i', i),
      var_('s', F32),
      if_(e.below(from, 6), [assign('s', e.load('x', 'f32', from))]),
      store('y', v('i', 8), e.name('s', F32)),
    ];
    const chosen: Stmt[] = [
      let_('i', i),
      let_('p', e.select(f32(0), e.load('x', 'f32', from, true), e.below(from, 6))),
      let_(
        'j',
        e.select(
          e.load('w', 'f32', shift(v('i', 8), -3), true),
          e.load('x', 'f32', v('i', 8), true),
          e.below(v('i', 8), 3),
        ),
      ),
      store('y', v('i', 8), add(e.name('p', F32), e.name('j', F32))),
    ];
    const more = { buffers: [buffer('x', 6), buffer('w', 5), buffer('y', 8)] };
    accepted(kernel(guarded, more));
    accepted(kernel(chosen, more));
    rejected(kernel([guarded[0]!, store('y', v('i', 8), e.load('x', 'f32', from))], more), 'bounds', /-1\.\.6/);
  });

  it('a convolution under its window', () => {
    const body = (...guards: readonly Expr[]): Stmt[] => [
      let_('q', add(mul(xyz('tile', 0), u32(64)), thread)),
      if_(e.binary('>=', uint('q'), u32(35)), [ret()]),
      var_('acc', F32),
      for_('kh', u32(0), u32(3), 1, [
        for_('kw', u32(0), u32(3), 1, [
          if_(and(...guards), [
            assign(
              'acc',
              e.builtin(
                'fma',
                e.load('x', 'f32', sum(scale(y, 14), x)),
                e.load('w', 'f32', sum(scale(v('kh', 3), 3), v('kw', 3))),
                e.name('acc', F32),
              ),
            ),
          ]),
        ]),
      ]),
      store('y', v('q', 35), e.name('acc', F32)),
    ];
    const y = shift(sum(scale(div(v('q', 35), 7), 2), v('kh', 3)), -1);
    const x = shift(sum(scale(mod(v('q', 35), 7), 2), v('kw', 3)), -1);
    const more = { buffers: [buffer('x', 140), buffer('w', 9), buffer('y', 35)] };
    accepted(kernel(body(e.below(y, 10), e.below(x, 14)), more));
    rejected(kernel(body(e.below(y, 10)), more), 'bounds', /-1\.\.139/);
  });

  it('a gather by indices that were loaded', () => {
    const main = (last: number): Stmt[] => [
      let_('g', e.builtin('min', e.convert(e.load('indices', 'i32', v('thread', 64)), 'u32'), u32(last))),
      store('y', quad(v('thread', 64)), e.load('x', 'f32', sum(scale(v('g', 50), 4), LANE))),
    ];
    const more = { buffers: [buffer('indices', 64, { element: 'i32' }), buffer('x', 200), buffer('y', 256)] };
    accepted(kernel(main(49), more));
    rejected(kernel(main(50), more), 'range', /g is 0\.\.50/);
  });

  it('the largest of a row, walked as often as asked for', () => {
    const main: Stmt[] = [
      let_('last', rem(thread, u32(3))),
      var_('index', U32, u32(9)),
      for_('turn', u32(0), add(uint('last'), u32(1)), 1, [
        var_('place', U32, u32(9)),
        for_('i', u32(0), u32(9), 1, [
          let_('s', e.load('x', 'f32', v('i', 9))),
          if_(e.binary('||', e.eq(uint('turn'), u32(0)), lt(uint('index'), uint('i'))), [assign('place', uint('i'))]),
        ]),
        assign('index', uint('place')),
      ]),
      store('y', v('thread', 64), e.convert(uint('index'), 'f32')),
    ];
    accepted(kernel(main));
  });

  /** Sum of rows of 40 elements; 16 threads share a row. */
  const rowSum = (turns: number, options: { barriers?: boolean; own?: boolean } = {}): Kernel => {
    const between = options.barriers === false ? [] : [barrier];
    const reduce = (half: number): Stmt[] => [
      if_(lt(uint('part'), u32(half)), [put('a', thread, add(itemA(thread), itemA(add(thread, u32(half)))))]),
      ...between,
    ];
    const share = (result: string): Stmt[] => [
      put('a', thread, e.name('acc', F32)),
      barrier,
      ...[8, 4, 2, 1].flatMap(reduce),
      let_(result, itemA(options.own ? thread : sub(thread, uint('part')))),
      ...between,
    ];
    return kernel(
      [
        let_('real', add(mul(xyz('tile', 0), u32(4)), over(thread, u32(16)))),
        let_('row', e.builtin('min', uint('real'), u32(turns - 1))),
        let_('part', rem(thread, u32(16))),
        { kind: 'block', body: [] },
        var_('acc', F32),
        for_('n', uint('part'), u32(40), 16, [
          assign('acc', add(e.name('acc', F32), e.load('x', 'f32', sum(scale(v('row', turns), 40), v('n', 40))))),
        ]),
        ...share('mean'),
        ...share('scale'),
        for_('n', uint('part'), u32(40), 16, [
          store('y', sum(scale(v('row', turns), 40), v('n', 40)), sub(e.name('mean', F32), e.name('scale', F32)), [
            { index: v('real', 2 ** 30), below: turns },
          ]),
        ]),
        if_(e.eq(uint('part'), u32(0)), [
          store('z', v('row', turns), e.name('mean', F32), [{ index: v('real', 2 ** 30), below: turns }]),
        ]),
      ],
      {
        ...SHARED,
        buffers: [buffer('x', turns * 40), buffer('y', turns * 40), buffer('z', turns, { access: 'read_write' })],
      },
    );
  };
  it('rows that threads share through workgroup memory', () => {
    accepted(rowSum(10), { workgroups: [3, 1, 1] });
    rejected(rowSum(10, { barriers: false }), 'shared', /another thread may/, { workgroups: [3, 1, 1] });
  });

  it('rows that a subgroup shares', () => {
    const main = (first: Expr): Stmt[] => [
      let_('real', xyz('tile', 0)),
      let_('row', e.builtin('min', uint('real'), u32(9))),
      var_('acc', F32X4),
      for_('n', first, u32(10), 8, [
        assign('acc', add(F('acc'), e.load('x', 'f32', sum(scale(v('row', 10), 40), quad(v('n', 10)))))),
      ]),
      let_('total', e.collective('add', e.dot(F('acc'), e.splat(f32(1), 4)))),
      if_(e.eq(own, u32(0)), [
        store('y', v('row', 10), e.name('total', F32), [{ index: v('real', 2 ** 30), below: 10 }]),
      ]),
    ];
    const more = { ...LANES, buffers: [buffer('x', 400), buffer('y', 10)] };
    accepted(kernel(main(own), more), { workgroups: [10, 1, 1] });
    accepted(kernel(main(own), more), { workgroups: [12, 1, 1] });
    const early = main(own).toSpliced(1, 0, if_(lt(uint('real'), own), [ret()]));
    rejected(kernel(early, more), 'flow', /add where/, { workgroups: [10, 1, 1] });
  });

  /** Attention: 7 queries, 21 keys, 8 deep, in two groups. */
  const [queries, keys, depth] = [7, 21, 8];
  const loader = (name: string, buf: string, row: string, count: number): KernelFunction =>
    fn(
      name,
      [
        ['z', U32],
        [row, U32],
        ['d', U32],
      ],
      [
        let_('d4', over(uint('d'), u32(4))),
        ret(
          e.load(
            buf,
            'f32',
            sum(scale(v('z', 2), count * depth), scale(v(row, count), depth), quad(v('d4', depth / 4))),
          ),
        ),
      ],
      F32X4,
    );
  const attention = {
    buffers: [
      buffer('q', 2 * queries * depth),
      buffer('k', 2 * keys * depth),
      buffer('v', 2 * keys * depth),
      buffer('y', 2 * queries * depth),
      buffer('lse', 2 * queries, { access: 'read_write' }),
    ],
    functions: [
      loader('load_q4', 'q', 'row', queries),
      loader('load_k4', 'k', 'j', keys),
      loader('load_v4', 'v', 'j', keys),
      fn(
        'across_max',
        [['s', F32]],
        [
          var_('t', F32, e.name('s', F32)),
          ...[1, 2, 4].map((g) =>
            assign('t', e.builtin('max', e.name('t', F32), e.collective('shuffle_xor', e.name('t', F32), u32(g)))),
          ),
          ret(e.name('t', F32)),
        ],
        F32,
      ),
      fn(
        'store4',
        [
          ['z', U32],
          ['row', U32],
          ['d', U32],
          ['s', F32X4],
        ],
        [
          let_('d4', over(uint('d'), u32(4))),
          store('y', sum(scale(v('z', 2), queries * depth), scale(v('row', queries), depth), quad(v('d4', 2))), F('s')),
        ],
      ),
      fn(
        'store_lse',
        [
          ['z', U32],
          ['row', U32],
          ['s', F32],
        ],
        [store('lse', sum(scale(v('z', 2), queries), v('row', queries)), e.name('s', F32))],
      ),
    ],
  };
  const clampedRow = (x: Expr): Expr => e.builtin('min', x, u32(queries - 1));
  const attentionSubgroup = (lastKey: number, inner = true): Kernel => ({
    ...LANES,
    workgroup: [8, 1, 1],
    inputs: LANES.inputs!,
    shared: [],
    ...attention,
    main: [
      let_('z', xyz('tile', 1)),
      let_('row', mul(xyz('tile', 0), u32(4))),
      // Four lanes' keys are walked at once, by two groups of lanes.
      let_('first', mul(over(own, u32(2)), u32(2))),
      let_('column', mul(rem(own, u32(2)), u32(4))),
      var_('m0', F32, f32(-Infinity)),
      var_('o0', F32X4),
      for_('base', u32(0), u32(keys), 16, [
        var_('s0', F32X4),
        let_('j0', e.builtin('min', add(uint('base'), own), u32(lastKey))),
        let_('j1', e.builtin('min', add(add(uint('base'), u32(8)), own), u32(lastKey))),
        for_('d', u32(0), u32(depth), 8, [
          let_(
            'q0',
            e.call('load_q4', F32X4, [
              uint('z'),
              clampedRow(add(uint('row'), rem(own, u32(4)))),
              add(uint('d'), mul(u32(4), rem(over(own, u32(4)), u32(2)))),
            ]),
          ),
          ...[0, 1].flatMap((t) =>
            [0, 1].map((c) =>
              let_(`k${t}_${c}`, e.call('load_k4', F32X4, [uint('z'), uint(`j${c}`), add(uint('d'), u32(4 * t))])),
            ),
          ),
          let_('qq', e.collective('broadcast', F('q0'), u32(4))),
          assign(
            's0',
            add(
              F('s0'),
              e.vector(
                e.dot(F('qq'), F('k0_0')),
                e.dot(F('qq'), F('k0_1')),
                e.dot(F('qq'), F('k1_0')),
                e.dot(F('qq'), F('k1_1')),
              ),
            ),
          ),
        ]),
        let_(
          'valid',
          lt(add(e.splat(add(uint('base'), own), 4), e.vector(u32(0), u32(8), u32(16), u32(24))), u32(keys)),
        ),
        assign('s0', e.select(f32(-Infinity), F('s0'), e.name('valid', { scalar: 'bool', lanes: 4 }))),
        let_('mm', e.builtin('max', e.name('m0', F32), e.call('across_max', F32, [e.component(F('s0'), 0)]))),
        assign('m0', e.name('mm', F32)),
        for_('i', u32(0), inner ? u32(2) : add(rem(own, u32(2)), u32(1)), 1, [
          let_('owner', add(uint('first'), uint('i'))),
          let_(
            'v0',
            e.call('load_v4', F32X4, [
              uint('z'),
              e.builtin('min', add(uint('base'), uint('owner')), u32(keys - 1)),
              uint('column'),
            ]),
          ),
          let_('w', e.collective('shuffle', F('s0'), uint('owner'))),
          assign('o0', add(F('o0'), mul(e.component(F('w'), 0), F('v0')))),
        ]),
      ]),
      assign('o0', add(F('o0'), e.collective('shuffle_xor', F('o0'), u32(2)))),
      if_(and(lt(uint('row'), u32(queries)), lt(own, u32(2))), [
        do_('store4', uint('z'), uint('row'), uint('column'), F('o0')),
      ]),
      array('sums', F32, [e.name('m0', F32), e.name('m0', F32)]),
      for_('r', u32(0), u32(2), 1, [
        if_(and(e.eq(own, u32(0)), lt(add(uint('row'), uint('r')), u32(queries))), [
          do_('store_lse', uint('z'), add(uint('row'), uint('r')), e.item('sums', F32, uint('r'))),
        ]),
      ]),
    ],
  });
  it('attention through subgroups, with keys clamped to the last', () => {
    const dispatch: VerifyOptions = { workgroups: [2, 2, 1] };
    accepted(attentionSubgroup(keys - 1), dispatch);
    rejected(attentionSubgroup(keys), 'range', /j is 0\.\.21.*load_k4/, dispatch);
    rejected(attentionSubgroup(keys - 1, false), 'flow', /shuffle where/, dispatch);
  });

  const attentionWorkgroup = (without: number): Kernel => {
    const j = e.name('j', { scalar: 'u32', lanes: 4 });
    const sync = (i: number): Stmt[] => (i === without ? [] : [barrier]);
    const P = (name: string, at: Expr): Expr => e.item(name, F32X4, at);
    return kernel(
      [
        let_('z', xyz('tile', 1)),
        let_('across', rem(thread, u32(16))),
        let_('mine', mul(over(thread, u32(16)), u32(4))),
        let_('row', add(mul(xyz('tile', 0), u32(16)), uint('mine'))),
        let_('column', mul(uint('across'), u32(4))),
        var_('l', F32X4),
        var_('o', F32X4),
        for_('base', u32(0), u32(keys), 64, [
          let_('past', add(e.splat(add(uint('base'), uint('across')), 4), e.vector(u32(0), u32(16), u32(32), u32(48)))),
          let_('j', e.builtin('min', e.name('past', { scalar: 'u32', lanes: 4 }), u32(keys - 1))),
          var_('s', F32X4),
          for_('d', u32(0), u32(depth), 4, [
            let_('q0', e.call('load_q4', F32X4, [uint('z'), clampedRow(uint('row')), uint('d')])),
            let_('k0', e.call('load_k4', F32X4, [uint('z'), e.component(j, 2), uint('d')])),
            assign('s', e.builtin('fma', F('q0'), F('k0'), F('s'))),
          ]),
          put('partial', thread, F('s')),
          ...sync(0),
          var_('largest', F32X4),
          for_('i', u32(0), u32(16), 1, [
            assign(
              'largest',
              e.builtin('max', F('largest'), P('partial', add(mul(over(uint('mine'), u32(4)), u32(16)), uint('i')))),
            ),
          ]),
          ...[0, 1, 2, 3].map((r) =>
            put('weights', add(mul(add(uint('mine'), u32(r)), u32(16)), uint('across')), F('largest')),
          ),
          ...sync(1),
          for_('i', u32(0), u32(16), 1, [
            let_('w', P('weights', add(mul(add(uint('mine'), u32(3)), u32(16)), uint('i')))),
            let_(
              'v0',
              e.call('load_v4', F32X4, [
                uint('z'),
                e.builtin('min', add(uint('base'), uint('i')), u32(keys - 1)),
                e.builtin('min', uint('column'), u32(depth - 4)),
              ]),
            ),
            assign('o', e.builtin('fma', F('w'), F('v0'), F('o'))),
          ]),
        ]),
        ...sync(2),
        put('partial', thread, F('l')),
        ...sync(3),
        var_('sums', F32X4),
        for_('i', u32(0), u32(16), 1, [
          assign('sums', add(F('sums'), P('partial', add(mul(over(uint('mine'), u32(4)), u32(16)), uint('i'))))),
        ]),
        array(
          'outputs',
          F32X4,
          [0, 1, 2, 3].map(() => F('sums')),
        ),
        for_('i', u32(0), u32(4), 1, [
          let_('r', add(uint('row'), uint('i'))),
          if_(and(lt(uint('r'), u32(queries)), lt(uint('column'), u32(depth))), [
            do_('store4', uint('z'), uint('r'), uint('column'), P('outputs', uint('i'))),
          ]),
        ]),
      ],
      {
        ...attention,
        functions: attention.functions.filter((f) => f.name !== 'across_max'),
        shared: [
          { name: 'partial', type: F32X4, count: 64 },
          { name: 'weights', type: F32X4, count: 256 },
        ],
      },
    );
  };
  it('attention through workgroup memory, in which every barrier is needed but the one that only a longer loop needs', () => {
    const dispatch: VerifyOptions = { workgroups: [1, 2, 1] };
    accepted(attentionWorkgroup(-1), dispatch);
    for (const i of [0, 1, 3]) rejected(attentionWorkgroup(i), 'shared', /another thread|before a put/, dispatch);
  });
});
