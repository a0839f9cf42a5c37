/**
 * How a kernel uses its buffers, found out from the finished program: by vec4, by element or both, and from where to where. What is touched
 * of a tensor is bound and nothing else; if it is more than one binding may hold, through several windows that follow one another.
 */
import { BATCH, isBatch, parted } from '../../ir/batch.js';
import { constIndex, dependsOn, type Index, laneForm, substitute } from '../indexing.js';
import { BatchInside } from './expr.js';
import type { BoundWindow, Buffer, Condition, Expr, Kernel, Stmt, Type } from './types.js';
import { eachExpr, eachStmt } from './walk.js';

/** Bytes of an element, in every buffer. */
export const ELEMENT_BYTES = 4;

/** The limits of a device that bindings keep to. */
export interface BindingLimits {
  readonly maxStorageBufferBindingSize: number;
  readonly minStorageBufferOffsetAlignment: number;
}

interface Use {
  quads: boolean;
  elements: boolean;
  written: boolean;
  /** First and last element touched. */
  lo: number;
  hi: number;
}

/** May four neighbours from a multiple of four be one access, as far as the tensor is concerned? */
const inFours = (b: Buffer): boolean => b.count % 4 === 0 || b.padded;

/** What all variants of a kernel do with its buffers, which they share. */
export class Uses {
  private readonly uses = new Map<Buffer, Use>();
  private readonly byName: ReadonlyMap<string, Buffer>;
  /** Elements by which bindings may be moved, and elements that a binding holds. */
  private readonly unit: number;
  private readonly most: number;

  constructor(variants: readonly Kernel[], limits: BindingLimits) {
    this.unit = limits.minStorageBufferOffsetAlignment / ELEMENT_BYTES;
    const units = Math.floor(limits.maxStorageBufferBindingSize / ELEMENT_BYTES / this.unit);
    this.most = Math.max(1, units) * this.unit;
    this.byName = new Map(variants.flatMap((k) => k.buffers).map((b) => [b.name, b]));
    for (const b of this.byName.values()) {
      const [lo, hi] = b.packed ? [0, b.count - 1] : [b.count, -1];
      this.uses.set(b, { quads: false, elements: false, written: false, lo, hi });
    }
    const lists = new Set(variants.flatMap((k) => [k.main, ...k.functions.map((f) => f.body)]));
    for (const list of lists) eachStmt(list, (s) => this.record(s));
    // A buffer that is written by element anywhere is an array of elements: a component of a vec4 is not its own memory place.
    for (const use of this.uses.values()) if (use.written && use.elements) use.quads = false;
  }

  private record(s: Stmt): void {
    if (s.kind === 'store') this.access(s.buffer, s.at, s.when, true);
    eachExpr(s, (e: Expr) => {
      if (e.kind === 'load') this.access(e.buffer, e.at, [], false);
    });
  }

  /** An access by vec4, or of each lane by itself. Lanes whose conditions never hold touch nothing. */
  private access(name: string, at: Index, when: readonly Condition[], written: boolean): void {
    const buffer = this.buffer(name);
    const use = this.uses.get(buffer)!;
    const quad = laneForm(at).kind === 'quad' && inFours(buffer) && when.every(uniformCondition);
    for (const lane of quad || !dependsOn(at, 'lane') ? [undefined] : [0, 1, 2, 3]) {
      const one = (x: Index): Index => (lane === undefined ? x : substitute(x, 'lane', constIndex(lane)));
      if (when.some((c) => one(c.index).lo >= c.below)) continue;
      const { lo, hi } = one(at);
      // A range is what an index can be by its variables' ranges; what a guard excludes of it lies outside the tensor.
      use.lo = Math.min(use.lo, Math.min(Math.max(lo, 0), buffer.count - 1));
      use.hi = Math.max(use.hi, Math.max(0, Math.min(hi, buffer.count - 1)));
      if (quad) use.quads = true;
      else use.elements = true;
      if (written) use.written = true;
    }
  }

  /**
   * A constant of an address as what is added: a multiple of the batch, and what is beside it. Without a batch, a large number is a number.
   * @throws BatchInside where some tensor is so large that it could be either
   */
  constants(x: number): readonly number[] {
    const { times, rest } = parted(x);
    const counts = [...this.byName.values()].map((b) => b.count);
    if (times === 0 || rest === 0 || !counts.some(isBatch)) return [x];
    if (counts.some((n) => !isBatch(n) && n >= BATCH / 2)) throw new BatchInside('address');
    return [x - rest, rest];
  }

  buffer(name: string): Buffer {
    const found = this.byName.get(name);
    if (!found) throw new Error(`the kernel has no buffer ${name}`);
    return found;
  }

  /** Whether four neighbours from a multiple of four are one access. */
  quads(buffer: Buffer): boolean {
    return inFours(buffer) && this.uses.get(buffer)!.quads;
  }

  /** What one item of the buffer's array is. */
  item(buffer: Buffer): Type {
    return buffer.packed ?? { scalar: buffer.element, lanes: this.uses.get(buffer)!.quads ? 4 : 1 };
  }

  /** Element at which the first binding of a buffer starts. */
  start(buffer: Buffer): number {
    // What holds samples is bound whole: how many there are is known when the program runs.
    if (isBatch(buffer.count)) return 0;
    return Math.floor(this.uses.get(buffer)!.lo / this.unit) * this.unit;
  }

  isWritten(buffer: Buffer): boolean {
    return this.uses.get(buffer)!.written;
  }

  /** More than one binding holds the buffer. */
  isCut(buffer: Buffer): boolean {
    if (buffer.packed !== undefined || isBatch(buffer.count)) return false;
    return this.uses.get(buffer)!.hi >= this.start(buffer) + this.most;
  }

  /** What is bound, in order. A buffer that is never touched has no binding. */
  windows(): BoundWindow[] {
    return [...this.uses].flatMap(([buffer, { hi, quads }]) => {
      if (hi < 0) return [];
      if (isBatch(buffer.count)) {
        return [{ buffer: buffer.name, name: buffer.name, first: 0, count: buffer.count, item: this.item(buffer) }];
      }
      const begin = this.start(buffer);
      // Whole vec4, or an array of them would end before the last one.
      const end = quads ? Math.ceil((hi + 1) / 4) * 4 : hi + 1;
      const size = buffer.packed ? buffer.count : this.most;
      const cut = this.isCut(buffer);
      return Array.from({ length: Math.ceil((end - begin) / size) }, (_, i) => {
        const first = begin + i * size;
        const name = cut ? `${buffer.name}_${i}` : buffer.name;
        return {
          buffer: buffer.name,
          name,
          first,
          count: Math.min(size, end - first),
          item: this.item(buffer),
        };
      });
    });
  }
}

/** Whether `index < below` holds for all lanes or for none. */
export function uniformCondition({ index, below }: Condition): boolean {
  if (index.lo >= 0 && index.hi < below) return true;
  const form = laneForm(index);
  return form.kind === 'uniform' || (form.kind === 'quad' && below % 4 === 0);
}
