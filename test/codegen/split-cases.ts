/** Sums that are long enough to be split, and some that are not, with what each of them comes to. */
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor, Value } from '../../src/ir/types.js';
import type { Model } from './harness.js';

export interface SplitCase {
  /** The most samples of a pass, where it holds the batch; also how many a test runs it on. */
  readonly samples?: number;
  readonly make: (m: Model) => Value;
  /** For the case alone, a sum that is not split would be one. */
  readonly dispatches: number;
}

const sum = (shape: readonly number[], axes: readonly number[]): SplitCase['make'] => {
  return (m) => build.sum(m.input(shape), axes);
};
/** xᵀ·y, both with the sum's axis first. */
const gradient = (x: readonly number[], y: readonly number[]): SplitCase['make'] => {
  return (m) => build.matmul(build.transpose(m.input(x)), m.input(y));
};
/** A program's results are of samples: what does not depend on which, as a sum over them, is given to each. */
const toEach = (make: SplitCase['make']): SplitCase['make'] => {
  return (m) => {
    const y = make(m);
    return build.add(build.reshape(y, [1, ...y.type.shape]), m.input([BATCH, ...y.type.shape.map(() => 1)]));
  };
};

/** Rows (along the first axis) of numbers that repeat, so that the largest stands in several places, in other ones of each column. */
export function ties(rows: number, columns: number): Tensor {
  const every = rows / 5;
  const at = (r: number, c: number): number => (r >= every * (c % 4) && r % 7 === c % 7 ? 3 : -1 - (r % 3));
  return tensor(
    [rows, columns],
    Float32Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns)),
  );
}

const constant = (shape: readonly number[], value: number): Tensor =>
  tensor(shape, new Float32Array(sizeOf(shape)).fill(value));

const WHOLE = { dispatches: 1 } as const;
const SPLIT = { dispatches: 2 } as const;
/** Largest of the parts, their places, the largest of these, the first. */
const PLACED = { dispatches: 4 } as const;
/** One dispatch more gives it to each sample. */
const GIVEN = { dispatches: 3 } as const;

export const SPLIT_CASES: Readonly<Record<string, SplitCase>> = {
  'the gradient of a bias': { make: sum([1300, 8], [0]), ...SPLIT },
  'as many rows as no parts divide': { make: sum([1301, 5], [0]), ...SPLIT },
  'rows too short to split': { make: sum([500, 5], [0]), ...WHOLE },
  'all of an image': { make: (m) => build.mean(m.input([3, 200, 200]), [0, 1, 2], true), ...SPLIT },
  'a row of an odd length': { make: sum([2, 40001], [1]), ...SPLIT },
  'axes apart': { make: sum([4, 3, 401, 2], [0, 2]), ...SPLIT },
  'axes apart, the last one long': { make: sum([2, 3, 60000], [0, 2]), ...SPLIT },
  'the first of a single column': { make: sum([1300, 1], [0]), ...SPLIT },
  integers: { make: (m) => build.sum(m.input([1301, 3], 'i32'), [0]), ...SPLIT },
  'the largest': { make: (m) => build.max(m.input([1301, 3]), [0]), ...SPLIT },
  'the largest integer': { make: (m) => build.max(build.sub(m.input([1301, 3], 'i32'), 1000), [0]), ...SPLIT },
  'the largest without a sign': { make: (m) => build.max(m.input([3, 1301, 2], 'u32'), [1]), ...SPLIT },
  'what is computed in place': {
    make: (m) => build.relu(build.add(build.sum(build.gelu(m.input([1301, 3])), [0], true), m.param([3]))),
    ...SPLIT,
  },
  'where the largest is': { make: (m) => m.op('argmax', [m.input([2003, 3])], { axis: 0 }), ...PLACED },
  'where the first of the largest are': {
    make: (m) => m.op('argmax', [m.input([2003, 8], 'f32', ties(2003, 8))], { axis: 0 }),
    ...PLACED,
  },
  'where the first of equal infinities is': {
    make: (m) => m.op('argmax', [m.input([2003, 2], 'f32', constant([2003, 2], -Infinity))], { axis: 0 }),
    ...PLACED,
  },
  'where the largest of a row is': { make: (m) => m.op('argmax', [m.input([1, 70001])], { axis: 1 }), ...PLACED },

  'a sum in each sample': { make: sum([BATCH, 1301, 3], [1]), samples: 3, ...SPLIT },
  'where the largest of each sample is': {
    make: (m) => m.op('argmax', [m.input([BATCH, 2003, 3])], { axis: 1 }),
    samples: 2,
    ...PLACED,
  },
  'a sum over samples and rows': { make: toEach(sum([BATCH, 197, 6], [0, 1])), samples: 8, ...GIVEN },
  'a sum over rows of samples': { make: toEach(sum([BATCH * 197, 6], [0])), samples: 8, ...GIVEN },
  'a mean over samples and rows': {
    make: toEach((m) => build.mean(m.input([BATCH, 197, 6]), [0, 1], true)),
    samples: 8,
    ...GIVEN,
  },
  'the largest over samples and axes apart': {
    make: toEach((m) => build.max(m.input([BATCH, 5, 3, 40, 2]), [0, 1, 3])),
    samples: 8,
    ...GIVEN,
  },
  'the batch in the middle of what is summed': {
    make: toEach((m) => build.sum(build.transpose(m.input([BATCH, 40, 5, 6]), [1, 0, 2, 3]), [0, 1, 2])),
    samples: 8,
    ...GIVEN,
  },
  'parts of samples, which lie in the middle': {
    make: toEach((m) => build.sum(build.transpose(m.input([BATCH, 1301, 2, 3]), [1, 0, 2, 3]), [0, 1, 2])),
    samples: 2,
    ...GIVEN,
  },
  'parts of samples': { make: toEach(sum([BATCH, 1301, 3], [0, 1])), samples: 2, ...GIVEN },
  'a sum over few samples': { make: toEach(sum([BATCH, 197, 6], [0, 1])), samples: 2, dispatches: 2 },
  'a sum over samples alone': { make: toEach(sum([BATCH, 6], [0])), samples: 32, dispatches: 2 },

  'the gradient of a factor': { make: gradient([1304, 8], [1304, 24]), ...SPLIT },
  'the gradient of a factor, of an odd length': { make: gradient([1301, 3], [1301, 5]), ...SPLIT },
  'a row times a matrix': { make: (m) => build.matmul(m.input([1, 1201]), m.input([1201, 3])), ...SPLIT },
  'a vector times a matrix': { make: (m) => build.linear(m.input([1202]), m.input([3, 1202]), m.param([3])), ...SPLIT },
  'rows times a matrix': {
    make: (m) => build.linear(m.input([2, 3, 1200]), m.input([5, 1200]), m.input([5])),
    ...SPLIT,
  },
  'matrices for each other': { make: (m) => build.matmul(m.input([2, 1, 3, 1200]), m.input([3, 1200, 5])), ...SPLIT },
  'a matrix for many': { make: (m) => build.matmul(m.input([3, 1200]), m.input([4, 1200, 5])), ...SPLIT },
  'a packed weight': { make: (m) => build.linear(m.input([2, 1200]), m.param([5, 1200])), ...WHOLE },
  'the gradient of a factor over samples': {
    make: toEach(gradient([BATCH * 197, 3], [BATCH * 197, 9])),
    samples: 8,
    ...GIVEN,
  },
  'the gradient of a factor over few samples': {
    make: toEach(gradient([BATCH * 197, 3], [BATCH * 197, 9])),
    samples: 2,
    dispatches: 2,
  },
  'a product for each sample': {
    make: (m) => build.matmul(m.input([BATCH, 3, 1201]), m.input([BATCH, 1201, 5])),
    samples: 3,
    ...SPLIT,
  },
  'rows of samples times a matrix': {
    make: (m) => build.linear(m.input([BATCH, 2, 1201]), m.input([5, 1201])),
    samples: 3,
    ...SPLIT,
  },
};
