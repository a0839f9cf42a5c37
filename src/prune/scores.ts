/** Scores of one target: the criterion interpreted on the checkpoint's weight, and what is wrong with it. */

import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import type { Reference } from '../ir/ops/define.js';
import { OPS } from '../ir/ops/index.js';
import { showPath } from '../ir/path.js';
import type { PruneJob, PruneTarget } from '../ir/prune.js';
import { interpretFunc } from '../ir/run/interpret.js';
import type { Func, OpName, Tensor, TensorType } from '../ir/types.js';
import type { Statistics } from './calibration.js';
import type { Scores } from './select.js';

/** Where weights, and what else criteria read, come from. */
export interface PruneContext {
  /** A parameter's elements as the checkpoint has them, before anything is folded into it. */
  readonly params: (name: string) => Tensor;
  /** What a score reads besides the weight: what calibration gathered for the target, by its name. */
  readonly statistics?: Statistics;
}

/** A weight seen as a matrix: outputs by everything else. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
}

export function matrixOf(shape: readonly number[]): Matrix {
  const rows = shape[0] ?? 1;
  let cols = 1;
  for (const d of shape.slice(1)) cols *= d;
  return { rows, cols };
}

/** Whether every element is a number. What is infinite or NaN gives NaN less itself. */
function allFinite(data: Tensor['data']): boolean {
  for (let i = 0; i < data.length; i++) {
    const x = data[i]!;
    if (x - x !== 0) return false;
  }
  return true;
}

/** The first element that fails, and how many do. */
function failing(data: ArrayLike<number>, bad: (x: number) => boolean): { first: number; count: number } | undefined {
  let first = -1;
  let count = 0;
  for (let i = 0; i < data.length; i++) {
    if (!bad(data[i]!)) continue;
    if (first < 0) first = i;
    count++;
  }
  return count ? { first, count } : undefined;
}

/** `[3, 17]`: a flat position as an index of each axis. */
function indexOf(flat: number, shape: readonly number[]): number[] {
  const index = new Array<number>(shape.length);
  for (let a = shape.length - 1; a >= 0; a--) {
    index[a] = flat % shape[a]!;
    flat = Math.floor(flat / shape[a]!);
  }
  return index;
}

/**
 * The scores of a target's elements in order, or the diagnostics that say why there are none. Kept in f32 where that loses nothing,
 * so that magnitudes of a whole model's weights take no more room than the weights.
 */
export function scoresOf(
  job: PruneJob,
  target: PruneTarget,
  score: Func,
  context: PruneContext,
): { readonly scores: Scores } | { readonly problems: readonly Diagnostic[] } {
  const place = { primary: { span: job.span, text: 'pruned here' } };
  const weight = context.params(target.param);
  const { shape } = weight.type;
  const broken = allFinite(weight.data) ? undefined : failing(weight.data, (x) => !Number.isFinite(x));
  if (broken) {
    const args = { param: target.param, count: broken.count, index: indexOf(broken.first, shape) };
    return { problems: [diagnostic('ESP0801', args, place)] };
  }
  const inputs = new Map<string, Tensor>();
  const problems: Diagnostic[] = [];
  for (const [i, v] of score.inputs.entries()) {
    if (v.op !== 'input') continue;
    const { name } = v.attrs;
    if (i === 0) {
      inputs.set(name, weight);
      continue;
    }
    const given = context.statistics?.(target, name);
    if (!given) {
      problems.push(
        diagnostic('ESP0803', { criterion: job.criterion, needs: name, site: showPath(target.site) }, place),
      );
    } else if (given.type.shape.join() !== v.type.shape.join()) {
      const args = { criterion: job.criterion, needs: name, expected: v.type.shape, found: given.type.shape };
      problems.push(diagnostic('ESP0804', args, place));
    } else inputs.set(name, given);
  }
  if (problems.length > 0) return { problems };
  const quick = elementwiseScores(score, weight);
  if (quick) return { scores: quick };
  const result = [...interpretFunc(score, { inputs, params: context.params }).values()][0];
  if (!result || result.data.length !== weight.data.length) {
    const what = `the score of ${target.param} has ${result?.data.length ?? 0} elements, not ${weight.data.length}`;
    return { problems: [diagnostic('ESP0800', { what }, place)] };
  }
  const undefinedAt = failing(result.data, Number.isNaN);
  if (undefinedAt) {
    const index = indexOf(undefinedAt.first, shape);
    const args = { criterion: job.criterion, param: target.param, count: undefinedAt.count, index };
    return { problems: [diagnostic('ESP0802', args, place)] };
  }
  return { scores: compact(result.data) };
}

function compact(data: Tensor['data']): Scores {
  if (data instanceof Float32Array) return data;
  const small = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    small[i] = data[i]!;
    if (small[i] !== data[i]) return data instanceof Float64Array ? data : new Float64Array(data);
  }
  return small;
}

/** Elements that are scored at once: few enough that what is between them and their scores stays in the processor's cache. */
const CHUNK = 8192;

/**
 * The scores of a criterion that asks of each element nothing but itself, a chunk at a time, so that a model's weights are scored in no more memory than the
 * scores'. Undefined for other criteria, where f32 would round a score, and where one is NaN.
 */
function elementwiseScores(score: Func, weight: Tensor): Scores | undefined {
  const { value } = score.results[0]!;
  const [of] = value.inputs;
  const [first] = score.inputs;
  if (value.inputs.length !== 1 || of !== first || !OPS[value.op].traits.pointwise) return undefined;
  const { data } = weight;
  if (!(data instanceof Float32Array) || value.type.dtype !== 'f32') return undefined;
  const reference = OPS[value.op].reference as Reference<OpName> | null;
  if (!reference) return undefined;
  const scores = new Float32Array(data.length);
  const doubles = new Float64Array(CHUNK);
  for (let from = 0; from < data.length; from += CHUNK) {
    const chunk = data.subarray(from, from + CHUNK);
    const type: TensorType = { dtype: 'f32', shape: [chunk.length] };
    const made = reference([{ type, data: chunk }], value.attrs, type, (n) => doubles.subarray(0, n)).data;
    for (let i = 0; i < made.length; i++) {
      const x = made[i]!;
      scores[from + i] = x;
      // NaN is not equal to itself either.
      if (scores[from + i] !== x) return undefined;
    }
  }
  return scores;
}
