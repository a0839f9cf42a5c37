/** Pointwise operators over every element type that they take, with the numbers at the ends of it. */
import { elementTypes } from '../../src/ir/ops/describe.js';
import { OP_NAMES, OPS } from '../../src/ir/ops/index.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, OpName, Tensor, Value } from '../../src/ir/types.js';
import type { Model } from './harness.js';

const NUMBERS: { readonly [T in 'i32' | 'u32' | 'bool']: Tensor } = {
  i32: tensor([12], Int32Array.of(2147483647, -2147483648, -1, 0, 1, 7, -7, 65536, -65535, 3, 31, 33), 'i32'),
  u32: tensor([12], Uint32Array.of(4294967295, 2147483648, 0, 1, 2, 7, 65536, 65535, 31, 32, 33, 3000000000), 'u32'),
  bool: tensor([12], Uint8Array.of(0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1), 'bool'),
};

const TYPES = Object.keys(NUMBERS) as readonly (keyof typeof NUMBERS)[];

const attrsOf = (op: OpName, to: DType): object => (op === 'cast' ? { dtype: to } : {});

/** One graph for each operator and element type: every number against every other. */
export const WHOLE: readonly { readonly name: string; readonly make: (m: Model) => readonly Value[] }[] =
  OP_NAMES.filter((op) => OPS[op].traits.pointwise && OPS[op].operands.length > 0).flatMap((op) =>
    TYPES.filter((dtype) => elementTypes(op).includes(dtype)).map((dtype) => ({
      name: `${op} of ${dtype}`,
      make: (m: Model): readonly Value[] => {
        const row = m.input([12], dtype, NUMBERS[dtype]);
        const column = m.input([12, 1], dtype, tensor([12, 1], NUMBERS[dtype].data, dtype));
        const condition = m.input([12], 'bool', NUMBERS.bool);
        const operands = op === 'select' ? [condition, row, column] : [column, row].slice(0, OPS[op].operands.length);
        const to = op === 'cast' ? TYPES : [dtype];
        return to.map((t) => m.op(op, operands, attrsOf(op, t) as never));
      },
    })),
  );
