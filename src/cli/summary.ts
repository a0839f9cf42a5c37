/** What `compile` prints, and what it and `merge` say of zeros. */

import { entryNamed, PREPARE, type Summary, type TensorZeros, type Zeros } from '../../runtime/program/program.js';
import type { Compiled } from '../api/index.js';
import { TILE_K, TILE_N } from '../codegen/buffers/layout.js';
import type { MergedRecord } from '../formats/merged.js';
import type { RoundedNumber, RoundingFigures } from '../formats/tensors/rounding.js';
import { showPath } from '../ir/path.js';
import { bytes, count, scaled, table } from './output.js';

export function describeCompiled(compiled: Compiled, folder: string): string {
  const { summary, entries } = compiled.program;
  const { samples, dispatches } = entries[0]!;
  const { parameters } = summary;
  const percent = ((100 * parameters.trainable) / parameters.total).toFixed(2);
  const rows: [string, string][] = [
    [
      'parameters',
      `${count(parameters.total)} (${count(parameters.frozen)} frozen, ${count(parameters.trainable)} trainable, ${percent}%)`,
    ],
    ...mergeRows(compiled),
    ...(compiled.rounding ? roundingRows([compiled.rounding]) : []),
    ...(summary.zeros ? [...zeroRows(summary.zeros), ...wayRows(compiled), skippedRow(compiled)] : []),
    [
      'kernels',
      `${summary.kernels} kernels, ${dispatches.length} dispatches a pass of ${samples === 1 ? 'one image' : `1 to ${samples} images`}`,
    ],
    ['work', `${scaled(summary.flops, 'FLOP')} an image`],
    ['memory', memoryText(summary, samples)],
    ...checkRows(compiled),
  ];
  return `${compiled.program.name} -> ${folder}\n${table(rows).replaceAll(/^/gm, '  ')}`;
}

function memoryText({ weightBytes, leastBytes, peakBytes }: Summary, samples: number): string {
  const one = `${bytes(weightBytes)} of weights, ${bytes(leastBytes)} in all with one image`;
  return samples === 1 ? one : `${one}, ${bytes(peakBytes)} with ${samples}`;
}

const times = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

const listed = (items: readonly number[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;

const apart = (difference: number): string =>
  difference === 0 ? 'no difference' : `largest difference ${difference.toExponential(1)} of the largest result`;

/** Which merged layers were compared, and how far apart they were. @param made how, beside "in f64" */
export function layersText({ layers, tokens, difference }: Compiled['check']['layers'], made = ''): string {
  if (layers === 0) return 'no layer was rewritten by a merge, so none was compared';
  const some = times(layers, 'rewritten layer');
  return `${some}, before and after, on ${tokens} random tokens each in f64${made}: ${apart(difference)}`;
}

/** What was compared, on what, how far apart, and what was not compared and why. */
function checkRows({ program, check: { layers, unchanged, model, without } }: Compiled): [string, string][] {
  const rows: [string, string][] = [];
  rows.push(['golden', program.golden ? goldenText(program.golden) : 'none was asked for: a load checks nothing']);
  if (without !== undefined) rows.push(['', `not computed on a GPU: ${without}`]);
  const checks: string[] = [];
  // What a load makes of the weights is only seen where it runs.
  checks.push(layersText(layers, entryNamed(program, PREPARE) ? ', as the CPU merges them' : ''));
  if (unchanged > 0) {
    const sites = times(unchanged, 'merged site');
    checks.push(`${sites} left as written, over a weight that the spec computes: nothing to compare by layer`);
  }
  if (!model) checks.push('the whole model and its kernels were not compared: there is no golden input');
  else if (model.by === 'f64') {
    checks.push(`whole model, compiled against as written, in f64 on the golden input: ${apart(model.difference)}`);
    checks.push('the kernels were not run here: each load compares them with the golden output');
  } else {
    const ran = `${listed(model.rows)} ${model.rows.at(-1) === 1 ? 'image' : 'images'} at a time`;
    checks.push(`compiled program on ${model.device}, ${ran}, against the golden output: ${apart(model.difference)}`);
    const { samples } = program.entries[0]!;
    if (samples > 1 && !model.rows.includes(samples + 1))
      checks.push(`passes of ${samples} were not run here, they are large: the kernels are those of one image`);
  }
  return [...rows, ...checks.map((text, i): [string, string] => [i === 0 ? 'check' : '', text])];
}

function goldenText({ rows, from }: NonNullable<Compiled['program']['golden']>): string {
  const what = `${times(rows, 'random image')} through the model as written`;
  if (from.by === 'f64') return `${what}, in f64`;
  const { block } = from;
  const beside = block
    ? `; ${showPath(block.site) || 'a part of it'} beside f64: ${apart(block.difference)}`
    : '; no part of it is small enough to compare with f64';
  return `${what}, by portable kernels on ${from.device}${beside}`;
}

/** One line for each adapter and fate: `karst merged at 16 sites`. */
export function fates(report: Compiled['report']): string[] {
  const groups = new Map<string, number>();
  for (const { name, state } of report) {
    const key = `${name} ${state}`;
    groups.set(key, (groups.get(key) ?? 0) + 1);
  }
  return [...groups].map(([key, n]) => `${key} at ${n} ${n === 1 ? 'site' : 'sites'}`);
}

function mergeRows(compiled: Compiled): [string, string][] {
  const lines = fates(compiled.report);
  const beside = compiled.program.summary.adapterShare;
  if (beside) lines.push(`beside their layers they take ${share(beside, 1)} of the work`);
  const prepare = entryNamed(compiled.program, PREPARE);
  if (prepare)
    lines.push(`each load prepares weights, in ${times(prepare.dispatches.length, 'dispatch', 'dispatches')}`);
  if (compiled.priced) {
    const { flops, bytes: moved, launch } = compiled.priced;
    const launches = `${Math.round(launch * 1e6)} µs a dispatch`;
    lines.push(
      `as factors or multiplied out by time, at ${scaled(flops, 'FLOP')}/s, ${scaled(moved, 'B')}/s and ${launches}`,
    );
  }
  return lines.map((line, i) => [i === 0 ? 'adapters' : '', line]);
}

/**
 * Zeros in what was written, beside those that masks and the base had before adapters: a line for each kind of tensor, and one for what
 * merging filled in.
 */
export function zeroRows({ tensors, backbone }: Zeros): [string, string][] {
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
  if (backbone)
    lines.push(
      `of all ${count(backbone.elements)} parameters of the backbone ${count(backbone.zeros)} (${share(backbone.zeros, backbone.elements)}) are zero`,
    );
  return lines.map((line, i) => [i === 0 ? 'zeros' : '', line]);
}

/** Which adapters a merged checkpoint holds, those of earlier merges first. */
export function mergedRows(merged: readonly MergedRecord[]): [string, string][] {
  return merged.map(({ method, name, sha256 }, i) => [
    i === 0 ? 'holds' : '',
    `${method}${name === undefined ? ', which was not loaded' : ` of ${name}`}${sha256 ? ` (sha256 ${sha256.slice(0, 12)}...)` : ''}`,
  ]);
}

/** As many digits as tell numbers of f32 apart. */
const shown = (n: number): string => String(Number(n.toPrecision(9)));

const rounded = ({ tensor, at, value, written }: RoundedNumber): string =>
  `${tensor}[${at.join(', ')}], ${shown(value)} becomes ${shown(written)}`;

const digits = (n: number): string => n.toExponential(1);

/** What storing numbers in these types did to them. */
export function roundingRows(figures: readonly RoundingFigures[]): [string, string][] {
  const lines = figures.flatMap(({ dtype, elements, largest, relative, subnormal, zeros }) => {
    if (!largest) return [`none: ${dtype} holds each of ${count(elements)} numbers as it is`];
    const below = subnormal + zeros;
    return [
      `to ${dtype}, by ${digits(largest.change)} at the most, ${largest.ulps.toPrecision(2)} ulp: ${rounded(largest)}`,
      ...(relative ? [`in proportion by ${digits(relative.share)} at the most: ${rounded(relative)}`] : []),
      ...(below > 0
        ? [
            `of ${count(elements)} numbers ${count(below)} lie below the normal range of ${dtype} and lose digits, of which ${count(zeros)} become 0`,
          ]
        : []),
    ];
  });
  return lines.map((line, i) => [i === 0 ? 'rounding' : '', line]);
}

/** What each way to put adapters and a pruned base together has of zeros and operations. */
function wayRows({ ways }: Compiled): [string, string][] {
  if (!ways) return [];
  const line = (what: string, { zeros, flops }: NonNullable<typeof ways>['sum'], more: string): [string, string] => [
    '',
    `  ${what.padEnd(21)} ${count(zeros)} zeros, ${scaled(flops, 'FLOP')} an image${more}`,
  ];
  return [
    line('adapters = merged', ways.merged, ' (this program)'),
    line('adapters = factored', ways.factored, ''),
    line('a mask `over: sum`', ways.sum, '; another model, to be trained under that mask'),
  ];
}

/** What kernels leave out of the zeros. */
function skippedRow({ program: { summary, entries } }: Compiled): [string, string] {
  const { skipped, flops } = summary;
  if (!skipped) {
    const why = entryNamed({ entries }, PREPARE)
      ? 'what a load prepares is stored whole'
      : `kernels leave out tiles of ${TILE_N} x ${TILE_K} zeros (\`shape: block(${TILE_N}, ${TILE_K})\` makes such), and these are too few`;
    return ['', `0% of the multiplications are skipped: ${why}`];
  }
  const { weights, tile, tiles, of, flops: left } = skipped;
  return [
    '',
    `${share(left, flops + left)} of the work is left out: ${count(tiles)} of ${count(of)} tiles of ${tile.join(' x ')} zeros, in ${times(weights, 'tensor')}`,
  ];
}

const sum = (tensors: readonly TensorZeros[], of: (t: TensorZeros) => number): number =>
  tensors.reduce((n, t) => n + of(t), 0);

const share = (n: number, of: number): string => `${((100 * n) / of).toFixed(2)}%`;

/** `base.blocks.0.mlp.fc1.weight and 7 more`. */
function tensorsOf(tensors: readonly TensorZeros[]): string {
  return tensors.length === 1 ? tensors[0]!.name : `${tensors[0]!.name} and ${tensors.length - 1} more`;
}
