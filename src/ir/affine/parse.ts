/** Reads what parameters alone compute as a structured matrix, a diagonal or a shift. */
import type { Builder } from '../ops/builder.js';
import { sizeOf } from '../ops/shapes.js';
import type { Value } from '../types.js';
import { cols, dense, diagonal, kron, type Matrix, product, rows, sum, transposed, withSource } from './matrix.js';

const fromInput = new WeakMap<Value, boolean>();

/** Whether the value needs an argument of its function, so that it is not computed from parameters alone. */
export function dependsOnInput(value: Value): boolean {
  const stack = [value];
  while (stack.length > 0) {
    const v = stack.at(-1)!;
    if (fromInput.has(v)) {
      stack.pop();
      continue;
    }
    const open = v.inputs.filter((x) => !fromInput.has(x));
    if (v.op === 'input' || v.inputs.some((x) => fromInput.get(x))) fromInput.set(v, true);
    else if (open.length > 0) {
      stack.push(...open);
      continue;
    } else fromInput.set(v, false);
    stack.pop();
  }
  return fromInput.get(value) ?? false;
}

/** How a constant of parameters lies over a value of shape `shape`, seen along `axis`. */
export type Factor =
  | { readonly kind: 'scalar'; readonly value: Value }
  /** [shape[axis]] */
  | { readonly kind: 'channel'; readonly value: Value }
  /** It varies along another axis; of the rank of `shape`, broadcastable to it. */
  | { readonly kind: 'full'; readonly value: Value };

export function factorOf(b: Builder, value: Value, shape: readonly number[], axis: number): Factor {
  const core = value.op === 'broadcast' ? value.inputs[0]! : value;
  const own = core.type.shape;
  const offset = shape.length - own.length;
  const varies = own.map((d, i) => (d > 1 ? i + offset : -1)).filter((i) => i >= 0);
  if (varies.length === 0) return { kind: 'scalar', value: b.reshape(core, []) };
  if (varies.length === 1 && varies[0] === axis) return { kind: 'channel', value: b.reshape(core, [shape[axis] ?? 1]) };
  const rank = [...new Array<number>(offset).fill(1), ...own];
  return { kind: 'full', value: b.reshape(core, rank) };
}

/**
 * A value [out, in] made of parameters, as a structured matrix. Whatever has no structure that is known is dense. The matrix keeps
 * `value` as its source, so that materialising it again is free.
 */
export function matrixOf(b: Builder, value: Value): Matrix {
  return withSource(read(b, value), value);
}

function read(b: Builder, value: Value): Matrix {
  const [out, width] = value.type.shape as [number, number];
  const minus = (): Value => b.constant(-1);
  switch (value.op) {
    case 'add':
    case 'sub': {
      const [x, y] = value.inputs as [Value, Value];
      if (sizeOf(x.type.shape) !== out * width || sizeOf(y.type.shape) !== out * width) return dense(value);
      if (x.type.shape.length !== 2 || y.type.shape.length !== 2) return dense(value);
      const second = matrixOf(b, y);
      return sum(b, [matrixOf(b, x), value.op === 'add' ? second : product(b, diagonal(out, minus()), second)]);
    }
    case 'neg':
      return product(b, diagonal(out, minus()), matrixOf(b, value.inputs[0]!));
    case 'mul': {
      const [x, y] = value.inputs as [Value, Value];
      return scaled(b, x, y, out, width) ?? scaled(b, y, x, out, width) ?? dense(value);
    }
    case 'div': {
      const [x, y] = value.inputs as [Value, Value];
      return scaled(b, x, y.op === 'constant' ? b.div(1, y) : b.reciprocal(y), out, width) ?? dense(value);
    }
    case 'matmul': {
      const [x, y] = value.inputs as [Value, Value];
      return product(b, matrixOf(b, x), matrixOf(b, y));
    }
    case 'linear': {
      if (value.inputs.length > 2) return dense(value);
      const [x, weight] = value.inputs as [Value, Value];
      return product(b, matrixOf(b, x), transposed(b, matrixOf(b, weight)));
    }
    case 'kron':
      return kron(matrixOf(b, value.inputs[0]!), matrixOf(b, value.inputs[1]!));
    case 'concat': {
      const parts = value.inputs.map((v) => matrixOf(b, v));
      return value.attrs.axis === 0 ? rows(b, parts) : cols(parts);
    }
    case 'transpose':
      return transposed(b, matrixOf(b, value.inputs[0]!));
    case 'stop_gradient':
      return matrixOf(b, value.inputs[0]!);
    default:
      return dense(value);
  }
}

/** matrix * factor, where the factor is a scalar, a column or a row. */
function scaled(b: Builder, matrix: Value, factor: Value, out: number, width: number): Matrix | undefined {
  if (matrix.type.shape.length !== 2 || sizeOf(matrix.type.shape) !== out * width) return undefined;
  const along = factorOf(b, factor, [out, width], 0);
  if (along.kind !== 'full') return product(b, diagonal(out, along.value), matrixOf(b, matrix));
  const across = factorOf(b, factor, [out, width], 1);
  if (across.kind !== 'full') return product(b, matrixOf(b, matrix), diagonal(width, across.value));
  return undefined;
}
