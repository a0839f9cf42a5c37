/**
 * What a compiled program is, as data: `program.json` in memory. The compiler writes it, the runtime reads it, and the two
 * share nothing else. Everything here is plain JSON.
 */

export type StorageType = 'f32' | 'f16' | 'i32' | 'u32';

/** A tensor of a weights file, in the layout that kernels read (possibly packed; `bytes` counts padding). */
export interface WeightEntry {
  readonly name: string;
  readonly dtype: StorageType;
  /** Logical shape, for people; a packed weight's bytes follow `layout`. */
  readonly shape: readonly number[];
  /** `rows`: row-major. `tiles:KxN`: for y = x·Wᵀ, blocks of K inputs by N outputs, block-row by block-row, zero padded. */
  readonly layout: string;
  readonly bytes: number;
}

/** A place in memory: a weight, a slice of an arena slab, or one of the program's inputs and outputs. */
export type BufferRef =
  | { readonly kind: 'weight'; readonly name: string; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'arena'; readonly slab: number; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'input'; readonly index: number; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'output'; readonly index: number; readonly offset: number; readonly bytes: number };

export type Access = 'read' | 'read_write';

/** What a device must have for a variant to be legal there. All of it, or the variant is skipped. */
export interface Requirements {
  /** WebGPU feature names: `subgroups`, `shader-f16`. */
  readonly features?: readonly string[];
  /** The variant is right only where every subgroup has exactly this size. */
  readonly subgroupSize?: number;
  /** Needs a limit of at least this, by WebGPU limit name. Absent: WebGPU's defaults suffice. */
  readonly limits?: Readonly<Record<string, number>>;
}

export interface KernelVariant {
  /** `portable` or the schedule's name, such as `subgroup8`. */
  readonly name: string;
  readonly requires: Requirements;
  /** File of the folder that holds the WGSL; the entry point is `main`, bindings are in group 0 in order. */
  readonly file: string;
  /** Relative preference among legal variants; the highest wins. */
  readonly rank: number;
}

export interface Kernel {
  /** Readable: `contract_197x768x3072_gelu`. */
  readonly name: string;
  readonly archetype: 'pointwise' | 'reduce' | 'contract' | 'attention' | 'sparse_contract' | 'other';
  readonly bindings: readonly Access[];
  /** The last one is always the portable one, without requirements. */
  readonly variants: readonly KernelVariant[];
}

export interface Dispatch {
  readonly kernel: number;
  readonly bindings: readonly BufferRef[];
  /** Workgroup counts, one triple for each variant of the kernel, in order. */
  readonly workgroups: readonly (readonly [number, number, number])[];
  readonly flops: number;
  /** Bytes read and written at least once. */
  readonly bytes: number;
  /** Path of the spec's module that it computes, for people and for timing by layer. */
  readonly label: string;
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: StorageType;
  readonly shape: readonly number[];
}

/** `infer` for one batch size. */
export interface Entry {
  readonly name: string;
  readonly batch: number;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Bytes of each arena slab; no slab exceeds `maxBufferSize` of the limits that the program was compiled for. */
  readonly slabs: readonly number[];
  readonly dispatches: readonly Dispatch[];
}

/** Steps from a decoded RGBA image to the program's image input; they run on the GPU. */
export type PreprocessStep =
  /** A number scales the shorter side to it and keeps the ratio; a pair [height, width] does not. */
  | {
      readonly step: 'resize';
      readonly size: number | readonly [number, number];
      readonly filter: 'nearest' | 'bilinear' | 'bicubic';
    }
  | { readonly step: 'crop'; readonly size: readonly [number, number] }
  /** ITU-R 601 luma, as PIL's `L`. */
  | { readonly step: 'grayscale' }
  /** (x/255 - mean) / std for each channel. */
  | { readonly step: 'normalize'; readonly mean: readonly number[]; readonly std: readonly number[] };

/** A few rows and what must come out for each; every entry runs them at load, repeated to fill its batch. */
export interface Golden {
  /** First axis of every tensor in the golden file. */
  readonly rows: number;
  /** Names of tensors in the golden file (`golden.safetensors`). */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Largest allowed |difference| / max |expected|. */
  readonly tolerance: number;
}

export interface Summary {
  readonly parameters: { readonly total: number; readonly trainable: number; readonly frozen: number };
  /** Fraction of zeros over the pruned weights, if any. */
  readonly sparsity?: number;
  readonly kernels: number;
  readonly dispatches: number;
  readonly flops: number;
  readonly weightBytes: number;
  readonly peakBytes: number;
}

export interface Program {
  readonly format: 'espalier.program';
  readonly version: 2;
  readonly name: string;
  /** Version of Espalier that wrote it. */
  readonly compiler: string;
  readonly kernels: readonly Kernel[];
  readonly entries: readonly Entry[];
  readonly weights: readonly WeightEntry[];
  /** Files that hold the weights (safetensors), in order. */
  readonly weightFiles: readonly string[];
  readonly preprocess?: readonly PreprocessStep[];
  readonly labels?: readonly string[];
  readonly golden?: Golden;
  readonly summary: Summary;
}
