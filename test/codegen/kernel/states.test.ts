/** Entries that change states, in the simulator: by every variant, what the interpreter computes, and nothing that WGSL leaves undefined. */
import { describe, expect, test } from 'vitest';
import { SUBGROUP_SIZES } from '../../../src/codegen/contract/schedules.js';
import { generate } from '../../../src/codegen/generate.js';
import type { Tensor } from '../../../src/ir/types.js';
import { OPTIONS } from '../harness.js';
import { calls, ENTRIES, entryNamed, interpreted, learner, starts, worst } from '../states.js';
import { simulateCall, unproved, type Which, weightMemory } from './run.js';

const module = learner();
const program = generate(module, { ...OPTIONS, entries: ENTRIES, samples: 7 });
const named = (name: string) => entryNamed(program.program, name)!;

test.each<Which>([...SUBGROUP_SIZES, 'tile', 'portable'])('twenty steps by variants for %s', (which) => {
  const memory = weightMemory(program, starts(module));
  const { given, states } = interpreted(module);
  for (const [i, { entry, inputs }] of calls().entries()) {
    const run = simulateCall(program, named(entry), memory, { arguments: new Map(inputs) }, which);
    expect(run.faults).toEqual([]);
    const found = new Map(named(entry).outputs.map((t, at) => [t.name, run.results[at]!] as const));
    expect(worst(found, given[i]!).difference, `${i}: ${entry}`).toBeLessThan(1e-4);
  }
  const held = new Map(
    program.weights.map(({ entry, param }) => {
      const { type } = module.params.get(param)!;
      const array = type.dtype === 'i32' ? Int32Array : Float32Array;
      const size = type.shape.reduce((n, d) => n * d, 1);
      const { buffer, byteOffset } = memory.get(entry.name)!;
      return [param, { type, data: new array(buffer, byteOffset, size) } as Tensor];
    }),
  );
  expect(worst(held, states)).toMatchObject({ difference: expect.toSatisfy((d: number) => d < 1e-4) });
});

test('all kernels are proved', () => {
  expect(unproved(program, 5)).toEqual([]);
});

describe('what is written in place', () => {
  test.each([
    // The means of W are computed at the end of the product that gives the gradient, whose last tile lies in part outside.
    [
      'step',
      {
        W: true,
        bias: true,
        'W.mean': false,
        'W.square': false,
        'bias.mean': true,
        'bias.square': true,
        count: true,
      },
    ],
    // Each is read by what writes the other: the first to be written is read once more after that.
    ['exchange', { W: true, spare: false }],
    ['mix', { W: false }],
    ['turn', { 'pair.u': false, 'pair.v': true }],
    ['fold', { 'pair.u': false, 'pair.v': true, pair: true }],
    ['reset', { count: true, bias: true }],
  ])('%s', (name, places) => {
    expect(Object.fromEntries(named(name).updates.map((u) => [u.weight, !u.copied]))).toEqual(places);
  });
});

test('a state has one buffer, and zeros are in no file', () => {
  const start = Object.fromEntries(program.weights.map(({ entry }) => [entry.name, entry.start]));
  expect(start).toEqual({
    W: 'file',
    bias: 'zeros',
    'W.mean': 'zeros',
    'W.square': 'zeros',
    'bias.mean': 'zeros',
    'bias.square': 'zeros',
    count: 'zeros',
    spare: 'file',
    scale: 'file',
    pair: 'zeros',
    'pair.u': 'file',
    'pair.v': 'file',
  });
});

test('states that lie in another begin where bindings can, and what is copied is copied before it is read there', () => {
  const within = program.weights.flatMap(({ entry: e }) => (e.within ? [[e.name, e.within]] : []));
  expect(Object.fromEntries(within)).toEqual({
    'pair.u': { weight: 'pair', offset: 0 },
    'pair.v': { weight: 'pair', offset: 256 },
  });
  const { dispatches, updates } = named('fold');
  const turn = named('turn').dispatches.length;
  expect(dispatches.length).toBeGreaterThan(turn);
  expect(updates[0]).toEqual({ weight: 'pair.u', copied: true, after: turn });
  // Counted once.
  const { weightBytes } = program.program.summary;
  const own = program.program.weights.filter((w) => !w.within);
  expect(weightBytes).toBe(own.reduce((sum, w) => sum + w.bytes, 0));
});

test('what is of all samples together says so', () => {
  const { inputs, outputs } = named('step');
  expect(Object.fromEntries([...inputs, ...outputs].map((t) => [t.name, [t.shape, t.samples]]))).toEqual({
    x: [[1, 10], true],
    wanted: [[1, 3], true],
    rate: [[], false],
    loss: [[], false],
    gradient: [[3, 10], false],
    error: [[1, 3], true],
    before: [[3], false],
  });
});
