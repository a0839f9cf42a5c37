/** Adapters over a pruned base: a merge fills its zeros in. What else could be done, and what each way costs in zeros and operations. */
import type { Zeros } from '../../../runtime/program/program.js';
import { rootsOf, topological } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import type { Module } from '../../ir/types.js';
import { optimize } from '../../passes/index.js';

/** What a model has if its adapters on pruned layers are put together with them in one way. */
export interface PrunedWay {
  /** Zeros of the weights that masks cover or that arrived sparse. */
  readonly zeros: number;
  /** Operations of what depends on the input, for one sample, counted on the graph. */
  readonly flops: number;
}

/** The ways that there are; `sum`, a mask over the sum of weight and adapter, is another model, which has to be trained so. */
export interface PrunedWays {
  readonly merged: PrunedWay;
  readonly factored: PrunedWay;
  readonly sum: PrunedWay;
}

/**
 * @param written The model as it is written.
 * @param merged The same, optimised, with adapters merged.
 * @param zeros What was counted in what ships.
 * @returns undefined where the merge has filled in none
 */
export function prunedWays(written: Module, merged: Module, zeros: Zeros | undefined): PrunedWays | undefined {
  if (!zeros || zeros.filled === 0) return undefined;
  const kept = zeros.zeros + zeros.filled;
  const flops = flopsOf(merged);
  return {
    merged: { zeros: zeros.zeros, flops },
    factored: { zeros: kept, flops: flopsOf(optimize(written, { adapters: 'factored' }).module) },
    sum: { zeros: kept, flops },
  };
}

const flopsOf = (module: Module): number =>
  topological(rootsOf(module.funcs.get('infer')!)).reduce((sum, v) => sum + (v.needsInput ? costOf(v).flops : 0), 0);
