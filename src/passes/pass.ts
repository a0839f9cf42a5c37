/** What a pass is, what it may know, and what it leaves behind for people. */
import type { Diagnostic } from '../diagnostics/types.js';
import type { Device } from '../ir/ops/cost.js';
import type { Func, Module, TextSpan } from '../ir/types.js';

export type AdapterMode = 'merged' | 'factored' | 'auto';

export interface PassContext {
  readonly adapters: AdapterMode;
  /** The devices that choices are priced for. */
  readonly device: Device;
  /** For each adapter of the module as it came, the place of its last operator that stands in a text, for messages. */
  readonly places: ReadonlyMap<string, TextSpan>;
  /** Filled as passes run. */
  readonly notes: Notes;
}

/** What passes tell the report. */
export interface Notes {
  readonly regions: Region[];
  /** Adapter's id -> what stood in its way. */
  readonly obstacles: Map<string, ObstacleNote>;
  /** Parameter of the base -> prepared parameter that takes its place. */
  readonly replaced: Map<string, string>;
}

export interface ObstacleNote {
  readonly op: string;
  readonly reason: string;
  readonly at?: TextSpan;
  /** The adapter itself is affine: it is what reads its result, which differs from block to block of a model. */
  readonly outside?: boolean;
}

export interface Pass {
  /** As `--emit after:<name>` names it; unique. */
  readonly name: string;
  /** One sentence for `--help` and ARCHITECTURE. */
  readonly doc: string;
  /**
   * The module with the function of this name rewritten; itself if there is none. Other functions stay as they are, save that `split` adds
   * to `prepare`.
   */
  run(module: Module, name: string, ctx: PassContext): Module;
}

/** The `run` of a pass that looks at one function alone. */
export const overFunc =
  (rewrite: (func: Func, module: Module, ctx: PassContext) => Func): Pass['run'] =>
  (module, name, ctx) => {
    const func = module.funcs.get(name);
    return func ? { ...module, funcs: new Map(module.funcs).set(name, rewrite(func, module, ctx)) } : module;
  };

/** A part of the graph that was replaced by fewer operators. */
export interface Region {
  /** Where it is: the site of the layer it became. */
  readonly site: string;
  /** Adapters whose values were in it. */
  readonly adapters: readonly string[];
  /** The same function of the same arguments (what the region reads), before and after; both read raw parameters. */
  readonly before: Func;
  readonly after: Func;
  /** Floating-point operations on what depends on the input. */
  readonly flopsBefore: number;
  readonly flopsAfter: number;
  /** The layer had no bias and has one now. */
  readonly newBias: boolean;
}

/** What became of an adapter; see `Adapter` of the IR for its fields. */
export interface AdapterOutcome {
  readonly id: string;
  readonly name: string;
  readonly site: string;
  /** merged: nothing of it is left in `infer`. factored: kept by request. kept: something stands in the way. */
  readonly state: 'merged' | 'factored' | 'kept';
  readonly obstacle?: ObstacleNote;
}

export interface MergeReport {
  readonly adapters: readonly AdapterOutcome[];
  /** Of the operations on what depends on the input, the share that adapters beside their layers take: 0 where all are merged. */
  readonly share: number;
  /** What the form of adapters that something keeps beside their layers was chosen by: absent where there is none. */
  readonly priced?: Device;
  readonly regions: readonly Region[];
  /**
   * Parameters of the base and the prepared parameters that take their place in `infer`: what a merged checkpoint in the base's layout
   * holds. A name that the base does not have is a bias that a shift created.
   */
  readonly replaced: ReadonlyMap<string, string>;
  /** ESP04xx: what could not merge and why, biases that had to be created. */
  readonly diagnostics: readonly Diagnostic[];
}
