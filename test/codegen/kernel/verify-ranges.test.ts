import * as e from '../../../src/codegen/kernel/expr.js';
import { constIndex, div, mod, scale, shift, sum } from '../../../src/codegen/read/indexing.js';
import {
  add,
  and,
  array,
  assign,
  buffer,
  F32,
  F32X4,
  f32,
  fn,
  for_,
  if_,
  kernel,
  let_,
  lt,
  mul,
  put,
  quad,
  rem,
  ret,
  SHARED,
  store,
  storeOwn,
  storeWide,
  sub,
  thread,
  twins,
  U32,
  u32,
  uint,
  v,
  var_,
  wide,
  write,
  xyz,
  zero4,
} from './programs.js';

const twice = fn('row', [['r', U32]], [ret(e.load('x', 'f32', scale(v('r', 64), 4)))], F32);
const q = let_('q', add(mul(xyz('tile', 0), u32(64)), thread));

/** A store of eight columns and four rows, one of which is cut off, and planes so far apart. */
function planes(apart: number) {
  const at = v('q', 216);
  const row = shift(sum(mod(div(at, 27), 2), scale(mod(div(at, 3), 3), 2)), -1);
  const column = sum(mod(div(at, 9), 3), scale(mod(at, 3), 3));
  return store('y', sum(scale(row, 8), column, scale(div(at, 54), apart)), f32(1), [
    { index: row, below: 4 },
    { index: column, below: 8 },
  ]);
}

const thirds = (from: number) => shift(sum(scale(div(v('q', 256), 3), 6), scale(mod(v('q', 256), 3), 4)), from);

/** Of every twelve the first six. */
const FIRST_HALF = [{ index: mod(div(v('q', 256), 2), 6), below: 3 }];

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
const packedY = { buffers: [buffer('x', 256), buffer('y', 64, { packed: F32X4 })] };
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
    // Of q over 54 only what 64·group + thread leaves is to be seen, so its bound comes from that of q.
    'a place whose row, column and plane are quotients of one number',
    kernel([q, if_(lt(uint('q'), u32(216)), [planes(75)])]),
    /y has 256 elements to write, the address is 0\.\.256/,
    kernel([q, if_(lt(uint('q'), u32(216)), [planes(74)])]),
    { workgroups: [4, 1, 1] },
  ],
  [
    // Of a bound of q over 12 a bound of q over 3 follows, though neither is a quotient any more where q is 64·group + thread.
    'a place by quotients of a number of which another quotient is bounded',
    kernel([q, store('y', thirds(38), f32(1), [{ index: shift(div(v('q', 256), 12), -6), below: 3 }])]),
    /y has 256 elements to write, the address is 182\.\.256/,
    kernel([q, store('y', thirds(37), f32(1), [{ index: shift(div(v('q', 256), 12), -6), below: 3 }])]),
    { workgroups: [4, 1, 1] },
  ],
  [
    'a place by a number that is bounded, and so is a remainder of its half',
    kernel([q, if_(lt(uint('q'), u32(240)), [store('y', shift(v('q', 256), 23), f32(1), FIRST_HALF)])]),
    /y has 256 elements to write, the address is 23\.\.256/,
    kernel([q, if_(lt(uint('q'), u32(240)), [store('y', shift(v('q', 256), 22), f32(1), FIRST_HALF)])]),
    { workgroups: [4, 1, 1] },
  ],
  [
    'a fetch past the end',
    kernel([storeWide(e.fetch('x', F32X4, thread))], packedX),
    /x has 63 elements, the index is 0\.\.63/,
    kernel([storeWide(e.fetch('x', F32X4, e.builtin('min', thread, u32(62))))], packedX),
  ],
  [
    'a write past the end',
    kernel([write('y', add(thread, u32(1)), zero4)], packedY),
    /y has 64 elements, the index is 1\.\.64/,
    kernel([write('y', sub(u32(63), thread), zero4)], packedY),
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
