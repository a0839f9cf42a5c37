/**
 * How a kernel uses its buffers, found out from the finished program: by vec4, by element or both, and from where to where. What is touched
 * of a tensor is bound and nothing else; if it is more than one binding may hold, through several windows that follow one another.
 */
import { BATCH, isBatch, parted } from '../../ir/batch.js';
import { constIndex, dependsOn, type Index, laneForm, substitute } from '../read/indexing.js';
import { size, u32 } from './expr.js';
import { BatchInside } from './inside.js';
import type { BoundWindow, Buffer, Condition, Expr, Kernel, Stmt, Type } from './types.js';
import { eachExpr, eachStmt } from './walk.js';

/** Bytes of an element, in every buffer but those that hold halves. */
export const ELEMENT_BYTES = 4;

/** Four halves: what one item of a buffer of them is. */
const HALVES: Type = { scalar: 'u32', lanes: 2 };

export const elementBytes = ({ storage }: Buffer): number => (storage === 'f16' ? 2 : ELEMENT_BYTES);

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
  private readonly forBatch: boolean;
  private readonly byName: ReadonlyMap<string, Buffer>;

  constructor(
    variants: readonly Kernel[],
    private readonly limits: BindingLimits,
  ) {
    this.forBatch = variants[0]!.forBatch === true;
    this.byName = new Map(variants.flatMap((k) => k.buffers).map((b) => [b.name, b]));
    for (const b of this.byName.values()) {
      const [lo, hi] = b.packed ? [0, b.count - 1] : [b.count, -1];
      this.uses.set(b, { quads: false, elements: false, written: false, lo, hi });
    }
    const lists = new Set(variants.flatMap((k) => [k.main, ...k.functions.map((f) => f.body)]));
    for (const list of lists) eachStmt(list, (s) => this.record(s));
    // A buffer that is written by element anywhere is an array of elements: a component of a vec4 is not its own memory place.
    for (const [{ storage }, use] of this.uses) if (use.written && use.elements && !storage) use.quads = false;
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

  /** A size of an address: without a batch, a large number is a number. */
  size(x: number): Expr {
    return this.forBatch ? size(x) : u32(x);
  }

  /**
   * A constant of an address as what is added: a multiple of the batch, and what is beside it.
   * @throws BatchInside where some tensor is so large that it could be either
   */
  constants(x: number): readonly number[] {
    const { times, rest } = parted(x);
    if (times === 0 || rest === 0 || !this.forBatch) return [x];
    if ([...this.byName.values()].some((b) => !isBatch(b.count) && b.count >= BATCH / 2))
      throw new BatchInside('address');
    return [x - rest, rest];
  }

  /** Elements by which bindings of a buffer may be moved. */
  private unit(buffer: Buffer): number {
    return this.limits.minStorageBufferOffsetAlignment / elementBytes(buffer);
  }

  /** Elements that one binding of a buffer holds. */
  private most(buffer: Buffer): number {
    const units = this.limits.maxStorageBufferBindingSize / this.limits.minStorageBufferOffsetAlignment;
    return Math.max(1, Math.floor(units)) * this.unit(buffer);
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
    if (buffer.storage === 'f16') return HALVES;
    return buffer.packed ?? { scalar: buffer.element, lanes: this.uses.get(buffer)!.quads ? 4 : 1 };
  }

  /** Elements of the tensor in one item; of a packed buffer, whose items count themselves, one. */
  perItem(buffer: Buffer): number {
    if (buffer.storage === 'f16') return 4;
    return buffer.packed ? 1 : this.item(buffer).lanes;
  }

  /** Element at which the first binding of a buffer starts. */
  start(buffer: Buffer): number {
    // What holds samples is bound whole: how many there are is known when the program runs.
    if (isBatch(buffer.count)) return 0;
    return Math.floor(this.uses.get(buffer)!.lo / this.unit(buffer)) * this.unit(buffer);
  }

  isWritten(buffer: Buffer): boolean {
    return this.uses.get(buffer)!.written;
  }

  /** More than one binding holds the buffer. */
  isCut(buffer: Buffer): boolean {
    if (buffer.packed !== undefined || isBatch(buffer.count)) return false;
    return this.uses.get(buffer)!.hi >= this.start(buffer) + this.most(buffer);
  }

  /** What is bound, in order. A buffer that is never touched has no binding. */
  windows(): BoundWindow[] {
    return [...this.uses].flatMap(([buffer, { hi, quads }]) => {
      if (hi < 0) return [];
      const held = { item: this.item(buffer), elements: this.perItem(buffer) };
      if (isBatch(buffer.count)) {
        return [{ buffer: buffer.name, name: buffer.name, first: 0, count: buffer.count, ...held }];
      }
      const begin = this.start(buffer);
      // Whole vec4, or an array of them would end before the last one.
      const end = quads || buffer.storage ? Math.ceil((hi + 1) / 4) * 4 : hi + 1;
      const size = buffer.packed ? buffer.count : this.most(buffer);
      const cut = this.isCut(buffer);
      return Array.from({ length: Math.ceil((end - begin) / size) }, (_, i) => {
        const first = begin + i * size;
        const name = cut ? `${buffer.name}_${i}` : buffer.name;
        return {
          buffer: buffer.name,
          name,
          first,
          count: Math.min(size, end - first),
          ...held,
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
