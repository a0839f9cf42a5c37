/** Whole kernels as generators write them: rows that threads share, and attention. */
import { it } from 'vitest';
import * as e from '../../../src/codegen/kernel/expr.js';
import type { Expr, Kernel, KernelFunction, Stmt } from '../../../src/codegen/kernel/types.js';
import type { VerifyOptions } from '../../../src/codegen/kernel/verify/verify.js';
import { scale, sum } from '../../../src/codegen/read/indexing.js';
import {
  accepted,
  add,
  and,
  array,
  assign,
  barrier,
  buffer,
  do_,
  F32,
  F32X4,
  f32,
  fn,
  for_,
  if_,
  kernel,
  LANES,
  let_,
  lt,
  mul,
  over,
  own,
  put,
  quad,
  rejected,
  rem,
  ret,
  SHARED,
  store,
  sub,
  thread,
  U32,
  u32,
  uint,
  v,
  var_,
  xyz,
} from './programs.js';

const itemA = (at: Expr): Expr => e.item('a', F32, at);
const F = (name: string): Expr => e.name(name, F32X4);
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
        e.load(buf, 'f32', sum(scale(v('z', 2), count * depth), scale(v(row, count), depth), quad(v('d4', depth / 4)))),
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
      let_('valid', lt(add(e.splat(add(uint('base'), own), 4), e.vector(u32(0), u32(8), u32(16), u32(24))), u32(keys))),
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
