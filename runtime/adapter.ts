/** Adapters: asking WebGPU for one, what it is called, and what it offers at most. */
import { NoAdapterError } from './errors.js';

/** @throws NoAdapterError (ESP0701) where there is no WebGPU, or it has no adapter to give */
export async function adapterOf(gpu: GPU | undefined): Promise<GPUAdapter> {
  if (!gpu) {
    throw new NoAdapterError(
      'there is no WebGPU here',
      'use a recent Chrome, Edge, Safari or Firefox; in Node: npm install webgpu',
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new NoAdapterError(
      'WebGPU offers no adapter',
      'update the graphics driver, or switch on hardware acceleration in the browser; in Node: npx espalier doctor',
    );
  }
  return adapter;
}

/** What it is called, as far as it says. */
export function describe({ info }: GPUAdapter): string {
  const { vendor, architecture, description, device } = info;
  return description || device || `${vendor} ${architecture}`.trim();
}

/** A `GPUSupportedLimits` as a plain object; its values are getters of its prototype. */
export function limitsOf(limits: GPUSupportedLimits): Record<string, number> {
  const values: Record<string, number> = {};
  for (const name in limits) {
    const value = (limits as unknown as Record<string, unknown>)[name];
    if (typeof value === 'number') values[name] = value;
  }
  return values;
}

/**
 * Limits that say how much there may be of something. Alignments stay what every device has: a smaller one would tie a program to this adapter and
 * win nothing.
 */
export function largestLimits({ limits }: GPUAdapter): Record<string, number> {
  return Object.fromEntries(Object.entries(limitsOf(limits)).filter(([name]) => name.startsWith('max')));
}
