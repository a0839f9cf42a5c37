/**
 * What the file formats need to know of a model: structural copies of the language's contract (`dsl/elaborated.ts`), because formats do
 * not import the language.
 */
import type { PreprocessStep } from '../../runtime/program/program.js';

/** A parameter's place in a checkpoint: a whole tensor, or some of our tensor's rows (axis 0). */
export interface NamedTensor {
  readonly param: string;
  readonly tensor: string;
  /** Half open range of our parameter's rows; absent for the whole. */
  readonly rows?: readonly [start: number, end: number];
}

/** What is to come out of one `from`. */
export interface SourceLike {
  readonly location: string;
  readonly kind: 'backbone' | 'adapter' | 'tune' | 'mask';
  /** Names of our parameters that must come out. */
  readonly params: readonly string[];
  /** Of an adapter's source: on which sites, and the parameters by their names in the adapter. */
  readonly adapters?: readonly { readonly site: string; readonly params: Readonly<Record<string, string>> }[];
  readonly layouts: Readonly<Record<string, readonly NamedTensor[]>>;
  /** Prefixes of tensors that the file may hold and that nobody takes. */
  readonly optional?: readonly string[];
}

/** What a checkpoint tells the language before its weights are read. */
export interface Facts {
  readonly labels?: readonly string[];
  readonly preprocess?: readonly PreprocessStep[];
  readonly options?: Readonly<Record<string, number | string | boolean>>;
}

/** The part of the model tree that tells which site a row range of a fused layer is. */
export interface SiteLike {
  /** `base.blocks.3.attn.qkv` */
  readonly key: string;
  readonly kind: string;
  readonly children: readonly SiteLike[];
}

/** A decoded image: 8 bits each of red, green, blue and alpha (not premultiplied), rows from the top. */
export interface RgbaImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}
