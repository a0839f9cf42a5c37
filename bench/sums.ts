/** The sums that `npm run bench:sums` measures, whole and split. */
import { type Generated, generate } from '../src/codegen/generate.js';
import type { Splitting } from '../src/codegen/groups/split-schedules.js';
import { build } from '../src/ir/build.js';
import { input } from '../src/ir/graph.js';
import { sizeOf } from '../src/ir/ops/shapes.js';
import type { Value } from '../src/ir/types.js';

export interface LongSum {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly of: (inputs: readonly Value[]) => Value;
}

/** The tokens of 32 images in ViT-B/16. */
const TOKENS = 32 * 197;

export const SUMS: readonly LongSum[] = [
  { name: `rows ${TOKENS}x768`, shapes: [[TOKENS, 768]], of: ([x]) => build.sum(x!, [0]) },
  {
    name: `8x768x${TOKENS}`,
    shapes: [
      [TOKENS, 8],
      [TOKENS, 768],
    ],
    of: ([x, y]) => build.matmul(build.transpose(x!), y!),
  },
  { name: 'mean 3x224x224', shapes: [[3, 224, 224]], of: ([x]) => build.mean(x!, [0, 1, 2]) },
];

/** The program of a sum, by the compiler's own choice or without a split. */
export function programOf({ shapes, of }: LongSum, split: boolean): Generated {
  const inputs = shapes.map((shape, i) => input(`x${i}`, { dtype: 'f32', shape }));
  const infer = { name: 'infer', inputs, results: [{ name: 'y', value: of(inputs) }], updates: [] };
  const whole: { splitting: Splitting } = { splitting: () => undefined };
  return generate(
    { name: 'sum', adapters: new Map(), params: new Map(), funcs: new Map([['infer', infer]]) },
    { name: 'sum', compiler: 'bench', weights: 'f32', ...(split ? {} : whole) },
  );
}

/** The same numbers for each program of a sum. */
export const argumentsOf = ({ shapes }: LongSum): Float32Array[] =>
  shapes.map((shape, i) => Float32Array.from({ length: sizeOf(shape) }, (_, j) => Math.sin(j * (i + 1))));
