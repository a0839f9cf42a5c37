/**
 * Runs a lowered kernel on the CPU, as a reference for what its WGSL computes and to find what WGSL leaves undefined: races, reads outside a
 * buffer, collectives that not all lanes reach. Threads of a workgroup go in lockstep, workgroups one after the other.
 */

import type { BuiltinInput, LoweredKernel, Type } from '../types.js';
import type { Subgroups } from './collectives.js';
import { Frame, Scope, type Unit } from './frame.js';
import { type Fault, Machine, type Stats } from './machine.js';
import type { Values } from './math.js';
import { openShared, openWindows, reportUnwritten, type SimulatedBuffer } from './memory.js';
import { compileBody, compileFunction } from './statements.js';

export type { Fault, FaultKind, Stats } from './machine.js';
export type { SimulatedBuffer } from './memory.js';

export interface SimulateOptions {
  /** Lanes of a subgroup of the hardware; those that the kernel asks for if absent. */
  readonly lanes?: number;
  /** Names of windows whose every element must be written exactly once. */
  readonly results?: readonly string[];
  /** Different faults that are kept. Default: 20 */
  readonly maxFaults?: number;
  /** Of the workgroups, by their number; no result may depend on it. Default: forward */
  readonly order?: 'forward' | 'reverse';
}

export interface Simulation {
  /** In the order in which they were first seen; empty for a kernel that did nothing wrong with these data. */
  readonly faults: readonly Fault[];
  readonly stats: Readonly<Stats>;
}

const U32: Type = { scalar: 'u32', lanes: 1 };
const U32X3: Type = { scalar: 'u32', lanes: 3 };
const SCALARS: ReadonlySet<BuiltinInput> = new Set(['local_invocation_index', 'subgroup_invocation_id']);

/**
 * Runs every workgroup and updates the buffers in place.
 * @param buffers one for each of `kernel.windows`, in their order
 * @param workgroups how many there are along x, y and z
 * @throws Error, TypeError or RangeError for a kernel that is none: unknown names, types that do not fit, statements of a kernel that is not lowered;
 * RangeError for a buffer that is too short
 */
export function simulate(
  kernel: LoweredKernel,
  buffers: readonly SimulatedBuffer[],
  workgroups: readonly [number, number, number],
  options: SimulateOptions = {},
): Simulation {
  const [width, height, depth] = kernel.workgroup;
  const machine = new Machine(width * height * depth, options.maxFaults ?? 20);
  const windows = openWindows(kernel, buffers, options.results ?? []);
  const lanes = options.lanes ?? kernel.subgroup;
  const subgroups: Subgroups | undefined =
    kernel.subgroup === undefined ? undefined : { expected: kernel.subgroup, lanes: lanes! };
  const unit: Unit = {
    machine,
    windows: new Map(windows.map((w) => [w.name, w])),
    shared: new Map(kernel.shared.map((s) => [s.name, openShared(s)])),
    functions: new Map(),
    ...(subgroups ? { subgroups } : {}),
  };
  for (const fn of kernel.functions) unit.functions.set(fn.name, compileFunction(fn, unit));
  const frame = new Frame(unit);
  const scope = new Scope();
  const inputs = kernel.inputs.map(({ name, builtin }) => {
    const type = SCALARS.has(builtin) ? U32 : U32X3;
    const values = frame.own(type);
    scope.declare(name, { kind: 'value', type, values, mutable: false });
    return { builtin, values };
  });
  const main = compileBody(kernel.main, scope, frame, 'main');
  const [across, down, deep] = workgroups;
  const count = across * down * deep;
  for (let i = 0; i < count; i++) {
    const number = options.order === 'reverse' ? count - 1 - i : i;
    const at = [number % across, Math.floor(number / across) % down, Math.floor(number / (across * down))] as const;
    machine.start(at, number * machine.threads);
    frame.returned.fill(0);
    for (const { builtin, values } of inputs) fillInput(builtin, values, kernel.workgroup, workgroups, at, lanes);
    main.run();
  }
  for (const window of windows) reportUnwritten(machine, window);
  return { faults: machine.faults, stats: machine.stats };
}

/** What the GPU tells every thread of a workgroup. */
function fillInput(
  builtin: BuiltinInput,
  values: Values,
  [width, height, depth]: readonly [number, number, number],
  workgroups: readonly [number, number, number],
  workgroup: readonly [number, number, number],
  lanes: number | undefined,
): void {
  const threads = width * height * depth;
  const size = [width, height, depth];
  for (let t = 0; t < threads; t++) {
    if (builtin === 'local_invocation_index') {
      values[t] = t;
    } else if (builtin === 'subgroup_invocation_id') {
      if (lanes === undefined) throw new Error('subgroup_invocation_id in a kernel without subgroups');
      values[t] = t % lanes;
    } else {
      const local = [t % width, Math.floor(t / width) % height, Math.floor(t / (width * height))];
      for (let k = 0; k < 3; k++) {
        const first = builtin === 'local_invocation_id' ? 0 : workgroup[k]!;
        values[k * threads + t] =
          builtin === 'num_workgroups'
            ? workgroups[k]!
            : builtin === 'workgroup_id'
              ? first
              : builtin === 'global_invocation_id'
                ? first * size[k]! + local[k]!
                : local[k]!;
      }
    }
  }
}
