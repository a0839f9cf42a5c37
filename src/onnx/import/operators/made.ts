/** Operators that make tensors of numbers and of shapes. */
import type { Known, OnnxNode, Rule, Rules } from '../rule.js';
import { dtypeOf, number, rankOf, sizes, typeOfCode } from './text.js';

/** What a `Constant` holds, in whichever attribute it stands. */
export function constantOf(n: OnnxNode): Known {
  const value = n.tensor('value');
  if (value) return value;
  if (n.hasAttribute('value_float')) return { dtype: 'float', shape: [], data: [n.float('value_float')] };
  if (n.hasAttribute('value_int')) return { dtype: 'int64', shape: [], data: [n.int('value_int')] };
  if (n.hasAttribute('value_floats')) {
    const data = n.floats('value_floats');
    return { dtype: 'float', shape: [data.length], data };
  }
  if (n.hasAttribute('value_ints')) {
    const data = n.ints('value_ints');
    return { dtype: 'int64', shape: [data.length], data };
  }
  return n.fail('holds a value of a kind that has no meaning here');
}

const constantOfShape: Rule = (n) => {
  const value = n.tensor('value') ?? { dtype: 'float' as const, shape: [1], data: [0] };
  const shape = n.whole(0);
  const dtype = dtypeOf(value.dtype);
  const full = `full(${sizes(shape)}, ${number(n, Number(value.data[0]))})`;
  return dtype === 'f32' ? full : `cast(${full}, ${dtype})`;
};

const eyeLike: Rule = (n) => {
  const x = n.in(0);
  if (rankOf(x) !== 2) return n.fail('makes an identity of other than two axes');
  const type = n.hasAttribute('dtype') ? typeOfCode(n, n.int('dtype')) : x.onnx;
  const [rows, columns] = x.type.shape as [number, number];
  const near = `onnx_diagonal(${sizes([rows, columns]).slice(1, -1)}, ${n.int('k', 0)})`;
  return dtypeOf(type) === 'bool' ? near : `cast(${near}, ${dtypeOf(type)})`;
};

export const MADE: Rules = {
  Constant: (n) => n.constant(constantOf(n)),
  ConstantOfShape: constantOfShape,
  EyeLike: eyeLike,
  Size: (n) => n.fail('counts elements of which there is another number for each batch'),
  Range: (n) => n.fail('counts to what is not known before it runs'),
  NonZero: (n) => n.fail('finds as many elements as the values make, which is not known before it runs'),
};
