/**
 * A training step as functions of a module. From a function `loss` and an optimiser they are derived:
 *
 *   step        one batch: loss and metrics; weights, moments and averages become what they are after it
 *   accumulate  one part of a batch: adds its gradients to those of the parts before
 *   loss        what it was, as inference computes it: nothing is dropped, nothing changes; `observe`, where there is one, in the same way
 *
 * Running averages of norms that are trained move as well, in each part of a batch (statistics.ts).
 *
 * A step is one submission of kernels, and comes in two forms. Either each weight is moved as soon as its gradient is there, or `step` comes after
 * `accumulate` (`gradients`, where a batch comes whole), which leaves all gradients side by side. What is frozen has no gradient and no state. Numbers that
 * depend on the count of the step and the rate alone (Adam's 1 - beta^t) are not the GPU's to compute: they are the results of `numbers`, which
 * the host interprets in f64 (numbers.ts).
 */
import { build } from '../../ir/build.js';
import { constant, input, paramRef, rootsOf, topological, weightsOf } from '../../ir/graph.js';
import { isDrop } from '../../ir/ops/index.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { Group } from '../../ir/optimizer.js';
import { sideBySide } from '../../ir/parts.js';
import type { Func, Init, Module, Param, TensorType, Update, Value } from '../../ir/types.js';
import { type Gradients, gradientsOf } from '../differentiate/gradients.js';
import { drawDropout } from '../dropout.js';
import { optimize, TRAINING } from '../index.js';
import type { AdapterMode } from '../pass.js';
import { isElementwise } from './elementwise.js';
import { hostNumbers } from './numbers.js';
import { ForwardPass } from './rematerialize.js';
import { followBatch, statisticsOf } from './statistics.js';

/** Names of the functions, and of the inputs that they have besides the loss's own. */
export const STEP = 'step';
export const ACCUMULATE = 'accumulate';
/** What `step` comes after where a batch comes whole and gradients are kept. */
const GRADIENTS = 'gradients';
export const LOSS = 'loss';
/** Where the module has it: the loss, and what a site inside of the model gives, `feature`. */
export const OBSERVE = 'observe';
export const FEATURE = 'feature';
/** u32[2]: what a step's dropouts are drawn by; there only if there are any. */
export const KEY = 'key';
/** f32[n]: what `step` takes of `Training.numbers`; those of `accumulate` are `accumulate.numbers`. */
const NUMBERS = 'numbers';

const SCALAR: TensorType = { dtype: 'f32', shape: [] };
/** What a binding holds on every GPU. */
const LARGEST = 128 * 2 ** 20;

export interface TrainOptions {
  /** Every trainable parameter in one of them. */
  readonly groups: readonly Group[];
  /** The largest norm of all gradients together; larger ones are scaled down to it, as `clip_grad_norm_` of PyTorch does. */
  readonly clip?: number;
  /** Whether a batch may come in parts, whose gradients are added up before a step: `accumulate` takes all parts but the last. */
  readonly accumulates?: boolean;
  /** Share of itself that the moving average of the weights keeps at each step. */
  readonly ema?: number;
  /** Bytes of the largest state that kernels may bind (default: what every GPU can). */
  readonly largest?: number;
  /** Whether adapters' weights are added to the layers' (`merged`) or applied by their factors. */
  readonly adapters: AdapterMode;
}

export interface Training {
  /** With the functions above. Trainable parameters are states, and so is everything that a step keeps. */
  readonly module: Module;
  /**
   * What functions take as numbers, by the input's name, from scalars: `count` (1 at the first step), `rate.0`, `rate.1`, ... for the groups, and `share`, the
   * part of the batch that a call has (1 where it comes whole).
   */
  readonly numbers: ReadonlyMap<string, Func>;
  /** States that a later step depends on. Others are written before they are read. */
  readonly kept: readonly string[];
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
const gradientName = (param: string): string => `${param}.gradients`;
const rateName = (group: number): string => `rate.${group}`;
const COUNT = 'count';

/**
 * @param module with a function `loss`, one of whose results is the f32 scalar `loss`
 * @throws RangeError where that is not there
 */
export function trainingOf(module: Module, options: TrainOptions): Training {
  const { groups, adapters } = options;
  const states = new States(module);
  for (const { name } of statisticsOf(module)) states.weight(name);
  const simplified = (func: Func): Func => {
    const { name } = func;
    const params = new Map([...module.params, ...states.params]);
    const own: Module = { ...module, params, funcs: new Map([[name, func]]) };
    return optimize(own, { functions: [name], adapters, passes: TRAINING.loss }).module.funcs.get(name)!;
  };
  const loss = wholeOf(module);
  const inferred = simplified(loss);
  const followed = followBatch(loss, module);
  const forward = followed === loss ? inferred : simplified(followed);
  const gradients = gradientsOf(
    forward,
    LOSS,
    groups.flatMap((g) => g.params),
  );
  const steps = isTogether(module, gradients, options)
    ? [keptGradients(gradients, states, options), stepTogether(gradients, states, options)]
    : [stepEach(gradients, states, options)];
  const counted = steps.map((f) => hostNumbers(drawn(f), f.name === STEP ? NUMBERS : `${f.name}.${NUMBERS}`));
  const observed = module.funcs.get(OBSERVE);
  const funcs = [...counted.map((c) => c.func), inferred, ...(observed ? [simplified(observed)] : [])];
  const whole: Module = {
    ...module,
    params: new Map([...module.params, ...states.params]),
    funcs: new Map(funcs.map((f) => [f.name, f])),
  };
  const { module: made } = optimize(whole, { functions: funcs.map((f) => f.name), adapters, passes: TRAINING.step });
  const results = new Set(forward.results.map((r) => r.name));
  const both = steps[0]!.name;
  const pass = new ForwardPass(made.funcs.get(both)!, results);
  const again = (count: number): Module => ({
    ...made,
    funcs: new Map([...made.funcs, [both, pass.rematerialized(count)] as const]),
  });
  return {
    module: again(0),
    again,
    segments: pass.count,
    keptBytes: {
      own: (count) => pass.keptBytes(count),
      full: () => new ForwardPass(fully(module, forward), results).keptBytes(0),
    },
    numbers: new Map(counted.flatMap(({ name, host }) => (host.results.length > 0 ? [[name, host] as const] : []))),
    kept: [...states.params.values()].flatMap(({ name, parts }) => (parts || states.isGradient(name) ? [] : [name])),
    without: gradients.without,
  };
}

/** @throws RangeError where the module has no function `loss` */
function wholeOf(module: Module): Func {
  const loss = module.funcs.get(LOSS);
  if (!loss) throw new RangeError(`the module has no function ${LOSS}`);
  return loss;
}

/** Weights of all that the model has, to those that are trained, from where on what keeping gradients takes is little. */
const LITTLE = 8;

/** Whether gradients are kept until all are there: where one step needs all, or many launches are saved for little memory. */
function isTogether(module: Module, { of }: Gradients, { clip, accumulates }: TrainOptions): boolean {
  const own = weightsOf(module);
  const count = (list: typeof own): number => list.reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  const little = LITTLE * count(own.filter((p) => of.has(p.name))) <= count(own);
  return of.size > 0 && (clip !== undefined || accumulates === true || little);
}

/** The function with the gradient of every weight that the model has. */
function fully(module: Module, forward: Func): Func {
  const weights = weightsOf(module).filter((p) => p.role !== 'statistic');
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
  private readonly gradients = new Set<string>();

  constructor(private readonly module: Module) {}

  /** A parameter that is trained, which from now on is one. Whatever it would start as without a file, it starts as the model has it. */
  weight(name: string): Value {
    const { init: _, momentum: __, ...trained } = this.module.params.get(name)!;
    return this.made({ ...trained, role: 'state' });
  }

  /** One that belongs to a weight, of its type. */
  beside(name: string, { type, about }: Pick<Param, 'type' | 'about'>, init: Init): Value {
    return this.made({ name, type, role: 'state', init, ...(about ? { about } : {}) });
  }

  gradient(param: string): Value {
    const name = gradientName(param);
    this.gradients.add(name);
    return this.beside(name, this.module.params.get(param)!, { kind: 'zeros' });
  }

  isGradient(name: string): boolean {
    return this.gradients.has(name);
  }

  /** One that others lie in, side by side. */
  whole(name: string, parts: readonly Value[]): Value {
    const { length } = sideBySide(parts.map((p) => p.type));
    const names = parts.map((p) => (p.op === 'param' ? p.attrs.name : ''));
    const type: TensorType = { dtype: 'f32', shape: [length] };
    return this.made({ name, type, role: 'state', init: { kind: 'zeros' }, parts: names });
  }

  private made(param: Param): Value {
    this.params.set(param.name, param);
    return paramRef(param);
  }
}

const shareOf = (): Value => input('share', SCALAR);

/** As PyTorch's `clip_grad_norm_`: all by one factor, and never made larger. */
function clipped(gradients: readonly Value[], most: number): { factor: Value; norm: Value } {
  const squares = gradients.map((g) => build.sum(build.mul(g, g), [0]));
  const norm = build.sqrt(squares.reduce((sum, x) => build.add(sum, x)));
  return { norm, factor: build.minimum(build.div(constant(most), build.add(norm, 1e-6)), 1) };
}

/** What a step makes of one weight, or of several that lie side by side, and of what belongs to it. */
interface Moved {
  readonly weight: Value;
  readonly states: ReadonlyMap<string, Value>;
  readonly average?: Value;
}

const numbersOf = (groups: readonly Group[]): { count: Value; rates: Value[] } => ({
  count: input(COUNT, SCALAR),
  rates: groups.map((_, i) => input(rateName(i), SCALAR)),
});

/** The updates of what is moved; the optimiser's states and the average are those that `own` has. */
function updatesOf(
  own: Moved,
  { optimizer }: Group,
  at: { readonly gradient: Value; readonly rate: Value; readonly count: Value },
  ema: number | undefined,
): Update[] {
  const { weight, states, average } = own;
  const after = optimizer.step({ weight, states, ...at });
  const pairs: [Value, Value][] = [[weight, after.weight]];
  for (const [name, value] of after.states) pairs.push([states.get(name)!, value]);
  if (average && ema !== undefined)
    pairs.push([average, build.add(build.mul(average, ema), build.mul(after.weight, 1 - ema))]);
  return pairs.flatMap(([state, value]) => (state.op === 'param' ? [{ state: state.attrs.name, value }] : []));
}

/** A weight as a state, with what belongs to it. */
function ownOf(name: string, { optimizer }: Group, states: States, ema: number | undefined): Moved {
  const weight = states.weight(name);
  const own = [...optimizer.states].map(([state, value]) => {
    const init: Init = value === 0 ? { kind: 'zeros' } : { kind: 'constant', value };
    return [state, states.beside(`${name}.${state}`, weight, init)] as const;
  });
  const average =
    ema === undefined ? {} : { average: states.beside(averageName(name), weight, { kind: 'value', value: weight }) };
  return { weight, states: new Map(own), ...average };
}

/** Each weight is moved as soon as its gradient is there, which then is not kept: by the kernel that finishes it, where that can. */
function stepEach({ func, of }: Gradients, states: States, { groups, ema }: TrainOptions): Func {
  const { count, rates } = numbersOf(groups);
  const groupOf = new Map(groups.flatMap(({ params }, i) => params.map((name) => [name, i] as const)));
  const updates = [...of].flatMap(([name, gradient]) => {
    const i = groupOf.get(name)!;
    const own = ownOf(name, groups[i]!, states, ema);
    return updatesOf(own, groups[i]!, { gradient, rate: rates[i]!, count }, ema);
  });
  return { ...func, name: STEP, inputs: [...func.inputs, count, ...rates], updates: [...func.updates, ...updates] };
}

/** The gradients as states: of one batch, or added up over its parts, the mean of each by its share. */
function keptGradients({ func, of }: Gradients, states: States, { accumulates }: TrainOptions): Func {
  const share = shareOf();
  const updates = [...of].map(([name, g]) => {
    const kept = states.gradient(name);
    return { state: gradientName(name), value: accumulates ? build.add(kept, build.mul(g, share)) : g };
  });
  return {
    ...func,
    name: accumulates ? ACCUMULATE : GRADIENTS,
    inputs: [...func.inputs, ...(accumulates ? [share] : [])],
    updates: [...func.updates, ...updates],
  };
}

/**
 * What comes after the gradients: weights of a group, and their moments, averages and gradients, lie side by side in the same order, so that their
 * norm is one sum and they are moved by one kernel. Of an optimiser that does not work element by element, each weight is moved by itself.
 */
function stepTogether({ of }: Gradients, states: States, options: TrainOptions): Func {
  const { groups, clip, accumulates, ema, largest } = options;
  const { count, rates } = numbersOf(groups);
  const flats = groups.flatMap((group, i) => {
    const moved = [...of.keys()].filter((name) => group.params.includes(name));
    return batches(moved, (name) => of.get(name)!.type, largest).map((names) => ({ names, group, rate: rates[i]! }));
  });
  const gradients = flats.map(({ names }, i) =>
    states.whole(
      `flat/${i}.gradients`,
      names.map((name) => states.gradient(name)),
    ),
  );
  const limit = clip === undefined ? undefined : clipped(gradients, clip);
  const updates = flats.flatMap(({ names, group, rate }, i) => {
    const gradient = limit ? build.mul(gradients[i]!, limit.factor) : gradients[i]!;
    const own = names.map((name) => ownOf(name, group, states, ema));
    const whole = (name: string, of: (one: Moved) => Value): Value => states.whole(`flat/${i}${name}`, own.map(of));
    const types = own.map((o) => o.weight.type);
    const moved = (one: Moved, gradient: Value): Update[] => updatesOf(one, group, { gradient, rate, count }, ema);
    const cleared: Update[] = accumulates
      ? [{ state: `flat/${i}.gradients`, value: build.broadcast(constant(0), gradient.type.shape) }]
      : [];
    if (isElementwise(group.optimizer, [...types, gradient.type])) {
      const all: Moved = {
        weight: whole('', (o) => o.weight),
        states: new Map(
          [...group.optimizer.states.keys()].map((s) => [s, whole(`.${s}`, (o) => o.states.get(s)!)] as const),
        ),
        ...(ema === undefined ? {} : { average: whole('.ema', (o) => o.average!) }),
      };
      return [...moved(all, gradient), ...cleared];
    }
    const { starts } = sideBySide(types);
    const each = own.flatMap((one, n) => {
      const { shape } = types[n]!;
      const slice = build.sliceAxis(gradient, 0, starts[n]!, starts[n]! + sizeOf(shape));
      return moved(one, build.reshape(slice, shape));
    });
    return [...each, ...cleared];
  });
  return {
    name: STEP,
    inputs: [count, ...rates],
    results: limit ? [{ name: 'norm', value: limit.norm }] : [],
    updates,
    after: accumulates ? ACCUMULATE : GRADIENTS,
  };
}

/** In order, as many together as a binding may hold. */
function batches(names: readonly string[], typeOf: (name: string) => TensorType, largest = LARGEST): string[][] {
  const lists: string[][] = [];
  for (const name of names) {
    const list = lists.at(-1);
    const longer = list && sideBySide([...list, name].map(typeOf)).length * 4 <= largest;
    if (longer) list.push(name);
    else lists.push([name]);
  }
  return lists;
}

/** With dropouts as they are drawn, by a key that is an argument more. */
function drawn(func: Func): Func {
  if (!topological(rootsOf(func)).some(isDrop)) return func;
  const key = input(KEY, { dtype: 'u32', shape: [2] });
  return { ...drawDropout(func, key), inputs: [...func.inputs, key] };
}
