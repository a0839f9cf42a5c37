/**
 * Checks merges with numbers: each merged region on a few random tokens, before and after, in double precision. The merged side uses
 * its weights as they will be stored. A region that differs, or that is not finite, is refused.
 *
 * The check asks for values and is handed them, one region after another, so that whoever prepares weights anyway computes each once, and
 * what is compared are the very tensors that ship.
 */

import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import { channelAxis } from '../../ir/affine/affine.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import {
  input,
  make,
  mapRoots,
  paramRef,
  rewriteFunc,
  rewriteValues,
  rootsOf,
  topological,
  usedParams,
  withInputs,
} from '../../ir/graph.js';
import type { Interner } from '../../ir/intern.js';
import { mixedAxes, traitsOf } from '../../ir/ops/index.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { showPath } from '../../ir/path.js';
import { fromHalf, toHalf } from '../../ir/run/half.js';
import { type InterpretOptions, interpretEach, interpretFunc } from '../../ir/run/interpret.js';
import { funcAt } from '../../ir/run/samples.js';
import { allocate } from '../../ir/run/tensor.js';
import type { Func, Tensor, Value } from '../../ir/types.js';
import type { Region } from '../pass.js';

export type Precision = 'f64' | 'f32' | 'f16';

/** Largest difference relative to the largest magnitude of the result, by the precision in which weights are stored. */
export const TOLERANCE: Readonly<Record<Precision, number>> = { f64: 1e-9, f32: 1e-5, f16: 1e-2 };

/**
 * What is left in f64 where everything cancels, relative to the largest number on the way: an adapter that subtracts the mean of equal
 * columns gives rounding errors, which are not to be compared with each other.
 */
const NOISE = 1e-12;

export interface RegionCheck {
  readonly site: string;
  /**
   * max |before - after| / max |before|, or where the results are nothing but what f64 leaves of larger numbers that cancel, over the largest
   * of these; NaN where something is not finite.
   */
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

/** One region on its way: what it needs, and what of that has come. */
interface Pending {
  readonly region: Region;
  /** Constants of the merged side, as values of the whole run. */
  readonly weights: readonly Value[];
  readonly before: Value;
  readonly after: Func;
  readonly come: Map<Value, Tensor>;
}

/** Compares regions as their values come. Every value of `roots` has to be handed to `take` once; `inputs` are theirs. */
export class RegionChecks {
  /** Region by region: the weights of the merged side, then the result of the other. Equal ones stand once. */
  readonly roots: readonly Value[];
  /** What the regions read: random numbers, by the names that the roots' arguments have. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly results: RegionCheck[] = [];
  readonly #waiting = new Map<Value, Pending[]>();
  readonly #precision: Precision;
  readonly #params: (name: string) => Tensor;

  /**
   * @param interner Shared with whoever else computes in the same run: what is equal is then one value.
   * @param params Elements of a parameter of the module as it was before the passes.
   */
  constructor(
    regions: readonly Region[],
    interner: Interner,
    params: (name: string) => Tensor,
    options: CheckOptions = {},
  ) {
    this.#precision = options.precision ?? 'f64';
    this.#params = params;
    const inputs = new Map<string, Tensor>();
    const roots = new Set<Value>();
    regions.forEach((region, i) => {
      const shrunk = shrink(region, options.tokens ?? 4, `region${i}.`);
      const random = randomNormal((options.seed ?? 1) + i);
      for (const v of new Set([...shrunk.before.inputs, ...shrunk.after.inputs])) {
        if (v.op === 'input') inputs.set(v.attrs.name, noise(v, random));
      }
      const pending = this.#pending(region, shrunk, interner);
      for (const v of [...pending.weights, pending.before]) {
        roots.add(v);
        this.#waiting.set(v, [...(this.#waiting.get(v) ?? []), pending]);
      }
      if (!pending.weights.includes(pending.before)) return;
      throw new Error(`a result of the region at ${region.site} does not depend on its input`);
    });
    this.roots = [...roots];
    this.inputs = inputs;
  }

  #pending(region: Region, { before, after }: { before: Func; after: Func }, interner: Interner): Pending {
    const [beforeValue, afterValue] = [before, after].map((f) => f.results[0]!.value) as [Value, Value];
    const image = rewriteValues([beforeValue, afterValue], (v, inputs) => interner.seed(withInputs(v, inputs)));
    const merged: Func = { ...after, results: [{ name: 'y', value: image(afterValue) }] };
    const weights = preparedOf(merged);
    return { region, weights, before: image(beforeValue), after: overStored(merged, weights), come: new Map() };
  }

  /**
   * Takes one root's tensor, of which it keeps a copy: a weight in any precision, it is rounded here. Judges each region whose last value
   * this is.
   */
  take(root: Value, tensor: Tensor): void {
    for (const pending of this.#waiting.get(root) ?? []) {
      const { come, weights, before } = pending;
      come.set(root, rounded(tensor, root === before ? 'f64' : this.#precision));
      if (come.size <= weights.length) continue;
      this.results.push(this.#judged(pending));
      come.clear();
    }
  }

  #judged({ region, weights, before, after, come }: Pending): RegionCheck {
    const stored = new Map(weights.map((v, i) => [storedName(i), come.get(v)!]));
    const options = { inputs: this.inputs, params: (name: string) => stored.get(name)! };
    const found = interpretFunc(after, options).get('y')!;
    return judge(region, come.get(before)!, found, TOLERANCE[this.#precision], {
      culprit: () => notFinite(region, this.#params),
      scale: () => largestOnTheWay(before, { inputs: this.inputs, params: this.#params }),
    });
  }
}

interface Causes {
  /** A parameter that is not finite; asked where a result is not. */
  readonly culprit: () => string | undefined;
  /** The largest number from which the result is computed; asked where results differ. */
  readonly scale: () => number;
}

function judge(
  { site }: Region,
  before: Tensor,
  after: Tensor,
  tolerance: number,
  { culprit, scale }: Causes,
): RegionCheck {
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < before.data.length; i++) {
    const d = Math.abs(before.data[i]! - after.data[i]!);
    if (!Number.isFinite(d)) {
      const parameter = culprit();
      const why = diagnostic('ESP0404', { site: showPath(site), ...(parameter ? { parameter } : {}) });
      return { site, difference: Number.NaN, diagnostic: why };
    }
    largest = Math.max(largest, Math.abs(before.data[i]!));
    worst = Math.max(worst, d);
  }
  const difference = worst / Math.max(largest, Number.MIN_VALUE);
  if (difference <= tolerance || worst === 0) return { site, difference: worst === 0 ? 0 : difference };
  const from = scale();
  if (largest + worst <= NOISE * from) return { site, difference: worst / from };
  return { site, difference, diagnostic: diagnostic('ESP0403', { site: showPath(site), difference, tolerance }) };
}

/** The largest magnitude among a value and what it is computed from with the input. */
function largestOnTheWay(value: Value, options: InterpretOptions): number {
  let largest = 0;
  interpretEach(topological([value]).filter(dependsOnInput), options, (_, { data }) => {
    for (const x of data) largest = Math.max(largest, Math.abs(Number(x)));
    return 'done';
  });
  return largest;
}

function notFinite({ before, after }: Region, params: (name: string) => Tensor): string | undefined {
  return usedParams(before, after).find((name) => params(name).data.some((x: number) => !Number.isFinite(x)));
}

/** Constants of parameters that operators of the region read, or that it comes to, computed and rounded as a program stores them. */
function preparedOf(func: Func): Value[] {
  const found = new Set(rootsOf(func).filter((v) => !dependsOnInput(v)));
  for (const v of topological(rootsOf(func))) {
    if (!dependsOnInput(v)) continue;
    for (const x of v.inputs) if (!dependsOnInput(x) && traitsOf(x).known !== 'compile') found.add(x);
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
  if (precision === 'f64' || (t.type.dtype !== 'f32' && t.type.dtype !== 'f16'))
    return { type: t.type, data: t.data.slice() };
  const data = new Float64Array(new Float32Array(t.data));
  if (precision === 'f16') for (let i = 0; i < data.length; i++) data[i] = fromHalf(toHalf(data[i]!));
  return { type: t.type, data };
}

/**
 * The region for one sample, over a few tokens if it works token by token: a check needs some rows of ViT's 197, not all. Its arguments get
 * `prefix` in front of their names either way.
 */
function shrink(region: Region, tokens: number, prefix: string): { before: Func; after: Func } {
  const [before, after] = [funcAt(region.before, 1), funcAt(region.after, 1)];
  const few = byToken(before) && byToken(after);
  const inputs = new Map<string, Value>();
  const renamed = (v: InputValue): Value => {
    const name = prefix + v.attrs.name;
    const lead = v.type.shape.slice(0, -1).map((_, i, all) => (i === all.length - 1 ? tokens : 1));
    const shape = few ? [...lead, v.type.shape.at(-1)!] : v.type.shape;
    if (!inputs.has(name)) inputs.set(name, input(name, { dtype: v.type.dtype, shape }));
    return inputs.get(name)!;
  };
  return { before: shrunk(before, renamed, few), after: shrunk(after, renamed, few) };
}

type InputValue = Extract<Value, { op: 'input' }>;

function byToken(func: Func): boolean {
  const last = (v: Value): number => v.type.shape.length - 1;
  const result = func.results[0]!.value;
  // What no argument reaches keeps its own number of tokens.
  if (!dependsOnInput(result)) return false;
  const lead = result.type.shape.slice(0, -1).join();
  return topological(rootsOf(func)).every((v) => {
    if (!dependsOnInput(v)) return true;
    const tokens = v.type.shape.slice(0, -1);
    if (tokens.join() !== lead || channelAxis(v) !== last(v)) return false;
    // What is the same for each token is made of each alone: of the first operand by its operator, of all by arithmetic and by joining.
    if (v.op === 'input') return true;
    const { pointwise, moves } = traitsOf(v);
    if (moves === 'repeats' || !mixedAxes(v)?.every((axis) => axis === last(v))) return false;
    const several = pointwise || moves === 'joins';
    return v.inputs.every((x, i) => {
      if (dependsOnInput(x)) return several || i === 0;
      return !several || x.type.shape.length <= 1 || sizeOf(x.type.shape) === x.type.shape.at(-1);
    });
  });
}

function shrunk(func: Func, renamed: (v: InputValue) => Value, few: boolean): Func {
  const images = new Map<Value, Value>();
  for (const v of topological([...func.inputs, ...rootsOf(func)])) {
    if (v.op === 'input') images.set(v, renamed(v));
    else if (!dependsOnInput(v)) images.set(v, v);
    else {
      const args = v.inputs.map((x) => images.get(x)!);
      images.set(v, few && v.op === 'slice' ? slicedChannels(v, args[0]!) : withInputs(v, args));
    }
  }
  const image = (v: Value): Value => images.get(v)!;
  return { ...mapRoots(func, image), inputs: func.inputs.map(image) };
}

/** The slice of channels, over as many tokens as `x` has. */
function slicedChannels(v: Extract<Value, { op: 'slice' }>, x: Value): Value {
  const lead = x.type.shape.slice(0, -1);
  const start = [...lead.map(() => 0), v.attrs.start.at(-1)!];
  return make('slice', [x], { start, end: [...lead, v.attrs.end.at(-1)!] });
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
