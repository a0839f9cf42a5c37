/** Where the time of a step goes: its dispatches by the GPU's clock, those of one kernel for all blocks together. */
import type { Timing } from '../../runtime/entry.js';

interface Kind {
  readonly kernel: string;
  readonly count: number;
  readonly microseconds: number;
  readonly flops: number;
}

/** Kernels by the time that they take, most first. */
export function kindsOf(timings: readonly Timing[]): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const { kernel, variant, label, microseconds, flops } of timings) {
    const name = `${kernel}.${variant}  ${label.replace(/\d+/g, '*')}`;
    const known = kinds.get(name) ?? { kernel: name, count: 0, microseconds: 0, flops: 0 };
    kinds.set(name, {
      ...known,
      count: known.count + 1,
      microseconds: known.microseconds + microseconds,
      flops: known.flops + flops,
    });
  }
  return [...kinds.values()].sort((a, b) => b.microseconds - a.microseconds);
}

/** As lines, the first `most` of them. @param seconds Of the whole step, by the same kind of clock: what is left is not in kernels */
export function profileText(timings: readonly Timing[], seconds: number, most: number): string[] {
  const total = timings.reduce((sum, t) => sum + t.microseconds, 0);
  const head = `${timings.length} dispatches, ${(total / 1e6).toFixed(2)} s of ${seconds.toFixed(2)} s in kernels`;
  const lines = kindsOf(timings).slice(0, most);
  return [
    head,
    ...lines.map(({ kernel, count, microseconds, flops }) => {
      const share = `${((100 * microseconds) / total).toFixed(1)} %`.padStart(7);
      const speed = `${(flops / microseconds / 1e3).toFixed(2)} GFLOP/s`.padStart(14);
      return `${share} ${(microseconds / 1e3).toFixed(1).padStart(9)} ms ${speed} ${String(count).padStart(4)} x ${kernel}`;
    }),
  ];
}
