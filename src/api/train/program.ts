/** The program that trains a model: derived from the spec, generated for the limits of the GPU that runs it, with every weight that it starts from. */

import { type Entry, entryNamed } from '../../../runtime/program/program.js';
import { type Generated, type GenerateOptions, generate } from '../../codegen/generate.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, TrainSettings } from '../../dsl/elaborated.js';
import { topological, weightsOf } from '../../ir/graph.js';
import { sizeOf, tensorBytes } from '../../ir/ops/shapes.js';
import { initialise } from '../../ir/run/init.js';
import type { Func, Module, Tensor } from '../../ir/types.js';
import { PREPARE } from '../../passes/index.js';
import { statisticsOf } from '../../passes/train/statistics.js';
import { ACCUMULATE, LOSS, OBSERVE, STEP, trainingOf } from '../../passes/train/step.js';
import type { Progress } from '../host.js';
import { prepareParameters } from '../prepare.js';
import { version } from '../version.js';
import { cutRequests, type Prefixes, prefixesOf, type Reader } from './prefix.js';

/** What training needs of memory and of the model, before anything runs. */
export interface TrainPlan {
  /** Parameters that are trained, and all that the model has. */
  readonly trained: number;
  readonly total: number;
  /** Bytes of weights, frozen ones and states (what is trained, its moments, averages, and gradients that are kept) apart. */
  readonly frozenBytes: number;
  readonly stateBytes: number;
  /** What a step of the largest part of a batch takes beside them, and what it takes for each further sample. */
  readonly stepBytes: number;
  readonly sampleBytes: number;
  /** All that a run holds on the GPU at the most: weights, states, a step and a validation, inputs and outputs. */
  readonly peakBytes: number;
  /** What the forward pass of one sample leaves for the backward pass. */
  readonly keptBytes: number;
  /** Segments of the forward pass that are computed again so as not to keep what they have, of all that could be. */
  readonly again: number;
  readonly segments: number;
  /** What would be kept of a sample, and held of states, if every weight of the model were trained by the same optimiser. */
  readonly full: { readonly keptBytes: number; readonly stateBytes: number };
  /** Samples that are computed at once. */
  readonly part: number;
  readonly dispatches: number;
  /** Operations of a step, and of the loss alone, for one sample, without what is computed once. */
  readonly flops: { readonly step: number; readonly loss: number };
  /** What is computed once an image. */
  readonly prefixes: Prefixes;
}

export interface TrainProgram {
  readonly generated: Generated;
  /** The tensor of every weight that the program reads from files. */
  readonly params: (name: string) => Tensor;
  /** The same with other masks, by parameter, for those alone that depend on these. */
  readonly masked: (masks: ReadonlyMap<string, Tensor>) => ReadonlyMap<string, Tensor>;
  /** What `step` and `accumulate` take as numbers, by the input's name, for the host to interpret. */
  readonly numbers: ReadonlyMap<string, Func>;
  /** Names of parameters that are trained without a gradient: running averages of norms. */
  readonly statistics: readonly string[];
  /** Names of the states that a later step depends on. */
  readonly kept: readonly string[];
  readonly module: Module;
  readonly plan: TrainPlan;
}

export interface TrainProgramRequest {
  readonly elaborated: Elaborated;
  readonly train: TrainSettings;
  /** Every parameter of the model. */
  readonly params: (name: string) => Tensor;
  /** Who reads the same images each epoch, so that what is frozen of the model is to be cut off for them (default: nobody). */
  readonly still?: readonly Reader[];
  /** Limits of the GPU (default: what every GPU has). */
  readonly limits?: GenerateOptions['limits'];
  /** Only what that GPU can run (default: what any can). */
  readonly device?: GenerateOptions['device'];
  readonly progress?: Progress | undefined;
}

/**
 * @throws EspalierError ESP1101 (trained parameters that the loss does not depend on), ESP1102 (a part of a batch that no pass takes), ESP1115 (more memory
 * than `checkpoint` allows), and what `generate` throws
 */
export function trainProgram({
  elaborated,
  train,
  params,
  still = [],
  limits,
  device,
  progress,
}: TrainProgramRequest): TrainProgram {
  progress?.('deriving the step');
  const { module } = elaborated;
  const { observed } = train;
  const whole: Module = {
    ...module,
    funcs: new Map([train.loss, ...(observed ? [observed] : [])].map((f) => [f.name, f])),
  };
  const accumulates = train.accumulate > 1;
  const training = trainingOf(whole, {
    groups: train.groups,
    adapters: train.adapters,
    accumulates,
    ...largestOf(limits),
    ...(train.clip === undefined ? {} : { clip: train.clip }),
    ...(train.ema === undefined ? {} : { ema: train.ema }),
  });
  if (training.without.size > 0) throw new EspalierError(withoutGradient(training.without));
  const part = Math.ceil(train.batch / train.accumulate);
  const entries = [STEP, ...(accumulates ? [ACCUMULATE] : []), LOSS, ...(observed ? [OBSERVE] : [])];
  const inputs = elaborated.inputs.map((i) => i.name);
  const made = (again: number): Made => {
    progress?.('generating kernels');
    const derived = training.again(again);
    const generated = generate(derived, {
      name: elaborated.name,
      compiler: version,
      weights: 'f32',
      entries,
      cuts: cutRequests(still, entries, inputs),
      samples: part,
      ...(limits ? { limits } : {}),
      ...(device ? { device } : {}),
    });
    return { again, derived, generated };
  };
  const { again, derived, generated } = fitting(made, training.segments, train);
  const [step] = generated.program.entries;
  if (step!.samples < part) {
    const parts = Math.ceil(train.batch / step!.samples);
    throw new EspalierError([diagnostic('ESP1102', { batch: part, most: step!.samples, parts })]);
  }
  return {
    generated,
    params: startOf(module, derived, params, progress),
    masked: (masks) => maskedOf(module, derived, params, masks),
    numbers: training.numbers,
    statistics: statisticsOf(module).map((p) => p.name),
    kept: training.kept,
    module: derived,
    plan: {
      ...planOf(elaborated, derived, generated, part),
      keptBytes: training.keptBytes.own(again),
      again,
      segments: training.segments,
      full: { keptBytes: training.keptBytes.full(), stateBytes: fullStates(elaborated.module, train) },
    },
  };
}

/** What kernels may bind of one state, and what a buffer holds. */
function largestOf(limits: GenerateOptions['limits']): { largest?: number } {
  const { maxStorageBufferBindingSize, maxBufferSize } = typeof limits === 'object' ? limits : {};
  if (maxStorageBufferBindingSize === undefined || maxBufferSize === undefined) return {};
  return { largest: Math.min(maxStorageBufferBindingSize, maxBufferSize) };
}

/** A program that computes so many segments again. */
interface Made {
  readonly again: number;
  readonly derived: Module;
  readonly generated: Generated;
}

/**
 * As `checkpoint` asks; of `auto`, the one that computes the fewest segments again and keeps to the budget.
 * @throws EspalierError ESP1115 where none does
 */
function fitting(made: (again: number) => Made, segments: number, { checkpoint, accumulate }: TrainSettings): Made {
  if (checkpoint.kind !== 'auto') return made(checkpoint.kind === 'blocks' ? segments : 0);
  const peak = ({ generated }: Made): number => generated.program.summary.peakBytes;
  const none = made(0);
  if (peak(none) <= checkpoint.bytes) return none;
  let best = made(segments);
  if (peak(best) > checkpoint.bytes) {
    const about = { least: peak(best), budget: checkpoint.bytes, accumulate };
    throw new EspalierError([diagnostic('ESP1115', about)]);
  }
  for (let [low, high] = [0, segments]; high - low > 1; ) {
    const middle = made(Math.floor((low + high) / 2));
    if (peak(middle) > checkpoint.bytes) low = middle.again;
    else [best, high] = [middle, middle.again];
  }
  return best;
}

/** Bytes of weights and all that a step keeps beside each, if every weight were trained. */
function fullStates(module: Module, { groups, ema, accumulate, clip }: TrainSettings): number {
  const own = weightsOf(module);
  const gradients = accumulate > 1 || clip !== undefined;
  const each = 1 + groups[0]!.optimizer.states.size + (ema === undefined ? 0 : 1) + (gradients ? 1 : 0);
  return own.reduce((sum, p) => sum + tensorBytes(p.type), 0) * each;
}

/** Each with what cuts it off, at its place. */
export function withoutGradient(without: ReturnType<typeof trainingOf>['without']): Diagnostic[] {
  return [...without].slice(0, 10).map(([param, by]) => {
    const primary = by?.about?.at && { span: by.about.at, text: 'no gradient passes here' };
    const about = { param, operator: by?.op ?? '', more: Math.max(0, without.size - 10) };
    return diagnostic('ESP1101', about, primary ? { primary } : {});
  });
}

/** What is in the model's files or how it starts, what is prepared from these, and what a step keeps besides. */
export function startOf(
  written: Module,
  module: Module,
  params: (name: string) => Tensor,
  progress: Progress | undefined,
): (name: string) => Tensor {
  const known = new Map<string, Tensor>();
  const get = (name: string): Tensor => {
    const before = known.get(name);
    if (before) return before;
    if (written.params.has(name)) return params(name);
    const param = module.params.get(name)!;
    const value = param.data ? { type: param.type, data: param.data } : initialise(param, 0, module, get);
    known.set(name, value);
    return value;
  };
  prepareParameters({ module, regions: [], params: get, take: (name, tensor) => known.set(name, tensor), progress });
  return get;
}

/** What a program's files hold that depends on these masks: themselves, and what is prepared of them. */
function maskedOf(
  written: Module,
  module: Module,
  params: (name: string) => Tensor,
  masks: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const prepare = module.funcs.get(PREPARE);
  const results = (prepare?.results ?? []).filter((r) =>
    topological([r.value]).some((v) => v.op === 'param' && masks.has(v.attrs.name)),
  );
  const only = prepare && { ...prepare, results };
  const part: Module = only ? { ...module, funcs: new Map([[PREPARE, only]]) } : { ...module, funcs: new Map() };
  const get = startOf(written, part, (name) => masks.get(name) ?? params(name), undefined);
  return new Map([...masks.keys(), ...results.map((r) => r.name)].map((name) => [name, get(name)]));
}

function planOf(
  { module: written, root }: Elaborated,
  module: Module,
  { program, cuts }: Generated,
  part: number,
): Omit<TrainPlan, 'keptBytes' | 'again' | 'segments' | 'full'> {
  const own = weightsOf(written);
  const count = (params: typeof own): number => params.reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  const isState = (name: string): boolean => module.params.get(name)?.role === 'state';
  const bytes = (states: boolean): number =>
    program.weights.filter((w) => isState(w.parameter) === states && !w.within).reduce((sum, w) => sum + w.bytes, 0);
  const named = (name: string): Entry => entryNamed(program, name)!;
  const beside = (samples: number): number =>
    named(STEP).slabs.reduce((sum, s) => sum + s.bytes * (s.samples ? samples : 1), 0);
  const flops = (name: string): number => named(name).dispatches.reduce((sum, d) => sum + d.flops, 0);
  return {
    trained: count(own.filter((p) => p.role === 'trainable')),
    total: count(own),
    frozenBytes: bytes(false),
    stateBytes: bytes(true),
    stepBytes: beside(part),
    sampleBytes: beside(1) - beside(0),
    peakBytes: program.summary.peakBytes,
    part,
    dispatches: named(STEP).dispatches.length,
    flops: { step: flops(STEP), loss: flops(LOSS) },
    prefixes: prefixesOf(root, cuts),
  };
}
