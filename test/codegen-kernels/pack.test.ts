/** Packing of weights in tile order: nothing is lost, halves round to the nearest, what they cannot hold is refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tiles } from '../../src/codegen/buffers/layout.js';
import { HalfOverflow, pack, packedBytes } from '../../src/codegen/buffers/pack.js';
import { fromHalf, toHalf } from '../../src/ir/run/half.js';
import { unpack } from '../codegen/unpack.js';

describe('tiles', () => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 40 }));

  test('unpacking gives the weight back, and everything else is zero', () => {
    fc.assert(
      fc.property(sizes, ([n, k]) => {
        const weight = Float32Array.from({ length: n * k }, (_, i) => i + 1);
        const bytes = pack(weight, tiles([n, k], 0), 'f32');
        expect(unpack(bytes, tiles([n, k], 0), 'f32')).toEqual(weight);
        const sum = new Float32Array(bytes.buffer).reduce((x, y) => x + y, 0);
        expect(sum).toBe((n * k * (n * k + 1)) / 2);
      }),
    );
  });

  test('f16 tiles hold the rounded weight in half the bytes', () => {
    fc.assert(
      fc.property(sizes, ([n, k]) => {
        const weight = Float32Array.from({ length: n * k }, (_, i) => Math.sin(i) * 3);
        const bytes = pack(weight, tiles([n, k], 0), 'f16');
        expect(bytes.byteLength).toBe(packedBytes(tiles([n, k], 0), 'f32') / 2);
        expect(unpack(bytes, tiles([n, k], 0), 'f16')).toEqual(weight.map((x) => fromHalf(toHalf(x))));
      }),
    );
  });

  test('a tile is 16 inputs of 32 outputs', () => {
    const weight = Float32Array.from({ length: 64 * 32 }, (_, i) => i);
    const packed = new Float32Array(pack(weight, tiles([64, 32], 0), 'f32').buffer);
    // weight[33, 18] is in block (1, 1): input 2, output 1 of it.
    expect(packed[3 * 16 * 32 + 2 * 32 + 1]).toBe(33 * 32 + 18);
  });

  test('a weight that f16 cannot hold is refused with its place', () => {
    const weight = new Float32Array(6);
    weight[4] = -70000;
    expect(() => pack(weight, tiles([2, 3], 0), 'f16')).toThrow(HalfOverflow);
    expect(() => pack(weight, tiles([2, 3], 0), 'f16')).toThrow('weight[1, 1] = -70000');
    expect(() => pack(weight, tiles([2, 3], 0), 'f32')).not.toThrow();
  });

  test('sizes that do not fit together are refused', () => {
    expect(() => pack(new Float32Array(5), tiles([2, 3], 0), 'f32')).toThrow('6 elements, not 5');
    expect(() => unpack(new Uint8Array(8), tiles([2, 3], 0), 'f32')).toThrow('2048 bytes, not 8');
  });
});
