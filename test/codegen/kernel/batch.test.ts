/**
 * Kernels that are told how many samples there are, in the simulator: what every operator gives for several must be what it gives for each; where
 * the batch lies inside, comes together with another axis, or is summed over; and in folded dispatches.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { OP_NAMES } from '../../../src/ir/ops/index.js';
import type { Value } from '../../../src/ir/types.js';
import { randomGraph } from '../graphs.js';
import { compiled, entryOf, Model } from '../harness.js';
import { lifted } from '../lift.js';
import { CASES, TOLERANCE } from '../operators.js';
import { TINY, vit } from '../vit.js';
import { wideGraph } from '../wide-graphs.js';
import { expectRight } from './run.js';

/**
 * Cases that lift.ts has no rule for: an operand of a weight's place that is an input, a matrix of no batch, indices of each sample, a sum over
 * samples. The last two are tried over the batch in derivatives.test.ts.
 */
const NOT_LIFTED = /^(param|constant|iota|random_bits|kron|linear 2|dropout 1|scatter_add 0|conv2d_weight)/;

describe('operators over a batch', () => {
  for (const op of OP_NAMES) {
    if (op === 'solve' || op === 'batch_size') continue;
    CASES[op].forEach((make, i) => {
      it(`${op} ${i}`, () => {
        const m = new Model(100 + i);
        const made = make(m);
        const results = 'id' in made ? [made] : made;
        const batched = lifted(m, results, 3);
        if (!batched) {
          expect(`${op} ${i}`).toMatch(NOT_LIFTED);
          return;
        }
        const { model, results: all, expected } = batched;
        const g = expectRight(model, all, { tolerance: TOLERANCE[op] ?? 1e-5, expected });
        expect(g.oneByOne).toBeUndefined();
        expect(entryOf(g).samples).toBe(3);
      });
    });
  }
});

/** Graphs over x [b, 5, 8] and what the batch does in them. */
const INSIDE: Readonly<Record<string, (m: Model, x: Value) => Value>> = {
  'a product of rows with the batch inside': (m, x) =>
    build.transpose(build.linear(build.tanh(build.transpose(x, [1, 0, 2])), m.param([6, 8]), m.param([6])), [1, 0, 2]),
  'a stored tensor with the batch inside': (_m, x) => {
    const inner = build.softmax(build.transpose(x, [1, 0, 2]), 2);
    return build.add(build.transpose(inner, [1, 0, 2]), build.mean(build.transpose(inner, [1, 0, 2]), [1], true));
  },
  'a softmax along an axis before the batch': (_m, x) =>
    build.transpose(build.softmax(build.transpose(x, [1, 0, 2]), 0), [1, 0, 2]),
  'a softmax over the batch': (_m, x) => build.softmax(x, 0),
  'the batch last': (_m, x) => build.transpose(build.softmax(build.gelu(build.transpose(x, [1, 2, 0])), 1), [2, 0, 1]),
  'products of matrices whose rows are the batch': (m, x) =>
    build.transpose(build.matmul(build.transpose(x, [1, 0, 2]), m.param([5, 8, 3])), [1, 0, 2]),
  'rows that the batch has a share in': (m, x) =>
    build.reshape(build.linear(build.relu(build.reshape(x, [BATCH * 5, 8])), m.param([6, 8])), [BATCH, 5, 6]),
  'heads that the batch has a share in': (m, x) => {
    const heads = build.reshape(build.transpose(build.reshape(x, [BATCH, 5, 2, 4]), [0, 2, 1, 3]), [
      BATCH * 2,
      1,
      5,
      4,
    ]);
    const a = build.attention(heads, heads, heads, 0.5, [m.param([5, 5])]);
    return build.reshape(build.transpose(build.reshape(a, [BATCH, 2, 5, 4]), [0, 2, 1, 3]), [BATCH, 5, 8]);
  },
  'the batch twice as long': (_m, x) => build.reshape(build.concat([x, build.neg(x)], 0), [BATCH, 2, 5, 8]),
  'a sum over the batch': (_m, x) => build.add(x, build.sum(x, [0], true)),
  'a sum over the batch of what is the same for all': (m, x) =>
    build.add(x, build.sum(build.broadcast(m.param([5, 8]), [BATCH, 5, 8]), [0], true)),
  'a mean over rows and the batch inside': (_m, x) =>
    build.sub(x, build.transpose(build.mean(build.transpose(x, [1, 0, 2]), [0, 1], true), [1, 0, 2])),
  'a product over the batch, of rows in two axes': (_m, x) => {
    const inner = build.reshape(build.transpose(x, [1, 2, 0]), [5, 4, 2, BATCH]);
    return build.add(
      x,
      build.reshape(build.mean(build.matmul(inner, build.transpose(inner, [0, 1, 3, 2])), [2]), [5, 8]),
    );
  },
  'a mean over the batch and rows': (_m, x) => build.sub(x, build.mean(x, [0, 1], true)),
  'the largest over the batch, and where it is': (_m, x) =>
    build.add(
      build.max(x, [0], true),
      build.add(build.mul(x, 0), build.cast(build.reshape(argmax(x), [1, 5, 8]), 'f32')),
    ),
  'the number of samples': (_m, x) =>
    build.div(build.sum(x, [0], true), build.mul(build.batchSize(), build.add(build.mul(x, 0), 1))),
  'a number for each sample': (_m, x) =>
    build.add(x, build.cast(build.reshape(build.iota([BATCH], 0), [BATCH, 1, 1]), 'f32')),
  'a product that sums over the batch, as the gradient of a weight does': (_m, x) => {
    const rows = build.reshape(build.tanh(x), [BATCH * 5, 8]);
    const gradient = build.matmul(build.transpose(rows), build.sigmoid(rows));
    return build.linear(x, gradient);
  },
};

const argmax = (x: Value): Value => new Model().op('argmax', [x], { axis: 0 });

describe('the batch', () => {
  it.each(Object.entries(INSIDE))('%s', (_name, make) => {
    for (const samples of [1, 2, 7]) {
      const m = new Model(samples, samples);
      const y = make(m, m.input([BATCH, 5, 8]));
      const g = expectRight(m, [y], { tolerance: 2e-5 });
      expect(g.oneByOne).toBeUndefined();
      expect(entryOf(g).samples).toBe(samples);
    }
  });

  /** What no kernel for any number of samples can be written for: it runs one by one, and says which operator is the reason. */
  it.each<[string, string, (m: Model, x: Value) => Value]>([
    [
      'joined with an axis before it',
      'reshape',
      (_m, x) => build.reshape(build.transpose(x, [1, 0, 2]), [5 * BATCH, 8]),
    ],
    [
      'the columns of a product',
      'matmul',
      (m, x) => build.transpose(build.matmul(m.param([6, 8]), build.transpose(build.reshape(x, [BATCH * 5, 8])))),
    ],
  ])('%s is run one by one', (_name, op, make) => {
    const m = new Model(1, 1);
    const y = build.reshape(make(m, m.input([BATCH, 5, 8])), [BATCH, 5, -1 + 1 + (op === 'matmul' ? 6 : 8)]);
    const g = expectRight(m, [y], { tolerance: 2e-5, samples: 4 });
    expect(entryOf(g).samples).toBe(1);
    expect(g.oneByOne).toMatchObject({ code: 'ESP0607', severity: 'warning' });
  });

  it('counts further than a dimension does', () => {
    for (const samples of [1, 5, 9]) {
      const m = new Model(samples, samples);
      const x = m.input([BATCH, 7, 12]);
      const y = build.softmax(build.add(build.linear(build.gelu(x), m.param([12, 12])), x), 2);
      const heads = build.reshape(y, [BATCH, 3, 7, 4]);
      const limits = { maxComputeWorkgroupsPerDimension: 6 };
      const g = expectRight(m, [y, build.attention(heads, heads, heads, 1)], { tolerance: 2e-5, limits, samples: 9 });
      const folded = entryOf(g).dispatches.filter((d) => d.workgroups.some((w) => w.most !== undefined));
      expect(folded.length).toBeGreaterThan(1);
    }
  });

  it('is one when a sample is larger than a binding', () => {
    const m = new Model(2, 1);
    const x = m.input([BATCH, 40, 8]);
    const y = build.softmax(build.linear(x, m.param([24, 8])), 2);
    const limits = { maxStorageBufferBindingSize: 1024 };
    const g = expectRight(m, [y], { tolerance: 2e-5, limits, samples: 4 });
    expect(entryOf(g).samples).toBe(1);
    expect(entryOf(g).dispatches.length).toBeGreaterThan(2);
    expect(g.oneByOne).toMatchObject({ code: 'ESP0608', severity: 'warning' });
  });
});

describe('programs over a batch', () => {
  it('a vision transformer', () => {
    for (const samples of [1, 2, 5]) {
      const m = new Model(3, samples);
      expectRight(m, [vit(m, { ...TINY, batch: BATCH })], { tolerance: 3e-5 });
    }
  });

  /** Some whose rows are told apart by a remainder of a quotient. */
  const examples: [number, number][] = [
    [212094680, 3],
    [8554729, 2],
  ];
  const SEEDS = { endOnFailure: true, examples } as const;
  /** See random.test.ts. */
  const someProved = /^(?!bounds|range|speculation)/;

  it.each([
    ['random ones', 40, /./, (seed: number) => randomGraph(seed, 12)],
    ['random ones around products, convolutions and attention', 20, someProved, (seed: number) => wideGraph(seed, 8)],
  ] as const)('%s', (_name, numRuns, proved, make) => {
    let compared = 0;
    const draw = (seed: number, samples: number): void => {
      const { model, results } = make(seed);
      const batched = lifted(model, results, samples, seed);
      if (!batched) return;
      const { model: m, results: all, expected } = batched;
      compared++;
      expectRight(m, all, { tolerance: 2e-4, expected, proved });
    };
    fc.assert(fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 4 }), draw), { numRuns, ...SEEDS });
    expect(compared).toBeGreaterThan(numRuns / 3);
  });
});

it('a program of one sample is that of many', () => {
  const m = new Model();
  const make = (samples: number) => compiled(m.module(build.relu(m.input([BATCH, 3]))), { samples });
  expect([...make(64).files]).toEqual([...make(1).files]);
});
