/** A model's gradients by reverse mode on its program, in f64: for comparing with autograd. */
import { input, topological } from '../../src/ir/graph.js';
import { Interner } from '../../src/ir/intern.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { valuesAt } from '../../src/ir/run/samples.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';
import { cotangents, decomposed } from '../../src/passes/differentiate/reverse.js';

export interface Backward {
  readonly y: Tensor;
  /** By x, of sum(y * dy). */
  readonly dx: Tensor;
  /** By each parameter that was asked for. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

const nameOf = (v: Value): string => (v as Extract<Value, { op: 'param' }>).attrs.name;

/**
 * @param given parameters by name
 * @param cotangent of y, given y
 * @throws Error where y does not depend on x or on one of `names`
 */
export function backward(
  module: Module,
  given: (name: string) => Tensor,
  x: Tensor,
  cotangent: (y: Tensor) => Tensor,
  names: readonly string[],
): Backward {
  const { inputs, results } = module.funcs.get('infer')!;
  const result = results[0]!.value;
  const leaves = new Map(
    topological([result])
      .filter((v) => v.op === 'param')
      .map((v) => [nameOf(v), v]),
  );
  const wanted = names.map((name) => {
    const v = leaves.get(name);
    if (!v) throw new Error(`the model does not read ${name}`);
    return v;
  });
  const interner = new Interner();
  const [y, ...images] = decomposed(interner, [result, inputs[0]!, ...wanted]);
  const found = cotangents(interner, [{ value: y!, cotangent: input('dy', result.type) }], images);
  const values = [y!, ...found].map((v, i) => {
    if (!v) throw new Error(`no gradient of ${['y', 'x', ...names][i]}`);
    return v;
  });
  const params = (name: string): Tensor => {
    const { data, type } = module.params.get(name)!;
    return data ? { data, type } : given(name);
  };
  const at = valuesAt(values, x.type.shape[0]!);
  const arguments_ = new Map([[(inputs[0] as Extract<Value, { op: 'input' }>).attrs.name, x]]);
  const [before] = interpretValues([at(y!)], { inputs: arguments_, params });
  const [dx, ...gradients] = interpretValues(values.slice(1).map(at), {
    inputs: arguments_.set('dy', cotangent(before!)),
    params,
  });
  return { y: before!, dx: dx!, gradients: new Map(names.map((name, i) => [name, gradients[i]!])) };
}
