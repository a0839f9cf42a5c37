import * as e from '../../../src/codegen/kernel/expr.js';
import type { Expr } from '../../../src/codegen/kernel/types.js';
import { constIndex } from '../../../src/codegen/read/indexing.js';
import {
  add,
  and,
  assign,
  barrier,
  F32,
  f32,
  fn,
  for_,
  if_,
  kernel,
  LANES,
  let_,
  loadOwn,
  lt,
  own,
  put,
  rem,
  ret,
  SHARED,
  storeOwn,
  sub,
  thread,
  twins,
  U32,
  u32,
  uint,
  v,
  var_,
  xyz,
} from './programs.js';

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
