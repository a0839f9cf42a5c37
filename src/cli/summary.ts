/** What `compile` prints. */
import type { Compiled } from '../api/index.js';
import { bytes, count, scaled, table } from './output.js';

export function describeCompiled(compiled: Compiled, folder: string): string {
  const { summary, entries } = compiled.program;
  const { parameters } = summary;
  const { check } = compiled;
  const percent = ((100 * parameters.trainable) / parameters.total).toFixed(2);
  const rows: [string, string][] = [
    [
      'parameters',
      `${count(parameters.total)} (${count(parameters.frozen)} frozen, ${count(parameters.trainable)} trainable, ${percent}%)`,
    ],
    ...mergeRows(compiled),
    ...(summary.sparsity === undefined
      ? []
      : [['sparsity', `${(100 * summary.sparsity).toFixed(2)}% of the pruned weights are zero`] as [string, string]]),
    [
      'kernels',
      `${summary.kernels} kernels, ${entries.map((e) => `${e.dispatches.length} dispatches at batch ${e.batch}`).join(', ')}`,
    ],
    ['work', `${scaled(summary.flops, 'FLOP')} a run at batch ${entries[0]?.batch ?? 1}`],
    ['memory', `${bytes(summary.weightBytes)} of weights, ${bytes(summary.peakBytes)} at peak in all`],
    [
      'check',
      `merged against unmerged, ${check.whole ? 'whole model' : 'layer by layer'}: ${
        check.error === 0 ? 'no difference' : `largest difference ${check.error.toExponential(1)} of the largest result`
      }`,
    ],
  ];
  return `${compiled.program.name} -> ${folder}\n${table(rows).replaceAll(/^/gm, '  ')}`;
}

/** One line for each adapter and fate: `karst merged into 16 layers`. */
function mergeRows(compiled: Compiled): [string, string][] {
  const groups = new Map<string, number>();
  for (const { scope, state } of compiled.report) {
    const key = `${scope.slice(scope.lastIndexOf('@') + 1)} ${state}`;
    groups.set(key, (groups.get(key) ?? 0) + 1);
  }
  return [...groups].map(([key, n], i) => [i === 0 ? 'adapters' : '', `${key} at ${n} ${n === 1 ? 'site' : 'sites'}`]);
}
