/** What two programs have in common that do the same. */
import type { Compiled } from '../../../src/api/index.js';

/** All that a program does, but for what its weights are called and hold. */
export const programOf = ({ program, files }: Compiled) => ({
  kernels: [...files].filter(([name]) => name.endsWith('.wgsl')).sort(),
  order: program.entries.map((e) => e.dispatches.map((d) => d.kernel)),
  weights: program.weights.map((w) => [w.shape, w.dtype, w.bytes, w.start]),
  flops: program.summary.flops,
});
