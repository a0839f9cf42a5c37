/**
 * Hash-consing: a `make` that gives the same value for the same operator, operands and attributes. Algebra over graphs needs it, so
 * that two ways to the same expression are recognised as one, and so that nothing is computed twice.
 */
import { make as makeValue } from './graph.js';
import { type Builder, type Make, makeBuilder } from './ops/builder.js';
import type { About, OpAttrs, OpName, Value } from './types.js';

/** A text for attributes that does not depend on the order of keys and keeps what JSON drops (infinities, -0). */
export function attrsKey(attrs: unknown): string {
  if (typeof attrs === 'number') return Object.is(attrs, -0) ? '-0' : String(attrs);
  if (Array.isArray(attrs)) return `[${attrs.map(attrsKey).join(',')}]`;
  if (typeof attrs === 'object' && attrs !== null) {
    const entries = Object.entries(attrs as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${k}:${attrsKey(v)}`).join(',')}}`;
  }
  return JSON.stringify(attrs);
}

function valueKey(op: OpName, inputs: readonly Value[], attrs: unknown): string {
  return `${op}(${inputs.map((v) => v.id).join(',')})${attrsKey(attrs)}`;
}

export class Interner {
  readonly #known = new Map<string, Value>();
  /** As `graph.make`; an equal value made or seeded before is given back, with what is known of it. */
  readonly make: Make;
  /** Short helpers over `make`. */
  readonly build: Builder;

  /** @param onEqual Hears of every value that was asked for and was there, and of what is known of it there. */
  constructor(private readonly onEqual: (known: Value, about: About | undefined) => void = () => {}) {
    this.make = <O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O], about?: About): Value => {
      // The type of a parameter or argument is not in its attributes: such leaves are told apart by identity and never made here.
      const key = valueKey(op, inputs, attrs);
      const known = this.#known.get(key);
      if (known) {
        this.onEqual(known, about);
        return known;
      }
      const made = makeValue(op, inputs, attrs, about);
      this.#known.set(key, made);
      return made;
    };
    this.build = makeBuilder(this.make);
  }

  /** Makes an existing value known; the first of equal values wins and is returned. */
  seed(value: Value): Value {
    const key = valueKey(value.op, value.inputs, value.attrs);
    const known = this.#known.get(key);
    if (known) {
      if (known !== value) this.onEqual(known, value.about);
      return known;
    }
    this.#known.set(key, value);
    return value;
  }
}
