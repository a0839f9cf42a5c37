/** Whole kernels as generators write them: products, and what one thread computes by itself. */
import { it } from 'vitest';
import * as e from '../../../src/codegen/kernel/expr.js';
import type { Expr, Kernel, Stmt } from '../../../src/codegen/kernel/types.js';
import type { VerifyOptions } from '../../../src/codegen/kernel/verify/verify.js';
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
} from '../../../src/codegen/read/indexing.js';
import {
  accepted,
  add,
  and,
  array,
  assign,
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
  quad,
  rejected,
  rem,
  ret,
  store,
  thread,
  U32,
  u32,
  uint,
  v,
  var_,
  xyz,
  zero4,
} from './programs.js';

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
    ret(e.vector(...[0, 1].map((i) => e.unpackHalves(e.component(e.name('halves', { scalar: 'u32', lanes: 2 }), i))))),
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

it('a convolution as a product over windows, where a row and a column are one number again in the address', () => {
  // Two pictures of 7 by 7 with 4 channels, a window of 3 by 3.
  const [pictures, size, channels] = [2, 7, 4];
  const [rows, inputs] = [pictures * size * size, channels * 9];
  const load = (lane: number, guards: number): Stmt[] => {
    const k = shift(scale(v('k4', inputs / 4), 4), lane);
    const [b, oh, ow] = unflatten(v('row', rows), [pictures, size, size]) as [Index, Index, Index];
    const [c, kh, kw] = unflatten(k, [channels, 3, 3]) as [Index, Index, Index];
    const [y, x] = [shift(sum(oh, kh), -1), shift(sum(ow, kw), -1)];
    const at = sum(scale(b, channels * size * size), scale(c, size * size), scale(y, size), x);
    const when = [e.below(y, size), e.below(x, size)].slice(0, guards);
    return [var_(`s${lane}`, F32), if_(and(...when), [assign(`s${lane}`, e.load('x', 'f32', at))])];
  };
  const windows = (guards: number): Kernel =>
    kernel(
      [
        let_('row', add(mul(xyz('tile', 0), u32(64)), thread)),
        for_('k', u32(0), u32(48), 4, [let_('a', e.call('load_a4', F32X4, [uint('row'), uint('k')]))]),
      ],
      {
        buffers: [buffer('x', pictures * channels * size * size)],
        functions: [
          fn(
            'load_a4',
            [
              ['row', U32],
              ['k', U32],
            ],
            [
              var_('a', F32X4),
              if_(and(lt(uint('row'), u32(rows)), lt(uint('k'), u32(inputs))), [
                let_('k4', over(uint('k'), u32(4))),
                ...[0, 1, 2, 3].flatMap((lane) => load(lane, guards)),
                assign('a', e.vector(...[0, 1, 2, 3].map((lane) => e.name(`s${lane}`, F32)))),
              ]),
              ret(F('a')),
            ],
            F32X4,
          ),
        ],
      },
    );
  accepted(windows(2), { workgroups: [2, 1, 1] });
  rejected(windows(1), 'bounds', /the address is -1\.\.392/, { workgroups: [2, 1, 1] });
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

it('a part of a row of what is concatenated, by a guard on the remainder of a computed number', () => {
  // Of 9 rows of 22 the first 16 columns are x, the others w.
  const [row, column] = [div(v('q', 198), 22), mod(v('q', 198), 22)];
  const first = sum(column, scale(row, 16));
  const second = sum(shift(column, -16), scale(row, 6));
  const main = (below: number): Stmt[] => [
    let_('q', add(mul(xyz('tile', 0), u32(64)), thread)),
    if_(e.binary('>=', uint('q'), u32(198)), [ret()]),
    var_('s', F32),
    if_(e.below(column, below), [assign('s', e.load('x', 'f32', first))], [assign('s', e.load('w', 'f32', second))]),
    store('y', v('q', 198), e.name('s', F32)),
  ];
  const more = { buffers: [buffer('x', 144), buffer('w', 54), buffer('y', 198)] };
  accepted(kernel(main(16), more), { workgroups: [4, 1, 1] });
  rejected(kernel(main(17), more), 'bounds', /144 elements to read, the address is 0\.\.144/, {
    workgroups: [4, 1, 1],
  });
  rejected(kernel(main(15), more), 'bounds', /54 elements to read, the address is -1\.\.53/, { workgroups: [4, 1, 1] });
});
