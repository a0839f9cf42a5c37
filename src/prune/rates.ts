/** What a search found, put into the statement that it was for. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import type { PruneJob } from '../ir/prune.js';

/** Shares of the elements that become zero, each from 0 to below 1: one for all weights of a statement, or one for each of them; none where nothing is pruned. */
export type Rates = readonly number[];

/**
 * The jobs with their sparsity, where it was searched for. Each weight with a rate of its own is a scope of its own.
 * @throws EspalierError ESP1138 for rates that are neither one nor as many as the weights
 */
export function withRates(jobs: readonly PruneJob[], rates: Rates): PruneJob[] {
  return jobs.flatMap((job): PruneJob[] => {
    if (!job.searched) return [job];
    if (rates.length <= 1) return [{ ...job, sparsity: rates[0] ?? 0 }];
    const { targets, score, gathers } = job;
    if (rates.length !== targets.length)
      throw new EspalierError([diagnostic('ESP1138', { rates: rates.length, targets: targets.length })]);
    return targets.map((target, i) => ({
      ...job,
      targets: [target],
      score: [score[i]!],
      ...(gathers ? { gathers: [gathers[i]!] } : {}),
      scope: job.scope === 'global' ? 'layer' : job.scope,
      sparsity: rates[i]!,
    }));
  });
}
