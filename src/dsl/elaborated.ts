/**
 * What a spec means once options, shapes and sites are resolved: the contract between the language and everything after it.
 */
import type { PreprocessStep } from '../../runtime/program/program.js';
import type { Checked } from '../diagnostics/types.js';
import type { Group } from '../ir/optimizer.js';
import type { PruneJob } from '../ir/prune.js';
import type { Func, Module, TensorType, TextSpan } from '../ir/types.js';
import type { Span } from './ast.js';
import type { Parsed } from './parse.js';

export type { PruneJob, PruneTarget } from '../ir/prune.js';

/** A module, or a labelled stretch or row part of one, as people see it in `inspect`. */
export interface SiteNode {
  /** `base.blocks.3.attn.qkv` (`ir/path.ts`); empty for the model. */
  readonly path: string;
  /** `Linear`, `Block`, `LayerNorm`, ... */
  readonly type: string;
  readonly kind: 'module' | 'layer' | 'part' | 'label' | 'list';
  /** Sizes for people: `768 -> 2304`. */
  readonly detail: string;
  /** Its own parameters (short name -> parameter of the module). */
  readonly params: Readonly<Record<string, string>>;
  readonly adapters: readonly AppliedAdapter[];
  readonly children: readonly SiteNode[];
}

export interface AppliedAdapter {
  readonly name: string;
  /** Unique: `base.blocks.3.attn.qkv@karst`; see `Module.adapters`. */
  readonly id: string;
  /** Path of the site that it is on. */
  readonly site: string;
  /** Its parameters: name in the adapter -> parameter of the module. */
  readonly params: Readonly<Record<string, string>>;
  readonly span: Span;
}

/** A parameter's place in a checkpoint of some layout: a whole tensor, or some of our tensor's rows (axis 0). */
export interface CheckpointName {
  /** Parameter of the module. */
  readonly param: string;
  /** Tensor of the checkpoint. */
  readonly tensor: string;
  /** Other spellings of its name; a checkpoint has one of them. */
  readonly also?: readonly string[];
  /** Absent: the whole tensor. */
  readonly rows?: readonly [start: number, end: number];
  /** How the checkpoint stores it, where that is not as the parameter is: the same elements with other unit axes, or transposed. */
  readonly stored?: StoredAs;
}

export interface StoredAs {
  readonly shape: readonly number[];
  /** Of its two axes that are more than units, the first is the parameter's second. */
  readonly transposed: boolean;
}

/** A field of the configuration beside the weights, as it is written when the model is exported. */
export interface ExportField {
  readonly field: string;
  /** JSON, or what the classes are: names by number, numbers by name, names in order, or how many; absent: the field is left out. */
  readonly value?: unknown;
  readonly classes?: 'names' | 'places' | 'list' | 'count';
}

/** Modules on which an adapter of Python's is never called. */
export interface Bypassed {
  readonly module: string;
  readonly beside: string;
}

/** One `from`: a file or folder and the parameters that must come out of it. */
export interface Source {
  /** As written in the spec; relative to the file it was written in. */
  readonly location: string;
  readonly span: Span;
  readonly kind: 'backbone' | 'adapter' | 'tune' | 'mask';
  /** Ours; what the file may be asked for. */
  readonly params: readonly string[];
  /** Of an adapter's source: those whose parameters these are. */
  readonly adapters?: readonly AppliedAdapter[];
  /**
   * Layout name (`timm`, `huggingface`, `espalier`) -> names there. `espalier` is always present and is the identity. For an
   * adapter it names the tensors of Espalier's adapter file.
   */
  readonly layouts: Readonly<Record<string, readonly CheckpointName[]>>;
  /**
   * Tensors that the file may also hold and that the model does not take from it (a classification head that is replaced): names in which
   * `*` stands for any characters.
   */
  readonly optional?: readonly string[];
  /** Modules, as the network in Python has them (`*` stands for any characters), whose weight that reads itself where the file has the tensor `beside` it. */
  readonly bypassed?: readonly Bypassed[];
  /** What a copy of the configuration says of other classes. */
  readonly exports?: readonly ExportField[];
}

export interface DeploySettings {
  readonly adapters: 'merged' | 'factored' | 'auto';
  readonly weights: 'f32' | 'f16';
  readonly batch: readonly number[];
  readonly limits: 'baseline' | 'device';
  /** Where weights are computed from others: when compiling, in f64 or by this machine's GPU; or by the program, when it is loaded. */
  readonly prepare: 'cpu' | 'gpu' | 'load';
}

/** A setting that is a call of a form: `images("./flowers")`, with the options that are given, as plain data. */
export interface FormSetting {
  readonly form: string;
  readonly options: Readonly<Record<string, number | string | boolean | readonly number[]>>;
  readonly span: Span;
}

/** Weights that one optimiser moves, by one rate. */
export interface TrainGroup extends Group {
  /** The optimizer's name. */
  readonly name: string;
  /** Its learning rate, of which the schedule makes that of each step. */
  readonly lr: number;
}

/** Where in a run a step is. */
export interface StepPlace {
  /** From 0. */
  readonly epoch: number;
  /** From 0, over all epochs. */
  readonly step: number;
  /** Of the whole run, or of the stage of it that has a schedule of its own. */
  readonly steps: number;
  /** Epochs of the schedule (default: those that it says). */
  readonly epochs?: number;
}

/** What a `train` block says. */
export interface TrainSettings {
  /** Its arguments are the model's and `target`; it gives `loss`, an f32 scalar, and all that the model gives. */
  readonly loss: Func;
  /** The loss, and what a site inside of the model gives, `feature`, by which a search compares. */
  readonly observed?: Func;
  readonly groups: readonly TrainGroup[];
  /** The learning rate at a step of a group whose own is `lr`. @throws EspalierError where the schedule goes wrong there */
  readonly rate: (lr: number, at: StepPlace) => number;
  readonly epochs: number;
  readonly batch: number;
  readonly seed: number;
  /** Parts that a batch is computed in, one after another, to save memory. */
  readonly accumulate: number;
  readonly clip?: number;
  readonly ema?: number;
  /** What the backward pass computes again: `none`, `blocks`, or as many of these as it takes to hold no more than `bytes`. */
  readonly checkpoint: { readonly kind: 'none' | 'blocks' } | { readonly kind: 'auto'; readonly bytes: number };
  readonly adapters: 'merged' | 'factored' | 'auto';
  /** Epochs without a better validation after which a run stops. */
  readonly patience?: number;
  /** How many of the last checkpoints are kept. */
  readonly keep: number;
  /** Steps from one checkpoint to the next, besides that at the end of each epoch. */
  readonly saveSteps?: number;
  /** The share of the training data that is taken for validation where the data have no such part. */
  readonly validation: number;
  /** What decides which items those are, and which ones a limit takes: apart from `seed`, so that runs under several seeds see the same data. */
  readonly splitSeed: number;
  /** The share of the items that may be unreadable: they are named and left out. */
  readonly corrupt: number;
  /** Whether an epoch takes each item once, or of each class as many as of any other. */
  readonly order: 'shuffled' | 'balanced';
  readonly data?: FormSetting;
  readonly augment: readonly FormSetting[];
  /**
   * What a frozen part of the model makes of images that are the same each epoch is computed once and kept: in memory up to so many bytes, beyond
   * that in files, in a folder (as written in the spec) that other runs may share, or in the run's own. Absent: never.
   */
  readonly cache?: { readonly memory: number; readonly folder?: string } | undefined;
  readonly search?: SearchSettings;
  readonly span: Span;
}

/** What a `by` says: what proposes candidates of how much is pruned, and how they are tried out while the model is trained. */
export interface SearchSettings {
  /** What proposes them, and the options that are given of it. */
  readonly controller: FormSetting;
  /** Epochs before the search: all that is trained is trained without a mask. */
  readonly after: number;
  /** Epochs that what is trained gets under each candidate's mask before the candidate is judged. */
  readonly recover: number;
  /** So many images of the training data are enough for that (default: all). */
  readonly images?: number;
  /** How what is compared of the model before pruning and after it is compared: by default the model's first result, else `TrainSettings.observed`. */
  readonly similarity: 'cosine' | 'linear_cka';
  /** Whether what is found is trained, and candidates recover, by an optimiser and a schedule that begin there, or by those of the run, which go on. */
  readonly fresh: boolean;
  /** Where the search ends at the latest: candidates, steps of training, seconds. */
  readonly budget: { readonly most?: number; readonly steps?: number; readonly seconds?: number };
  readonly span: Span;
}

/** A JSON object that was read from a file. */
export interface JsonFile {
  readonly file: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** What the outside world knows about a source before its weights are read. */
export interface SourceFacts {
  readonly labels?: readonly string[];
  /** How many classes there are, where they have no names. */
  readonly classes?: number;
  /** Each of the labels is a question of its own, instead of one choice among all. */
  readonly several?: boolean;
  /** Options that the file itself fixes, `{ rank: 8 }`; a spec's explicit option that differs is an error. */
  readonly options?: Readonly<Record<string, Fact>>;
  /** The configuration beside the weights; what it means, the variant says. */
  readonly config?: JsonFile;
  /** What stands beside the weights about preprocessing, and how its fields become steps. */
  readonly processor?: JsonFile & { readonly steps: ProcessorSteps };
  /** How fields about preprocessing become steps, where the configuration itself has them. */
  readonly steps?: ProcessorSteps;
  /** Names of the tensors that it holds. */
  readonly tensors?: ReadonlySet<string>;
}

/** An option's value in a file; null is `none`. */
export type Fact = number | string | boolean | null | readonly Fact[];

/**
 * The steps that the fields of a preprocessing file mean, the defaults of its family filled in.
 * @param size height and width of the images that the model takes
 * @throws EspalierError for what cannot be reproduced
 */
export type ProcessorSteps = (
  file: JsonFile,
  channels: number,
  size: readonly [height: number, width: number],
) => Checked<readonly PreprocessStep[]>;

export interface ElaborateOptions {
  /** `--set rank=4` */
  readonly set?: Readonly<Record<string, string>>;
  /** Which model, when a file has several. */
  readonly model?: string;
  /** Reads what `use "./x.peft"` names; returns undefined if there is no such file, throws an EspalierError if it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** Reads the text of a file that `use` names, in any form of a spec; absent: `.peft` alone. */
  readonly parseFile?: (path: string, text: string) => Parsed;
  /**
   * Asked for every `from` before shapes are resolved; undefined when nothing is known. `unreadable`: it could not be opened, which was
   * reported, so what only it could have said is not asked for.
   */
  readonly facts?: (location: string, kind: Source['kind']) => SourceFacts | 'unreadable' | undefined;
}

export interface Elaborated {
  readonly name: string;
  /** One function, `infer`, for any batch. */
  readonly module: Module;
  readonly root: SiteNode;
  readonly sources: readonly Source[];
  /** Patterns of tensors that any of these may hold beside what is taken, as `ignore` says; `*` stands for any characters. */
  readonly ignored: readonly { readonly pattern: string; readonly span: Span }[];
  readonly prune: readonly PruneJob[];
  readonly adapters: readonly AppliedAdapter[];
  readonly deploy: DeploySettings;
  readonly train?: TrainSettings;
  readonly preprocess?: readonly PreprocessStep[];
  readonly labels?: readonly string[];
  /** The labels are those of a checkpoint whose configuration says that it gives several at once. */
  readonly several?: boolean;
  /** Name, type of each input of `infer`. */
  readonly inputs: readonly { readonly name: string; readonly type: TensorType }[];
  readonly at?: TextSpan;
}
