/** The kernel that contractions are measured against does as many multiply-adds as are counted for it. */
import { expect, test } from 'vitest';
import { CEILING_GROUPS, ceiling, ceilingFlops } from '../../bench/ceiling.js';
import { simulate } from '../../src/codegen/kernel/simulate/simulate.js';

/** What the simulator counts. Workgroups read what others write here: only speed is asked of the kernel. */
function operations(chains: number, turns: number): number {
  const kernel = ceiling(chains, turns);
  return simulate(kernel, [{ data: new Float32Array(256) }], [CEILING_GROUPS, 1, 1]).stats.operations;
}

test.each([2, 3, 4])('%i chains', (chains) => {
  // Before and after its loop the kernel does a little more.
  const counted = operations(chains, 3) - operations(chains, 1);
  expect(2 * counted).toBe(ceilingFlops(chains, 3) - ceilingFlops(chains, 1));
});
