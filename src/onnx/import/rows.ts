/**
 * One row of each sample. Exporters write `x[arange(b), index]` as a `Gather` from all rows of all samples, by `index + arange(b) * rows`; the language has no numbers of
 * samples, and needs none: each sample picks among its own rows. So places that count samples are followed to the `Gather` that takes them, and are nothing by themselves.
 */
import { BATCH } from '../../ir/batch.js';
import type { GraphNode } from './graph.js';
import type { Code, Rows, Value } from './node.js';
import { sizes } from './operators/text.js';

const single = (v: Value | undefined): number | undefined => {
  const known = v?.known?.();
  return known?.data.length === 1 ? known.data[0] : undefined;
};

/** The places that a node makes, if it counts samples or goes on from such a count. */
export function rowsOf(node: GraphNode, operands: readonly (Value | undefined)[]): Rows | undefined {
  const [a, b] = operands;
  const counted = operands.find((o) => o?.rows);
  const other = counted === a ? b : a;
  switch (node.op) {
    case 'Range':
      return single(a) === 0 && single(b) === BATCH && single(operands[2]) === 1 ? { times: 1 } : undefined;
    case 'Cast':
    case 'Identity':
      return a?.rows;
    case 'Mul': {
      const times = single(other);
      return counted?.rows && !counted.rows.index && times !== undefined
        ? { times: counted.rows.times * times }
        : undefined;
    }
    case 'Add': {
      if (!counted?.rows || counted.rows.index || !other || other.rows) return undefined;
      const { dtype, shape } = other.type;
      return dtype === 'i32' && shape.length === 1 && shape[0] === BATCH
        ? { ...counted.rows, index: other.name }
        : undefined;
    }
    default:
      return undefined;
  }
}

/**
 * The row that each sample picks, where a node gathers by such places from rows that were those of samples.
 * @param made what makes a value
 */
export function picked(
  node: GraphNode,
  operands: readonly (Value | undefined)[],
  made: (value: string) => { readonly node: GraphNode; readonly from: Value } | undefined,
): Code | undefined {
  const [data, places] = operands;
  const axis = node.attributes.get('axis');
  if (node.op !== 'Gather' || !data || !places?.rows?.index || (axis?.kind === 'int' && axis.value !== 0))
    return undefined;
  const source = made(data.name);
  if (source?.node.op !== 'Flatten' && source?.node.op !== 'Reshape') return undefined;
  const { times, index } = places.rows;
  const { shape } = source.from.type;
  const [rows, ...row] = data.type.shape;
  if (shape[0] !== BATCH || shape[1] !== times || rows !== BATCH * times) return undefined;
  const line = sizes([1, times, ...row.map(() => 1)]);
  const own = sizes([BATCH, 1, ...row.map(() => 1)]);
  const chosen = `reshape(arange(${times}), ${line}) == reshape(arg1, ${own})`;
  const each = `reshape(arg0, ${sizes([BATCH, times, ...row])})`;
  return { text: `sum(where(${chosen}, ${each}, 0), axis: 1)`, args: [source.from.name, index] };
}
