/** Philox 4x32-10 by its published vectors, and the operator that draws from it. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { input } from '../../src/ir/graph.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { type Counter, counterOf, philox } from '../../src/ir/run/philox.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';

/** Of Random123 1.09, `kat_vectors`: counter, key, result. */
const VECTORS: readonly (readonly [Counter, readonly [number, number], string])[] = [
  [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
];

const hex = (words: readonly number[]): string => words.map((w) => w.toString(16).padStart(8, '0')).join(' ');

describe('Philox 4x32-10', () => {
  it('gives the published vectors', () => {
    for (const [counter, key, result] of VECTORS) expect(hex(philox(counter, key))).toBe(result);
  });
});

const KEY = [0x12345678, 0x9abcdef0] as const;

function drawn(make: (key: Value) => Value, samples = 1, key: readonly number[] = KEY): Tensor {
  const k = input('key', { dtype: 'u32', shape: [2] });
  const x = input('x', { dtype: 'f32', shape: [BATCH, 1] });
  // The argument that says how many samples there are.
  const module: Module = {
    name: 'test',
    adapters: new Map(),
    params: new Map(),
    funcs: new Map([['f', { name: 'f', inputs: [k, x], results: [{ name: 'y', value: make(k) }], updates: [] }]]),
  };
  const inputs = new Map([
    ['key', tensor([2], Uint32Array.from(key), 'u32')],
    ['x', tensor([samples, 1], new Float64Array(samples))],
  ]);
  return interpret(module, 'f', { inputs }).get('y')!;
}

describe('random_bits', () => {
  it('are the words of its stream, in order', () => {
    const { data } = drawn((k) => build.randomBits(k, [2, 5], 7));
    const words = [0, 1, 2].flatMap((block) => philox(counterOf(block, 7), KEY));
    expect([...data]).toEqual(words.slice(0, 10));
  });

  it('repeat for a key and a stream, and differ for others', () => {
    const bits = (stream: number, key: readonly number[] = KEY) =>
      [...drawn((k) => build.randomBits(k, [64], stream), 1, key).data].join();
    expect(bits(1)).toBe(bits(1));
    expect(new Set([bits(1), bits(2), bits(1, [KEY[0], KEY[1] ^ 1]), bits(1, [KEY[0] ^ 1, KEY[1]])]).size).toBe(4);
  });

  it('of a sample do not depend on how many there are', () => {
    const bits = (samples: number) => [...drawn((k) => build.randomBits(k, [BATCH, 3], 4), samples).data];
    expect(bits(5).slice(0, 6)).toEqual(bits(2));
  });

  it('are as often one as zero', () => {
    const { data } = drawn((k) => build.randomBits(k, [4096], 0));
    for (let bit = 0; bit < 32; bit++) {
      const ones = [...data].filter((w) => (w >>> bit) & 1).length;
      // Five standard deviations of 4096 throws.
      expect(Math.abs(ones - 2048), `bit ${bit}`).toBeLessThan(160);
    }
  });
});
