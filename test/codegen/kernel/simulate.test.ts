/** Memory of a simulated kernel and subgroups: what it computes, and that every fault is found and nothing else. */
import { describe, expect, it } from 'vitest';
import {
  add,
  binary,
  collective,
  component,
  convert,
  div,
  eq,
  F32,
  F32X4,
  f32,
  fetch,
  i32,
  item,
  literal,
  lt,
  mul,
  name,
  rem,
  select,
  splat,
  sub,
  u32,
  uint,
  vector,
} from '../../../src/codegen/kernel/expr.js';
import { type FaultKind, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { Expr, LoweredKernel, Stmt, Type } from '../../../src/codegen/kernel/types.js';
import {
  barrier,
  floats,
  i,
  kindsOf,
  leave,
  letOf,
  li,
  loop,
  lowered,
  type Program,
  put,
  run,
  U32X3,
  valuesOf,
  when,
  words,
  write,
} from './simulate-programs.js';

describe('buffers', () => {
  const addVectors = write('out', i, add(fetch('a', F32, i), fetch('b', F32, i)));
  const abc = (count: number) => ({
    a: { data: floats(count, (k) => k) },
    b: { data: floats(count, (k) => 10 * k) },
    out: { data: floats(count), out: true },
  });

  it('adds vectors, and counts what it reads and writes', () => {
    const buffers = abc(8);
    const found = run({ main: [addVectors] }, buffers, 2, { results: ['out'] });
    expect([...buffers.out.data]).toEqual([0, 11, 22, 33, 44, 55, 66, 77]);
    expect(found).toEqual({
      faults: [],
      stats: { loads: 16, stores: 8, sharedLoads: 0, sharedStores: 0, operations: 8 },
    });
  });

  it('keeps off the tail that a condition guards, and tells of it otherwise', () => {
    const guarded = abc(6);
    const found = run({ main: [when(lt(i, u32(6)), [addVectors])] }, guarded, 2, { results: ['out'] });
    expect(found.faults).toEqual([]);
    expect(found.stats.loads).toBe(12);
    expect([...guarded.out.data]).toEqual([0, 11, 22, 33, 44, 55]);

    const open = run({ main: [addVectors] }, abc(6), 2);
    expect(open.faults).toEqual([
      {
        kind: 'out-of-bounds',
        what: '"a"[6] is outside its 6 items, thread 2 of workgroup (1, 0, 0), in main[1] (write out)',
        count: 2,
      },
      { kind: 'out-of-bounds', what: expect.stringContaining('"b"[6]'), count: 2 },
      { kind: 'out-of-bounds', what: expect.stringContaining('"out"[6]'), count: 2 },
    ]);
  });

  it('reads vectors up to the padding', () => {
    const buffers = {
      a: { data: floats(8, (k) => k), item: F32X4, count: 6 },
      out: { data: floats(8), item: F32X4, count: 6, out: true },
    };
    const main = [when(lt(i, u32(2)), [write('out', i, mul(fetch('a', F32X4, i), f32(2)))])];
    const found = run({ main }, buffers, 1, { results: ['out'] });
    expect(found.faults).toEqual([]);
    expect(found.stats).toMatchObject({ loads: 8, stores: 8, operations: 8 + 4 });
    expect([...buffers.out.data]).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    const beyond = run({ main: [write('out', add(i, u32(1)), splat(f32(0), 4))] }, buffers);
    expect(kindsOf(beyond)).toEqual(['out-of-bounds']);
    const bare = { a: { ...buffers.a, padded: false }, out: buffers.out };
    expect(kindsOf(run({ main }, bare))).toEqual(['out-of-bounds']);
  });

  it('wants no padding written', () => {
    const out = { data: floats(8), count: 6, out: true };
    const main = (count: number): Stmt[] => [when(lt(i, u32(count)), [write('out', i, f32(1))])];
    expect(run({ main: main(6) }, { out }, 2, { results: ['out'] }).faults).toEqual([]);
    expect(kindsOf(run({ main: main(7) }, { out }, 2, { results: ['out'] }))).toEqual(['out-of-bounds']);
  });

  it('reads packed weights by their items', () => {
    const pair: Type = { scalar: 'u32', lanes: 2 };
    const w = { data: words(8, (k) => k), item: pair, packed: true, count: 4 };
    const out = { data: words(4), out: true };
    const read = (at: Expr) => ({ main: [write('out', i, component(fetch('w', pair, at), 1))] });
    expect(run(read(i), { w, out }).faults).toEqual([]);
    expect([...out.data]).toEqual([1, 3, 5, 7]);
    expect(kindsOf(run(read(add(i, u32(1))), { w, out }))).toEqual(['out-of-bounds']);
    expect(() => run(read(i), { w: { ...w, data: words(7) }, out })).toThrow(RangeError);
  });

  it('gives junk for a speculative fetch outside, and no fault', () => {
    const program = (value: Expr): Program => ({ main: [write('out', i, value)] });
    const shifted = fetch('a', F32, sub(i, u32(1)), true);
    const buffers = abc(4);
    const chosen = select(f32(-1), shifted, lt(u32(0), i));
    expect(run(program(chosen), buffers).faults).toEqual([]);
    expect([...buffers.out.data]).toEqual([-1, 0, 1, 2]);
    expect(run(program(shifted), buffers).faults).toEqual([]);
    expect([...buffers.out.data]).toEqual([1234.5, 0, 1, 2]);
    // select evaluates both sides.
    const sure = select(f32(-1), fetch('a', F32, sub(i, u32(1))), lt(u32(0), i));
    expect(kindsOf(run(program(sure), buffers))).toEqual(['out-of-bounds']);
  });

  it.each<[string, Expr, FaultKind[]]>([
    ['each by its thread', i, []],
    ['by two threads of a workgroup', div(i, u32(2)), ['written-twice']],
    ['by two workgroups', li, ['written-twice']],
  ])('sees elements written %s', (_, at, kinds) => {
    const out = { data: floats(8), out: true };
    expect(kindsOf(run({ main: [write('out', at, f32(1))] }, { out }, 2))).toEqual(kinds);
  });

  it('wants every element of a result written once', () => {
    const once = write('out', i, f32(1));
    const of = (main: Stmt[], results: string[]) => {
      return run({ main }, { out: { data: floats(8), out: true } }, 2, { results });
    };
    expect(of([once], ['out']).faults).toEqual([]);
    expect(of([once, once], []).faults).toEqual([]);
    expect(kindsOf(of([once, once], ['out']))).toEqual(['written-twice']);
    const even = [when(eq(rem(i, u32(2)), u32(0)), [once])];
    expect(of(even, []).faults).toEqual([]);
    expect(of(even, ['out']).faults).toEqual([
      { kind: 'never-written', what: '"out" word 1 is never written (nor are 3 others)', count: 4 },
    ]);
    expect(() => of([once], ['other'])).toThrow(RangeError);
  });

  it('lets a thread read and write its own element, and no other', () => {
    const doubled = (from: Expr): Program => ({ main: [write('x', i, mul(fetch('x', F32, from), f32(2)))] });
    const x = { data: floats(8, (k) => k), out: true };
    expect(run(doubled(i), { x }, 2).faults).toEqual([]);
    expect([...x.data]).toEqual([0, 2, 4, 6, 8, 10, 12, 14]);
    for (const order of ['forward', 'reverse'] as const) {
      // Thread 0 of one workgroup reads what the last thread of another writes.
      const before = rem(add(i, u32(7)), u32(8));
      expect(kindsOf(run(doubled(before), { x }, 2, { order }))).toContain('race');
      // All read one element, which one of them writes.
      expect(kindsOf(run(doubled(u32(3)), { x }, 2, { order }))).toContain('race');
    }
  });

  it('goes through the workgroups in the order that is asked for', () => {
    const last = (order: 'forward' | 'reverse') => {
      const out = { data: words(1), out: true };
      run({ main: [write('out', u32(0), i)] }, { out }, 3, { order });
      return out.data[0];
    };
    expect(last('forward')).toBe(11);
    expect(last('reverse')).toBe(3);
  });

  it('tells a thread where it is', () => {
    const out = { data: words(24 * 9), out: true };
    const kernel: LoweredKernel = {
      ...lowered({ main: [] }, { out }),
      workgroup: [2, 3, 1],
      main: [
        letOf('w', name('wg', U32X3)),
        letOf('n', add(component(name('w', U32X3), 0), mul(component(name('w', U32X3), 1), u32(2)))),
        letOf('at', mul(add(mul(uint('n'), u32(6)), li), u32(9))),
        ...['wg', 'lid', 'gid'].flatMap((id, k) =>
          [0, 1, 2].map((c) => write('out', add(uint('at'), u32(3 * k + c)), component(name(id, U32X3), c))),
        ),
      ],
    };
    expect(simulate(kernel, [out], [2, 2, 1], { results: ['out'] }).faults).toEqual([]);
    // Workgroup (1, 1, 0), thread 5: (1, 2, 0) in it.
    expect([...out.data.subarray(23 * 9)]).toEqual([1, 1, 0, 1, 2, 0, 3, 5, 0]);
  });
});

describe('workgroup memory', () => {
  const threads = 16;
  /** The sum of 16 numbers in every workgroup, by halves; without the barrier inside the loop where it is not wanted. */
  const reduction = (ordered: boolean): Program => ({
    threads,
    shared: [{ name: 's', type: F32, count: threads }],
    main: [
      put('s', li, fetch('a', F32, i)),
      barrier,
      loop('step', u32(4), [
        letOf('half', binary('>>', u32(8), uint('step'))),
        when(lt(li, uint('half')), [put('s', li, add(item('s', F32, li), item('s', F32, add(li, uint('half')))))]),
        ...(ordered ? [barrier] : []),
      ]),
      when(eq(li, u32(0)), [write('out', component(name('wg', U32X3), 0), item('s', F32, u32(0)))]),
    ],
  });

  it('sums through barriers, and sees a race where one is missing', () => {
    const buffers = { a: { data: floats(48, (k) => k) }, out: { data: floats(3), out: true } };
    const found = run(reduction(true), buffers, 3, { results: ['out'] });
    expect(found.faults).toEqual([]);
    expect([...buffers.out.data]).toEqual([120, 376, 632]);
    expect(found.stats).toMatchObject({ loads: 48, stores: 3, sharedLoads: 3 * 31, sharedStores: 3 * 31 });
    const raced = run(reduction(false), buffers, 3);
    expect(new Set(kindsOf(raced))).toEqual(new Set(['race']));
    expect(raced.faults[0]!.what).toMatch(
      /^a race: "s"\[\d+\] is .*, thread \d+ of workgroup \(0, 0, 0\), in main\[3\]/,
    );
  });

  const shared = [{ name: 's', type: F32, count: 4 }];
  const neighbour = item('s', F32, binary('^', li, u32(1)));
  it.each<[string, Stmt[], FaultKind[]]>([
    ['write, barrier, read', [put('s', li, f32(1)), barrier, letOf('x', neighbour)], []],
    ['write, read', [put('s', li, f32(1)), letOf('x', neighbour)], ['race']],
    ['write, read one’s own', [put('s', li, f32(1)), letOf('x', item('s', F32, li))], []],
    ['read, write', [put('s', li, f32(1)), barrier, letOf('x', neighbour), put('s', li, f32(2))], ['race']],
    ['read, barrier, write', [put('s', li, f32(1)), barrier, letOf('x', neighbour), barrier, put('s', li, f32(2))], []],
    ['two write the same', [put('s', u32(0), f32(1))], ['race']],
    ['one writes', [when(eq(li, u32(2)), [put('s', u32(0), f32(1))])], []],
    ['read what nobody wrote', [letOf('x', item('s', F32, li))], ['unwritten']],
    [
      'read what others wrote',
      [when(lt(li, u32(2)), [put('s', li, f32(1))]), barrier, letOf('x', neighbour)],
      ['unwritten'],
    ],
    ['read what another writes at once', [letOf('x', neighbour), put('s', li, f32(1))], ['unwritten', 'race']],
    [
      'write what all read',
      [
        when(eq(li, u32(3)), [put('s', u32(0), f32(1))]),
        barrier,
        letOf('x', item('s', F32, u32(0))),
        when(eq(li, u32(3)), [put('s', u32(0), f32(1))]),
      ],
      ['race'],
    ],
    ['index beyond', [put('s', add(li, u32(1)), f32(1))], ['out-of-bounds']],
    ['read beyond', [put('s', li, f32(1)), letOf('x', item('s', F32, mul(li, u32(4))))], ['out-of-bounds']],
  ])('%s', (_, main, kinds) => {
    expect(kindsOf(run({ main, shared }, {}, 2))).toEqual(kinds);
  });

  it('forgets what an earlier workgroup wrote', () => {
    const first = eq(component(name('wg', U32X3), 0), u32(0));
    const main = (guard: Expr): Stmt[] => [when(guard, [put('s', li, f32(1))]), letOf('x', item('s', F32, li))];
    expect(run({ main: main(lt(li, u32(9))), shared }, {}, 2).faults).toEqual([]);
    expect(run({ main: main(first), shared }, {}, 2).faults).toMatchObject([{ kind: 'unwritten', count: 4 }]);
  });

  it('holds vectors', () => {
    const s = [{ name: 's', type: F32X4, count: 4 }];
    const value = vector(convert(li, 'f32'), f32(1), f32(2), f32(3));
    const main = [put('s', li, value), barrier, letOf('x', item('s', F32X4, binary('^', li, u32(1))))];
    const of = (k: number) => valuesOf(component(name('x', F32X4), k), main, { shared: s });
    expect([of(0), of(1), of(3)]).toEqual([
      [1, 0, 3, 2],
      [1, 1, 1, 1],
      [3, 3, 3, 3],
    ]);
  });

  it.each<[string, Stmt[], FaultKind[]]>([
    ['by all', [barrier], []],
    ['by all in a loop', [loop('k', u32(3), [barrier])], []],
    ['where a condition holds for all', [when(lt(li, u32(9)), [barrier])], []],
    ['where a condition holds for some', [when(lt(li, u32(3)), [barrier])], ['divergent-barrier']],
    ['on both sides', [when(lt(li, u32(3)), [barrier], [barrier])], ['divergent-barrier', 'divergent-barrier']],
    ['after some have returned', [when(lt(li, u32(3)), [leave]), barrier], ['divergent-barrier']],
    ['after all have returned', [when(lt(li, u32(9)), [leave]), barrier], []],
    ['in turns of some', [loop('k', li, [barrier])], ['divergent-barrier']],
  ])('a barrier is reached %s', (_, main, kinds) => {
    expect(kindsOf(run({ main }, {}, 2))).toEqual(kinds);
  });
});

describe('subgroups', () => {
  const x = convert(mul(i, add(i, u32(1))), 'f32');
  const at = (k: number): number => k * (k + 1);

  describe.each([4, 8, 16, 32, 64, 128])('of %i lanes', (lanes) => {
    const threads = 128;
    const lane = uint('lane');
    const within = (value: Expr): number[] => valuesOf(value, [], { subgroup: lanes }, threads);
    const every = (f: (k: number, first: number) => number): number[] =>
      Array.from({ length: threads }, (_, k) => f(k, k - (k % lanes)));

    it('know their lane', () => expect(within(lane)).toEqual(every((k, first) => k - first)));
    it('broadcast', () =>
      expect(within(collective('broadcast', x, u32(3)))).toEqual(every((_, first) => at(first + 3))));
    it('shuffle', () => {
      const reversed = sub(u32(lanes - 1), lane);
      expect(within(collective('shuffle', x, reversed))).toEqual(every((k, first) => at(2 * first + lanes - 1 - k)));
    });
    it('shuffle_xor', () => {
      for (let bit = 1; bit < lanes; bit *= 2) {
        expect(within(collective('shuffle_xor', x, u32(bit)))).toEqual(every((k) => at(k ^ bit)));
      }
    });
    it('add, max, min', () => {
      const inGroup = (first: number): number[] => Array.from({ length: lanes }, (_, k) => at(first + k));
      expect(within(collective('add', x))).toEqual(every((_, first) => inGroup(first).reduce((a, b) => a + b)));
      expect(within(collective('max', x))).toEqual(every((_, first) => Math.max(...inGroup(first))));
      expect(within(collective('min', x))).toEqual(every((_, first) => Math.min(...inGroup(first))));
    });
  });

  it('take vectors, wrap integers and round halves', () => {
    const halves = select(literal(1, 'f16'), literal(2048, 'f16'), eq(li, u32(0)));
    expect(valuesOf(convert(collective('add', halves), 'f32'), [], { subgroup: 4 })).toEqual([2048, 2048, 2048, 2048]);
    const pair = vector(x, f32(1));
    expect(valuesOf(component(collective('add', pair), 1), [], { subgroup: 4 })).toEqual([4, 4, 4, 4]);
    expect(valuesOf(collective('add', u32(0x80000001)), [], { subgroup: 4 })).toEqual([4, 4, 4, 4]);
    expect(valuesOf(collective('add', i32(0x7fffffff)), [], { subgroup: 4 })).toEqual([-4, -4, -4, -4]);
  });

  const sum = letOf('s', collective('add', x));
  it.each<[string, Expr, FaultKind[]]>([
    ['all lanes', lt(li, u32(9)), []],
    ['some lanes', lt(li, u32(3)), ['divergent-collective']],
    ['whole subgroups', lt(li, u32(4)), []],
  ])('want all of their lanes: %s', (_, condition, kinds) => {
    expect(kindsOf(run({ threads: 8, subgroup: 4, main: [when(condition, [sum])] }, {}))).toEqual(kinds);
  });

  it('may be larger than the workgroup', () => {
    expect(valuesOf(collective('add', x), [], { subgroup: 32 })).toEqual([20, 20, 20, 20]);
  });

  it('must be as large as the kernel thinks', () => {
    const program = { threads: 8, subgroup: 4, main: [write('out', i, collective('add', f32(1))), sum] };
    const out = { data: floats(8), out: true };
    expect(run(program, { out }).faults).toEqual([]);
    expect(kindsOf(run(program, { out }, 1, { lanes: 8 }))).toEqual(['wrong-lanes']);
    expect([...out.data]).toEqual([8, 8, 8, 8, 8, 8, 8, 8]);
    // Nothing depends on it without a collective.
    expect(run({ subgroup: 4, main: [] }, {}, 1, { lanes: 8 }).faults).toEqual([]);
  });

  it.each<[string, number, Expr, FaultKind[]]>([
    ['there', 4, collective('shuffle', x, u32(3)), []],
    ['of another subgroup', 4, collective('shuffle', x, u32(4)), ['absent-lane']],
    ['beyond the workgroup', 32, collective('shuffle_xor', x, u32(8)), ['absent-lane']],
    ['beyond, to all', 4, collective('broadcast', x, u32(5)), ['absent-lane']],
  ])('take values of lanes that are %s', (_, subgroup, value, kinds) => {
    expect(kindsOf(run({ threads: 8, subgroup, main: [letOf('s', value)] }, {}))).toEqual(kinds);
  });

  it('take no value of a lane that is off', () => {
    const main = [when(lt(li, u32(3)), [letOf('s', collective('shuffle', x, u32(3)))])];
    expect(kindsOf(run({ subgroup: 4, main }, {}))).toEqual(['divergent-collective', 'absent-lane']);
    const out = { data: floats(4), out: true };
    const sums = [when(lt(li, u32(3)), [write('out', i, collective('add', x))])];
    expect(kindsOf(run({ subgroup: 4, main: sums }, { out }))).toEqual(['divergent-collective']);
    expect([...out.data]).toEqual([8, 8, 8, 0]);
  });
});
