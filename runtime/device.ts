/**
 * The device a program runs on: what it offers, what the program needs, which kernel variants are legal, and requesting it. A device
 * gets WebGPU's default limits; only what the program demands is raised.
 */

import { DeviceLostError, LimitError, NoAdapterError, OutOfMemoryError, ValidationError } from './errors.js';
import { byteSize } from './program/check.js';
import { workgroupsAt } from './program/grid.js';
import { holdsSamples, type KernelVariant, type Program } from './program/program.js';

/** What choosing variants looks at. */
export interface DeviceFacts {
  readonly features: ReadonlySet<string>;
  /** Value of a limit by its WebGPU name; 0 for a name that WebGPU does not know. */
  readonly limit: (name: string) => number;
  /** 0 where subgroups are not offered. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  /**
   * What ranks of variants go by: `software` if it computes on the CPU, where other things are quick than on hardware, else its vendor as WebGPU names
   * it; empty where it does not say.
   */
  readonly deviceClass: string;
}

/** WebGPU's guaranteed values of the limits that a program can ask more of. */
const DEFAULTS: Readonly<Record<string, number>> = {
  maxBufferSize: 268435456,
  maxStorageBufferBindingSize: 134217728,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupsPerDimension: 65535,
};

export function deviceFacts(of: GPUAdapter | GPUDevice): DeviceFacts {
  const info = 'adapterInfo' in of ? of.adapterInfo : of.info;
  const limits = of.limits as unknown as Readonly<Record<string, number>>;
  return {
    features: new Set(of.features),
    limit: (name) => limits[name] ?? 0,
    subgroupMinSize: info?.subgroupMinSize ?? 0,
    subgroupMaxSize: info?.subgroupMaxSize ?? 0,
    deviceClass: isSoftware(info) ? 'software' : (info?.vendor ?? '').toLowerCase(),
  };
}

/** SwiftShader, Mesa's llvmpipe and lavapipe, Microsoft's WARP, and whatever calls itself a fallback. */
function isSoftware(info: GPUAdapterInfo | undefined): boolean {
  if (!info) return false;
  const names = [info.vendor, info.architecture, info.device, info.description].join(' ');
  return info.isFallbackAdapter === true || /swiftshader|llvmpipe|lavapipe|\bwarp\b|basic render/i.test(names);
}

/**
 * Whether a variant is right on a device. One for subgroups of size S is legal where every subgroup has S lanes, or, if it pins its size
 * with `@subgroup_size` (it then requires `subgroup-size-control`), where S lies in the device's range.
 */
export function isLegal({ requires }: KernelVariant, facts: DeviceFacts): boolean {
  const { features = [], limits = {}, subgroupSize: size } = requires;
  if (!features.every((f) => facts.features.has(f))) return false;
  if (!Object.entries(limits).every(([name, value]) => facts.limit(name) >= value)) return false;
  if (size === undefined) return true;
  const pinned = features.includes('subgroup-size-control');
  return pinned
    ? facts.subgroupMinSize <= size && size <= facts.subgroupMaxSize
    : facts.subgroupMinSize === size && facts.subgroupMaxSize === size;
}

const rankOf = ({ rank, ranks = {} }: KernelVariant, { deviceClass }: DeviceFacts): number =>
  Object.hasOwn(ranks, deviceClass) ? ranks[deviceClass]! : rank;

/** Indices of a kernel's legal variants, best first; the portable one is among them. */
export function legalVariants(variants: readonly KernelVariant[], facts: DeviceFacts): number[] {
  return variants
    .map((_, i) => i)
    .filter((i) => isLegal(variants[i]!, facts))
    .sort((a, b) => rankOf(variants[b]!, facts) - rankOf(variants[a]!, facts) || a - b);
}

/** Limits beyond WebGPU's defaults that the program's buffers, bindings and launches need, whichever variants are chosen. */
export function neededLimits(program: Program): Record<string, number> {
  const need: Record<string, number> = { ...DEFAULTS };
  const raise = (name: string, value: number) => {
    if (value > (need[name] ?? 0)) need[name] = value;
  };
  for (const weight of program.weights) raise('maxBufferSize', weight.bytes);
  for (const kernel of program.kernels) raise('maxStorageBuffersPerShaderStage', kernel.bindings.length);
  for (const entry of program.entries) {
    const { samples, slabs, inputs, outputs, dispatches } = entry;
    for (const slab of slabs) raise('maxBufferSize', slab.samples ? slab.bytes * samples : slab.bytes);
    for (const tensor of [...inputs, ...outputs]) raise('maxBufferSize', byteSize(tensor, samples));
    for (const { bindings, workgroups } of dispatches) {
      for (const ref of bindings)
        raise('maxStorageBufferBindingSize', holdsSamples(entry, ref) ? ref.bytes * samples : ref.bytes);
      // Of all variants: which of them runs is not known yet.
      for (const w of workgroups) raise('maxComputeWorkgroupsPerDimension', Math.max(...workgroupsAt(w, samples)));
    }
  }
  return Object.fromEntries(Object.entries(need).filter(([name, value]) => value > DEFAULTS[name]!));
}

/** Throws LimitError (ESP0702) if a device lacks what the program needs. */
export function checkLimits(program: Program, facts: DeviceFacts): void {
  for (const [name, value] of Object.entries(neededLimits(program))) {
    if (facts.limit(name) < value) throw new LimitError(name, value, facts.limit(name));
  }
}

/**
 * Requests a device for a program: the features and limits of each kernel's best legal variant, and `timestamp-query` if `timings`.
 * Throws LimitError (ESP0702), or NoAdapterError (ESP0701) if the adapter gives no device.
 */
export async function requestDevice(adapter: GPUAdapter, program: Program, timings: boolean): Promise<GPUDevice> {
  const facts = deviceFacts(adapter);
  checkLimits(program, facts);
  const limits = neededLimits(program);
  const features = new Set<string>(timings && facts.features.has('timestamp-query') ? ['timestamp-query'] : []);
  for (const { variants } of program.kernels) {
    const best = legalVariants(variants, facts)[0];
    if (best === undefined) continue;
    const { requires } = variants[best]!;
    for (const feature of requires.features ?? []) features.add(feature);
    for (const [name, value] of Object.entries(requires.limits ?? {}))
      limits[name] = Math.max(limits[name] ?? 0, value);
  }
  try {
    return await adapter.requestDevice({
      label: program.name,
      requiredFeatures: [...features] as GPUFeatureName[],
      requiredLimits: limits,
    });
  } catch (error) {
    throw new NoAdapterError(
      `the adapter gives no device: ${(error as Error).message}`,
      'update the graphics driver',
      error,
    );
  }
}

/**
 * Runs `body` and turns what WebGPU reports of its calls into typed errors that say what was being done. `body` must not wait: scopes are a
 * stack of the device, and somebody else's calls would fall into them. Throws OutOfMemoryError (ESP0704) or ValidationError (ESP0705).
 */
export async function guarded<T>(device: GPUDevice, what: string, body: () => T): Promise<T> {
  const scopes = ['validation', 'out-of-memory', 'internal'] as const;
  for (const scope of scopes) device.pushErrorScope(scope);
  let value: T;
  let popped: Promise<GPUError | null>[] = [];
  try {
    value = body();
  } finally {
    // A lost device pops nothing, which is for others to notice.
    popped = scopes.map(() => device.popErrorScope().catch(() => null));
  }
  const [internal, memory, validation] = await Promise.all(popped);
  if (memory) throw new OutOfMemoryError(what, memory.message);
  if (validation) throw new ValidationError(what, validation.message);
  if (internal) throw new ValidationError(what, internal.message);
  return value;
}

export interface LostSignal {
  /** `work`, or a DeviceLostError if the device is lost before that ends: it might then never end. */
  race<T>(work: Promise<T>): Promise<T>;
  reason(): DeviceLostError | undefined;
}

export function lostSignal(device: GPUDevice): LostSignal {
  let reason: DeviceLostError | undefined;
  // Not a promise that every run races against: that would hold every run's result for as long as the device lives.
  const waiting = new Set<(error: DeviceLostError) => void>();
  void device.lost.then((info) => {
    reason = new DeviceLostError(info.message || info.reason);
    for (const reject of waiting) reject(reason);
    waiting.clear();
  });
  return {
    race: (work) =>
      new Promise((resolve, reject) => {
        if (reason) return reject(reason);
        waiting.add(reject);
        work.then(resolve, reject).finally(() => waiting.delete(reject));
      }),
    reason: () => reason,
  };
}
