/**
 * What a new storage type for weights and a new schedule take: this file, and no other. A storage type is how numbers are packed and a function that
 * loads four of them; all variants of the product read through it. A schedule, of a product, of attention or of a reduction, is data.
 */

import { describe, expect, it } from 'vitest';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import { attentionCandidates, attentionVariant } from '../../../src/codegen/attention/attention.js';
import { attentionProblem } from '../../../src/codegen/attention/kernel.js';
import type { AttentionSchedule } from '../../../src/codegen/attention/schedules.js';
import { type DeviceClass, RANKS } from '../../../src/codegen/candidates.js';
import {
  type ContractSchedule,
  contractCandidates,
  contractVariant,
  contractVariants,
} from '../../../src/codegen/contract/contract.js';
import { SUBGROUP_SIZES } from '../../../src/codegen/contract/schedules.js';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import { Body } from '../../../src/codegen/kernel/body.js';
import * as e from '../../../src/codegen/kernel/expr.js';
import { simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { Buffer, Expr, KernelFunction, Type } from '../../../src/codegen/kernel/types.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { KernelWriter } from '../../../src/codegen/kernel.js';
import type { ContractProblem, GeneratedVariant } from '../../../src/codegen/problem.js';
import { ZERO } from '../../../src/codegen/read/indexing.js';
import { reduceVariant } from '../../../src/codegen/reduce/kernel.js';
import { type ReduceSchedule, reduceCandidates } from '../../../src/codegen/reduce/schedules.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import type { Module } from '../../../src/ir/types.js';
import {
  type ContractShape,
  contractData,
  contractProblem,
  contractReference,
  noise,
} from '../../codegen-kernels/problems.js';
import { Model } from '../harness.js';
import { Case, kernelsOf } from './group-kernels.js';

/** Weights b[k, n], four neighbouring columns to an item, rows padded to whole items. */
interface Storage {
  readonly item: Type;
  readonly pack: (weights: Float32Array) => { readonly words: Uint32Array; readonly scale?: number };
  /** Four columns from an item. */
  readonly unpack: (item: Expr, scale: Expr) => Expr;
  /** What is left of a weight. */
  readonly stored: (x: number, scale: number) => number;
}

const right = (x: Expr, by: number): Expr => e.binary('>>', x, e.u32(by));
const left = (x: Expr, by: number): Expr => e.binary('<<', x, e.u32(by));
const bitsOf = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0]!;
const ofBits = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

/** The upper half of an f32, rounded to the nearest even. */
const upper = (x: number): number => {
  const bits = bitsOf(x);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
};

const byte = (x: number, scale: number): number => Math.max(-127, Math.min(127, Math.round(x / scale)));

const STORAGE: Readonly<Record<string, Storage>> = {
  bf16: {
    item: { scalar: 'u32', lanes: 2 },
    pack: (weights) => ({
      words: Uint32Array.from({ length: weights.length / 2 }, (_, i) => {
        return upper(weights[2 * i]!) + upper(weights[2 * i + 1]!) * 2 ** 16;
      }),
    }),
    unpack: (item) =>
      e.vector(
        ...[0, 1].flatMap((i) => {
          const word = e.component(item, i);
          return [left(word, 16), e.binary('&', word, e.u32(0xffff0000))].map((bits) => e.bitcast(bits, 'f32'));
        }),
      ),
    stored: (x) => ofBits(upper(x) * 2 ** 16),
  },
  'i8 with a scale': {
    item: { scalar: 'u32', lanes: 1 },
    pack(weights) {
      const scale = Math.fround(weights.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 127);
      const words = Uint32Array.from({ length: weights.length / 4 }, (_, i) =>
        [3, 2, 1, 0].reduce((word, at) => word * 256 + (byte(weights[4 * i + at]!, scale) & 255), 0),
      );
      return { words, scale };
    },
    unpack: (item, scale) => {
      // To the top of the word and down again, which keeps the sign.
      const signed = e.vector(...[24, 16, 8, 0].map((up) => right(e.bitcast(left(item, up), 'i32'), 24)));
      return e.mul(e.convert(signed, 'f32'), scale);
    },
    stored: (x, scale) => byte(x, scale) * scale,
  },
};

/** `load_b4` of a storage type. */
function loader({ item, unpack }: Storage, inputs: number, fours: number): KernelFunction {
  const b = new Body();
  // Of inputs past the last, the last.
  const input = e.min(e.add(e.uint('k'), e.uint('j')), e.u32(inputs - 1));
  const at = e.add(e.mul(input, e.u32(fours)), e.div(e.uint('col'), e.u32(4)));
  b.return(unpack(b.named('four', e.fetch('b', item, at)), e.load('scale', 'f32', ZERO)));
  const params = ['z', 'k', 'col', 'j'].map((name) => ({ name, type: e.U32 }));
  return { name: 'load_b4', params, result: e.F32X4, body: b.stmts };
}

/** The variant proves, runs without a fault, and gives y. */
function expectProduct(
  variant: GeneratedVariant,
  buffers: readonly Buffer[],
  data: ReadonlyMap<string, Float32Array | Uint32Array>,
  wanted: Float64Array,
): void {
  const program = { ...variant.program, buffers };
  const workgroups = workgroupsAt(variant.workgroups, 1);
  expect(verifyKernel(program, { workgroups }), variant.name).toEqual([]);
  const lowered = explicitAddresses([program], BASELINE)[0]!;
  const y = new Float32Array(Math.ceil(wanted.length / 4) * 4).fill(Number.NaN);
  const windows = lowered.windows.map((w) => ({ data: w.buffer === 'y' ? y : data.get(w.buffer)! }));
  const { faults } = simulate(lowered, windows, workgroups, { results: ['y'] });
  expect(
    faults.map((f) => f.what),
    variant.name,
  ).toEqual([]);
  const most = wanted.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  for (const [i, x] of wanted.entries()) expect(Math.abs(y[i]! - x) / most, `${variant.name} ${i}`).toBeLessThan(1e-6);
}

/** In whole vec4, as buffers are. */
function whole(x: Float32Array): Float32Array {
  const padded = new Float32Array(Math.ceil(x.length / 4) * 4);
  padded.set(x);
  return padded;
}

/** What no tile divides. */
const SHAPES: readonly Omit<ContractShape, 'weight'>[] = [
  { m: 5, n: 40, k: 36 },
  { m: 37, n: 70, k: 21 },
];

describe('a new storage type', () => {
  for (const [name, storage] of Object.entries(STORAGE)) {
    it(name, () => {
      for (const shape of SHAPES) {
        const { n, k } = shape;
        const fours = Math.ceil(n / 4);
        const weights = noise(k * fours * 4, 7);
        const { words, scale = 1 } = storage.pack(weights);
        const plain = contractProblem({ ...shape, weight: 'function' });
        const problem: ContractProblem = {
          ...plain.problem,
          functions: plain.problem.functions.map((f) => (f.name === 'load_b4' ? loader(storage, k, fours) : f)),
        };
        const packed: Buffer = {
          name: 'b',
          access: 'read',
          element: 'u32',
          count: words.length / storage.item.lanes,
          padded: true,
          packed: storage.item,
        };
        const one: Buffer = { name: 'scale', access: 'read', element: 'f32', count: 1, padded: true };
        const buffers = [...plain.buffers.map((b) => (b.name === 'b' ? packed : b)), one];
        const { a } = contractData({ ...shape, weight: 'function' }, (x) => x);
        const stored = (_: number, i: number, j: number): number => storage.stored(weights[i * fours * 4 + j]!, scale);
        const wanted = contractReference({ ...shape, weight: 'function' }, { a, b: weights, plain: stored });
        const data = new Map<string, Float32Array | Uint32Array>([
          ['a', whole(a)],
          ['b', words],
          ['scale', Float32Array.of(scale, 0, 0, 0)],
        ]);
        const variants = contractVariants(problem);
        expect(variants).toHaveLength(SUBGROUP_SIZES.length + 2);
        for (const variant of variants) expectProduct(variant, buffers, data, wanted);
      }
    });
  }
});

describe('a new schedule', () => {
  /** None that the compiler would choose. */
  const SCHEDULES: Readonly<Record<string, ContractSchedule>> = {
    'six rows by two vectors for each lane': { kind: 'subgroup', size: 8, rows: 6, vectors: 2, kStep: 4, order: 'row' },
    'a wide tile': { kind: 'tile', rows: 3, vectors: 1, threads: [16, 4], kStep: 8 },
    'three rows in registers': { kind: 'registers', rows: 3, vectors: 2, threads: [4, 16] },
  };
  for (const [name, schedule] of Object.entries(SCHEDULES)) {
    it(name, () => {
      for (const shape of SHAPES) {
        const given: ContractShape = { ...shape, weight: 'f32' };
        const { problem, buffers } = contractProblem(given);
        const data = contractData(given, (x) => x);
        const packed = new Float32Array((data.b as Uint8Array).buffer);
        const memory = new Map([
          ['a', whole(data.a)],
          ['weight', packed],
        ]);
        expectProduct(contractVariant(problem, { schedule, rank: 0 }), buffers, memory, contractReference(given, data));
      }
    });
  }

  it('are data: those that are legal on a device, chosen for the largest pass', () => {
    const { problem } = contractProblem({ m: 197, n: 768, k: 768, weight: 'f32' });
    const kinds = (device?: DeviceClass): string[] =>
      contractCandidates(problem, device).map(({ schedule: s }) =>
        s.kind === 'subgroup' ? `subgroup${s.size}` : s.kind,
      );
    expect(kinds({ subgroupSize: 32 })).toEqual(['subgroup32', 'tile', 'registers']);
    expect(kinds({})).toEqual(['tile', 'registers']);
    expect(kinds()).toEqual([...SUBGROUP_SIZES.map((size) => `subgroup${size}`), 'tile', 'registers']);
    const batched = (samples: number) => ({ ...problem, m: 50 * BATCH, reach: { ...problem.reach, samples } });
    for (const samples of [1, 32])
      expect(contractCandidates(batched(samples))).toEqual(contractCandidates({ ...problem, m: 50 * samples }));
    expect(contractCandidates(batched(32))).not.toEqual(contractCandidates(batched(1)));
  });
});

/** The one kernel of a graph by a variant of one's own: it proves, runs without a fault, and gives what the operators give. */
function expectKernel(module: Module, variantOf: (w: KernelWriter) => GeneratedVariant): void {
  const { group, context, kernel } = kernelsOf(module, 'f32')[0]!;
  const w = new KernelWriter(group, context, undefined);
  const built = w.built(kernel, [variantOf(w)]);
  const variant = built.variants[0]!;
  expect(verifyKernel(variant.program, { workgroups: workgroupsAt(variant.workgroups, 1) })).toEqual([]);
  const run = new Case({ group, context, kernel: built, over: new Map() }, 1).run(variant);
  expect(run.faults.map((f) => f.what)).toEqual([]);
  expect(run.difference).toBeLessThan(1e-6);
}

describe('a new schedule for attention', () => {
  const m = new Model();
  const [q, k, v] = [13, 37, 37].map((rows, i) => m.input([1, 3, rows, i < 2 ? 12 : 20]));
  const module = m.module(build.attention(q!, k!, v!, 0.3, [m.param([13, 37])]));
  /** None that the compiler would choose. */
  const SCHEDULES: Readonly<Record<string, AttentionSchedule>> = {
    'few queries, many lanes': { kind: 'subgroup', size: 32, rows: 2, dStep: 4, vectors: 1, groups: 2 },
    'sixteen queries of four lanes': { kind: 'subgroup', size: 4, rows: 16, dStep: 4, vectors: 2, groups: 1 },
    'eight queries of a workgroup, shared by eight threads': { kind: 'workgroup', rows: 8, across: 8 },
  };
  for (const [name, schedule] of Object.entries(SCHEDULES)) {
    it(name, () => expectKernel(module, (w) => attentionVariant(attentionProblem(w), { schedule, rank: 0 })));
  }

  it('are data, by the device, chosen for one sample', () => {
    const { group, context } = kernelsOf(module, 'f32')[0]!;
    const problem = attentionProblem(new KernelWriter(group, context, undefined));
    const kinds = (device?: DeviceClass): string[] =>
      attentionCandidates(problem, device).map(({ schedule: s }) =>
        s.kind === 'subgroup' ? `subgroup${s.size}` : s.kind,
      );
    expect(kinds({ subgroupSize: 32 })).toEqual(['subgroup32', 'workgroup']);
    expect(kinds({})).toEqual(['workgroup']);
    expect(kinds()).toEqual([...SUBGROUP_SIZES.map((size) => `subgroup${size}`), 'workgroup']);
    expect(attentionCandidates({ ...problem, batch: 3 * BATCH })).toEqual(attentionCandidates(problem));
  });
});

describe('a new schedule for a reduction', () => {
  const m = new Model();
  const module = m.module(build.softmax(m.input([7, 22]), 1));
  /** None that the compiler would choose. */
  const SCHEDULES: Readonly<Record<string, ReduceSchedule>> = {
    'two rows of four threads': { kind: 'workgroup', perRow: 4, rows: 2 },
    'a row of 128 threads': { kind: 'workgroup', perRow: 128, rows: 1 },
    'a row for each of five threads': { kind: 'workgroup', perRow: 1, rows: 5 },
    'more lanes than elements': { kind: 'subgroup', perRow: 128, rows: 1 },
  };
  for (const [name, schedule] of Object.entries(SCHEDULES)) {
    it(name, () => expectKernel(module, (w) => reduceVariant(w, { schedule, rank: 0 })));
  }

  it('are data, by the device', () => {
    const kinds = (length: number, inner: boolean, device?: DeviceClass): string[] =>
      reduceCandidates({ length, inner }, device).map(({ schedule: s }) => `${s.kind} ${s.perRow}`);
    expect(kinds(768, true, { subgroupSize: 32 })).toEqual(['subgroup 32', 'workgroup 64']);
    expect(kinds(768, true, {})).toEqual(['workgroup 64']);
    expect(kinds(768, true)).toEqual([...[...SUBGROUP_SIZES].reverse().map((n) => `subgroup ${n}`), 'workgroup 64']);
    expect(kinds(40, true)).toEqual(['subgroup 16', 'subgroup 8', 'subgroup 4', 'workgroup 16']);
    expect(kinds(768, false)).toEqual(['workgroup 1']);
  });
});

it('ranks stand in one place: lanes above blocks above the portable one, whose order on CPUs is measured', () => {
  expect(RANKS.subgroup.rank).toBeGreaterThan(RANKS.tile.rank);
  expect(RANKS.tile.rank).toBeGreaterThan(RANKS.portable.rank);
  expect(RANKS.tile.ranks.software).toBeLessThan(RANKS.portable.rank);
});
