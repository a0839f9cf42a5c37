/**
 * What tracing remembers while a model is put together, and what it is in the middle of. The engine of this room carries it, so that nothing
 * of one model is left when the next one is traced.
 */
import type { TensorType, Value, ValueOf } from '../../../ir/types.js';
import type { ModuleDecl, Span } from '../../ast.js';
import type { ArgVal, Engine } from '../evaluate/engine.js';
import type { Site, Val } from '../evaluate/values.js';

/** The engine as this room sees it. */
export interface Tracer extends Engine {
  readonly memo: Memo;
}

/** A call of a site with its first `level` adapters, and what stands for its result. */
export interface Hole {
  readonly level: number;
  readonly args: readonly ArgVal[];
  readonly span: Span;
  readonly value: Value;
}

/** An adapter that is being traced, with the holes that it left. */
export interface Open {
  readonly site: Site;
  readonly level: number;
  readonly holes: Hole[];
}

/** What a layer with some of its adapters comes to. */
export interface Merged {
  readonly weight: Value;
  readonly bias: Value | undefined;
}

/** A mask's layer and its adapters, as what they add up to: each summand reads the layer's input through dropouts, the first one directly. */
export type MaskedSum = readonly (Merged & {
  readonly through: readonly (ValueOf<'dropout'> | ValueOf<'drop_path'>)[];
})[];

/** A call of a site with all that lies on it, and the calls inside of it. */
export interface Traced {
  readonly site: Site;
  readonly value: Val;
  readonly inside: readonly Traced[];
}

/** What a call gave, and the calls inside of it: whoever calls again has made these too. */
export interface Result {
  readonly value: Val;
  readonly inside: readonly Traced[];
}

/** What is known of one site. */
export interface Known {
  /** Results of calls, by what they were called with. */
  readonly results: Map<string, Result>;
  /** Types of the results without adapters; undefined where it is no tensor. */
  readonly types: Map<string, TensorType | undefined>;
  /** By the number of adapters; undefined where there is no such weight, which was said. */
  readonly merged: Map<number, Merged | undefined>;
  /** Under a mask over the sum. */
  masked?: MaskedSum | 'failed';
}

export class Memo {
  /** Declarations that modules are being made of, outermost first: a module that contains itself shows here. */
  readonly making: ModuleDecl[] = [];
  /** Labelled stretches that are being traced: one that calls itself has no end. */
  readonly running = new Set<Site>();
  /** Adapters that are being traced, innermost last. */
  readonly adapting: Open[] = [];
  /** Calls of what is being traced, in their order. */
  #calls: Traced[] = [];
  readonly #known = new Map<Site, Known>();

  /** Runs `work`, and gives the calls that it made; they are its own, and not what is being traced around it makes. */
  noting<T>(work: () => T): { readonly value: T; readonly inside: readonly Traced[] } {
    const around = this.#calls;
    const inside: Traced[] = [];
    this.#calls = inside;
    try {
      return { value: work(), inside };
    } finally {
      this.#calls = around;
    }
  }

  /** What is being traced has made these calls. */
  note(calls: readonly Traced[]): void {
    this.#calls.push(...calls);
  }

  of(site: Site): Known {
    let known = this.#known.get(site);
    if (!known) {
      known = { results: new Map(), types: new Map(), merged: new Map() };
      this.#known.set(site, known);
    }
    return known;
  }
}
