/** What an optimiser is to the compiler: graph code, which the language traces from the library or a user's file. */
import type { Value } from './types.js';

/** What one step of an optimiser reads for one weight. */
export interface StepAt {
  /** f32, of any shape. */
  readonly weight: Value;
  /** Of the weight's type. */
  readonly gradient: Value;
  /** The learning rate, an f32 scalar. */
  readonly rate: Value;
  /** 1 at the first step, an f32 scalar. */
  readonly count: Value;
  /** By name, each of the weight's type. */
  readonly states: ReadonlyMap<string, Value>;
}

export interface Optimizer {
  /** What its states start as, for every weight one of each, by name. */
  readonly states: ReadonlyMap<string, number>;
  /** What a weight and its states become. */
  readonly step: (at: StepAt) => { readonly weight: Value; readonly states: ReadonlyMap<string, Value> };
}

/** Weights that one optimiser moves, by one rate. */
export interface Group {
  /** Names of parameters. */
  readonly params: readonly string[];
  readonly optimizer: Optimizer;
}
