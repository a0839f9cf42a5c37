/** All checks of a merge at once; `compile` makes them one by one, while weights pass. */
import { Interner } from '../../src/ir/intern.js';
import { interpretEach } from '../../src/ir/run/interpret.js';
import type { Tensor } from '../../src/ir/types.js';
import { type CheckOptions, type RegionCheck, RegionChecks } from '../../src/passes/merge/check.js';
import type { Region } from '../../src/passes/pass.js';

/**
 * Every region by itself.
 * @param params Elements of a parameter of the module as it was before the passes.
 */
export function checkRegions(
  regions: readonly Region[],
  params: (name: string) => Tensor,
  options: CheckOptions = {},
): readonly RegionCheck[] {
  const checks = new RegionChecks(regions, new Interner(), params, options);
  interpretEach(checks.roots, { inputs: checks.inputs, params }, (root, tensor) => {
    checks.take(root, tensor);
    return 'done';
  });
  return checks.results;
}
