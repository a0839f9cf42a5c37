/** From an optimised module to a program: kernels, dispatches, memory, and how its weights are packed. */
import {
  type BufferRef,
  type Dispatch,
  type Entry,
  PREPARE,
  type Summary,
  slabSizes,
  type TensorSpec,
  type Unsealed,
  VERSION,
} from '../../runtime/program/program.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { hasBatch } from '../ir/batch.js';
import { rootsOf, weightsOf } from '../ir/graph.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { funcAt, hasSamples } from '../ir/run/samples.js';
import type { Func, Module, Param, Value } from '../ir/types.js';
import type { MemoryPlans } from './buffers/arena.js';
import { TILE_K, TILE_N } from './buffers/layout.js';
import { WeightLayouts } from './buffers/weight-matrix.js';
import { padded, type WeightRecipe, Weights } from './buffers/weights.js';
import { lower } from './groups/lower.js';
import { OneByOne } from './groups/one-by-one.js';
import { splitOf } from './groups/split-schedules.js';
import { ELEMENT_BYTES } from './kernel/uses.js';
import type { BuiltVariant } from './kernel.js';
import { type Cut, type CutReport, type CutRequest, cutOf, type Part, sameBefore } from './program/cut.js';
import {
  type BuiltEntry as BuiltFunction,
  EntryBuilder,
  type EntryPlan,
  noBuffer,
  type Shared,
  type Target,
} from './program/entry.js';
import { keptIn } from './program/kept.js';
import { Kernels } from './program/kernels.js';
import type { GenerateOptions } from './program/options.js';
import { preparing } from './program/prepare.js';
import { BASELINE, type Limits } from './schedule.js';

export type { GenerateOptions } from './program/options.js';

export interface Generated {
  /** Everything but weight files, preprocessing, labels and the golden input, which the caller adds. */
  readonly program: Unsealed;
  /** `<name>.<variant>.wgsl` -> text. */
  readonly files: ReadonlyMap<string, string>;
  /** What the files are the text of, by their names, if they were to be kept. */
  readonly variants: ReadonlyMap<string, BuiltVariant>;
  readonly weights: readonly WeightRecipe[];
  /** Of what holds samples, for one of them, and of the rest; `describeMemory` prints a plan. */
  readonly memory: MemoryPlans;
  /** What was cut off, of what was asked for. */
  readonly cuts: readonly CutReport[];
  /** Why samples run one by one, however many are asked for. */
  readonly oneByOne?: Diagnostic;
}

/**
 * A program of some functions, for any number of samples where their sizes hold the batch (ir/batch.ts): one set of kernels, which are told the
 * number. Where a sample is larger than a binding, or the batch cannot be moved outermost, samples are run one by one.
 * @throws EspalierError: ESP0601 (no kernel for an operator), ESP0602 and ESP0604 (tensors too large for the limits), ESP0603 (an
 * operator with too many operands), ESP0609 (one by one, and something is of all samples), ESP0610 (no kernel for an operator that prepares weights).
 */
export function generate(module: Module, options: GenerateOptions): Generated {
  const limits: Limits = { ...BASELINE, ...(typeof options.limits === 'object' ? options.limits : {}) };
  const prepared = (param: Param, packed: boolean): boolean =>
    options.prepare === true && (param.role === 'prepared' || (param.role === 'trainable' && packed));
  const shared: Shared = {
    module,
    options,
    limits,
    kernels: new Kernels(options.keepPrograms ?? false),
    weights: new Weights(module, prepared),
    layouts: new WeightLayouts(options.weights, keptIn(module, options, prepared)),
  };
  const names = options.entries ?? ['infer'];
  const cuts = new Map<string, Cut>();
  const firsts: Cut[] = [];
  /** Operations of what an entry goes on with after the function that is cut. */
  const further = new Map<string, number>();
  // In the order of the entries, since the first product that reads a weight chooses how it lies.
  const built = names.map((name) => {
    const request = options.cuts?.find((r) => r.entries[0] === name);
    const found = request && cutAlike(shared, request);
    for (const [i, cut] of (found ?? []).entries()) cuts.set(request!.entries[i]!, cut);
    firsts.push(...(found?.slice(0, 1) ?? []));
    const cut = cuts.get(name);
    const [first, ...others] = inTurn(module, name);
    const begin = cut ? partOf(shared, cut.after) : entryOf(shared, first);
    const rest = others.map((func) => entryOf(shared, func));
    further.set(name, flopsOf(rest.flatMap((b) => b.entry.dispatches)));
    return rest.reduce(oneAfterAnother, begin);
  });
  built.push(...firsts.map(({ before }) => partOf(shared, before)));
  const entries = built.map((b) => b.entry);
  if (options.prepare) entries.push(...prepareEntry(shared));
  const reports = firsts.map(({ report }): CutReport => {
    const { whole, left } = report.flops;
    const more = further.get(report.entries[0]!)!;
    return { ...report, flops: { whole: whole + more, left: left + more } };
  });
  return { ...assembled(shared, entries, built), cuts: reports };
}

const flopsOf = (list: readonly Dispatch[]): number => list.reduce((sum, d) => sum + d.flops, 0);

/** What a call of a function runs: the one that it comes after, and itself. */
function inTurn({ funcs }: Pick<Module, 'funcs'>, name: string): readonly [Func, ...Func[]] {
  const func = funcs.get(name);
  if (!func) throw new EspalierError([diagnostic('ESP0600', { what: `the module has no function \`${name}\`` })]);
  return func.after === undefined ? [func] : [...inTurn({ funcs }, func.after), func];
}

interface BuiltEntry extends BuiltFunction {
  readonly oneByOne?: Diagnostic;
}

function entryOf(shared: Shared, func: Func): BuiltEntry {
  const fixed = !hasSamples(func);
  // A pure function of fixed sizes is called once for each sample.
  const mapped =
    fixed && func.updates.length === 0 && [...func.inputs, ...rootsOf(func)].every((v) => v.type.shape.length > 0);
  const holds = (v: Value): boolean => mapped || hasBatch(v.type.shape);
  const held = { inputs: func.inputs.map(holds), results: func.results.map((r) => holds(r.value)) };
  const built = (of: Func, samples: number): BuiltEntry => builtEntry(shared, of, held, samples);
  if (fixed) return built(func, 1);
  try {
    return built(func, shared.options.samples ?? 1);
  } catch (error) {
    if (!(error instanceof OneByOne)) throw error;
    const whole = func.results.find((_, i) => !held.results[i])?.name ?? func.updates[0]?.state;
    if (whole === undefined) return { ...built(funcAt(func, 1), 1), oneByOne: error.why };
    const { message, primary } = error.why;
    const args = { entry: func.name, what: `\`${whole}\``, why: message };
    throw new EspalierError([diagnostic('ESP0609', args, primary ? { primary } : {})]);
  }
}

/** One entry that runs both, the second on what the first has made of states. */
function oneAfterAnother(first: BuiltEntry, second: BuiltEntry): BuiltEntry {
  const [a, b] = [first.entry, second.entry];
  const moved = (ref: BufferRef): BufferRef => {
    switch (ref.kind) {
      case 'arena':
        return { ...ref, slab: ref.slab + a.slabs.length };
      case 'input':
        return { ...ref, index: ref.index + a.inputs.length };
      case 'output':
        return { ...ref, index: ref.index + a.outputs.length };
      case 'update':
        return { ...ref, index: ref.index + a.updates.length };
      default:
        return ref;
    }
  };
  const early = a.updates.map((u) => (u.copied ? { ...u, after: u.after ?? a.dispatches.length } : u));
  const entry: Entry = {
    name: b.name,
    samples: a.samples,
    inputs: [...a.inputs, ...b.inputs],
    outputs: [...a.outputs, ...b.outputs],
    updates: [...early, ...b.updates],
    slabs: [...a.slabs, ...b.slabs],
    dispatches: [...a.dispatches, ...b.dispatches.map((d) => ({ ...d, bindings: d.bindings.map(moved) }))],
  };
  return { ...first, entry };
}

/** Of each entry of a request; undefined where they would not be cut alike, or one not at all. */
function cutAlike(shared: Shared, request: CutRequest): readonly Cut[] | undefined {
  const cuts = request.entries.map((name) => cutEntry(shared, inTurn(shared.module, name)[0], request));
  const [first] = cuts;
  const found = cuts.flatMap((cut) => (first && cut && sameBefore(first, cut) ? [cut] : []));
  return found.length === cuts.length ? found : undefined;
}

/** Nothing is cut off of what runs samples one by one, or cannot be generated, which its own turn says. */
function cutEntry(shared: Shared, func: Func, request: CutRequest): Cut | undefined {
  const samples = shared.options.samples ?? 1;
  const plan = wholePlan(shared, func, { inputs: [], results: [] }, samples);
  try {
    return cutOf(shared.module, plan.func, new EntryBuilder(shared, plan).groups(), request, samples);
  } catch (error) {
    if (error instanceof OneByOne || error instanceof EspalierError) return undefined;
    throw error;
  }
}

/** A part of a function, as an entry. */
function partOf(shared: Shared, part: Part): BuiltEntry {
  const { func } = part;
  const holds = (v: Value): boolean => hasBatch(v.type.shape);
  const held = { inputs: func.inputs.map(holds), results: func.results.map((r) => holds(r.value)) };
  const plan = {
    func,
    samples: shared.options.samples ?? 1,
    held,
    targets: targetsOf(shared, func),
    packs: true,
    part,
  };
  return new EntryBuilder(shared, plan).build();
}

function builtEntry(shared: Shared, func: Func, held: EntryPlan['held'], samples: number): BuiltEntry {
  return new EntryBuilder(shared, wholePlan(shared, func, held, samples)).build();
}

function wholePlan(shared: Shared, func: Func, held: EntryPlan['held'], samples: number): EntryPlan {
  const { prepares = false } = shared.options;
  const lowered = lowerFor(shared, func, samples, prepares);
  shared.layouts.add(lowered);
  return { func: lowered, samples, held, targets: targetsOf(shared, lowered), packs: !prepares };
}

function targetsOf({ module, weights }: Shared, { updates }: Func): Target[] {
  return updates.map(({ state, value }) => ({ value, weight: weights.rows(module.params.get(state)!) }));
}

function lowerFor({ options, limits }: Shared, func: Func, samples: number, prepares = false): Func {
  const { weights, splitting = splitOf } = options;
  return lower(func, { binding: limits.maxStorageBufferBindingSize, weights, samples, splitting, prepares });
}

/** The entry that writes what others read of prepared weights; none where nothing is prepared. */
function prepareEntry(shared: Shared): Entry[] {
  const recipes = shared.weights.recipes().filter((r) => r.entry.start === 'prepare');
  if (recipes.length === 0) return [];
  const func = lowerFor(shared, preparing(shared.module, recipes), 1, true);
  const targets = func.updates.map(({ value }, i) => ({ value, weight: recipes[i]!.entry }));
  const plan: EntryPlan = { func, samples: 1, held: { inputs: [], results: [] }, targets, packs: false };
  return [new EntryBuilder(shared, plan).build().entry];
}

function assembled(
  { module, options, limits, kernels, weights }: Shared,
  entries: readonly Entry[],
  built: readonly BuiltEntry[],
): Omit<Generated, 'cuts'> {
  const recipes = weights.recipes();
  const large = recipes.find((r) => r.entry.bytes > limits.maxBufferSize);
  if (large) throw new EspalierError([noBuffer(large.param, large.entry.bytes, limits, options, 'weight')]);
  const weightBytes = recipes.reduce((sum, r) => sum + (r.entry.within ? 0 : r.entry.bytes), 0);
  const count = (own: readonly Param[]): number => own.reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  const total = count(weightsOf(module));
  const trainable = count(weightsOf(module).filter((p) => p.role === 'trainable'));
  const [first] = built;
  const { dispatches } = first!.entry;
  const oneByOne = built.find((b) => b.oneByOne)?.oneByOne;
  const bytes = new Map(recipes.map((r) => [r.entry.name, r.entry.bytes]));
  const beside = (samples: (e: Entry) => number): number => heldBeside(entries, samples, bytes);
  const skipped = skippedBy(recipes, first!);
  const program: Unsealed = {
    format: 'espalier.program',
    version: VERSION,
    name: options.name,
    compiler: options.compiler,
    kernels: kernels.list,
    entries,
    weights: recipes.map((r) => r.entry),
    weightFiles: [],
    summary: {
      parameters: { total, trainable, frozen: total - trainable },
      kernels: kernels.list.length,
      dispatches: dispatches.length,
      flops: flopsOf(dispatches),
      sparseFlops: flopsOf(dispatches.filter((d) => kernels.list[d.kernel]!.archetype === 'sparse_contract')),
      ...(skipped ? { skipped } : {}),
      weightBytes,
      peakBytes: weightBytes + beside((e) => e.samples),
      leastBytes: weightBytes + beside(() => 1),
    },
  };
  return {
    program,
    files: kernels.files,
    variants: kernels.variants,
    weights: recipes,
    memory: first!.plans,
    ...(oneByOne ? { oneByOne } : {}),
  };
}

/** What products leave out of weights that are stored in part. */
function skippedBy(recipes: readonly WeightRecipe[], { leftOut }: BuiltFunction): Summary['skipped'] {
  const kept = recipes.flatMap((r) => r.packed?.kept ?? []);
  if (kept.length === 0) return undefined;
  const of = sum(kept.map((k) => k.of));
  const tiles = of - sum(kept.map((k) => k.blocks.length));
  return { weights: kept.length, tile: [TILE_N, TILE_K], tiles, of, flops: Math.round(leftOut) };
}

/** What all entries hold at once, for so many samples of each; what `prepare` takes is given back before others run. */
function heldBeside(
  entries: readonly Entry[],
  samples: (e: Entry) => number,
  weights: ReadonlyMap<string, number>,
): number {
  const [prepare, others] = [entries.filter((e) => e.name === PREPARE), entries.filter((e) => e.name !== PREPARE)];
  const held = (list: readonly Entry[]): number =>
    sum(list.map((e) => workingBytes(e, samples(e), weights))) + sharedBytes(list, samples);
  return Math.max(held(prepare), held(others));
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

/** Slabs, which entries share (runtime/slabs.ts): the largest of each, their second largest, and so on. */
function sharedBytes(entries: readonly Entry[], samples: (e: Entry) => number): number {
  const all = entries.map((e) => slabSizes(e, samples(e)).sort((a, b) => b - a));
  const count = Math.max(0, ...all.map((sizes) => sizes.length));
  return sum(Array.from({ length: count }, (_, i) => Math.max(...all.map((sizes) => sizes[i] ?? 0))));
}

/**
 * What an entry holds by itself beside weights for a pass of so many samples: inputs, outputs, the latter twice to be read, what states become beside
 * what they are, and the uniform.
 */
function workingBytes(
  { inputs, outputs, updates }: Entry,
  samples: number,
  weights: ReadonlyMap<string, number>,
): number {
  const size = (t: TensorSpec): number => padded(sizeOf(t.shape) * ELEMENT_BYTES * (t.samples ? samples : 1));
  return sum([
    ...[...inputs, ...outputs, ...outputs].map(size),
    ...updates.map((u) => (u.copied ? weights.get(u.weight)! : 0)),
    padded(4),
  ]);
}
