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

export type ResizeMode = 'nearest' | 'bilinear' | 'bicubic';
export type GeluForm = 'none' | 'tanh' | 'quick';
type NoAttrs = Record<never, never>;

/**
 * Attributes of every operator; the keys are the operator names. Operand order is given in the comment: `?` is an optional
 * operand (the input list is simply shorter), `...` a variadic one.
 */
export interface OpAttrs {
  // Leaves
  /** A parameter of the module. */
  param: { readonly name: string };
  /** An argument of the function. */
  input: { readonly name: string };
  /** A tensor whose elements are all `value` (its shape and dtype are its attributes). */
  constant: { readonly value: number; readonly dtype: DType; readonly shape: readonly number[] };
  /** 0, 1, 2, ... along `axis`. */
  iota: { readonly axis: number; readonly dtype: DType; readonly shape: readonly number[] };

  /**
   * (key: u32[2]): random bits, u32. Element i, counted in row-major order, is word i mod 4 of Philox 4x32-10 at the counter
   * [i div 4, 0, stream, 0]. Equal keys and streams give equal bits, so those that are to differ have streams of their own.
   */
  random_bits: { readonly stream: number; readonly shape: readonly number[] };

  /** How many samples the function is called with, as an f32 scalar: what a mean over the batch divides by. */
  batch_size: NoAttrs;

  // Pointwise, one operand
  neg: NoAttrs;
  abs: NoAttrs;
  sign: NoAttrs;
  floor: NoAttrs;
  exp: NoAttrs;
  log: NoAttrs;
  sqrt: NoAttrs;
  rsqrt: NoAttrs;
  reciprocal: NoAttrs;
  sin: NoAttrs;
  cos: NoAttrs;
  tanh: NoAttrs;
  erf: NoAttrs;
  sigmoid: NoAttrs;
  relu: NoAttrs;
  silu: NoAttrs;
  /** none: x·Φ(x); tanh: the tanh approximation; quick: x·σ(1.702x). */
  gelu: { readonly form: GeluForm };
  not: NoAttrs;
  cast: { readonly dtype: DType };
  /** Identity; its derivative is 0. */
  stop_gradient: NoAttrs;
  /** Identity in `infer`; inverted dropout in `step`, by the random bits of its own stream. */
  dropout: { readonly rate: number; readonly stream: number };
  /** Identity in `infer`; drops whole samples (axis 0) in `step`. */
  drop_path: { readonly rate: number; readonly stream: number };

  // Pointwise, two operands, NumPy broadcasting
  add: NoAttrs;
  sub: NoAttrs;
  mul: NoAttrs;
  div: NoAttrs;
  pow: NoAttrs;
  maximum: NoAttrs;
  minimum: NoAttrs;
  mod: NoAttrs;
  floor_div: NoAttrs;
  lt: NoAttrs;
  le: NoAttrs;
  eq: NoAttrs;
  and: NoAttrs;
  or: NoAttrs;
  xor: NoAttrs;
  shift_left: NoAttrs;
  shift_right: NoAttrs;
  /** (condition: bool, then, else), broadcasting. */
  select: NoAttrs;

  // Layout
  reshape: { readonly shape: readonly number[] };
  transpose: { readonly perm: readonly number[] };
  /** NumPy broadcast to `shape`. */
  broadcast: { readonly shape: readonly number[] };
  /** start[i] <= index < end[i], every axis given, unit stride. */
  slice: { readonly start: readonly number[]; readonly end: readonly number[] };
  /** (x...) */
  concat: { readonly axis: number };
  pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number };
  /** Circular shift, torch.roll's sign: element i goes to i + shift. */
  roll: { readonly shifts: readonly number[]; readonly axes: readonly number[] };
  reverse: { readonly axes: readonly number[] };
  /** (x, indices: i32 or u32): result shape = x.shape[..axis] + indices.shape + x.shape[axis+1..]. */
  gather: { readonly axis: number };

  // Reductions
  reduce_sum: { readonly axes: readonly number[]; readonly keep: boolean };
  reduce_mean: { readonly axes: readonly number[]; readonly keep: boolean };
  reduce_max: { readonly axes: readonly number[]; readonly keep: boolean };
  /** i32; the first of equal elements. */
  argmax: { readonly axis: number };
  /** The k largest along the last axis, descending, ties by index; aux `indices` (i32). */
  top_k: { readonly k: number };

  // Sorting, and sums in sorted order
  /** (x: i32 or u32): i32, along the last axis, stable. */
  argsort: NoAttrs;
  /** (x, order: i32): sorted runs of `run` become sorted runs of twice as many. */
  merge_order: { readonly run: number };
  /** (sorted [n], values): i32 of the values' shape. */
  searchsorted: { readonly right: boolean };
  /** (x, starts: i32 [segments + 1]) */
  segment_sum: { readonly axis: number };
  /** (updates, indices: i32 or u32): the axes of the indices, from `axis` on, become one of `size`. */
  scatter_add: { readonly axis: number; readonly size: number };

  // Contractions
  /** (a [..., m, k], b [..., k, n]) with broadcast leading axes. */
  matmul: NoAttrs;
  /** (x [..., in], weight [out, in], bias? [out]): x·Wᵀ + b. */
  linear: NoAttrs;
  /** (x [b, c, h, w], weight [out, c/groups, kh, kw], bias? [out]); padding is [top, left, bottom, right]. */
  conv2d: {
    readonly stride: readonly [number, number];
    readonly padding: readonly [number, number, number, number];
    readonly dilation: readonly [number, number];
    readonly groups: number;
  };
  /** (x [b, in, h, w], weight [in, out/groups, kh, kw], bias? [out]) */
  conv2d_transpose: OpAttrs['conv2d'] & { readonly output_padding: readonly [number, number] };
  /** (x [b, in, h, w], dy [b, out, oh, ow]): [out, in/groups, kh, kw] for the kernel's size. */
  conv2d_weight: OpAttrs['conv2d'] & { readonly kernel: readonly [number, number] };
  /** (a [m, n], b [p, q]): [mp, nq], the first factor indexes the slow axis. */
  kron: NoAttrs;

  // Composites
  softmax: { readonly axis: number };
  /** (x, gain? [d], shift? [d]) over the last axis. */
  layer_norm: { readonly eps: number };
  /** (x [b, c, ...], gain [c], shift [c], mean [c], variance [c]), inference form. */
  batch_norm: { readonly eps: number };
  /** (x [b, c, ...], gain? [c], shift? [c]). */
  group_norm: { readonly groups: number; readonly eps: number };
  /** (q [b, h, n, d], k [b, h, m, d], v [b, h, m, e], bias... each broadcastable to [b, h, n, m] and added to the scores). aux `lse`: [b, h, n]. */
  attention: { readonly scale: number };
  /** (x [b, c, h, w]). Antialiased resizing widens the filter when shrinking, as PIL does. Half-pixel centres. */
  resize: { readonly size: readonly [number, number]; readonly mode: ResizeMode; readonly antialias: boolean };
  /** (a [n, n], b [n, m]): the x of a·x = b. */
  solve: NoAttrs;
  /** (owner): another result of its operator. */
  aux: { readonly output: string };
}

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
  readonly about?: About;
}

/** Narrow with `value.op === 'reshape'`. */
export type Value = { readonly [O in OpName]: ValueOf<O> }[OpName];

/**
 * frozen and trainable come from checkpoints; constant ones carry their data; prepared ones are results of `prepare`. A state starts as
 * they do (a file, or `init`), and functions change it: what a call reads is what it was before the call.
 */
export type ParamRole = 'frozen' | 'trainable' | 'constant' | 'prepared' | 'state';

export interface Param {
  readonly name: string;
  readonly type: TensorType;
  readonly role: ParamRole;
  /** How it starts when no file has it. Applies to each innermost matrix. */
  readonly init?: Init;
  /** Elements of a constant. */
  readonly data?: Elements;
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
