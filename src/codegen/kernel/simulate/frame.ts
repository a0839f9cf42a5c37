/** What is known while a function of a kernel is made into closures: the names in scope, the memory, and arrays for intermediate values. */

import type { Scalar, Type } from '../types.js';
import type { Subgroups } from './collectives.js';
import type { Machine, Place } from './machine.js';
import { makeValues, type Values } from './math.js';
import type { Private, Shared, Window } from './memory.js';

/** Does one thing for all active threads. */
export type Run = () => void;

/** One after the other; undefined where there is nothing to do. */
export function inOrder(runs: readonly (Run | undefined)[]): Run | undefined {
  const [first, second, third, ...more] = runs.filter((r) => r !== undefined);
  if (!second) return first;
  if (!third) {
    return () => {
      first!();
      second();
    };
  }
  const rest = [third, ...more];
  return () => {
    first!();
    second();
    for (const run of rest) run();
  };
}

/** A value or variable; each has an array of its own. */
export interface Named {
  readonly kind: 'value';
  readonly type: Type;
  readonly values: Values;
  /** A `var`, which may be assigned to. */
  readonly mutable: boolean;
}

export type Entry = Named | { readonly kind: 'array'; readonly array: Private };

/** Names of a block; those around it are seen through it. */
export class Scope {
  readonly #names = new Map<string, Entry>();

  constructor(readonly around?: Scope) {}

  /** @throws Error where this very block has the name already. */
  declare(name: string, entry: Entry): void {
    if (this.#names.has(name)) throw new Error(`"${name}" is declared twice`);
    this.#names.set(name, entry);
  }

  find(name: string): Entry | undefined {
    return this.#names.get(name) ?? this.around?.find(name);
  }

  /** @throws Error where there is no such value. */
  value(name: string): Named {
    const entry = this.find(name);
    if (entry?.kind !== 'value') throw new Error(`no value "${name}" in scope`);
    return entry;
  }
}

/** A function of the kernel. There is no recursion, so one set of arrays serves all of its calls. */
export interface Compiled {
  readonly params: readonly Named[];
  readonly result?: Named;
  /** Runs the body for the active threads, whose arguments are in `params`. */
  readonly run: Run;
}

/** What all functions of a kernel see. */
export interface Unit {
  readonly machine: Machine;
  readonly windows: ReadonlyMap<string, Window>;
  readonly shared: ReadonlyMap<string, Shared>;
  readonly subgroups?: Subgroups;
  readonly functions: Map<string, Compiled>;
}

/** A function that is being compiled. */
export class Frame {
  /** The statement that is being compiled. */
  place: Place = { text: 'nothing' };
  /** Threads that have returned from the present call. */
  readonly returned: Uint8Array;
  readonly #filled = new Map<string, Values>();
  readonly #free = new Map<string, { arrays: Values[]; used: number }>();

  constructor(
    readonly unit: Unit,
    /** Where the function's result goes. */
    readonly result?: Named,
  ) {
    this.returned = new Uint8Array(unit.machine.threads);
  }

  /** An array that is kept. */
  own(type: Type): Values {
    return makeValues(type.scalar, type.lanes * this.unit.machine.threads);
  }

  /** An array with one value throughout, which is not written to again. */
  filled(scalar: Scalar, value: number): Values {
    const key = `${scalar} ${Object.is(value, -0) ? '-0' : value}`;
    const values = this.#filled.get(key) ?? this.own({ scalar, lanes: 1 }).fill(value);
    this.#filled.set(key, values);
    return values;
  }

  /** An array that is good until the end of the statement. */
  scratch(type: Type): Values {
    const list = this.#list(type.scalar, type.lanes);
    if (list.used === list.arrays.length) list.arrays.push(this.own(type));
    return list.arrays[list.used++]!;
  }

  /** Keeps an array that `scratch` gave. */
  keep(type: Type, values: Values): void {
    const list = this.#list(type.scalar, type.lanes);
    const at = list.arrays.indexOf(values);
    if (at < 0) throw new Error('only scratch can be kept');
    list.arrays.splice(at, 1);
    if (at < list.used) list.used--;
  }

  /** A new statement begins: the intermediate values of the one before are done with. */
  begin(place: Place): void {
    this.place = place;
    for (const list of this.#free.values()) list.used = 0;
  }

  #list(scalar: Scalar, lanes: number): { arrays: Values[]; used: number } {
    const key = `${scalar} ${lanes}`;
    let list = this.#free.get(key);
    if (!list) {
      list = { arrays: [], used: 0 };
      this.#free.set(key, list);
    }
    return list;
  }
}
