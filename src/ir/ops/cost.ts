/** What one value costs for one sample, by the operator table. */
import { shapeAt } from '../batch.js';
import type { OpName, TensorType, Value } from '../types.js';
import type { Cost, OpDef } from './define.js';
import { OPS } from './index.js';

const ofOne = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape: shapeAt(shape, 1) });

export function costOf(v: Value): Cost {
  const def = OPS[v.op] as OpDef<OpName>;
  return def.cost(
    v.inputs.map((x) => ofOne(x.type)),
    v.attrs,
    ofOne(v.type),
  );
}
