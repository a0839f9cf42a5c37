/**
 * Arrays of doubles that values of an interpreted program leave when they die, for those that come. A merged weight takes ten arrays of
 * its size one after another; fetched anew each time, the system clears them page by page and the collector trails behind.
 */
import type { ArrayOf, Tensor } from '../types.js';

/** Of what died, this much is kept at the most; what is larger goes back to the system. */
const MOST_BYTES = 2 ** 28;

export class Recycler {
  readonly #free = new Map<number, Float64Array[]>();
  #bytes = 0;
  /** How many live values lie in an array that was handed out here. */
  readonly #values = new WeakMap<ArrayBufferLike, number>();

  /** An array whose elements may be anything: whoever asks writes them all. */
  readonly allocate: ArrayOf = (size) => {
    const array = this.#free.get(size)?.pop();
    if (array) this.#bytes -= array.byteLength;
    const made = array ?? new Float64Array(size);
    this.#values.set(made.buffer, 0);
    return made;
  };

  /** A value lives in this tensor from now on; several may share one array, as views do. */
  hold({ data }: Tensor): void {
    const n = this.#values.get(data.buffer);
    if (n !== undefined) this.#values.set(data.buffer, n + 1);
  }

  /** One that lived in it is dead. */
  drop({ data }: Tensor): void {
    const n = this.#values.get(data.buffer);
    if (n === undefined) return;
    if (n > 1) {
      this.#values.set(data.buffer, n - 1);
      return;
    }
    this.#values.delete(data.buffer);
    if (this.#bytes + data.buffer.byteLength > MOST_BYTES) return;
    const whole = new Float64Array(data.buffer);
    this.#bytes += whole.byteLength;
    this.#free.set(whole.length, [...(this.#free.get(whole.length) ?? []), whole]);
  }

  /** Somebody outside has it now: its array is never used again. */
  keep({ data }: Tensor): void {
    this.#values.delete(data.buffer);
  }
}
