/** Buffers that are read and written in place: what the verifier refuses, whether it goes wrong or not, and that the simulator sees it where it does. */
import { describe, expect, it } from 'vitest';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import * as e from '../../../src/codegen/kernel/expr.js';
import { inPlace, notInPlace } from '../../../src/codegen/kernel/in-place.js';
import { simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { Kernel, Stmt } from '../../../src/codegen/kernel/types.js';
import { mod, scale, shift, sum } from '../../../src/codegen/read/indexing.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import {
  accepted,
  add,
  assign,
  buffer,
  do_,
  F32,
  f32,
  fn,
  for_,
  if_,
  kernel,
  let_,
  lt,
  quad,
  rejected,
  ret,
  store,
  thread,
  twins,
  U32,
  u32,
  v,
  var_,
} from './programs.js';

const at = v('thread', 64);
const y = (index = at, speculative = false) => e.load('y', 'f32', index, speculative);
const more = (value = y()) => add(value, f32(1));
const own: Stmt = store('y', at, e.name('s', F32));
const good = kernel([let_('s', more()), own]);
const bounded = { workgroups: [1, 1, 1] } as const;

/** Runs it over y = 0, 1, 2, ...; gives the kinds of its faults. */
function faults(k: Kernel): string[] {
  const lowered = explicitAddresses([k], BASELINE)[0]!;
  const found = new Set<string>();
  for (const order of ['forward', 'reverse'] as const) {
    const buffers = lowered.windows.map((w) => ({ data: Float32Array.from({ length: w.count }, (_, i) => i) }));
    for (const f of simulate(lowered, buffers, [1, 1, 1], { order }).faults) found.add(f.kind);
  }
  return [...found];
}

/** Seen by both. */
const RACES: readonly (readonly [string, Kernel, RegExp])[] = [
  [
    'a neighbour, which may have been written over',
    kernel([let_('s', more(y(mod(shift(at, 1), 64)))), own]),
    /in-place: y is read and written, and other elements are read than are written/,
  ],
  [
    'the element of a thread that writes another',
    kernel([let_('s', more()), store('y', mod(shift(at, 8), 64), e.name('s', F32))]),
    /other elements/,
  ],
  [
    'what only some of the readers write, and another has',
    kernel([
      let_('i', e.rem(thread, u32(32))),
      let_('s', more(y(v('i', 32)))),
      if_(lt(thread, u32(32)), [store('y', v('i', 32), e.name('s', F32))]),
    ]),
    /not written wherever it is read/,
  ],
  [
    'the same, where the others leave before they write',
    kernel([
      let_('i', e.rem(thread, u32(32))),
      let_('s', more(y(v('i', 32)))),
      if_(e.binary('>=', thread, u32(32)), [ret()]),
      store('y', v('i', 32), e.name('s', F32)),
    ]),
    /not written wherever it is read/,
  ],
  [
    'a row that is walked twice by several threads',
    kernel([
      var_('a', F32),
      for_('n', u32(0), u32(64), 1, [assign('a', add(e.name('a', F32), y(v('n', 64))))]),
      let_('s', add(e.name('a', F32), y())),
      own,
    ]),
    /other elements/,
  ],
];

describe('reading what is written over', () => {
  it('is right at its own element', () => {
    accepted(good, bounded);
    expect(faults(good)).toEqual([]);
  });

  it.each(RACES)('%s', (_, wrong, what) => {
    rejected(wrong, 'in-place', what, bounded);
    expect(faults(wrong)).toContain('race');
  });
});

/** Right or not: the verifier proves the plain case alone. */
twins('in-place', [
  ['read after it was written', kernel([store('y', at, f32(1)), let_('s', y())]), /after it was written/, good],
  [
    'written at two places',
    kernel([let_('s', more()), if_(lt(thread, u32(9)), [own], [own])]),
    /several places/,
    kernel([let_('s', more()), { kind: 'block', body: [] }, own]),
  ],
  [
    'read where the condition of the store may fail',
    kernel([let_('s', more()), store('y', at, e.name('s', F32), [{ index: at, below: 60 }])]),
    /not all that is read is written/,
    kernel([let_('s', more()), store('y', at, e.name('s', F32), [{ index: at, below: 64 }])]),
  ],
  [
    'read in another turn of a loop',
    kernel([
      var_('a', F32),
      for_('n', u32(0), u32(4), 1, [assign('a', add(e.name('a', F32), y()))]),
      store('y', at, e.name('a', F32)),
    ]),
    /not written wherever it is read/,
    kernel([
      for_('n', u32(0), u32(4), 1, [
        let_('s', more(y(sum(at, scale(v('n', 4), 64))))),
        store('y', sum(at, scale(v('n', 4), 64)), e.name('s', F32)),
      ]),
    ]),
  ],
  [
    'read in one branch and written in another',
    kernel([if_(lt(thread, u32(9)), [let_('s', more())], [store('y', at, f32(1))])]),
    /not written wherever it is read/,
    kernel([var_('a', F32), if_(lt(thread, u32(9)), [assign('a', y())]), store('y', at, e.name('a', F32))]),
  ],
  [
    'by a name that is a variable',
    kernel([var_('t', U32, thread), let_('s', more(y(v('t', 64)))), store('y', v('t', 64), e.name('s', F32))]),
    /t stands for several values/,
    kernel([let_('t', thread), let_('s', more(y(v('t', 64)))), store('y', v('t', 64), e.name('s', F32))]),
  ],
  [
    'read outside of the function that writes',
    kernel([let_('s', more()), do_('put', thread, e.name('s', F32))], {
      functions: [
        fn(
          'put',
          [
            ['t', U32],
            ['s', F32],
          ],
          [store('y', v('t', 64), e.name('s', F32))],
        ),
      ],
    }),
    /in another function/,
    kernel([do_('put', thread, f32(1))], {
      functions: [
        fn(
          'put',
          [
            ['t', U32],
            ['s', F32],
          ],
          [store('y', v('t', 64), add(e.name('s', F32), y(v('t', 64))))],
        ),
      ],
    }),
  ],
]);

it('one buffer takes the place of another', () => {
  const two = kernel(
    [
      let_('a', e.load('x', 'f32', quad(at))),
      let_('b', e.load('y1', 'f32', quad(at))),
      store('y', quad(at), add(e.name('a', { scalar: 'f32', lanes: 4 }), e.name('b', { scalar: 'f32', lanes: 4 }))),
    ],
    { buffers: [buffer('x', 256), buffer('y1', 256), buffer('y', 256)] },
  );
  expect(notInPlace(two, 'y1', 'y')).toBeUndefined();
  const one = inPlace(two, 'y1', 'y');
  expect(one.buffers.map((b) => b.name)).toEqual(['x', 'y']);
  accepted(one, bounded);
  const lowered = explicitAddresses([one], BASELINE)[0]!;
  const data = { x: Float32Array.from({ length: 256 }, (_, i) => i), y: new Float32Array(256).fill(3) };
  const buffers = lowered.windows.map((w) => ({ data: data[w.name as 'x' | 'y'] }));
  expect(simulate(lowered, buffers, [1, 1, 1], { results: ['y'] }).faults).toEqual([]);
  expect([...data.y]).toEqual(Array.from({ length: 256 }, (_, i) => i + 3));
  // Read as speculation, it may be anything's.
  const open = kernel([let_('s', e.select(f32(0), y(at, true), lt(thread, u32(9)))), own]);
  expect(notInPlace(open, 'y', 'y')).toBe('what is read may lie outside');
  expect(notInPlace(two, 'y1', 'x')).toBe('it is not written');
});
