/**
 * Finding masks: a stage of its own between the checkpoint and the compiler, because scores are taken on the checkpoint's weights
 * and a mask is a constant of what is compiled.
 *
 * Counts are exact. Of n elements in a scope, floor(sparsity·n) become zero, never more: the lowest scores, ties by position (the
 * statement's targets in order, then row-major), the earlier first. Blocks go whole, as many as fit into that number. The scope is all targets of the
 * statement (global), each weight (layer), or each output row, or row of blocks, of a weight (row).
 */

import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { showPath } from '../ir/path.js';
import type { PruneJob, PruneTarget } from '../ir/prune.js';
import type { Tensor } from '../ir/types.js';
import { type Matrix, matrixOf, type PruneContext, scoresOf } from './scores.js';
import { cutSmallest, type Scores, Taker } from './select.js';
import { clearPattern, type Units, unitsOf } from './units.js';

export type { PruneContext } from './scores.js';

export interface LayerSparsity {
  readonly site: string;
  readonly param: string;
  readonly mask: string;
  readonly criterion: string;
  readonly elements: number;
  readonly zeros: number;
}

export interface PruneReport {
  /** One for each masked weight, in the order of the statements. */
  readonly layers: readonly LayerSparsity[];
  readonly elements: number;
  readonly zeros: number;
  /** zeros / elements; 0 when nothing is masked. */
  readonly sparsity: number;
  /** What a person should know: a statement that prunes nothing, a layer that is pruned away. */
  readonly warnings: readonly Diagnostic[];
}

export interface FoundMasks {
  /** f32 zeros and ones by the mask's parameter name. */
  readonly masks: Map<string, Tensor>;
  readonly report: PruneReport;
}

/**
 * The masks of all jobs that do not name a mask file.
 * @throws EspalierError ESP0801 for a weight that is not finite, ESP0802 for a score that is NaN, ESP0803 and ESP0804 for missing or
 * misshapen calibration data; all of them together.
 */
export function findMasks(jobs: readonly PruneJob[], context: PruneContext): FoundMasks {
  const masks = new Map<string, Tensor>();
  const layers: LayerSparsity[] = [];
  const problems: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  for (const job of jobs) {
    if (job.from !== undefined) continue;
    const found = findJob(job, context, problems);
    if (problems.length > 0) continue;
    const mine: LayerSparsity[] = [];
    for (const { target, mask, shape } of found) {
      masks.set(target.mask, { type: { dtype: 'f32', shape }, data: mask });
      const zeros = zerosOf(mask);
      mine.push({ ...target, criterion: job.criterion, elements: mask.length, zeros });
    }
    warnings.push(...warningsOf(job, mine));
    layers.push(...mine);
  }
  if (problems.length > 0) throw new EspalierError(problems);
  const elements = layers.reduce((n, l) => n + l.elements, 0);
  const zeros = layers.reduce((n, l) => n + l.zeros, 0);
  return { masks, report: { layers, elements, zeros, sparsity: elements ? zeros / elements : 0, warnings } };
}

/** Of zeros and ones. */
function zerosOf(mask: Float32Array): number {
  let ones = 0;
  for (let i = 0; i < mask.length; i++) ones += mask[i]!;
  return mask.length - ones;
}

/**
 * floor(sparsity·n), where a product that is a whole number but for rounding counts as that number (0.57·100 is 56.99999999999999).
 */
export function zeroCount(sparsity: number, n: number): number {
  return Math.floor(sparsity * n * (1 + 4 * Number.EPSILON));
}

interface Found {
  readonly target: PruneTarget;
  readonly shape: readonly number[];
  readonly mask: Float32Array;
}

/** A target with its scores in units; nothing else of it is kept in memory. */
interface Scored extends Found {
  readonly matrix: Matrix;
  readonly units: Units;
}

function findJob(job: PruneJob, context: PruneContext, problems: Diagnostic[]): Found[] {
  const found: Found[] = [];
  const waiting: Scored[] = [];
  job.targets.forEach((target, i) => {
    const result = scoresOf(job, target, job.score[i]!, context);
    if ('problems' in result) {
      problems.push(...result.problems);
      return;
    }
    const { shape } = context.params(target.param).type;
    const matrix = matrixOf(shape);
    const mask = new Float32Array(result.scores.length).fill(1);
    found.push({ target, shape, mask });
    if (job.shape.kind === 'nm') {
      clearPattern(result.scores, matrix, job.shape.keep, job.shape.of, mask);
      return;
    }
    const scored = { target, shape, mask, matrix, units: unitsOf(result.scores, matrix, job.shape) };
    // Only a global scope needs all scores at once.
    if (job.scope === 'global') waiting.push(scored);
    else select(job, [scored]);
  });
  if (waiting.length === job.targets.length && waiting.length > 0) select(job, waiting);
  return found;
}

/** Ranges of units that share one count. */
function select(job: PruneJob, targets: readonly Scored[]): void {
  const sparsity = job.sparsity ?? 0;
  if (job.scope !== 'row') {
    const elements = targets.reduce((n, t) => n + t.mask.length, 0);
    clearSmallest(
      targets.map((t) => ({ scored: t, from: 0, scores: t.units.scores })),
      zeroCount(sparsity, elements),
    );
    return;
  }
  for (const t of targets) {
    const { perRow, rows, scores, size } = t.units;
    for (let r = 0; r < rows; r++) {
      const from = r * perRow;
      let elements = 0;
      for (let i = 0; i < perRow; i++) elements += size(from + i);
      const part = { scored: t, from, scores: scores.subarray(from, from + perRow) };
      clearSmallest([part], zeroCount(sparsity, elements));
    }
  }
}

interface Part {
  readonly scored: Scored;
  /** First unit. */
  readonly from: number;
  readonly scores: Scores;
}

/** Zeroes the units of lowest score that together hold at most `budget` elements. */
function clearSmallest(parts: readonly Part[], budget: number): void {
  const uniform = parts[0]?.scored.units.uniform;
  if (uniform !== undefined && parts.every((p) => p.scored.units.uniform === uniform)) {
    const taker = new Taker(
      cutSmallest(
        parts.map((p) => p.scores),
        Math.floor(budget / uniform),
      ),
    );
    for (const { scored, from, scores } of parts) {
      if (uniform === 1) {
        taker.clear(scores, scored.mask, from);
        continue;
      }
      for (let i = 0; i < scores.length; i++) if (taker.takes(scores[i]!)) scored.units.clear(scored.mask, from + i);
    }
    return;
  }
  // Blocks at ragged edges are smaller, so the count depends on which ones go: in order of score, until the next does not fit.
  const order = parts.flatMap((part, p) => Array.from(part.scores, (score, i) => ({ part, p, i, score })));
  order.sort((a, b) => a.score - b.score || a.p - b.p || a.i - b.i);
  let left = budget;
  for (const { part, i } of order) {
    left -= part.scored.units.size(part.from + i);
    if (left < 0) return;
    part.scored.units.clear(part.scored.mask, part.from + i);
  }
}

function warningsOf(job: PruneJob, layers: readonly LayerSparsity[]): Diagnostic[] {
  const place = { primary: { span: job.span, text: 'pruned here' } };
  const empty = layers.filter((l) => l.zeros === l.elements).map((l) => showPath(l.site));
  const warnings = empty.length > 0 ? [diagnostic('ESP0805', { sites: empty }, place)] : [];
  if (layers.length > 0 && (job.sparsity ?? 1) > 0 && layers.every((l) => l.zeros === 0)) {
    warnings.push(
      diagnostic(
        'ESP0806',
        { sparsity: job.sparsity ?? 0, scope: job.scope, block: job.shape.kind === 'block' },
        place,
      ),
    );
  }
  return warnings;
}
