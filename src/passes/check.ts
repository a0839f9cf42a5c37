/**
 * Checks merges with numbers: each merged region on a few random tokens, before and after, in double precision. The merged side uses
 * its weights as they will be stored. A region that differs, or that is not finite, is refused.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { channelAxis } from '../ir/affine.js';
import {
  input,
  make,
  paramRef,
  resultValues,
  rewriteFunc,
  rewriteValues,
  topological,
  withInputs,
} from '../ir/graph.js';
import { fromHalf, toHalf } from '../ir/half.js';
import { interpretFunc } from '../ir/interpret.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { allocate } from '../ir/tensor.js';
import type { Func, OpName, Tensor, Value } from '../ir/types.js';
import type { Region } from './pass.js';

export type Precision = 'f64' | 'f32' | 'f16';

/** Largest difference relative to the largest magnitude of the result, by the precision in which weights are stored. */
export const TOLERANCE: Readonly<Record<Precision, number>> = { f64: 1e-9, f32: 1e-5, f16: 1e-2 };

export interface RegionCheck {
  readonly site: string;
  /** max |before - after| / max |before|; NaN where something is not finite. */
  readonly difference: number;
  /** Present where the merge is refused. */
  readonly diagnostic?: Diagnostic;
}

export interface CheckOptions {
  readonly precision?: Precision;
  /** Tokens of each region, where its operators work token by token; otherwise its own shapes are used. */
  readonly tokens?: number;
  readonly seed?: number;
}

/**
 * @param params Elements of a parameter of the module as it was before the passes.
 */
export function checkRegions(
  regions: readonly Region[],
  params: (name: string) => Tensor,
  options: CheckOptions = {},
): RegionCheck[] {
  const precision = options.precision ?? 'f64';
  return regions.map((region, i) => {
    const random = randomNormal((options.seed ?? 1) + i);
    const shrunk = shrink(region, options.tokens ?? 4);
    const inputs = new Map<string, Tensor>();
    for (const v of new Set([...shrunk.before.inputs, ...shrunk.after.inputs])) {
      if (v.op === 'input') inputs.set(v.attrs.name, noise(v, random));
    }
    const bad = notFinite(shrunk, params);
    if (bad) return refusedAsNotFinite(region, bad);
    // One run for both: weights that the two sides share are computed once.
    const weights = preparedOf(shrunk.after);
    const stored = weights.map((value, k) => ({ name: storedName(k), value }));
    const made = interpretFunc(
      { ...shrunk.before, results: [...shrunk.before.results, ...stored] },
      { inputs, params },
    );
    const before = made.get('y')!;
    const after = interpretFunc(overStored(shrunk.after, weights), {
      inputs,
      params: (name) => rounded(made.get(name)!, precision),
    }).get('y')!;
    return judge(region, before, after, TOLERANCE[precision]);
  });
}

function judge(region: Region, before: Tensor, after: Tensor, tolerance: number): RegionCheck {
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < before.data.length; i++) {
    const d = Math.abs(before.data[i]! - after.data[i]!);
    if (!Number.isFinite(d)) return refusedAsNotFinite(region);
    largest = Math.max(largest, Math.abs(before.data[i]!));
    worst = Math.max(worst, d);
  }
  const difference = worst / Math.max(largest, Number.MIN_VALUE);
  const site = region.site;
  if (difference <= tolerance || worst === 0) return { site, difference: worst === 0 ? 0 : difference };
  return { site, difference, diagnostic: diagnostic('ESP0403', { site, difference, tolerance }) };
}

function refusedAsNotFinite(region: Region, parameter?: string): RegionCheck {
  const { site } = region;
  return {
    site,
    difference: Number.NaN,
    diagnostic: diagnostic('ESP0404', { site, ...(parameter ? { parameter } : {}) }),
  };
}

function paramNames(func: Func): string[] {
  return topological(resultValues(func)).flatMap((v) => (v.op === 'param' ? [v.attrs.name] : []));
}

function notFinite(region: { before: Func; after: Func }, params: (name: string) => Tensor): string | undefined {
  const names = new Set([...paramNames(region.before), ...paramNames(region.after)]);
  for (const name of names) {
    const { data } = params(name);
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return name;
  }
  return undefined;
}

/** Constants of parameters that operators of the region read, computed and rounded as a program stores them. */
function preparedOf(func: Func): Value[] {
  const found = new Set<Value>();
  for (const v of topological(resultValues(func))) {
    if (!dependsOnInput(v)) continue;
    for (const x of v.inputs) if (!dependsOnInput(x) && x.op !== 'constant' && x.op !== 'iota') found.add(x);
  }
  return [...found];
}

const storedName = (i: number): string => `#stored.${i}`;

/** The function with its weights read from what was computed for them. */
function overStored(func: Func, weights: readonly Value[]): Func {
  const names = new Map(weights.map((v, i) => [v, storedName(i)]));
  return rewriteFunc(func, (v, inputs) => {
    const name = names.get(v);
    return name ? paramRef({ name, type: v.type, role: 'prepared' }) : withInputs(v, inputs);
  });
}

/** A copy, as a program stores it. */
function rounded(t: Tensor, precision: Precision): Tensor {
  if (precision === 'f64' || (t.type.dtype !== 'f32' && t.type.dtype !== 'f16')) return t;
  const data = new Float64Array(new Float32Array(t.data));
  if (precision === 'f16') for (let i = 0; i < data.length; i++) data[i] = fromHalf(toHalf(data[i]!));
  return { type: t.type, data };
}

/** Operators that work on each token (everything in front of the last axis) alone. */
const BY_TOKEN: ReadonlySet<OpName> = new Set([
  'input',
  'add',
  'sub',
  'neg',
  'mul',
  'div',
  'linear',
  'matmul',
  'concat',
  'slice',
  'layer_norm',
]);

/** The region over a few tokens, if it works token by token: a check needs some rows of ViT's 197, not all. */
function shrink(region: Region, tokens: number): { before: Func; after: Func } {
  if (!byToken(region.before) || !byToken(region.after)) return region;
  const inputs = new Map<string, Value>();
  return { before: shrunk(region.before, tokens, inputs), after: shrunk(region.after, tokens, inputs) };
}

function byToken(func: Func): boolean {
  const last = (v: Value): number => v.type.shape.length - 1;
  const lead = func.results[0]!.value.type.shape.slice(0, -1).join();
  return topological(resultValues(func)).every((v) => {
    if (!dependsOnInput(v)) return true;
    if (!BY_TOKEN.has(v.op) || v.type.shape.slice(0, -1).join() !== lead || channelAxis(v) !== last(v)) return false;
    if (v.op === 'concat' && v.attrs.axis !== last(v)) return false;
    const own = v.op === 'matmul' ? 2 : 1;
    return v.inputs.every(
      (x) =>
        dependsOnInput(x) ||
        x.type.shape.length <= own ||
        sizeOf(x.type.shape) === x.type.shape.at(-1) ||
        v.op === 'linear',
    );
  });
}

function shrunk(func: Func, tokens: number, inputs: Map<string, Value>): Func {
  const rule = (v: Value, args: readonly Value[]): Value => {
    if (!dependsOnInput(v)) return v;
    if (v.op === 'input') {
      const shape = [
        ...v.type.shape.slice(0, -1).map((_, i, all) => (i === all.length - 1 ? tokens : 1)),
        v.type.shape.at(-1)!,
      ];
      const made = inputs.get(v.attrs.name) ?? input(v.attrs.name, { dtype: v.type.dtype, shape });
      inputs.set(v.attrs.name, made);
      return made;
    }
    if (v.op !== 'slice') return withInputs(v, args);
    const lead = args[0]!.type.shape.slice(0, -1);
    return make('slice', args, {
      start: [...lead.map(() => 0), v.attrs.start.at(-1)!],
      end: [...lead, v.attrs.end.at(-1)!],
    });
  };
  const image = rewriteValues([...resultValues(func), ...func.inputs], rule, (v) =>
    dependsOnInput(v) ? v.inputs : [],
  );
  const results = func.results.map((r) => ({ name: r.name, value: image(r.value) }));
  return { ...func, inputs: func.inputs.map(image), results };
}

function noise(v: Value, random: () => number): Tensor {
  const data = allocate(v.type.dtype, sizeOf(v.type.shape));
  for (let i = 0; i < data.length; i++) data[i] = random();
  return { type: v.type, data };
}

/** Standard normal numbers from a small counter-based generator (mulberry32 and Box-Muller): the same on every machine. */
function randomNormal(seed: number): () => number {
  let state = (seed * 0x9e3779b9) >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
