/** What `compile` prints, and what it and `merge` say of zeros. */
import type { Summary, TensorZeros, Zeros } from '../../runtime/program.js';
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
    ...(summary.zeros ? [...zeroRows(summary.zeros), skippedRow(summary)] : []),
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
  const lines = [...groups].map(([key, n]) => `${key} at ${n} ${n === 1 ? 'site' : 'sites'}`);
  const beside = compiled.program.summary.adapterShare;
  if (beside) lines.push(`beside their layers they take ${share(beside, 1)} of the work`);
  return lines.map((line, i) => [i === 0 ? 'adapters' : '', line]);
}

/**
 * Zeros in what was written, beside those that masks and the base had before adapters: a line for each kind of tensor, and one for what
 * merging filled in.
 */
export function zeroRows({ tensors }: Zeros): [string, string][] {
  const kinds = new Map<string, TensorZeros[]>();
  for (const t of tensors) {
    const kind = `${t.mask ? 'pruned ' : ''}@${t.arrived ? ` that arrived sparse (${t.arrived})` : ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), t]);
  }
  const lines = [...kinds].flatMap(([kind, some]) => {
    const [elements, zeros] = [sum(some, (t) => t.elements), sum(some, (t) => t.zeros)];
    const tensors = kind.replace('@', some.length === 1 ? 'tensor' : 'tensors');
    const line = `${count(zeros)} of ${count(elements)} weights (${share(zeros, elements)}) are zero in ${some.length} ${tensors}`;
    const filled = some.filter((t) => t.zeros < t.before);
    if (filled.length === 0) return [line];
    const before = sum(filled, (t) => t.before);
    const gone = before - sum(filled, (t) => t.zeros);
    return [
      line,
      `merging filled in ${count(gone)} of ${count(before)} zeros, in ${tensorsOf(filled)}; a mask \`over: sum\` keeps them`,
    ];
  });
  return lines.map((line, i) => [i === 0 ? 'zeros' : '', line]);
}

function skippedRow({ sparseFlops, flops }: Summary): [string, string] {
  if (sparseFlops > 0) return ['', `${share(sparseFlops, flops)} of the work is in kernels that skip zeros`];
  return ['', '0% of the multiplications are skipped: kernels multiply zeros like any other weight'];
}

const sum = (tensors: readonly TensorZeros[], of: (t: TensorZeros) => number): number =>
  tensors.reduce((n, t) => n + of(t), 0);

const share = (n: number, of: number): string => `${((100 * n) / of).toFixed(2)}%`;

/** `base.blocks.0.mlp.fc1.weight and 7 more`. */
function tensorsOf(tensors: readonly TensorZeros[]): string {
  return tensors.length === 1 ? tensors[0]!.name : `${tensors[0]!.name} and ${tensors.length - 1} more`;
}
