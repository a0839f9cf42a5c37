/**
 * A training step as functions of a module. From a function `loss` and an optimiser they are derived:
 *
 *   step        one batch: loss and metrics; weights, moments and averages become what they are after it
 *   accumulate  one part of a batch: adds its gradients to those of the parts before
 *   loss        what it was, as inference computes it: nothing is dropped, nothing changes
 *
 * Everything that a step does is in one function, so it is one submission of kernels. What is frozen has no gradient and no state. Numbers that
 * depend on the count of the step and the rate alone (Adam's 1 - beta^t) are not the GPU's to compute: they are the results of `numbers`, which
 * the host interprets in f64 (numbers.ts).
 */
import { build } from '../../ir/build.js';
import { constant, input, paramRef, rootsOf, topological } from '../../ir/graph.js';
import { isDrop } from '../../ir/ops/index.js';
import type { Group } from '../../ir/optimizer.js';
import type { Func, Init, Module, Param, TensorType, Update, Value } from '../../ir/types.js';
import { type Gradients, gradientsOf } from '../differentiate/gradients.js';
import { drawDropout } from '../dropout.js';
import { optimize, TRAINING } from '../index.js';
import type { AdapterMode } from '../pass.js';
import { hostNumbers } from './numbers.js';
import { ForwardPass } from './rematerialize.js';

/** Names of the functions, and of the inputs that they have besides the loss's own. */
export const STEP = 'step';
export const ACCUMULATE = 'accumulate';
export const LOSS = 'loss';
/** u32[2]: what a step's dropouts are drawn by; there only if there are any. */
export const KEY = 'key';
/** f32[n]: the results of `Training.numbers`, in their order. */
export const NUMBERS = 'numbers';

const SCALAR: TensorType = { dtype: 'f32', shape: [] };

export interface TrainOptions {
  /** Every trainable parameter in one of them. */
  readonly groups: readonly Group[];
  /** The largest norm of all gradients together; larger ones are scaled down to it, as `clip_grad_norm_` of PyTorch does. */
  readonly clip?: number;
  /** Whether a batch may come in parts, whose gradients are added up before a step: `accumulate` takes all parts but the last. */
  readonly accumulates?: boolean;
  /** Share of itself that the moving average of the weights keeps at each step. */
  readonly ema?: number;
  /** Whether adapters' weights are added to the layers' (`merged`) or applied by their factors. */
  readonly adapters: AdapterMode;
}

export interface Training {
  /** With the functions above. Trainable parameters are states, and so is everything that a step keeps. */
  readonly module: Module;
  /**
   * What a function takes as its input `numbers`, by its name, from scalars: `count` (1 at the first step), `rate.0`, `rate.1`, ... for the groups, and `share`, the
   * part of the batch that a call has (1 where it comes whole).
   */
  readonly numbers: ReadonlyMap<string, Func>;
  /** Trainable parameters that the loss gives no gradient, and what cuts them off. If there are any, `module` moves the others alone. */
  readonly without: Gradients['without'];
  /** How many segments of the forward pass the backward pass could compute again, so as not to keep what they have (rematerialize.ts). */
  readonly segments: number;
  /** `module` with a backward pass that computes so many segments again, from the first on. */
  readonly again: (count: number) => Module;
  /** Bytes of a sample that the backward pass keeps of the forward pass; and what it would keep if every parameter of the model were trained. */
  readonly keptBytes: { readonly own: (count: number) => number; readonly full: () => number };
}

/** The moving average of a parameter. */
export const averageName = (param: string): string => `${param}.ema`;
const sumName = (param: string): string => `${param}.gradients`;
const rateName = (group: number): string => `rate.${group}`;
const COUNT = 'count';

/**
 * @param module with a function `loss`, one of whose results is the f32 scalar `loss`
 * @throws RangeError where that is not there
 */
export function trainingOf(module: Module, options: TrainOptions): Training {
  const { groups, adapters } = options;
  const forward = optimize(module, { functions: [LOSS], adapters, passes: TRAINING.loss }).module.funcs.get(LOSS)!;
  const gradients = gradientsOf(
    forward,
    LOSS,
    groups.flatMap((g) => g.params),
  );
  const states = new States(module);
  const steps = [stepOf(gradients, states, options), ...(options.accumulates ? [accumulateOf(gradients, states)] : [])];
  const counted = steps.map((f) => hostNumbers(drawn(f), NUMBERS));
  const funcs = [...counted.map((c) => c.func), forward];
  const whole: Module = {
    ...module,
    params: new Map([...module.params, ...states.params]),
    funcs: new Map(funcs.map((f) => [f.name, f])),
  };
  const { module: made } = optimize(whole, { functions: funcs.map((f) => f.name), adapters, passes: TRAINING.step });
  const results = new Set(forward.results.map((r) => r.name));
  const passes = new Map(steps.map(({ name }) => [name, new ForwardPass(made.funcs.get(name)!, results)]));
  const again = (count: number): Module => {
    const funcs = [...passes].map(([name, pass]) => [name, pass.rematerialized(count)] as const);
    return { ...made, funcs: new Map([...made.funcs, ...funcs]) };
  };
  return {
    module: again(0),
    again,
    segments: passes.get(STEP)!.count,
    keptBytes: {
      own: (count) => passes.get(STEP)!.keptBytes(count),
      full: () => new ForwardPass(fully(module, forward), results).keptBytes(0),
    },
    numbers: new Map(counted.map(({ func, host }) => [func.name, host])),
    without: gradients.without,
  };
}

/** The function with the gradient of every weight that the model has. */
function fully(module: Module, forward: Func): Func {
  const weights = [...module.params.values()].filter((p) => p.role === 'frozen' || p.role === 'trainable');
  const { func, of } = gradientsOf(
    forward,
    LOSS,
    weights.map((p) => p.name),
  );
  return { ...func, updates: [...of].map(([state, value]) => ({ state, value })) };
}

/** Parameters of role `state`, made as functions come to update them. */
class States {
  readonly params = new Map<string, Param>();

  constructor(private readonly module: Module) {}

  /** A trainable parameter, which from now on is one. Whatever it would start as without a file, it starts as the model has it. */
  weight(name: string): Value {
    const { init: _, ...trained } = this.module.params.get(name)!;
    const param: Param = { ...trained, role: 'state' };
    this.params.set(name, param);
    return paramRef(param);
  }

  /** One that belongs to a weight, of its type. */
  beside(name: string, { type, about }: Value, init: Init): Value {
    const param: Param = { name, type, role: 'state', init, ...(about ? { about } : {}) };
    this.params.set(name, param);
    return paramRef(param);
  }
}

const shareOf = (): Value => input('share', SCALAR);

/** What is added up over the parts of a batch: the mean of each by its share of the batch. */
const added = (states: States, param: string, gradient: Value, share: Value): Value =>
  build.add(states.beside(sumName(param), gradient, { kind: 'zeros' }), build.mul(gradient, share));

/** As PyTorch's `clip_grad_norm_`: all by one factor, and never made larger. */
function clipped(gradients: ReadonlyMap<string, Value>, most: number): { factor: Value; norm: Value } {
  const squares = [...gradients.values()].map((g) => build.sum(build.mul(g, g), [...g.type.shape.keys()]));
  const norm = build.sqrt(squares.reduce((sum, x) => build.add(sum, x)));
  return { norm, factor: build.minimum(build.div(constant(most), build.add(norm, 1e-6)), 1) };
}

function stepOf(gradients: Gradients, states: States, options: TrainOptions): Func {
  const { func } = gradients;
  const { groups, clip, accumulates, ema } = options;
  const share = shareOf();
  const whole = accumulates
    ? new Map([...gradients.of].map(([name, g]) => [name, added(states, name, g, share)]))
    : gradients.of;
  const limit = clip === undefined || whole.size === 0 ? undefined : clipped(whole, clip);
  const count = input(COUNT, SCALAR);
  const rates = groups.map((_, i) => input(rateName(i), SCALAR));
  const updates: Update[] = [];
  const groupOf = new Map(groups.flatMap(({ params }, i) => params.map((name) => [name, i] as const)));
  // In the order of the gradients, so that each is used up before the backward pass goes on.
  for (const [name, given] of whole) {
    const i = groupOf.get(name)!;
    const { optimizer } = groups[i]!;
    const weight = states.weight(name);
    const own = new Map(
      [...optimizer.states].map(([state, value]) => {
        const init: Init = value === 0 ? { kind: 'zeros' } : { kind: 'constant', value };
        return [state, states.beside(`${name}.${state}`, weight, init)];
      }),
    );
    const gradient = limit ? build.mul(given, limit.factor) : given;
    const after = optimizer.step({ weight, gradient, rate: rates[i]!, count, states: own });
    updates.push({ state: name, value: after.weight });
    for (const [state, value] of after.states) updates.push({ state: `${name}.${state}`, value });
    if (accumulates) updates.push({ state: sumName(name), value: build.broadcast(constant(0), weight.type.shape) });
    if (ema === undefined) continue;
    const average = states.beside(averageName(name), weight, { kind: 'value', value: weight });
    const moved = build.add(build.mul(average, ema), build.mul(after.weight, 1 - ema));
    updates.push({ state: averageName(name), value: moved });
  }
  const norm = limit ? [{ name: 'norm', value: limit.norm }] : [];
  return {
    name: STEP,
    inputs: [...func.inputs, count, ...rates, ...(accumulates ? [share] : [])],
    results: [...func.results, ...norm],
    updates: [...func.updates, ...updates],
  };
}

function accumulateOf({ func, of }: Gradients, states: States): Func {
  const share = shareOf();
  const updates = [...of].map(([name, g]) => ({ state: sumName(name), value: added(states, name, g, share) }));
  return { ...func, name: ACCUMULATE, inputs: [...func.inputs, share], updates: [...func.updates, ...updates] };
}

/** With dropouts as they are drawn, by a key that is an argument more. */
function drawn(func: Func): Func {
  if (!topological(rootsOf(func)).some(isDrop)) return func;
  const key = input(KEY, { dtype: 'u32', shape: [2] });
  return { ...drawDropout(func, key), inputs: [...func.inputs, key] };
}
