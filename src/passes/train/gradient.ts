/**
 * The gradients of a loss as a function of a module: what the loss gives, and beside it `gradient/NAME` for each parameter and argument that was asked for. As
 * inference computes it: nothing is dropped. What is trained is an argument, so that whoever calls it has the loss and its gradients at any point.
 */
import { input, rewriteFunc, withInputs } from '../../ir/graph.js';
import type { Func, Module, Value } from '../../ir/types.js';
import { type Gradients, gradientsOf } from '../differentiate/gradients.js';
import { optimize, TRAINING } from '../index.js';
import type { AdapterMode } from '../pass.js';
import { LOSS } from './step.js';

/** Name of the function. */
export const GRADIENT = 'gradient';

export const gradientName = (of: string): string => `${GRADIENT}/${of}`;

export interface GradientOptions {
  /** Names of parameters, trained or frozen. */
  readonly params: readonly string[];
  /** Names of arguments of the loss. */
  readonly inputs: readonly string[];
  readonly adapters: AdapterMode;
}

export interface GradientModule {
  /** With the function `gradient`. */
  readonly module: Module;
  /** Parameters and arguments that the loss gives no gradient, and what cuts them off. */
  readonly without: Gradients['without'];
}

/** @param module with a function `loss`, one of whose results is the f32 scalar `loss`. @throws RangeError where that is not there */
export function gradientModule(module: Module, { params, inputs, adapters }: GradientOptions): GradientModule {
  const forward = optimize(module, { functions: [LOSS], adapters, passes: TRAINING.loss }).module.funcs.get(LOSS)!;
  const { func, of, ofInputs, without } = gradientsOf(forward, LOSS, params, inputs);
  const found = [...of, ...ofInputs].map(([name, value]) => ({ name: gradientName(name), value }));
  const gradient: Func = { ...func, name: GRADIENT, results: [...func.results, ...found] };
  const whole: Module = { ...module, funcs: new Map([[GRADIENT, withArguments(gradient, module)]]) };
  const missing = inputs.filter((name) => !ofInputs.has(name)).map((name) => [name, undefined] as const);
  return {
    module: optimize(whole, { functions: [GRADIENT], adapters, passes: TRAINING.step }).module,
    without: new Map([...without, ...missing]),
  };
}

/** With an argument for each trained parameter that it reads, by its name, after the others. */
function withArguments(func: Func, { params }: Module): Func {
  const given = new Map<string, Value>();
  const inner = rewriteFunc(func, (v, inputs) => {
    if (v.op !== 'param' || params.get(v.attrs.name)!.role !== 'trainable') return withInputs(v, inputs);
    const { name } = v.attrs;
    const argument = given.get(name) ?? input(name, v.type);
    given.set(name, argument);
    return argument;
  });
  return { ...inner, inputs: [...func.inputs, ...given.values()] };
}
