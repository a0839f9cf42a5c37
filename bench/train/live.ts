/** What of a plan is alive when: the sum over time of both parts of an arena, that of samples and that of the rest. */
import { byteSize } from '../../runtime/program/check.js';
import type { MemoryPlans } from '../../src/codegen/buffers/arena.js';
import type { Generated } from '../../src/codegen/generate.js';

export interface Tenancy {
  readonly name: string;
  readonly bytes: number;
}

export interface Peak {
  readonly bytes: number;
  /** The dispatch at which it is first reached. */
  readonly at: number;
  /** What lies there then, largest first. */
  readonly tenants: readonly Tenancy[];
}

/** The most bytes that are alive during one dispatch, for so many samples. Tensors that take each other's place count once. */
export function peakOf({ samples, fixed }: MemoryPlans, count: number): Peak {
  const all = [
    ...samples.tenants.map((t) => ({ ...t, part: 'samples', bytes: t.bytes * count })),
    ...fixed.tenants.map((t) => ({ ...t, part: 'fixed' })),
  ];
  const end = Math.max(0, ...all.map((t) => t.last + 1));
  let peak: Peak = { bytes: 0, at: 0, tenants: [] };
  for (let at = 0; at < end; at++) {
    const places = new Map(
      all.filter((t) => t.first <= at && at <= t.last).map((t) => [`${t.part} ${t.slab} ${t.offset}`, t]),
    );
    const bytes = [...places.values()].reduce((sum, t) => sum + t.bytes, 0);
    if (bytes > peak.bytes) peak = { bytes, at, tenants: [...places.values()] };
  }
  return { ...peak, tenants: [...peak.tenants].sort((a, b) => b.bytes - a.bytes) };
}

/** Tenants of the same kind, whichever block they are of, with how many there are and what they take together; largest first. */
export function kindsOf(tenants: readonly Tenancy[]): { kind: string; count: number; bytes: number }[] {
  const kinds = new Map<string, { kind: string; count: number; bytes: number }>();
  for (const { name, bytes } of tenants) {
    const kind = name.replace(/\d+/g, '*');
    const known = kinds.get(kind) ?? { kind, count: 0, bytes: 0 };
    kinds.set(kind, { kind, count: known.count + 1, bytes: known.bytes + bytes });
  }
  return [...kinds.values()].sort((a, b) => b.bytes - a.bytes);
}

/** What the first entry takes beside weights: its arguments and results, and its arena's peak. */
export function memoryOf({ program, memory }: Generated, count: number): { arguments: number; peak: Peak } {
  const [{ inputs, outputs }] = program.entries as [(typeof program.entries)[number]];
  const bytes = [...inputs, ...outputs].reduce((sum, t) => sum + byteSize(t, count), 0);
  return { arguments: bytes, peak: peakOf(memory, count) };
}
