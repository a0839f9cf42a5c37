/**
 * Which adapters are low rank pairs, W + scale · B A, or such with magnitudes, m / |W + scale · B A| · (W + scale · B A), or with a bias, scale · c beside the
 * layer's own: by what they compute, whatever they are called. What became of each weight by the merge is evaluated at random numbers, twice, and compared; the scale is measured on
 * the way. An identity of these functions that holds at random numbers holds everywhere but by a chance of nothing.
 */

import { sizeOf } from '../../ir/ops/shapes.js';
import { normalStream } from '../../ir/run/init.js';
import { interpretEach } from '../../ir/run/interpret.js';
import type { Module, Tensor, Value } from '../../ir/types.js';

/** An adapter that may be one, by the names and shapes of its parameters. */
export interface Candidate {
  readonly site: string;
  /** The parameter that it changes, [out, in] or a kernel [out, in, ...], and which of its rows. */
  readonly weight: string;
  readonly rows: readonly [start: number, end: number];
  /** Names of its parameters: [rank, in] or [rank, in, ...], [rows, rank], [rows], [rows]. */
  readonly A: string;
  readonly B: string;
  readonly m?: string;
  readonly c?: string;
}

/** The parameter that the bias of a pair is added to. */
export const biasOf = (weight: string): string => weight.replace(/weight$/, 'bias');

export interface Measured {
  /** Scale of each candidate that is what it seems. */
  readonly scales: ReadonlyMap<Candidate, number>;
  /** What is not, for people. */
  readonly problems: readonly string[];
}

const SEEDS = [1, 2];
/** Relative; constants of a program are f32. */
const TOLERANCE = 1e-6;

/**
 * @param pairs what the merged module reads where the plain one reads a parameter (`correspond`)
 */
export function measure(
  module: Module,
  pairs: ReadonlyMap<string, string>,
  candidates: readonly Candidate[],
): Measured {
  const prepared = new Map((module.funcs.get('prepare')?.results ?? []).map((r) => [r.name, r.value]));
  const changed = new Map<string, Value>();
  for (const [own, other] of pairs) {
    const value = prepared.get(other);
    if (value?.readsGrafted) changed.set(own, value);
  }
  const problems: string[] = [];
  const byWeight = new Map<string, Candidate[]>();
  for (const c of candidates) byWeight.set(c.weight, [...(byWeight.get(c.weight) ?? []), c]);
  const byBias = new Map<string, Candidate[]>();
  for (const c of candidates) if (c.c) byBias.set(biasOf(c.weight), [...(byBias.get(biasOf(c.weight)) ?? []), c]);
  for (const own of changed.keys()) if (!byWeight.has(own) && !byBias.has(own)) problems.push(`adapters change ${own}`);
  for (const c of candidates) if (!changed.has(c.weight)) problems.push(`${c.site}: its adapter changes nothing`);

  const scales = new Map<Candidate, number>();
  const names = new Map([...changed].map(([own, value]) => [value, own]));
  for (const seed of SEEDS) {
    const at = (name: string): Tensor => drawn(module, name, seed);
    const shifts = new Map<Candidate, number | undefined>();
    interpretEach([...names.keys()], { params: at }, (root, { data }) => {
      const weight = names.get(root)!;
      for (const c of byWeight.get(weight) ?? []) {
        const scale = scaleOf(data, c, at);
        const before = scales.get(c);
        const other =
          before !== undefined && scale !== undefined && Math.abs(scale - before) > TOLERANCE * Math.abs(before);
        if (scale === undefined || other) problems.push(`${c.site}: its adapter computes something else`);
        else if (before === undefined) scales.set(c, scale);
      }
      for (const c of byBias.get(weight) ?? []) shifts.set(c, shiftOf(data, c, at));
      if (!othersStay(data, at(weight), byWeight.get(weight) ?? byBias.get(weight) ?? []))
        problems.push(`adapters change other rows of ${weight}`);
      return 'done';
    });
    for (const c of candidates) {
      const [scale, shift] = [scales.get(c), shifts.get(c)];
      if (
        c.c &&
        scale !== undefined &&
        !(shift !== undefined && Math.abs(scale - shift) <= TOLERANCE * Math.abs(scale))
      )
        problems.push(`${c.site}: its adapter computes something else`);
    }
  }
  return { scales, problems: [...new Set(problems)] };
}

function drawn(module: Module, name: string, seed: number): Tensor {
  const { type } = module.params.get(name)!;
  const next = normalStream(seed, name);
  return { type, data: Float64Array.from({ length: sizeOf(type.shape) }, next) };
}

/** The scale that makes the rows what they are; undefined if none does. */
function scaleOf(merged: Tensor['data'], c: Candidate, at: (name: string) => Tensor): number | undefined {
  const [A, B, W] = [at(c.A), at(c.B), at(c.weight)];
  const [rank, ...read] = A.type.shape as [number, ...number[]];
  const width = sizeOf(read);
  const magnitude = c.m === undefined ? undefined : at(c.m).data;
  const [start, end] = c.rows;
  const base = W.data.subarray(start * width, end * width);
  const now = merged.subarray(start * width, end * width);
  const update = product(B.data, A.data, end - start, rank, width);
  const scale = magnitude
    ? ratio(base.subarray(0, width), update.subarray(0, width), now.subarray(0, width))
    : dot(update, difference(now, base)) / dot(update, update);
  if (!Number.isFinite(scale) || scale === 0) return undefined;
  const limit = TOLERANCE * Math.sqrt(dot(now, now) / now.length);
  for (let r = 0; r < end - start; r++) {
    const row = Float64Array.from({ length: width }, (_, i) => base[r * width + i]! + scale * update[r * width + i]!);
    const factor = magnitude ? magnitude[r]! / Math.sqrt(dot(row, row)) : 1;
    for (let i = 0; i < width; i++) if (!(Math.abs(factor * row[i]! - now[r * width + i]!) <= limit)) return undefined;
  }
  return scale;
}

/** How many times its own bias an adapter adds to its rows of the layer's; undefined if it does something else. */
function shiftOf(merged: Tensor['data'], c: Candidate, at: (name: string) => Tensor): number | undefined {
  const own = at(c.c!).data;
  const [start, end] = c.rows;
  const now = merged.subarray(start, end);
  const added = difference(now, at(biasOf(c.weight)).data.subarray(start, end));
  const scale = dot(added, own) / dot(own, own);
  const limit = TOLERANCE * Math.sqrt(dot(now, now) / now.length);
  return added.every((x, i) => Math.abs(x - scale * own[i]!) <= limit) ? scale : undefined;
}

/** q / p of the least squares solution of p · base + q · update = now. */
function ratio(base: Numbers, update: Numbers, now: Numbers): number {
  const [bb, bu, uu, bn, un] = [
    dot(base, base),
    dot(base, update),
    dot(update, update),
    dot(base, now),
    dot(update, now),
  ];
  return (bb * un - bu * bn) / (uu * bn - bu * un);
}

type Numbers = ArrayLike<number>;

function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const difference = (a: Numbers, b: Numbers): Float64Array => Float64Array.from(a, (x, i) => x - b[i]!);

/** [rows, rank] times [rank, width]. */
function product(b: Numbers, a: Numbers, rows: number, rank: number, width: number): Float64Array {
  const out = new Float64Array(rows * width);
  for (let o = 0; o < rows; o++)
    for (let r = 0; r < rank; r++) {
      const factor = b[o * rank + r]!;
      for (let i = 0; i < width; i++) out[o * width + i]! += factor * a[r * width + i]!;
    }
  return out;
}

/** Whether the rows that no candidate is on are what they were. */
function othersStay(merged: Numbers, { type, data }: Tensor, candidates: readonly Candidate[]): boolean {
  const width = sizeOf(type.shape.slice(1));
  for (let i = 0; i < data.length; i++) {
    const row = Math.floor(i / width);
    if (!candidates.some(({ rows: [start, end] }) => row >= start && row < end) && merged[i] !== data[i]) return false;
  }
  return true;
}
