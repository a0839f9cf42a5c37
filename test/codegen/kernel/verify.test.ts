/**
 * Programs that break one rule of the verifier, each beside a near twin that keeps it: names, types, speculation, lanes. The other rules
 * have files of their own, and so have whole kernels.
 */

import * as e from '../../../src/codegen/kernel/expr.js';
import type { Expr } from '../../../src/codegen/kernel/types.js';
import { scale, shift, sum } from '../../../src/codegen/read/indexing.js';
import {
  add,
  assign,
  buffer,
  do_,
  F32,
  F32X4,
  f32,
  fn,
  for_,
  helper,
  if_,
  kernel,
  LANES,
  let_,
  loadOwn,
  lt,
  mul,
  own,
  put,
  quad,
  rem,
  ret,
  SHARED,
  store,
  storeOwn,
  storeWide,
  thread,
  twins,
  U32,
  u32,
  uint,
  v,
  var_,
  write,
  xyz,
  zero4,
} from './programs.js';

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
    'a write to a buffer that is not packed',
    kernel([write('y', thread, f32(1))]),
    /y is not packed, and written by store/,
    kernel([write('y', thread, f32(1))], { buffers: [buffer('y', 64, { packed: F32 })] }),
  ],
  [
    'a write of something else than the items',
    kernel([write('y', thread, f32(1))], { buffers: [buffer('y', 64, { packed: F32X4 })] }),
    /y holds vec4<f32>, not f32/,
    kernel([write('y', thread, zero4)], { buffers: [buffer('y', 64, { packed: F32X4 })] }),
  ],
  [
    'a write to a buffer that is only read',
    kernel([write('x', thread, f32(1))], { buffers: [buffer('x', 64, { packed: F32 })] }),
    /x is only read/,
    kernel([write('y', thread, f32(1))], { buffers: [buffer('y', 64, { packed: F32 })] }),
  ],
  [
    'a lane that is not a literal',
    kernel([let_('s', e.collective('broadcast', own, own))], LANES),
    /lane of broadcast is no literal/,
    kernel([let_('s', e.collective('shuffle', own, own))], LANES),
  ],
]);

const far = (speculative: boolean): Expr => e.load('x', 'f32', shift(scale(v('thread', 64), 8), 1), speculative);
const inside = lt(thread, u32(31));
const chosen = e.select(f32(0), far(true), inside);

const near = e.load('x', 'f32', scale(v('thread', 64), 4), true);

/** From inside for the other threads: 504 - 8·thread. */
const mirrored = e.load('x', 'f32', shift(scale(v('thread', 64), -8), 504), true);
const half = lt(thread, u32(32));

twins('speculation', [
  [
    'one of two, neither of which is there for all that take it',
    kernel([storeOwn(e.select(far(true), far(true), half))]),
    /used as what is stored/,
    kernel([storeOwn(e.select(mirrored, far(true), half))]),
  ],
  [
    'one of two, the wrong way round',
    kernel([storeOwn(e.select(far(true), mirrored, half))]),
    /used as what is stored/,
    kernel([storeOwn(e.select(mul(mirrored, f32(2)), add(far(true), f32(1)), half))]),
  ],
  [
    'one of two by names, one of which was joined from two branches',
    kernel([
      var_('s', F32),
      if_(lt(thread, u32(40)), [assign('s', far(true))]),
      let_('t', mirrored),
      storeOwn(e.select(e.name('t', F32), e.name('s', F32), half)),
    ]),
    /used as what is stored/,
    kernel([let_('s', far(true)), let_('t', mirrored), storeOwn(e.select(e.name('t', F32), e.name('s', F32), half))]),
  ],
  [
    'selected by a condition that always holds',
    kernel([storeOwn(e.select(f32(0), far(true), lt(thread, u32(64))))]),
    /used as what is stored/,
    kernel([storeOwn(e.select(far(true), f32(0), lt(thread, u32(64))))]),
  ],
  [
    'stored, though it may not be there',
    kernel([storeOwn(far(true))]),
    /used as what is stored/,
    kernel([storeOwn(near)]),
  ],
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
    kernel([var_('s', F32), assign('s', far(true)), storeOwn(e.name('s', F32))]),
    /used as what is stored/,
    kernel([var_('s', F32), assign('s', far(true)), storeOwn(e.select(f32(0), e.name('s', F32), inside))]),
  ],
  [
    'kept in a variable in one of two branches',
    kernel([var_('s', F32), if_(lt(thread, u32(40)), [assign('s', far(true))]), storeOwn(e.name('s', F32))]),
    /used as what is stored/,
    kernel([var_('s', F32), if_(inside, [assign('s', chosen)]), storeOwn(e.name('s', F32))]),
  ],
  [
    'kept in a variable from turn to turn',
    kernel([var_('s', F32), for_('i', u32(0), u32(4), 1, [storeOwn(e.name('s', F32)), assign('s', far(true))])]),
    /used as what is stored/,
    kernel([var_('s', F32), for_('i', u32(0), u32(4), 1, [storeOwn(e.name('s', F32)), assign('s', chosen)])]),
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
    /used as what is stored/,
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
