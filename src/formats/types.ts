/**
 * What the file formats need to know of a model: structural copies of the language's contract (`dsl/elaborated.ts`), because formats do
 * not import the language.
 */
import type { PreprocessStep } from '../../runtime/program/program.js';
import type { Checked } from '../diagnostics/types.js';

/** A parameter's place in a checkpoint: a whole tensor, or some of our tensor's rows (axis 0). */
export interface NamedTensor {
  readonly param: string;
  readonly tensor: string;
  /** Other spellings of its name; a checkpoint has one of them. */
  readonly also?: readonly string[];
  /** How the checkpoint stores it, where that is not as the parameter is: with other unit axes, or transposed. */
  readonly stored?: { readonly shape: readonly number[]; readonly transposed: boolean };
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
  /** Tensors that the file may hold and that nobody takes; `*` stands for any characters. */
  readonly optional?: readonly string[];
}

/** A JSON object that was read from a file. */
export interface JsonFile {
  readonly file: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** Preprocessing that fields mean. */
type Steps = (
  file: JsonFile,
  channels: number,
  size: readonly [height: number, width: number],
) => Checked<readonly PreprocessStep[]>;

/** What a checkpoint tells the language before its weights are read. */
export interface Facts {
  readonly labels?: readonly string[];
  readonly options?: Readonly<Record<string, number | string | boolean>>;
  readonly config?: JsonFile;
  readonly processor?: JsonFile & { readonly steps: Steps };
  /** For a configuration that says itself how pictures are preprocessed. */
  readonly steps?: Steps;
  /** Names of the tensors that it holds. */
  readonly tensors?: ReadonlySet<string>;
}

/** A field of the configuration beside the weights, as it is written when the model is exported. */
export interface ExportField {
  readonly field: string;
  /** JSON, or what the classes are: names by number, numbers by name, names in order, or how many; absent: the field is left out. */
  readonly value?: unknown;
  readonly classes?: 'names' | 'places' | 'list' | 'count';
}

/** The part of the model tree that tells which site a row range of a fused layer is. */
export interface SiteLike {
  /** `base.blocks.3.attn.qkv` */
  readonly path: string;
  readonly kind: string;
  readonly children: readonly SiteLike[];
}

/** A decoded image: 8 bits each of red, green, blue and alpha (not premultiplied), rows from the top. */
export interface RgbaImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** What became of its file's color profile; absent where it has none. A session takes no picture that was decoded otherwise than its program says. */
  readonly profile?: 'ignored' | 'applied' | undefined;
}
