/**
 * What storing numbers in a narrower type does to them. A meter is shown tensors as they were computed and as they are written, and keeps
 * figures alone: the largest change, the largest change in proportion, and what fell out of the normal range of the type at its lower end.
 */
import type { StoredType } from './safetensors.js';

/** The types that floats are stored in: digits of the significand (the leading one included), exponent of the smallest normal number. */
const FLOATS = {
  F64: { digits: 53, least: -1022 },
  F32: { digits: 24, least: -126 },
  F16: { digits: 11, least: -14 },
  BF16: { digits: 8, least: -126 },
} as const;

export type FloatType = keyof typeof FLOATS;

export const isFloatType = (dtype: StoredType): dtype is FloatType => Object.hasOwn(FLOATS, dtype);

/** A number that was rounded. */
export interface RoundedNumber {
  readonly tensor: string;
  /** Its place there. */
  readonly at: readonly number[];
  readonly value: number;
  readonly written: number;
  /** |written - value| */
  readonly change: number;
  /** The same in units in the last place of the type at `value`. */
  readonly ulps: number;
}

export interface RoundingFigures {
  readonly dtype: FloatType;
  /** Numbers that were seen, zeros among them. */
  readonly elements: number;
  /** Absent where every number was written as it is. */
  readonly largest?: RoundedNumber;
  /** The largest `change / |value|`, `share`, among what was written as a normal number; absent as `largest`. */
  readonly relative?: RoundedNumber & { readonly share: number };
  /** Numbers below the smallest normal one of the type that were not such before, or 0: they keep fewer digits. */
  readonly subnormal: number;
  /** Numbers other than 0 that were written as 0. */
  readonly zeros: number;
}

/** What one tensor has below the normal range. */
export interface SmallNumbers {
  readonly tensor: string;
  /** Of its numbers other than 0, those that became subnormal or 0, as a share. */
  readonly share: number;
  /** The first of them. */
  readonly at: readonly number[];
  readonly value: number;
  readonly written: number;
}

/** The unit in the last place of a type at a number: half of it is the most that rounding to nearest changes. */
export function ulpAt(value: number, dtype: FloatType): number {
  const { digits, least } = FLOATS[dtype];
  const x = Math.abs(value);
  let exponent = x === 0 ? least : Math.floor(Math.log2(x));
  // The logarithm itself is rounded.
  if (2 ** exponent > x) exponent--;
  else if (2 ** (exponent + 1) <= x) exponent++;
  return 2 ** (Math.max(exponent, least) - digits + 1);
}

/** The place of an element of a row-major tensor. */
export function coordsOf(shape: readonly number[], flat: number): number[] {
  const at = new Array<number>(shape.length);
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    at[axis] = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  return at;
}

interface Found {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly flat: number;
  readonly value: number;
  readonly written: number;
}

export class RoundingMeter {
  #elements = 0;
  #subnormal = 0;
  #zeros = 0;
  #change = 0;
  #share = 0;
  #largest: Found | undefined;
  #relative: Found | undefined;
  readonly #smallest: number;

  constructor(readonly dtype: FloatType) {
    this.#smallest = 2 ** FLOATS[dtype].least;
  }

  /**
   * @param value Elements in the order of `shape`, as they were computed; `written` the same as a reader gets them
   * @returns what of this tensor fell below the normal range; undefined where nothing did
   */
  take(
    tensor: string,
    shape: readonly number[],
    value: ArrayLike<number>,
    written: ArrayLike<number>,
  ): SmallNumbers | undefined {
    const smallest = this.#smallest;
    let first = -1;
    let small = 0;
    let nonzero = 0;
    for (let i = 0; i < value.length; i++) {
      const [v, w] = [value[i]!, written[i]!];
      if (v === 0) continue;
      nonzero++;
      const change = Math.abs(w - v);
      if (change > this.#change) {
        this.#change = change;
        this.#largest = { tensor, shape, flat: i, value: v, written: w };
      }
      if (Math.abs(w) >= smallest) {
        const share = change / Math.abs(v);
        if (share <= this.#share) continue;
        this.#share = share;
        this.#relative = { tensor, shape, flat: i, value: v, written: w };
        continue;
      }
      // Exactly a subnormal number before, it has lost nothing.
      if (change === 0) continue;
      if (first < 0) first = i;
      small++;
      if (w === 0) this.#zeros++;
      else this.#subnormal++;
    }
    this.#elements += value.length;
    if (first < 0) return undefined;
    const at = coordsOf(shape, first);
    return { tensor, share: small / nonzero, at, value: value[first]!, written: written[first]! };
  }

  figures(): RoundingFigures {
    const relative = this.#relative && { ...this.#rounded(this.#relative), share: this.#share };
    return {
      dtype: this.dtype,
      elements: this.#elements,
      ...(this.#largest ? { largest: this.#rounded(this.#largest) } : {}),
      ...(relative ? { relative } : {}),
      subnormal: this.#subnormal,
      zeros: this.#zeros,
    };
  }

  #rounded({ tensor, shape, flat, value, written }: Found): RoundedNumber {
    const change = Math.abs(written - value);
    return { tensor, at: coordsOf(shape, flat), value, written, change, ulps: change / ulpAt(value, this.dtype) };
  }
}
