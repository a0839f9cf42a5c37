/** What each variant of a contraction moves, as the simulator counts it: for hardware that is not here, and exactly the same on every machine. */
import { workgroupsAt } from '../runtime/program/grid.js';
import { contractVariants } from '../src/codegen/contract/contract.js';
import { explicitAddresses } from '../src/codegen/kernel/addresses.js';
import { simulate } from '../src/codegen/kernel/simulate/simulate.js';
import { BASELINE } from '../src/codegen/schedule.js';
import { contractData, contractProblem } from '../test/codegen-kernels/problems.js';
import type { Shape } from './arguments.js';

/** Bytes for each multiply-add that the product has. What threads ask for: a value that several threads load counts several times. */
export interface Traffic {
  readonly name: string;
  readonly loaded: number;
  readonly stored: number;
  /** From and to workgroup memory. */
  readonly sharedLoaded: number;
  readonly sharedStored: number;
}

/** Of all variants, best first, with f32 weights. @throws Error for a kernel that does what WGSL leaves undefined */
export function trafficOf(shape: Shape): Traffic[] {
  const contract = { ...shape, weight: 'f32' as const };
  const { problem, buffers } = contractProblem(contract);
  const variants = contractVariants(problem);
  const kernels = explicitAddresses(
    variants.map(({ program }) => ({ ...program, buffers })),
    BASELINE,
  );
  const { a, b } = contractData(contract, (x) => x);
  const inputs = [a, b].map((x) => ({ data: new Float32Array(x.buffer, x.byteOffset, x.byteLength / 4) }));
  const perMultiply = (words: number): number => (4 * words) / (shape.m * shape.n * shape.k);
  return variants.map(({ name, workgroups }, i) => {
    const y = { data: new Float32Array(4 * Math.ceil((shape.m * shape.n) / 4)) };
    const { faults, stats } = simulate(kernels[i]!, [...inputs, y], workgroupsAt(workgroups, 1), { results: ['y'] });
    if (faults.length > 0) throw new Error(`${name}: ${faults[0]!.what}`);
    return {
      name,
      loaded: perMultiply(stats.loads),
      stored: perMultiply(stats.stores),
      sharedLoaded: perMultiply(stats.sharedLoads),
      sharedStored: perMultiply(stats.sharedStores),
    };
  });
}

/** Both operands loaded once, and the result stored once. */
export function leastTraffic({ m, n, k }: Shape): Traffic {
  return {
    name: 'least possible',
    loaded: 4 / n + 4 / m,
    stored: 4 / k,
    sharedLoaded: 0,
    sharedStored: 0,
  };
}
