/** What one value costs, by the operator table. */
import type { OpName, Value } from '../types.js';
import type { Cost, OpDef } from './define.js';
import { OPS } from './index.js';

export function costOf(v: Value): Cost {
  const def = OPS[v.op] as OpDef<OpName>;
  return def.cost(
    v.inputs.map((x) => x.type),
    v.attrs,
    v.type,
  );
}
