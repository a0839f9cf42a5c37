/**
 * A kernel as data: what stands between a scheduled group of operators and WGSL. Generators build kernel programs; `addresses.ts` decides how
 * wide every buffer is read; the printer writes WGSL, the verifier proves what can be proved, and the simulator runs the program on the CPU.
 *
 * Values are scalars or short vectors. Buffers, workgroup memory and private arrays are the only memory. Addresses of buffers are `Index`es
 * (indexing.ts): linear sums with known ranges, whose variables are names of the program. An address that holds LANE is that of four elements.
 */

import type { Layout } from '../buffers/layout.js';
import type { Index } from '../read/indexing.js';

export type Scalar = 'f32' | 'f16' | 'i32' | 'u32' | 'bool';
export type Lanes = 1 | 2 | 3 | 4;

/** A scalar, or a vector of two to four. */
export interface Type {
  readonly scalar: Scalar;
  readonly lanes: Lanes;
}

export type UnaryOp = '-' | '!';
export type BinaryOp =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '<'
  | '<='
  | '>'
  | '>='
  | '=='
  | '!='
  | '&'
  | '|'
  | '^'
  | '<<'
  | '>>'
  | '&&'
  | '||';

/** Functions of WGSL that compute one value from others, in every lane or vector element by itself unless said otherwise. */
export type Builtin =
  | 'abs'
  | 'sign'
  | 'floor'
  | 'round'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'sin'
  | 'cos'
  | 'pow'
  | 'min'
  | 'max'
  | 'fma'
  | 'clamp'
  /** select(no, yes, when) */
  | 'select'
  /** Of two vectors: one number. */
  | 'dot'
  /** u32 -> two f32 */
  | 'unpack2x16float'
  /** two f32 -> u32 */
  | 'pack2x16float';

/** Operations over the lanes of a subgroup. All of its lanes must take part. */
export type Collective =
  /** The value of one lane, the same for all (`lane` is a literal). */
  | 'broadcast'
  /** The value of the lane that each names. */
  | 'shuffle'
  /** The value of the lane whose number differs in the bits of `lane` (a literal). */
  | 'shuffle_xor'
  | 'add'
  | 'max'
  | 'min';

/** `lanes` and `scalar` are the type of the result. */
export type Expr = Type &
  (
    | {
        readonly kind: 'literal';
        readonly value: number;
        /** A size or a place, and like the number that stands for the batch: a kernel for a batch has none of these. */
        readonly ofBatch?: true;
      }
    /** A value, variable, parameter or builtin input in scope. */
    | { readonly kind: 'name'; readonly name: string }
    /** u32 arithmetic on names; no LANE in it. Wraps where it is negative. */
    | { readonly kind: 'address'; readonly index: Index }
    /** index < below as unsigned numbers, so that a negative index fails. With LANE in it, the same for all four or an error. */
    | { readonly kind: 'below'; readonly index: Index; readonly below: number }
    | { readonly kind: 'unary'; readonly op: UnaryOp; readonly x: Expr }
    | { readonly kind: 'binary'; readonly op: BinaryOp; readonly a: Expr; readonly b: Expr }
    | { readonly kind: 'builtin'; readonly fn: Builtin; readonly args: readonly Expr[] }
    /** A function of the program. */
    | { readonly kind: 'call'; readonly fn: string; readonly args: readonly Expr[] }
    /** By value, in each element; true is 1. */
    | { readonly kind: 'convert'; readonly x: Expr }
    | { readonly kind: 'bitcast'; readonly x: Expr }
    /** A scalar in every element. */
    | { readonly kind: 'splat'; readonly x: Expr }
    /** From scalars or shorter vectors, in order. */
    | { readonly kind: 'vector'; readonly parts: readonly Expr[] }
    | { readonly kind: 'component'; readonly x: Expr; readonly at: number | Expr }
    /**
     * An element of a buffer, or four where the address holds LANE. `speculative`: the address may lie outside the tensor (the device keeps it
     * within the buffer); the value must then be selected away, or not be stored by a store with conditions.
     */
    | { readonly kind: 'load'; readonly buffer: string; readonly at: Index; readonly speculative: boolean }
    /** One item of a packed buffer; after addresses.ts, of every buffer as it is declared (an element, or a vector of them). */
    | { readonly kind: 'fetch'; readonly buffer: string; readonly at: Expr; readonly speculative: boolean }
    /** An element of a private array or of workgroup memory. */
    | { readonly kind: 'item'; readonly array: string; readonly at: Expr }
    | { readonly kind: 'collective'; readonly op: Collective; readonly x: Expr; readonly lane?: Expr }
  );

export interface Condition {
  readonly index: Index;
  readonly below: number;
}

export type Stmt =
  | { readonly kind: 'let'; readonly name: string; readonly value: Expr }
  /** A variable; zero without a value. */
  | { readonly kind: 'var'; readonly name: string; readonly type: Type; readonly value?: Expr }
  /** A private array, which may be read and written at places that are computed. */
  | { readonly kind: 'array'; readonly name: string; readonly type: Type; readonly values: readonly Expr[] }
  | { readonly kind: 'assign'; readonly name: string; readonly value: Expr }
  /** An element of a private array or of workgroup memory gets a value. */
  | { readonly kind: 'put'; readonly array: string; readonly at: Expr; readonly value: Expr }
  /** An element of a buffer, or four where the address holds LANE, where every condition holds (of each lane). */
  | {
      readonly kind: 'store';
      readonly buffer: string;
      readonly at: Index;
      readonly value: Expr;
      readonly when: readonly Condition[];
    }
  /** One item of a packed buffer; after addresses.ts, of every buffer as it is declared. */
  | { readonly kind: 'write'; readonly buffer: string; readonly at: Expr; readonly value: Expr }
  /** The first case that holds. */
  | {
      readonly kind: 'if';
      readonly cases: readonly { readonly when: Expr; readonly body: readonly Stmt[] }[];
      readonly otherwise?: readonly Stmt[];
    }
  /** A u32 variable counts from `from` while it is below `below`. */
  | {
      readonly kind: 'for';
      readonly name: string;
      readonly from: Expr;
      readonly below: Expr;
      readonly step: number;
      readonly body: readonly Stmt[];
    }
  | { readonly kind: 'block'; readonly body: readonly Stmt[] }
  /** A function without a result. */
  | { readonly kind: 'do'; readonly fn: string; readonly args: readonly Expr[] }
  /** All threads of the workgroup come here; what they wrote to workgroup memory is seen by all. */
  | { readonly kind: 'barrier' }
  | { readonly kind: 'return'; readonly value?: Expr }
  | { readonly kind: 'comment'; readonly text: string };

export interface Param {
  readonly name: string;
  readonly type: Type;
}

export interface KernelFunction {
  readonly name: string;
  readonly params: readonly Param[];
  readonly result?: Type;
  readonly body: readonly Stmt[];
}

/** Elements of a buffer as they are declared. */
export type Element = 'f32' | 'i32' | 'u32';

/** A tensor that the kernel reads or writes, before it is known how. */
export interface Buffer {
  readonly name: string;
  readonly access: 'read' | 'read_write';
  readonly element: Element;
  /** Elements of the whole tensor, with what its layout pads: a number, or a multiple of the batch. */
  readonly count: number;
  /** Where the tensor's elements lie (default: in row-major order, samples outermost). */
  readonly layout?: Layout;
  /** What an element is in memory where that is not `element`: f32 that is stored as halves, read in any way and written by fours. */
  readonly storage?: 'f16';
  /** The buffer is padded to 16 bytes, so the last vec4 may be read although the count is no multiple of four. */
  readonly padded: boolean;
  /** Items at computed places, bound whole and reached by `fetch` and `write` from the start; `count` then counts these. */
  readonly packed?: Type;
  /** Kernels that are alike but for how many items there are share one text: how many, the binding says. */
  readonly open?: true;
  /** Every number that lies in it is below this: who fills it sees to that. */
  readonly below?: number;
}

export interface SharedArray {
  readonly name: string;
  readonly type: Type;
  readonly count: number;
}

/** What the GPU tells a thread. */
export type BuiltinInput =
  | 'workgroup_id'
  | 'num_workgroups'
  | 'local_invocation_index'
  | 'local_invocation_id'
  | 'global_invocation_id'
  | 'subgroup_invocation_id';

/** A name `samples`, of which no statement is the about, is the uniform of that name. */
export interface Kernel {
  readonly workgroup: readonly [number, number, number];
  /** Lanes of a subgroup, exactly; absent where the kernel uses no collective. */
  readonly subgroup?: number;
  /** For any number of samples: large numbers in addresses are multiples of the batch, and smaller ones beside them. Elsewhere they are just that. */
  readonly forBatch?: true;
  readonly inputs: readonly { readonly name: string; readonly builtin: BuiltinInput }[];
  readonly buffers: readonly Buffer[];
  readonly shared: readonly SharedArray[];
  /** Callee before caller. */
  readonly functions: readonly KernelFunction[];
  readonly main: readonly Stmt[];
  /** What `main` computes, said above it. */
  readonly doc?: string;
}

/** A part of a buffer that is bound: `count` elements of the tensor from `first` on. */
export interface BoundWindow {
  readonly buffer: string;
  /** The name that it is declared with. */
  readonly name: string;
  readonly first: number;
  readonly count: number;
  /** What one item of the declared array is, and how many of the tensor's elements it holds. */
  readonly item: Type;
  readonly elements: number;
}

/** A kernel whose addresses are explicit: no `load`, `store`, `address` or `below` is left in it. */
export interface LoweredKernel extends Kernel {
  /** In the order of the bindings. */
  readonly windows: readonly BoundWindow[];
}
