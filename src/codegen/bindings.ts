/**
 * The storage buffers of one kernel: which there are, how each is declared, and what part of each a chunk of the work touches.
 *
 * A kernel's text is written twice. The first time finds out how every buffer is accessed (by vec4, by element, or both); the second
 * time, knowing that, writes it.
 */
import type { Access } from '../../runtime/program.js';
import { NotSeparable, type Scalar, typeName } from './emit.js';
import type { Index } from './indexing.js';
import { dependsOn, substitute, ZERO } from './indexing.js';

/** How an element lies in a buffer; bool is a u32 of 0 or 1. */
export type Element = 'f32' | 'i32' | 'u32';

export interface Slot {
  readonly name: string;
  readonly access: Access;
  readonly element: Element;
  /** Elements of the whole tensor. */
  readonly count: number;
  /** The buffer is padded to 16 bytes, so the last vec4 may be read although the count is no multiple of four. */
  readonly padded: boolean;
  /** Declared by someone else's rule (a packed weight). */
  readonly declared?: string;
}

interface Use {
  quads: boolean;
  elements: boolean;
  /** Elements by which the access moves from one chunk to the next. */
  stride?: number;
  /** Largest element touched in a chunk. */
  hi: number;
}

export function elementOf(type: Scalar): Element {
  return type === 'bool' ? 'u32' : type;
}

export class Bindings<K> {
  private readonly slots = new Map<K, Slot>();
  private readonly uses = new Map<Slot, Use>();
  private known = false;

  /** Slots get their place in the order of the first call. */
  slot(key: K, make: (index: number) => Slot): Slot {
    let slot = this.slots.get(key);
    if (!slot) {
      slot = make(this.slots.size);
      this.slots.set(key, slot);
      this.uses.set(slot, { quads: false, elements: false, hi: 0 });
    }
    return slot;
  }

  /** After the first writing: uses are known from here on. */
  settle(): void {
    this.known = true;
    for (const slot of this.written) {
      const use = this.uses.get(slot)!;
      if (use.elements) use.quads = false;
    }
  }

  entries(): readonly (readonly [K, Slot])[] {
    return [...this.slots];
  }

  /** Records an access and gives the position with the chunk taken out of it. */
  private touch(slot: Slot, flat: Index): Index {
    const use = this.uses.get(slot)!;
    const base = substitute(flat, 'chunk', ZERO);
    let stride = 0;
    if (dependsOn(flat, 'chunk')) {
      const term = flat.terms.find((t) => t.atom.kind === 'var' && t.atom.name === 'chunk');
      const rest = flat.terms.filter((t) => t !== term);
      if (!term || rest.some((t) => t.atom.kind !== 'var' && dependsOn(t.atom.of, 'chunk'))) {
        throw new NotSeparable(`${slot.name} is not read in equal steps from chunk to chunk`);
      }
      stride = term.coeff;
    }
    if (use.stride !== undefined && use.stride !== stride) {
      throw new NotSeparable(`${slot.name} is read in steps of ${use.stride} and of ${stride}`);
    }
    use.stride = stride;
    use.hi = Math.max(use.hi, Math.min(base.hi, slot.count - 1));
    return base;
  }

  /** May four neighbours from a multiple of four be one access? */
  quadsAllowed(slot: Slot): boolean {
    if (slot.count % 4 !== 0 && !slot.padded) return false;
    // A buffer that is written by element anywhere is an array of elements: a component of a vec4 is not its own memory place.
    return slot.access === 'read' || !this.known || !this.uses.get(slot)!.elements || !this.written.has(slot);
  }

  private readonly written = new Set<Slot>();

  loadQuad(slot: Slot, quad: Index, flat: Index, write: (i: Index) => string): string {
    const base = this.touch(slot, flat);
    this.uses.get(slot)!.quads = true;
    const position = quad === flat ? base : substitute(quad, 'chunk', ZERO);
    return `${slot.name}[${write(position)}]`;
  }

  loadElement(slot: Slot, flat: Index, write: (i: Index) => string): string {
    const base = this.touch(slot, flat);
    const use = this.uses.get(slot)!;
    use.elements = true;
    if (!this.known || !use.quads) return `${slot.name}[${write(base)}]`;
    const code = write(base);
    return `${slot.name}[(${code}) / 4u][(${code}) % 4u]`;
  }

  storeQuad(slot: Slot, quad: Index, flat: Index, write: (i: Index) => string): string {
    this.written.add(slot);
    return this.loadQuad(slot, quad, flat, write);
  }

  storeElement(slot: Slot, flat: Index, write: (i: Index) => string): string {
    this.written.add(slot);
    const base = this.touch(slot, flat);
    const use = this.uses.get(slot)!;
    use.elements = true;
    return `${slot.name}[${write(base)}]`;
  }

  /** Which part of the tensor chunk number `chunk` touches: first element and how many. */
  range(slot: Slot, chunk: number): { first: number; count: number } {
    const use = this.uses.get(slot)!;
    if (slot.declared) return { first: 0, count: slot.count };
    const first = chunk * (use.stride ?? 0);
    return { first, count: Math.min(use.hi + 1, slot.count - first) };
  }

  /** Elements by which a chunk moves the slot's start. */
  stride(slot: Slot): number {
    return this.uses.get(slot)!.stride ?? 0;
  }

  declarations(): string {
    return [...this.slots.values()]
      .map((slot, i) => {
        const mode = slot.access === 'read' ? 'read' : 'read_write';
        const type = slot.declared ?? `array<${typeName(slot.element, this.uses.get(slot)!.quads)}>`;
        return `@group(0) @binding(${i}) var<storage, ${mode}> ${slot.name}: ${type};`;
      })
      .join('\n');
  }
}
