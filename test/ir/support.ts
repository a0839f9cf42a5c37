/** What the IR tests share: literals, parameters by name, and full expansion of decompositions. */
import { build } from '../../src/ir/build.js';
import { input, rewriteValues, withInputs } from '../../src/ir/graph.js';
import type { OpDef } from '../../src/ir/ops/define.js';
import { auxOf, OPS } from '../../src/ir/ops/index.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, Func, Module, OpName, Param, Tensor, Value } from '../../src/ir/types.js';

export const f32 = (name: string, ...shape: number[]): Value => input(name, { dtype: 'f32', shape });
export const i32 = (name: string, ...shape: number[]): Value => input(name, { dtype: 'i32', shape });
export const bool = (name: string, ...shape: number[]): Value => input(name, { dtype: 'bool', shape });

/** An argument that carries its tensor. */
export class Given {
  readonly inputs = new Map<string, Tensor>();

  value(data: readonly number[], shape: readonly number[], dtype: DType = 'f32'): Value {
    const name = `x${this.inputs.size}`;
    this.inputs.set(name, tensor(shape, data, dtype));
    return input(name, { dtype, shape });
  }

  run(value: Value): Tensor {
    return interpretValues([value], { inputs: this.inputs })[0]!;
  }
}

/** Every operator that has a decomposition replaced by it, until none has. */
export function expandFully(value: Value): Value {
  let root = value;
  for (;;) {
    let changed = false;
    // Other results first, while their owners are still there. They may become results of another owner.
    for (let before: Value | undefined; before !== root; ) {
      before = root;
      const whole = rewriteValues([root], (v, inputs) => {
        const owner = inputs[0];
        const def = v.op === 'aux' && owner ? auxOf(owner, v.attrs.output) : undefined;
        return def?.decompose ? def.decompose(build, owner!.inputs, owner!.attrs) : withInputs(v, inputs);
      });
      root = whole(root);
    }
    const image = rewriteValues([root], (v, inputs) => {
      const def = OPS[v.op] as unknown as OpDef<OpName>;
      if (!def.decompose) return withInputs(v, inputs);
      changed = true;
      return def.decompose(build, inputs, v.attrs);
    });
    root = image(root);
    if (!changed) return root;
  }
}

export function moduleOf(func: Func, params: readonly Param[] = [], name = 'test'): Module {
  return {
    name,
    adapters: new Map(),
    params: new Map(params.map((p) => [p.name, p])),
    funcs: new Map([[func.name, func]]),
  };
}

/** Deterministic numbers in (-1, 1). */
export function noise(count: number, seed = 1): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 0.999;
  });
}
