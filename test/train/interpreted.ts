/** Training by the interpreter, for the cases of steps.ts. */
import { sub } from '../../src/ir/build.js';
import type { Optimizer } from '../../src/ir/optimizer.js';
import { initialise } from '../../src/ir/run/init.js';
import { interpretCall, interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Module, Tensor } from '../../src/ir/types.js';
import { type Training, type TrainOptions, trainingOf } from '../../src/passes/train/step.js';
import { batchOf, type Spec, startOf } from './steps.js';

export const BATCH = 16;
export const norm = ({ data }: Tensor): number => Math.hypot(...data);
/** The gradient itself is what moves. */
export const plain: Optimizer = {
  states: new Map(),
  step: ({ weight, gradient }) => ({ weight: sub(weight, gradient), states: new Map() }),
};

export const moduleOf = ({ module, train }: Spec): Module => ({ ...module, funcs: new Map([['loss', train.loss]]) });

export function inputsOf(step: number, from = 0, to = BATCH): Map<string, Tensor> {
  const { pixels, target } = batchOf(step);
  const n = to - from;
  return new Map([
    ['pixels', tensor([n, 1, 16, 16], pixels.subarray(from * 256, to * 256))],
    ['target', tensor([n, 10], target.subarray(from * 10, to * 10))],
  ]);
}

/** The function that goes through the model: `step`, or what it comes after. */
export const passOf = ({ funcs }: Module): Func => funcs.get(funcs.get('step')!.after ?? 'step')!;

/** A trainer that interprets. */
export class Interpreted {
  readonly states = new Map<string, Tensor>();
  readonly training: Training;
  readonly module: Module;
  private readonly start: (name: string) => Tensor;

  constructor(
    readonly spec: Spec,
    method: string,
    options: Partial<TrainOptions> = {},
    /** Segments of the forward pass that are computed again. */
    again = 0,
  ) {
    this.training = trainingOf(moduleOf(spec), { groups: spec.train.groups, adapters: 'factored', ...options });
    this.module = this.training.again(again);
    const start = startOf(method);
    this.start = (name) => {
      const before = this.states.get(name) ?? prepared.get(name);
      if (before) return before;
      const param = this.module.params.get(name)!;
      if (spec.module.params.has(name)) return start(name);
      return initialise(param, 0, this.module, (other) => this.start(other));
    };
    const prepared = new Map<string, Tensor>();
    const { funcs } = this.module;
    if (funcs.has('prepare'))
      for (const [name, t] of interpretCall(this.module, 'prepare', { params: this.start }).results)
        prepared.set(name, t);
  }

  call(
    entry: string,
    inputs: ReadonlyMap<string, Tensor>,
    scalars: Readonly<Record<string, number>>,
  ): Map<string, Tensor> {
    const given = new Map(Object.entries(scalars).map(([name, x]) => [name, tensor([], [x])]));
    const all = new Map(inputs);
    for (const [name, numbers] of this.training.numbers) {
      if (numbers.inputs.some((v) => v.op === 'input' && !given.has(v.attrs.name))) continue;
      const values = [...interpretFunc(numbers, { inputs: given }).values()].map((t) => t.data[0]!);
      all.set(name, tensor([values.length], values));
    }
    const { results, states } = interpretCall(this.module, entry, { inputs: all, params: this.start });
    for (const [name, t] of states) this.states.set(name, t);
    return results;
  }

  step(at: number, scalars: Readonly<Record<string, number>> = {}, inputs = inputsOf(at)): Map<string, Tensor> {
    const rates = Object.fromEntries(
      this.spec.train.groups.map(({ lr }, i) => [
        `rate.${i}`,
        this.spec.train.rate(lr, { epoch: 0, step: at, steps: 200 }),
      ]),
    );
    return this.call('step', inputs, { count: at + 1, share: 1, ...rates, ...scalars });
  }
}
