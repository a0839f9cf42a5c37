/**
 * What a program is: a directed acyclic graph of single-result values over tensors whose shapes are known, save for the batch.
 *
 * A `Value` is the operation that makes it; a function has its own inputs and results, and may say what parameters of role
 * `state` become by a call. Results and updates are its roots: every pass is a memoised map over what they reach
 * (`rootsOf`, `mapRoots` in graph.ts), and dead code disappears by not being reached. Extra results (attention's log-sum-exp, the indices of
 * top_k) are read by the `aux` operator, whose input is the value that owns them.
 *
 * This file holds data types only. What each operator means is in `ops/`.
 */

export type DType = 'f32' | 'f16' | 'i32' | 'u32' | 'bool';

export interface TensorType {
  readonly dtype: DType;
  /** Row-major. A scalar has shape []. A size is a number or a multiple of the batch (batch.ts). */
  readonly shape: readonly number[];
}

/** A stretch of a spec: offsets into the file's text, half open. */
export interface TextSpan {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** Whose a value or a parameter is; without one it is the model's own. */
export type Owner =
  /** Adapters, by their ids in `Module.adapters`. Several: values that are equal, or parts of a value that no pass tells apart. */
  | { readonly kind: 'adapter'; readonly ids: readonly string[] }
  /** The mask of a parameter. */
  | { readonly kind: 'mask'; readonly of: string };

/**
 * What is known of a value besides what it computes. All of it prints, parses and is verified; nothing of it makes two values different.
 * Passes decide by `owner` and `inside`, pictures and reports are arranged by `site`, and `at` is for messages alone.
 */
export interface About {
  readonly owner?: Owner;
  /** Of a layer that adapters called with another weight: those that are inside of that weight. */
  readonly inside?: readonly string[];
  /** The module that was being traced: `base.blocks.3.attn.qkv`. */
  readonly site?: string;
  readonly at?: TextSpan;
}

/** An adapter on a site. */
export interface Adapter {
  /** `base.blocks.3.attn.qkv@karst` */
  readonly id: string;
  /** As people call it: `karst`; the second on one site is `karst2`. */
  readonly name: string;
  /** The site that it was grafted on; absent for what all sites of a statement share. */
  readonly site?: string;
  /** The statement that put it there, for messages: the adapter's own text may be in a library. */
  readonly graft?: TextSpan;
}

export type NoAttrs = Record<never, never>;

/**
 * Attributes of every operator; the keys are the operator names. The files of the operator table (`ops/`) add those of their entries, so that an
 * operator stands in one file alone.
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is filled where the entries are
export interface OpAttrs {}

export type OpName = keyof OpAttrs;

export interface ValueOf<O extends OpName> {
  /** Creation number; unique in a process, increasing along every edge. For maps and stable orders, never printed. */
  readonly id: number;
  readonly op: O;
  readonly inputs: readonly Value[];
  readonly attrs: OpAttrs[O];
  readonly type: TensorType;
  /** Whether it needs an argument of its function, or their number: it is not computed from parameters alone. */
  readonly needsInput: boolean;
  /** Whether it, or a value that it is computed from, is another for another number of samples. */
  readonly needsBatch: boolean;
  /** Whether it reads a parameter of the model's own. */
  readonly readsBase: boolean;
  /** Whether it reads one that a graft put there: an adapter's, or a mask. */
  readonly readsGrafted: boolean;
  readonly about?: About;
}

/** Narrow with `value.op === 'reshape'`. */
export type Value = { readonly [O in OpName]: ValueOf<O> }[OpName];

/**
 * frozen, trainable and statistic ones come from checkpoints; constant ones carry their data; prepared ones are results of `prepare`. A state starts as
 * they do (a file, or `init`), and functions change it: what a call reads is what it was before the call. A statistic is trained without a gradient: a
 * training step moves it to what its batch has (`BatchNorm`'s running averages, where the layer is trained).
 */
export type ParamRole = 'frozen' | 'trainable' | 'statistic' | 'constant' | 'prepared' | 'state';

export interface Param {
  readonly name: string;
  readonly type: TensorType;
  readonly role: ParamRole;
  /** How it starts when no file has it. Applies to each innermost matrix. */
  readonly init?: Init;
  /** Elements of a constant. */
  readonly data?: Elements;
  /** Of a statistic: the share of a batch's value in what it is after a step. */
  readonly momentum?: number;
  /** Of a state of one axis: others that lie in it, side by side (parts.ts). A function touches it or them. */
  readonly parts?: readonly string[];
  readonly about?: About;
}

export type Init =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number; readonly mean?: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'kaiming_uniform'; readonly a: number }
  | { readonly kind: 'xavier_uniform'; readonly gain: number }
  | { readonly kind: 'eye' }
  /** Computed from other parameters (DoRA's magnitude from the frozen weight). */
  | { readonly kind: 'value'; readonly value: Value };

/** What a parameter of role `state` is after a call. */
export interface Update {
  /** The parameter's name. */
  readonly state: string;
  readonly value: Value;
}

export interface Func {
  readonly name: string;
  /** Values of operator `input`, in call order. */
  readonly inputs: readonly Value[];
  readonly results: readonly { readonly name: string; readonly value: Value }[];
  /** Applied together, after everything that the call reads: a function is pure, and writing in place is code generation's business. */
  readonly updates: readonly Update[];
  /** A call is one of that function first, whose updates this one reads: it takes the arguments, and gives the results, of both. */
  readonly after?: string;
}

export interface Module {
  readonly name: string;
  /** By id. Every id that a value or parameter names is here. */
  readonly adapters: ReadonlyMap<string, Adapter>;
  readonly params: ReadonlyMap<string, Param>;
  /**
   * Each with inputs and results of its own, over the module's parameters: `infer`, what else a program can be called by, and, after the
   * split, `prepare`, whose results are the parameters of role `prepared`.
   */
  readonly funcs: ReadonlyMap<string, Func>;
}

export type Elements = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Gives an array of a size to whoever will write all of its elements; what they are until then is not said. */
export type ArrayOf = (size: number) => Float64Array;

/** A concrete tensor. The interpreter computes floats in Float64Array; loaders give Float32Array; bool is Uint8Array. */
export interface Tensor {
  readonly type: TensorType;
  readonly data: Elements;
}
