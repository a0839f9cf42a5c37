/** Whether an optimiser moves each element of a weight by itself, so that it may move several weights as one. */
import { input, topological } from '../../ir/graph.js';
import { OPS } from '../../ir/ops/index.js';
import { sameShape, sizeOf } from '../../ir/ops/shapes.js';
import type { Optimizer } from '../../ir/optimizer.js';
import { showAttrs } from '../../ir/text/print.js';
import type { TensorType, Value } from '../../ir/types.js';

const SCALAR: TensorType = { dtype: 'f32', shape: [] };

/** By the same arithmetic for a weight of each of these types: what it computes may ask for a shape. */
export function isElementwise(optimizer: Optimizer, types: readonly TensorType[]): boolean {
  const first = arithmeticOn(optimizer, types[0]!);
  return first !== undefined && types.every((type) => arithmeticOn(optimizer, type) === first);
}

/** What is done to an element, as a text; undefined where an element is not all that it is done to. */
function arithmeticOn({ states, step }: Optimizer, { dtype, shape }: TensorType): string | undefined {
  // An element by itself is a tensor of one axis too, so that it is told from a number of the step.
  const type: TensorType = { dtype, shape: shape.length === 0 ? [1] : shape };
  const of = (name: string): Value => input(name, type);
  const after = step({
    weight: of('weight'),
    gradient: of('gradient'),
    rate: input('rate', SCALAR),
    count: input('count', SCALAR),
    states: new Map([...states.keys()].map((name) => [name, of(`state ${name}`)])),
  });
  const roots = [after.weight, ...after.states.values()];
  const at = new Map<Value, number>();
  const lines: string[] = [];
  for (const v of topological(roots)) {
    const isWhole = sameShape(v.type.shape, type.shape);
    const isScalar = v.type.shape.length === 0;
    const spread = v.op === 'broadcast' && sizeOf(v.inputs[0]!.type.shape) === 1;
    const own = isScalar
      ? v.inputs.every((x) => x.type.shape.length === 0)
      : v.inputs.length === 0 || spread || OPS[v.op].traits.pointwise;
    if (!(isWhole || isScalar) || !own) return undefined;
    const name = v.op === 'input' ? v.attrs.name : '';
    lines.push(`${v.op}${name}${showAttrs(v)} ${v.type.dtype} ${isWhole} ${v.inputs.map((x) => at.get(x)).join()}`);
    at.set(v, at.size);
  }
  return [...lines, roots.map((v) => at.get(v)).join()].join('\n');
}
