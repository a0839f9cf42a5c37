/** The slabs that entries share: nothing in them outlives a call, and no two calls run at once. */
import { guarded } from './device.js';

const descending = (sizes: readonly number[]): number[] => [...sizes].sort((a, b) => b - a);

export class SharedSlabs {
  /** The largest first. */
  private buffers: readonly GPUBuffer[] = [];

  constructor(private readonly device: GPUDevice) {}

  /** Whether an entry with slabs of these sizes finds room. */
  fits(sizes: readonly number[]): boolean {
    return descending(sizes).every((size, i) => size <= (this.buffers[i]?.size ?? 0));
  }

  /** Makes room for these beside what there was room for. What is too small is freed: nobody may be bound to it. Throws OutOfMemoryError (ESP0704). */
  async grow(sizes: readonly number[]): Promise<void> {
    const wanted = descending(sizes);
    const count = Math.max(wanted.length, this.buffers.length);
    const made = Array.from({ length: count }, (_, i) => Math.max(wanted[i] ?? 0, this.buffers[i]?.size ?? 0));
    this.destroy();
    const { STORAGE } = GPUBufferUsage;
    await guarded(this.device, 'while making room for a larger pass', () => {
      // Kept as they are made, so that they are freed also where a later one cannot be.
      for (const [i, size] of made.entries())
        this.buffers = [...this.buffers, this.device.createBuffer({ label: `slab ${i}`, size, usage: STORAGE })];
    });
  }

  /** For each slab of an entry, in its order, the buffer that it lies in. */
  of(sizes: readonly number[]): GPUBuffer[] {
    const order = sizes.map((_, i) => i).sort((a, b) => sizes[b]! - sizes[a]!);
    return sizes.map((_, i) => this.buffers[order.indexOf(i)]!);
  }

  destroy(): void {
    for (const b of this.buffers) b.destroy();
    this.buffers = [];
  }
}
