/**
 * What a compiled program is, as data: `program.json` in memory. The compiler writes it, the runtime reads it, and the two share nothing
 * else. Everything here is plain JSON, declared once: the schemas check a file, and the types are what the schemas accept. What one
 * part says about another (an index, an offset, the name of a file) is checked in check.ts.
 */
import * as v from 'valibot';

/** Read-only all the way down, as JSON that was read is treated. */
type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;

/** The version of the format that this runtime reads and this compiler writes. */
export const VERSION = 7;

/** No list of a real program comes near this; a longer one is a lie, and would be spread over arguments. */
const list = <const S extends v.GenericSchema>(item: S, least = 0) =>
  v.pipe(v.array(item), v.minLength(least), v.maxLength(65536));
const text = v.pipe(v.string(), v.maxLength(4096));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const finite = v.pipe(v.number(), v.finite());
/** One side of an image, in pixels. */
const side = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(32768));
/** A file of the folder. One that came from elsewhere must not make the session read outside it. */
const fileName = v.pipe(v.string(), v.maxLength(255), v.regex(/^[\w@+-][\w.@+-]*$/, 'a file of the folder'));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal digits'));

const storageType = v.picklist(['f32', 'f16', 'i32', 'u32']);
export type StorageType = v.InferOutput<typeof storageType>;

const weightEntry = v.strictObject({
  name: text,
  /** The parameter of the model that it holds; one that is read in several layouts has several. */
  parameter: text,
  dtype: storageType,
  /** Logical shape, for people; a packed weight's bytes follow `layout`. */
  shape: list(count),
  /**
   * `rows`: row-major. `tiles:KxN`: for y = x·Wᵀ, blocks of K inputs by N outputs, block-row by block-row, zero padded. `kept:KxN`: those blocks alone
   * that hold something; which these are say two weights of the same parameter, `starts` (where each N outputs' blocks begin) and `blocks` (the inputs).
   */
  layout: v.pipe(
    v.string(),
    v.regex(
      /^(rows|starts|blocks|(tiles|kept):\d{1,4}x\d{1,4})$/,
      '`rows`, `tiles:KxN`, `kept:KxN`, `starts` or `blocks`',
    ),
  ),
  /** Padding included. */
  bytes: positive,
  /** `file`: as a file of weights has it. `zeros`: all 0. `prepare`: as the entry `prepare` writes it, which a load calls. */
  start: v.picklist(['file', 'zeros', 'prepare']),
  /** It has no buffer of its own: it lies in that of another weight, from so many bytes on. */
  within: v.exactOptional(v.strictObject({ weight: text, offset: count })),
});
/** A tensor that lives as long as the session, in the layout that kernels read (possibly packed): a weight, or a state that entries update. */
export interface WeightEntry extends Frozen<v.InferOutput<typeof weightEntry>> {}

/** Of what holds samples (an input, an output, a slab of `samples`), both are for one sample. */
const range = { offset: count, bytes: positive };
const bufferRef = v.variant('kind', [
  v.strictObject({ kind: v.literal('weight'), name: text, ...range }),
  v.strictObject({ kind: v.literal('arena'), slab: count, ...range }),
  v.strictObject({ kind: v.literal('input'), index: count, ...range }),
  v.strictObject({ kind: v.literal('output'), index: count, ...range }),
  v.strictObject({ kind: v.literal('update'), index: count, ...range }),
]);
/**
 * A place in memory: a weight or state, a slice of an arena slab, one of the entry's inputs and outputs, or what a state becomes that is
 * copied over it when the call ends.
 */
export type BufferRef = Frozen<v.InferOutput<typeof bufferRef>>;

/** Whether what a reference names has room for each sample: its offset and bytes are then for one. */
export function holdsSamples(entry: Pick<Entry, 'slabs' | 'inputs' | 'outputs'>, ref: BufferRef): boolean {
  switch (ref.kind) {
    case 'arena':
      return entry.slabs[ref.slab]!.samples;
    case 'input':
      return entry.inputs[ref.index]!.samples;
    case 'output':
      return entry.outputs[ref.index]!.samples;
    default:
      return false;
  }
}

const access = v.picklist(['read', 'read_write']);
export type Access = v.InferOutput<typeof access>;

const requirements = v.strictObject({
  /** WebGPU feature names: `subgroups`, `shader-f16`. */
  features: v.exactOptional(list(text)),
  /** The variant is right only where every subgroup has exactly this size. */
  subgroupSize: v.exactOptional(positive),
  /** Needs a limit of at least this, by WebGPU limit name. Absent: WebGPU's defaults suffice. */
  limits: v.exactOptional(v.record(text, count)),
});
/** What a device must have for a variant to be legal there. All of it, or the variant is skipped. */
export interface Requirements extends Frozen<v.InferOutput<typeof requirements>> {}

const kernelVariant = v.strictObject({
  /** `portable` or the schedule's name, such as `subgroup8`. */
  name: text,
  requires: requirements,
  /** File of the folder that holds the WGSL; the entry point is `main`, bindings are in group 0 in order. */
  file: fileName,
  /** Relative preference among legal variants; the highest wins. */
  rank: finite,
  /** The same on a class of devices, where that differs: `software`, or a vendor as WebGPU names it (`intel`). */
  ranks: v.exactOptional(v.record(text, finite)),
});
export interface KernelVariant extends Frozen<v.InferOutput<typeof kernelVariant>> {}

const kernel = v.strictObject({
  /** Readable: `contract_197x768x3072_gelu`. */
  name: text,
  archetype: v.picklist(['pointwise', 'reduce', 'contract', 'attention', 'sparse_contract', 'other']),
  bindings: list(access, 1),
  /** The last one is always the portable one, without requirements. */
  variants: list(kernelVariant, 1),
});
export interface Kernel extends Frozen<v.InferOutput<typeof kernel>> {}

const tiles = v.union([positive, v.strictObject({ samples: positive, by: positive })]);
/** How many tiles there are along a dimension: a number, or ceil(`samples` · the samples of the pass / `by`). */
export type Tiles = Frozen<v.InferOutput<typeof tiles>>;

const workgroups = v.strictObject({
  tiles: v.strictTuple([tiles, tiles, tiles]),
  /** All tiles are counted in a row, folded over the three dimensions, none of which counts further than this. */
  most: v.exactOptional(positive),
});
/** What a dispatch counts, for any number of samples. */
export interface Workgroups extends Frozen<v.InferOutput<typeof workgroups>> {}

const dispatch = v.strictObject({
  kernel: count,
  bindings: list(bufferRef, 1),
  /** One for each variant of the kernel, in order. */
  workgroups: list(workgroups, 1),
  /** For one sample. */
  flops: v.pipe(finite, v.minValue(0)),
  /** Read and written at least once, for one sample. */
  bytes: count,
  /** Path of the spec's module that it computes, for people and for timing by layer. */
  label: text,
});
export interface Dispatch extends Frozen<v.InferOutput<typeof dispatch>> {}

const tensorSpec = v.strictObject({
  name: text,
  dtype: storageType,
  /** Of a tensor that holds samples, for one of them. */
  shape: list(positive),
  /** The first axis is as many times as long as there are samples. Otherwise there is one for all of them: a rate, a loss, a gradient. */
  samples: v.boolean(),
});
export interface TensorSpec extends Frozen<v.InferOutput<typeof tensorSpec>> {}

const slab = v.strictObject({
  bytes: positive,
  /** The bytes are for one sample, and so are the places in it. */
  samples: v.boolean(),
});
/** A buffer that holds intermediate tensors. */
export interface Slab extends Frozen<v.InferOutput<typeof slab>> {}

/** Bytes of the buffers of an entry's slabs for so many samples; buffers are multiples of 16 bytes. */
export const slabSizes = ({ slabs }: Pick<Entry, 'slabs'>, samples: number): number[] =>
  slabs.map((x) => Math.ceil((x.samples ? x.bytes * samples : x.bytes) / 16) * 16);

const update = v.strictObject({
  /** Name of a weight of the program. */
  weight: text,
  /** Kernels write a buffer beside it, which is copied over it when all have run. Otherwise they write it in place. */
  copied: v.boolean(),
  /** Of what is copied: after so many of the dispatches, whose successors read what it is then (absent: after all). */
  after: v.exactOptional(positive),
});
/** What a call changes. */
export interface Update extends Frozen<v.InferOutput<typeof update>> {}

const entry = v.strictObject({
  name: text,
  /**
   * The most samples of one pass: what was asked for, or as many as the limits leave room for. More are run in several passes, where nothing
   * that the call gives or changes is of all samples together.
   */
  samples: positive,
  inputs: list(tensorSpec),
  outputs: list(tensorSpec),
  updates: list(update),
  /** Slabs of the arena; with `samples` of them, none exceeds `maxBufferSize` of the limits that the program was compiled for. */
  slabs: list(slab),
  dispatches: list(dispatch),
});
/** A function that a session can call, for any number of samples. All share the program's weights, states and kernels. */
export interface Entry extends Frozen<v.InferOutput<typeof entry>> {}

/** The entry that runs the model, which images go to and golden rows are of. */
export const INFER = 'infer';
/** The entry that computes weights from others: called by a load, and when parameters have been replaced. */
export const PREPARE = 'prepare';

export const entryNamed = ({ entries }: Pick<Program, 'entries'>, name: string): Entry | undefined =>
  entries.find((e) => e.name === name);

export const preprocessStep = v.variant('step', [
  /** Pictures with a color profile are converted by it to sRGB when they are decoded. Comes first; without it profiles are ignored. */
  v.strictObject({ step: v.literal('colour'), rule: v.literal('managed') }),
  v.strictObject({
    step: v.literal('resize'),
    /** A number scales the shorter side to it, `longest` the longer one, and both keep the ratio; a pair [height, width] does not. */
    size: v.union([side, v.strictTuple([side, side]), v.strictObject({ longest: side })]),
    filter: v.picklist(['nearest', 'bilinear', 'bicubic']),
  }),
  /**
   * Cuts [height, width] out of the middle. A margin that is odd leaves the smaller half before it, as transformers has it; `even` rounds its half to
   * the even number, as torchvision and timm do.
   */
  v.strictObject({
    step: v.literal('crop'),
    size: v.strictTuple([side, side]),
    rounding: v.exactOptional(v.picklist(['down', 'even'])),
  }),
  /** ITU-R 601 luma, as PIL's `L`. */
  v.strictObject({ step: v.literal('grayscale') }),
  /** Fills up to [height, width] below and on the right: with black, or after `normalize` with 0. */
  v.strictObject({ step: v.literal('pad'), size: v.strictTuple([side, side]) }),
  /** (x/255 - mean) / std for each channel. */
  v.strictObject({ step: v.literal('normalize'), mean: list(finite, 1), std: list(v.pipe(finite, v.notValue(0)), 1) }),
]);
/** Steps from a decoded RGBA image to the program's image input; they run on the GPU. */
export type PreprocessStep = Frozen<v.InferOutput<typeof preprocessStep>>;

const goldenOrigin = v.variant('by', [
  v.strictObject({ by: v.literal('f64') }),
  v.strictObject({
    by: v.literal('gpu'),
    /** As its driver names it. */
    device: text,
    /** A part of the model that was computed in f64 too, and how far the GPU was from that, relative to the largest result. */
    block: v.exactOptional(v.strictObject({ site: text, difference: v.pipe(finite, v.minValue(0)) })),
  }),
]);
/** What computed the expected outputs, always from the model as it was written: f64 arithmetic, or portable f32 kernels on a GPU. */
export type GoldenOrigin = Frozen<v.InferOutput<typeof goldenOrigin>>;

const golden = v.strictObject({
  /** First axis of every tensor in the golden file. */
  rows: positive,
  /** Names of tensors in the golden file (`golden.safetensors`). */
  inputs: list(text),
  outputs: list(text),
  /** Largest allowed |difference| / max |expected|. */
  tolerance: v.pipe(finite, v.minValue(0)),
  from: goldenOrigin,
});
/** A few rows and what must come out for each; a load runs the first, and all of them in one pass. */
export interface Golden extends Frozen<v.InferOutput<typeof golden>> {}

const tensorZeros = v.strictObject({
  /** The model's name for it: `base.blocks.0.mlp.fc1.weight`. */
  name: text,
  elements: count,
  /** Of the base's weight, after a mask if it has one. */
  before: count,
  /** Of the tensor that ships: merged, masked, and rounded as it is stored. Fewer than before: a merge filled them in. */
  zeros: count,
  /** What a mask covers: the base's weight alone, or its sum with adapters. Absent: no mask. */
  mask: v.exactOptional(v.picklist(['base', 'sum'])),
  /** The base's weight was sparse as it arrived; `2:4`: of every four inputs two are zero. */
  arrived: v.exactOptional(v.picklist(['2:4', 'unstructured'])),
});
/** Zeros of one weight: in the model as it was before adapters, and in what ships. */
export interface TensorZeros extends Frozen<v.InferOutput<typeof tensorZeros>> {}

const zeros = v.strictObject({
  elements: count,
  before: count,
  zeros: count,
  filled: count,
  tensors: list(tensorZeros),
  /** All parameters of the backbone, and how many zeros are in what ships of them. Absent where there is none. */
  backbone: v.exactOptional(v.strictObject({ elements: count, zeros: count })),
});
/** Zeros of the weights that a mask covers or that arrived sparse: sums, and each weight by itself. */
export interface Zeros extends Frozen<v.InferOutput<typeof zeros>> {}

const rounded = {
  tensor: text,
  /** Its place there. */
  at: list(count),
  value: finite,
  written: finite,
};
const roundedBy = { ...rounded, change: finite, ulps: finite };
const rounding = v.strictObject({
  dtype: v.literal('F16'),
  /** Numbers that are stored so, zeros among them. */
  elements: count,
  /** What was changed most, by how much, and in units in the last place; absent where each number is as it was. */
  largest: v.exactOptional(v.strictObject(roundedBy)),
  /** What was changed most in proportion, among what is a normal number. */
  relative: v.exactOptional(v.strictObject({ ...roundedBy, share: finite })),
  /** Numbers below the smallest normal one, which keep fewer digits, and numbers other than 0 that became 0. One that is too large is not compiled. */
  subnormal: count,
  zeros: count,
  /** Weights of which a large part lies there, with the part and the first of these numbers; the worst first. */
  small: list(v.strictObject({ ...rounded, share: finite })),
});
/** What storing weights in halves did to them, beside f32. */
export interface HalfRounding extends Frozen<v.InferOutput<typeof rounding>> {}

const summary = v.strictObject({
  parameters: v.strictObject({ total: count, trainable: count, frozen: count }),
  /** Absent where no weight is masked and none arrived sparse. */
  zeros: v.exactOptional(zeros),
  /** Absent where no weight is stored in halves. */
  rounding: v.exactOptional(rounding),
  kernels: count,
  dispatches: count,
  /** Operations for one sample. */
  flops: v.pipe(finite, v.minValue(0)),
  /** Share of the operations that adapters take which stay beside their layers; absent where all are merged. */
  adapterShare: v.exactOptional(v.pipe(finite, v.minValue(0), v.maxValue(1))),
  /** Of `flops`, those of kernels that skip zeros (archetype `sparse_contract`). */
  sparseFlops: v.pipe(finite, v.minValue(0)),
  /** Absent where nothing is left out. */
  skipped: v.exactOptional(
    v.strictObject({
      /** Weights of which not all tiles are stored. */
      weights: positive,
      /** Outputs and inputs of a tile. */
      tile: v.strictTuple([positive, positive]),
      /** Tiles that are left out, of all tiles of these weights. */
      tiles: positive,
      of: positive,
      /** Operations for one sample that are not done for it, which `flops` does not count. */
      flops: v.pipe(finite, v.minValue(0)),
    }),
  ),
  weightBytes: count,
  /** Weights, and what a pass of the most samples takes beside them. */
  peakBytes: count,
  /** The same for one sample. */
  leastBytes: count,
});
export interface Summary extends Frozen<v.InferOutput<typeof summary>> {}

const fileEntry = v.strictObject({ name: fileName, bytes: count, sha256 });
/** A file of the folder as it was written; `load` takes no other. */
export interface FileEntry extends Frozen<v.InferOutput<typeof fileEntry>> {}

export const PROGRAM = v.strictObject({
  format: v.literal('espalier.program'),
  version: v.literal(VERSION),
  name: text,
  /** Version of Espalier that wrote it. */
  compiler: text,
  kernels: list(kernel),
  entries: list(entry, 1),
  weights: list(weightEntry),
  /** Files that hold the weights (safetensors), in order. */
  weightFiles: list(fileName),
  preprocess: v.exactOptional(list(preprocessStep)),
  labels: v.exactOptional(list(text)),
  /** Each label is a question of its own: probabilities are a sigmoid of each output, not one choice among all. */
  several: v.exactOptional(v.literal(true)),
  golden: v.exactOptional(golden),
  /** Repositories that the weights came from, as the spec names them, and the commit of each. */
  sources: v.exactOptional(
    list(v.strictObject({ location: text, commit: v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/, 'a commit')) })),
  ),
  summary,
  /** Every file that the session reads: the kernels, the weights, the golden input. */
  files: list(fileEntry),
  /** SHA-256 of everything above, as digest.ts writes it. */
  digest: sha256,
});
export interface Program extends Frozen<v.InferOutput<typeof PROGRAM>> {}

/** A program of which no file is written yet: what code generation gives. */
export type Unsealed = Omit<Program, 'files' | 'digest'>;
