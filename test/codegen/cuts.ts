/**
 * Graphs whose tensors exceed what one binding holds, one for each way in which a kernel goes through its tensors: small, for a GPU and
 * small limits, and of sizes just over 128 MiB, of which only the plan is looked at.
 */

import { expect } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import type { Generated } from '../../src/codegen/generate.js';
import { BASELINE, type Limits } from '../../src/codegen/schedule.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { build } from '../../src/ir/build.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, Module, Tensor, Value } from '../../src/ir/types.js';
import { compiled, entryOf, Model } from './harness.js';

/** A model without numbers, of which no tensor takes memory. */
export class Outline extends Model {
  override input(shape: readonly number[], dtype: DType = 'f32'): Value {
    return super.input(shape, dtype, { type: { dtype, shape }, data: new Float32Array(0) });
  }

  override param(shape: readonly number[]): Value {
    return super.param(shape, { type: { dtype: 'f32', shape }, data: new Float32Array(0) });
  }
}

/** The first size for a GPU, the second just over 128 MiB. */
export type Size = (small: number, large: number) => number;
export const SMALL: Size = (small) => small;
export const LARGE: Size = (_small, large) => large;

type Cut = (m: Model, s: Size) => Value | readonly Value[];

const plain = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 } as const;
const same = { ...plain, padding: [1, 1, 1, 1] } as const;

/** q, k and v as a fused projection gives them, token by token, and the result put back in that order. */
function tokens(
  m: Model,
  [b, n, h, d]: readonly [number, number, number, number],
  factors: readonly Value[] = [],
): Value {
  const qkv = m.input([b, n, 3, h, d]);
  const part = (i: number): Value =>
    build.reshape(build.transpose(build.sliceAxis(qkv, 2, i, i + 1), [0, 3, 1, 2, 4]), [b, h, n, d]);
  const y = build.attention(part(0), part(1), part(2), 0.5, factors);
  return build.reshape(build.transpose(y, [0, 2, 1, 3]), [b, n, h * d]);
}

/** Whole numbers below a bound, as indices. */
function indices(count: number, below: number): Tensor {
  return tensor(
    [count],
    Uint32Array.from({ length: count }, (_, i) => (i * 7919) % below),
    'u32',
  );
}

export const CUTS: Readonly<Record<string, Cut>> = {
  'pointwise, of no multiple of four': (m, s) => build.gelu(m.input([s(61, 61), s(3, 197), s(7, 2863)])),
  'a broadcast operand': (m, s) =>
    build.add(m.input([s(16, 64), s(5, 197), 33 * s(1, 81)]), m.param([s(5, 197), 33 * s(1, 81)])),
  'transpose of the last axes': (m, s) => build.transpose(m.input([s(4, 64), s(13, 197), s(40, 2664)]), [0, 2, 1]),
  'transpose of the first axes': (m, s) => build.transpose(m.input([s(13, 197), s(4, 64), s(40, 2664)]), [1, 0, 2]),
  'transpose of a matrix': (m, s) => build.transpose(m.input([s(60, 6000), s(43, 5601)])),
  'concat of the first axis': (m, s) =>
    build.concat([m.input([s(5, 32), s(7, 197), s(24, 2664)]), m.input([s(6, 33), s(7, 197), s(24, 2664)])], 0),
  'concat of many': (m, s) =>
    build.concat(
      [1, 2, 3, 4, 5, 6, 7].map((i) => m.input([s(i, 2 * i), s(50, 650_000)])),
      0,
    ),
  'concat of the middle axis': (m, s) =>
    build.concat([m.input([s(8, 64), 1, s(24, 2664)]), m.input([s(8, 64), s(11, 197), s(24, 2664)])], 1),
  'concat of the last axis': (m, s) =>
    build.concat([m.input([s(8, 64), s(11, 197), s(9, 100)]), m.input([s(8, 64), s(11, 197), s(14, 2600)])], 2),
  slice: (m, s) => build.sliceAxis(m.input([s(16, 64), s(12, 198), s(20, 2664)]), 1, 1, s(12, 198)),
  'slice of the first axis, moved': (m, s) =>
    build.gelu(build.roll(build.sliceAxis(m.input([s(33, 65), s(12, 197), s(5, 2664)]), 0, 1, s(33, 65)), [3], [0])),
  pad: (m, s) => build.pad(m.input([s(16, 64), s(5, 197), s(20, 2664)]), [1, 1, 0], [0, 0, 2], 1.5),
  'windows, shifted': (m, s) => {
    const [b, h, c] = [s(3, 64), s(2, 8), s(9, 168)];
    const x = build.roll(m.input([b, h * 7, h * 7, c]), [-3, -3], [1, 2]);
    return build.reshape(build.transpose(build.reshape(x, [b, h, 7, h, 7, c]), [0, 1, 3, 2, 4, 5]), [b * h * h, 49, c]);
  },
  'gather from a large table': (m, s) =>
    build.gather(m.param([s(200, 2 ** 16), s(10, 1000)]), m.input([9], 'u32', indices(9, s(200, 2 ** 16)))),
  'gather of activations': (m, s) =>
    build.gather(m.input([s(20, 64), s(11, 197), s(9, 2664)]), m.input([9], 'u32', indices(9, s(11, 197))), 1),
  'sum over the batch': (m, s) => build.sum(m.input([s(20, 64), s(11, 197), s(9, 2664)]), [0]),
  'mean over tokens': (m, s) => build.mean(m.input([s(20, 64), s(11, 197), s(9, 2664)]), [1]),
  'max over channels': (m, s) => build.max(m.input([s(20, 64), s(11, 197), s(9, 2664)]), [2]),
  'sum over everything': (m, s) => build.sum(m.input([s(20, 64), s(11, 197), s(12, 2664)]), [0, 1, 2]),
  'argmax and top_k': (m, s) => {
    const x = m.input([s(40, 64 * 197), s(50, 2664)]);
    return [m.op('argmax', [x], { axis: 1 }), m.op('top_k', [x], { k: 2 })];
  },
  'softmax over the first axis': (m, s) => build.softmax(m.input([s(20, 64), s(11, 197), s(9, 2664)]), 0),
  'softmax over the last axis': (m, s) => build.softmax(m.input([s(20, 64), s(11, 197), s(9, 2664)]), 2),
  'layer norm and what follows': (m, s) => {
    const x = m.input([s(20, 64), s(11, 197), s(9, 2663)]);
    const c = s(9, 2663);
    return build.add(x, build.gelu(build.layerNorm(x, m.param([c]), m.param([c]), 1e-5)));
  },
  'linear of odd sizes': (m, s) =>
    build.linear(m.input([s(20, 64), s(11, 197), s(9, 2663)]), m.param([7, s(9, 2663)]), m.param([7])),
  'linear with a wide result': (m, s) =>
    build.gelu(build.linear(m.input([s(20, 64), s(11, 197), 5]), m.param([s(37, 2663), 5]), m.param([s(37, 2663)]))),
  'linear of what lies transposed': (m, s) =>
    build.linear(build.transpose(m.input([s(8, 64), s(24, 2664), s(21, 197)]), [0, 2, 1]), m.param([7, s(24, 2664)])),
  'linear of one sample that lies transposed': (m, s) =>
    build.linear(build.transpose(m.input([s(40, 2664), s(64, 12_608)])), m.param([8, s(40, 2664)])),
  'linear with few outputs of a million inputs': (m, s) =>
    build.linear(m.input([2, s(900, 1_200_000)]), m.param([3, s(900, 1_200_000)])),
  'matmul with a large left side': (m, s) =>
    build.matmul(m.input([1, s(60, 6000), s(50, 6000)]), m.input([1, s(50, 6000), 10])),
  'matmul with a large right side': (m, s) =>
    build.matmul(m.input([1, 10, s(50, 6000)]), m.input([1, s(50, 6000), s(60, 6000)])),
  'matmul of a batch': (m, s) => build.matmul(m.input([s(40, 70_000), 3, 25]), m.input([s(40, 70_000), 25, 24])),
  'a strided convolution': (m, s) =>
    m.op('conv2d', [m.input([s(4, 64), 3, s(16, 448), s(16, 448)]), m.param([s(8, 32), 3, 4, 4])], {
      ...plain,
      stride: [4, 4],
    }),
  'a convolution of one picture': (m, s) =>
    m.op('conv2d', [m.input([1, s(6, 64), s(18, 760), s(18, 760)]), m.param([s(6, 64), s(6, 64), 3, 3])], same),
  'a convolution of many pictures': (m, s) =>
    m.op('conv2d', [m.input([s(6, 16), s(5, 64), s(11, 190), s(11, 190)]), m.param([s(5, 64), s(5, 64), 3, 3])], same),
  'a depthwise convolution': (m, s) =>
    m.op('conv2d', [m.input([1, s(12, 64), s(18, 760), s(18, 760)]), m.param([s(12, 64), 1, 3, 3])], {
      ...same,
      groups: s(12, 64),
    }),
  'a convolution in groups': (m, s) =>
    m.op('conv2d', [m.input([s(2, 2), s(8, 64), s(18, 540), s(18, 540)]), m.param([s(8, 64), s(4, 32), 3, 3])], {
      ...same,
      groups: 2,
    }),
  'attention of many groups': (m, s) => {
    const shape = [s(30, 70_000), 2, 5, s(8, 64)];
    return build.attention(m.input(shape), m.input(shape), m.input(shape), 0.5);
  },
  'attention over many keys': (m, s) => {
    const [q, k] = [m.input([1, 3, 4, 16 * s(1, 4)]), [1, 3, s(90, 180_000), 16 * s(1, 4)]];
    return build.attention(q, m.input(k), m.input(k), 0.5, [m.param([1, 3, 1, s(90, 180_000)])]);
  },
  'attention, token by token': (m, s) => tokens(m, [s(8, 64), s(11, 197), s(3, 16), 16 * s(1, 4)]),
  'attention of one sample, token by token, with a bias': (m, s) =>
    tokens(m, [1, s(50, 12_000), s(3, 16), 16 * s(1, 4)], [m.param([s(3, 16), 1, 1])]),
  'an activation and what is made of it': (m, s) => {
    const y = build.gelu(m.input([s(61, 61), s(3, 197), s(7, 2863)]));
    return [y, build.exp(y)];
  },
  'linear and its activation': (m, s) => {
    const y = build.linear(m.input([s(20, 64), s(11, 197), 5]), m.param([s(37, 2663), 5]), m.param([s(37, 2663)]));
    return [y, build.gelu(y)];
  },
  'attention with its log-sum-exp': (m, s) => {
    const shape = [s(9, 65), s(4, 16), s(9, 512), 16 * s(1, 4)];
    const y = build.attention(m.input(shape), m.input(shape), m.input(shape), 0.5);
    return build.mul(y, build.reshape(build.aux(y, 'lse'), [...shape.slice(0, 3), 1]));
  },
};

/**
 * The program for these limits; undefined where an operator reads so many tensors from end to end that no cut helps, which is refused by name.
 * At the limits that devices have, random programs never are.
 */
export function cutTo(module: Module, limits: Partial<Limits>): Generated | undefined {
  try {
    return compiled(module, { limits });
  } catch (error) {
    if (error instanceof EspalierError && error.diagnostics[0]!.code === 'ESP0602') return undefined;
    throw error;
  }
}

/** Bytes of the largest tensor that the program reads or writes; of a packed weight, before it is padded. */
export function largest(g: Generated): number {
  const entry = entryOf(g);
  return Math.max(
    ...[...entry.inputs, ...entry.outputs].map((t) => sizeOf(t.shape) * 4),
    ...[...g.memory.samples.tenants, ...g.memory.fixed.tenants].map((t) => t.bytes),
    ...g.weights.map((w) => sizeOf(w.entry.shape) * 4),
  );
}

/** Every promise that a program makes about the limits it was compiled for. */
export function expectWithin(g: Generated, given: Partial<Limits> = {}): void {
  const limits = { ...BASELINE, ...given };
  const entry = entryOf(g);
  const sizes = [
    ...[...entry.inputs, ...entry.outputs].map((t) => sizeOf(t.shape) * 4),
    ...entry.slabs.map((slab) => slab.bytes),
    ...g.weights.map((w) => w.entry.bytes),
  ];
  for (const bytes of sizes) expect(bytes).toBeLessThanOrEqual(limits.maxBufferSize);
  const written = entry.outputs.map(() => 0);
  for (const d of entry.dispatches) {
    const kernel = g.program.kernels[d.kernel]!;
    expect(d.bindings.length).toBe(kernel.bindings.length);
    expect(d.bindings.length).toBeLessThanOrEqual(limits.maxStorageBuffersPerShaderStage);
    expect(d.bytes).toBe(d.bindings.reduce((sum, b) => sum + b.bytes, 0));
    for (const b of d.bindings) {
      expect(b.bytes).toBeGreaterThan(0);
      expect(b.bytes).toBeLessThanOrEqual(limits.maxStorageBufferBindingSize);
      expect(b.offset % limits.minStorageBufferOffsetAlignment).toBe(0);
      const whole =
        b.kind === 'arena'
          ? entry.slabs[b.slab]!.bytes
          : b.kind === 'weight'
            ? g.weights.find((w) => w.entry.name === b.name)!.entry.bytes
            : Math.ceil(sizeOf((b.kind === 'input' ? entry.inputs : entry.outputs)[b.index]!.shape) / 4) * 16;
      expect(b.offset + b.bytes).toBeLessThanOrEqual(whole);
      if (b.kind === 'output') written[b.index] = Math.max(written[b.index]!, b.offset + b.bytes);
    }
    // Two bindings of one buffer, of which a kernel writes to one, may not overlap.
    d.bindings.forEach((a, i) => {
      for (const b of d.bindings.slice(0, i)) {
        const place = (x: typeof a): string => JSON.stringify({ ...x, offset: 0, bytes: 0 });
        expect(place(a) === place(b) && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes).toBe(false);
      }
    });
    for (const w of d.workgroups)
      for (const n of workgroupsAt(w, entry.samples))
        expect(n).toBeLessThanOrEqual(limits.maxComputeWorkgroupsPerDimension);
  }
  expect(written).toEqual(entry.outputs.map((t) => sizeOf(t.shape) * 4));
  expect(Math.abs(entry.dispatches.reduce((sum, d) => sum + d.flops, 0) - g.program.summary.flops)).toBe(0);
}
