/** What one value costs for one sample: by the operator table in operations and bytes, on a class of devices in time. */
import { shapeAt } from '../batch.js';
import type { OpName, TensorType, Value } from '../types.js';
import type { Cost, OpDef } from './define.js';
import { OPS, traitsOf } from './index.js';

const ofOne = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape: shapeAt(shape, 1) });

export function costOf(v: Value): Cost {
  return costAt(
    v,
    v.inputs.map((x) => x.type),
    v.type,
  );
}

/** As if the operator gave and read no more than this of its result and operands. */
export function costAt(v: Value, inputs: readonly TensorType[], result: TensorType): Cost {
  const def = OPS[v.op] as OpDef<OpName>;
  return def.cost(inputs.map(ofOne), v.attrs, ofOne(result));
}

/** What choices between programs are made by. */
export interface Device {
  /** Operations a second. */
  readonly flops: number;
  /** Bytes a second, read or written. */
  readonly bytes: number;
  /** Seconds from one dispatch to the next, beside their work. */
  readonly launch: number;
}

export type DeviceClass = 'hardware' | 'software';

/**
 * Orders of magnitude, for choices and not for promises. `launch` of hardware is the middle of what was measured on several (24 to 70 µs), and
 * `flops` of software what its products reach on two cores; the others are priors.
 */
export const DEVICES: Readonly<Record<DeviceClass, Device>> = {
  hardware: { flops: 1e12, bytes: 1e11, launch: 40e-6 },
  software: { flops: 3e10, bytes: 1e10, launch: 5e-6 },
};

/** Kernels that a value takes: arithmetic and layouts become part of those of others, and an `aux` is written by its owner's. */
export function dispatchesOf(v: Value): number {
  const { pointwise, moves, known } = traitsOf(v);
  return pointwise || moves !== null || known !== null || v.op === 'aux' ? 0 : 1;
}

/** Picoseconds, whole ones: sums of the same costs are equal in whatever order they are made. */
export const timeOf = ({ flops, bytes }: Cost, dispatches: number, device: Device): number =>
  Math.round(1e12 * (flops / device.flops + bytes / device.bytes + dispatches * device.launch));
