/**
 * The storage buffers of one kernel: which there are, how each is declared, and what part of each the kernel touches.
 *
 * A kernel's text is written twice. The first time finds out how every buffer is accessed (by vec4, by element, or both) and from where
 * to where; the second time, knowing that, writes it. What is touched of a tensor is bound and nothing else; if it is more than one
 * binding may hold, through several windows that follow one another.
 */
import type { Access } from '../../runtime/program.js';
import { type Scalar, typeName } from './emit.js';
import { type Index, shift } from './indexing.js';
import { factor } from './lines.js';

/** How an element lies in a buffer; bool is a u32 of 0 or 1. */
export type Element = 'f32' | 'i32' | 'u32';

/** Bytes of an element, in every buffer. */
export const ELEMENT_BYTES = 4;

export interface Slot {
  readonly name: string;
  readonly access: Access;
  readonly element: Element;
  /** Elements of the whole tensor. */
  readonly count: number;
  /** The buffer is padded to 16 bytes, so the last vec4 may be read although the count is no multiple of four. */
  readonly padded: boolean;
  /** Declared by someone else's rule (a packed weight), and bound whole. */
  readonly declared?: string;
}

/** The limits of a device that bindings keep to. */
export interface BindingLimits {
  readonly maxStorageBufferBindingSize: number;
  readonly minStorageBufferOffsetAlignment: number;
}

/** A binding: `count` elements of a slot's tensor from `first` on. */
export interface Window<K> {
  readonly key: K;
  readonly slot: Slot;
  readonly first: number;
  readonly count: number;
}

interface Use {
  quads: boolean;
  elements: boolean;
  written: boolean;
  /** First and last element touched. */
  lo: number;
  hi: number;
}

export function elementOf(type: Scalar): Element {
  return type === 'bool' ? 'u32' : type;
}

export class Bindings<K> {
  private readonly slots = new Map<K, Slot>();
  private readonly uses = new Map<Slot, Use>();
  private known = false;
  /** Elements by which bindings may be moved, and elements that a binding holds. */
  private readonly unit: number;
  private readonly most: number;

  constructor(limits: BindingLimits) {
    this.unit = limits.minStorageBufferOffsetAlignment / ELEMENT_BYTES;
    const units = Math.floor(limits.maxStorageBufferBindingSize / ELEMENT_BYTES / this.unit);
    this.most = Math.max(1, units) * this.unit;
  }

  /** Slots get their place in the order of the first call. */
  slot(key: K, make: (index: number) => Slot): Slot {
    let slot = this.slots.get(key);
    if (!slot) {
      slot = make(this.slots.size);
      this.slots.set(key, slot);
      const [lo, hi] = slot.declared === undefined ? [slot.count, -1] : [0, slot.count - 1];
      this.uses.set(slot, { quads: false, elements: false, written: false, lo, hi });
    }
    return slot;
  }

  /** After the first writing: uses are known from here on. */
  settle(): void {
    this.known = true;
    for (const use of this.uses.values()) if (use.written && use.elements) use.quads = false;
  }

  /** What is bound, in the order of the declarations. A slot that is never touched has no binding. */
  windows(): Window<K>[] {
    return [...this.slots].flatMap(([key, slot]) => {
      const { hi, quads } = this.uses.get(slot)!;
      if (hi < 0) return [];
      const begin = this.start(slot);
      // Whole vec4, or an array of them would end before the last one.
      const end = quads ? Math.ceil((hi + 1) / 4) * 4 : hi + 1;
      const size = slot.declared === undefined ? this.most : slot.count;
      return Array.from({ length: Math.ceil((end - begin) / size) }, (_, i) => {
        const first = begin + i * size;
        return { key, slot, first, count: Math.min(size, end - first) };
      });
    });
  }

  /** Element at which the first binding of a slot starts. */
  private start(slot: Slot): number {
    return this.known ? Math.floor(this.uses.get(slot)!.lo / this.unit) * this.unit : 0;
  }

  private isCut(slot: Slot): boolean {
    if (!this.known || slot.declared !== undefined) return false;
    return this.uses.get(slot)!.hi >= this.start(slot) + this.most;
  }

  /** Records an access to a slot from position `flat`. */
  private touch(slot: Slot, flat: Index): Use {
    const use = this.uses.get(slot)!;
    // A range is what an index can be by its variables' ranges; what a guard excludes of it lies outside the tensor.
    const lo = Math.min(Math.max(flat.lo, 0), slot.count - 1);
    const hi = Math.max(0, Math.min(flat.hi, slot.count - 1));
    if (this.known && (lo < use.lo || hi > use.hi))
      throw new Error(`${slot.name} was not known to be read in ${flat.key}`);
    use.lo = Math.min(use.lo, lo);
    use.hi = Math.max(use.hi, hi);
    return use;
  }

  /** May four neighbours from a multiple of four be one access? */
  quadsAllowed(slot: Slot): boolean {
    if (slot.count % 4 !== 0 && !slot.padded) return false;
    // A buffer that is written by element anywhere is an array of elements: a component of a vec4 is not its own memory place.
    const use = this.uses.get(slot)!;
    return slot.access === 'read' || !this.known || !use.elements || !use.written;
  }

  /** Four neighbours: `flat` is 4·quad + LANE. */
  loadQuad(slot: Slot, quad: Index, flat: Index, write: (i: Index) => string): string {
    this.touch(slot, flat).quads = true;
    return this.read(slot, write(shift(quad, -this.start(slot) / 4)));
  }

  loadElement(slot: Slot, flat: Index, write: (i: Index) => string): string {
    const use = this.touch(slot, flat);
    use.elements = true;
    const at = write(shift(flat, -this.start(slot)));
    if (!this.known || !use.quads) return this.read(slot, at);
    return `${this.read(slot, `${factor(at)} / 4u`)}[${factor(at)} % 4u]`;
  }

  /** The statement that stores four neighbours. */
  storeQuad(slot: Slot, quad: Index, flat: Index, value: string, write: (i: Index) => string): string {
    const use = this.touch(slot, flat);
    use.quads = true;
    use.written = true;
    return this.store(slot, write(shift(quad, -this.start(slot) / 4)), value);
  }

  storeElement(slot: Slot, flat: Index, value: string, write: (i: Index) => string): string {
    const use = this.touch(slot, flat);
    use.elements = true;
    use.written = true;
    return this.store(slot, write(shift(flat, -this.start(slot))), value);
  }

  private read(slot: Slot, at: string): string {
    return this.isCut(slot) ? `${slot.name}_at(${at})` : `${slot.name}[${at}]`;
  }

  private store(slot: Slot, at: string, value: string): string {
    return this.isCut(slot) ? `${slot.name}_put(${at}, ${value});` : `${slot.name}[${at}] = ${value};`;
  }

  /** WGSL of all bindings, and of how one reads and writes a tensor that is bound in windows. */
  declarations(): string {
    const lines: string[] = [];
    const functions: string[] = [];
    const windows = this.windows();
    windows.forEach(({ slot, first }, i) => {
      const use = this.uses.get(slot)!;
      const mode = slot.access === 'read' ? 'read' : 'read_write';
      const item = typeName(slot.element, use.quads);
      const name = this.isCut(slot) ? `${slot.name}_${(first - this.start(slot)) / this.most}` : slot.name;
      lines.push(`@group(0) @binding(${i}) var<storage, ${mode}> ${name}: ${slot.declared ?? `array<${item}>`};`);
    });
    for (const [slot, use] of this.uses) {
      if (!this.isCut(slot)) continue;
      const item = typeName(slot.element, use.quads);
      const size = this.most / (use.quads ? 4 : 1);
      const count = windows.filter((w) => w.slot === slot).length;
      const each = (body: (place: string) => string): string =>
        Array.from({ length: count }, (_, w) => {
          const place = body(`${slot.name}_${w}[${w === 0 ? 'i' : `i - ${w * size}u`}]`);
          return w < count - 1 ? `  if (i < ${(w + 1) * size}u) { ${place} }` : `  ${place}`;
        }).join('\n');
      // What a kernel writes it never reads.
      functions.push(
        use.written
          ? `fn ${slot.name}_put(i: u32, v: ${item}) {\n${each((place) => `${place} = v; return;`)}\n}`
          : `fn ${slot.name}_at(i: u32) -> ${item} {\n${each((place) => `return ${place};`)}\n}`,
      );
    }
    return [lines.join('\n'), ...functions].join('\n\n');
  }
}
