/** The check before anything merged is written: every merged region against what it replaces, on random tokens in f64. */
import type { Diagnostic } from '../diagnostics/types.js';
import { EspalierError } from '../diagnostics/types.js';
import type { Tensor } from '../ir/types.js';
import { checkRegions, type MergeReport } from '../passes/index.js';
import type { Progress } from './parameters.js';

/**
 * @returns the largest difference, relative to each region's largest result; 0 where nothing merged
 * @throws EspalierError naming the regions that differ or are not finite
 */
export function requireEqualRegions(
  report: MergeReport,
  params: (name: string) => Tensor,
  progress?: Progress,
): number {
  let worst = 0;
  const refused: Diagnostic[] = [];
  for (const [i, region] of report.regions.entries()) {
    progress?.('checking merged layers', i / report.regions.length);
    for (const { difference, diagnostic } of checkRegions([region], params, { precision: 'f32', tokens: 2, seed: i })) {
      if (diagnostic) refused.push(diagnostic);
      worst = Math.max(worst, difference);
    }
  }
  if (refused.length > 0) throw new EspalierError(refused);
  return worst;
}
