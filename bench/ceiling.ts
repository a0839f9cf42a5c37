/** The ceiling of what contractions are measured against: a kernel of nothing but fused multiply-adds on registers. */

import { explicitAddresses } from '../src/codegen/kernel/addresses.js';
import { Body } from '../src/codegen/kernel/body.js';
import { add, component, F32X4, f32, load, mul, name, rem, splat, u32 } from '../src/codegen/kernel/expr.js';
import { fma, range } from '../src/codegen/kernel/sugar.js';
import type { LoweredKernel } from '../src/codegen/kernel/types.js';
import { LANE, scale, sum } from '../src/codegen/read/indexing.js';
import { BASELINE } from '../src/codegen/schedule.js';

/** Threads of a workgroup, and vec4 that the kernel reads and writes. */
const THREADS = 64;
const UNROLL = 16;
export const CEILING_GROUPS = 64;
const TURNS = 512;

/**
 * `chains` independent accumulators in each thread; which number is fastest depends on the driver's code.
 * @param turns of a loop, of 16 multiply-adds of vec4 for each chain
 */
export function ceiling(chains: number, turns: number = TURNS): LoweredKernel {
  const b = new Body();
  const thread = component(name('id', { scalar: 'u32', lanes: 3 }), 0);
  const at = sum(scale(b.index('at', rem(thread, u32(THREADS)), THREADS), 4), LANE);
  const x = b.named('x', load('y', 'f32', at));
  const m = b.named('m', add(splat(f32(0.999), 4), mul(f32(0.0001), x)));
  const sums = range(chains).map((i) => b.var(`c${i}`, F32X4, add(x, f32(i))));
  b.for('i', u32(0), u32(turns), 1, () => {
    for (const _ of range(UNROLL)) for (const c of sums) b.assign(c, fma(c, m, x));
  });
  b.store('y', at, sums.reduce(add), []);
  const [kernel] = explicitAddresses(
    [
      {
        workgroup: [THREADS, 1, 1],
        inputs: [{ name: 'id', builtin: 'global_invocation_id' }],
        buffers: [{ name: 'y', access: 'read_write', element: 'f32', count: 4 * THREADS, padded: true }],
        shared: [],
        functions: [],
        main: b.stmts,
      },
    ],
    BASELINE,
  );
  return kernel!;
}

/** Of all its workgroups; a fused multiply-add is two. */
export function ceilingFlops(chains: number, turns: number = TURNS): number {
  return 2 * 4 * chains * UNROLL * turns * CEILING_GROUPS * THREADS;
}
