/** Jobs without a spec: what the language makes of `prune ... with ...`. */
import { build as b } from '../../src/ir/build.js';
import { input } from '../../src/ir/graph.js';
import type { PruneJob, PruneTarget } from '../../src/ir/prune.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Tensor, Value } from '../../src/ir/types.js';
import { findMasks, type PruneContext } from '../../src/prune/index.js';

export type Weights = Readonly<Record<string, Tensor>>;

const SPAN = { file: 'test.peft', start: 0, end: 5 };

/** A criterion of the weight and perhaps one more argument. */
export type Criterion = (shape: readonly number[]) => Func;

export const magnitude: Criterion = (shape) => {
  const weight = input('weight', { dtype: 'f32', shape });
  return { name: 'score', inputs: [weight], results: [{ name: 'score', value: b.abs(weight) }], updates: [] };
};

export const formula =
  (of: (weight: Value) => Value): Criterion =>
  (shape) => {
    const weight = input('weight', { dtype: 'f32', shape });
    return { name: 'score', inputs: [weight], results: [{ name: 'score', value: of(weight) }], updates: [] };
  };

/** |w| times the norm of each input feature over the tokens. */
export const wanda =
  (tokens: number): Criterion =>
  (shape) => {
    const weight = input('weight', { dtype: 'f32', shape });
    const x = input('input', { dtype: 'f32', shape: [tokens, shape[1]!] });
    const norm = b.sqrt(b.sum(b.mul(x, x), [0]));
    return {
      name: 'score',
      inputs: [weight, x],
      results: [{ name: 'score', value: b.mul(b.abs(weight), norm) }],
      updates: [],
    };
  };

export function jobOf(
  weights: Weights,
  settings: Partial<Pick<PruneJob, 'sparsity' | 'scope' | 'shape' | 'over' | 'from'>>,
  criterion: Criterion = magnitude,
): PruneJob {
  const targets: PruneTarget[] = Object.keys(weights).map((param) => ({ param, mask: `${param}#mask`, site: param }));
  return {
    criterion: 'test',
    span: SPAN,
    targets,
    score: Object.values(weights).map((w) => criterion(w.type.shape)),
    scope: 'layer',
    shape: { kind: 'element' },
    over: 'base',
    ...settings,
  };
}

export function run(weights: Weights, job: PruneJob, more: Partial<PruneContext> = {}) {
  return findMasks([job], { params: (name) => weights[name]!, ...more });
}

export const matrix = (rows: readonly (readonly number[])[]): Tensor =>
  tensor([rows.length, rows[0]!.length], Float32Array.from(rows.flat()));
