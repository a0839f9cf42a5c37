/**
 * What training reads: data sets of labelled pictures, how batches are made of them, and what a training loop gets. Nothing here knows files: a data
 * set is a list of places in a store of pictures (`Pictures`), which reads a folder, holds arrays, or is a page's canvases.
 *
 *   const { train, val } = await openDatasets({ path: './flowers' });        // src/data/node/open.ts
 *   const loader = openLoader(train, { size: 32, seed: 1, preprocess, input, augment });
 *   for await (const batch of loader.batches({ epoch: 0, batch: 0 }, 10)) step(batch);
 *   await loader.close();
 *
 * Every choice (order, crops, mixtures) is a function of the seed, the epoch and the item or batch, by counted random bits: nothing has a history, so
 * that going on needs the epoch and the number of the batch alone, and it does not matter who makes a sample, or when.
 */
import type { Colour } from '../../runtime/images/colour/rule.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import type { Diagnostic } from '../diagnostics/types.js';

/** 8-bit pixels, interleaved, rows from the top: gray (1 channel), RGB (3) or RGBA (4), of which alpha is not read. */
export interface Raster {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
}

/** Where pictures come from. */
export interface Pictures {
  /**
   * Pixels of the picture at a place. `colour` says what is done by a file's color profile (default: nothing); pixels in memory have none.
   * @throws EspalierError for one that cannot be read: it is then skipped
   */
  read(place: number, colour?: Colour): Promise<Raster>;
  /** Path of the file, where there is one: threads then read it themselves. */
  readonly file?: (place: number) => string;
  /**
   * For arrays of floats, which are what the model takes, not pictures: f32 [channels, height, width], as they are. Nothing is then
   * preprocessed, and of `Augment` only flips and mixtures have a meaning.
   */
  readonly input?: (place: number) => Float32Array;
  /** SHA-256, in hexadecimal digits, of what lies at these places, in their order. */
  digest(places: readonly number[]): Promise<string>;
}

/** What is to be learnt of each item. */
export type Targets =
  /** One class each: numbers below `classes.length`. */
  | { readonly kind: 'class'; readonly labels: Int32Array }
  /** Any number of classes each. */
  | { readonly kind: 'classes'; readonly labels: readonly (readonly number[])[] }
  /** Numbers, [items, width], row by row. */
  | { readonly kind: 'numbers'; readonly values: Float32Array; readonly width: number }
  /** Objects that are counted: of each item x, y pairs in pixels of the picture from its top left corner; the centre of the first pixel is (0.5, 0.5). */
  | { readonly kind: 'points'; readonly points: readonly Float32Array[] };

export interface Dataset {
  /** For messages. */
  readonly name: string;
  /** How many items. */
  readonly size: number;
  /** Names of the classes in the order of their numbers; of numbers to be learnt, of the columns. */
  readonly classes: readonly string[];
  /** What people call each item: a path below the folder, or a number in a file of arrays. */
  readonly ids: readonly string[];
  readonly targets: Targets;
  readonly pictures: Pictures;
  /** Place of each item in `pictures`. */
  readonly places: readonly number[];
}

/** Parts of one set of data; their classes are the same. */
export interface Datasets {
  readonly train: Dataset;
  readonly val?: Dataset;
  readonly test?: Dataset;
}

/** Random changes of a sample. Absent: none. Those of one picture are made on 8-bit pixels before they are normalized, those of a batch after. */
export interface Augment {
  /**
   * A random part of the picture, resized to the model's size with the filter of `preprocess`, in place of its resizes and crops (torchvision's
   * RandomResizedCrop): `scale` is the part's share of the area, `ratio` its width over its height. Defaults: [0.08, 1], [3/4, 4/3].
   */
  readonly crop?: { readonly scale?: readonly [number, number]; readonly ratio?: readonly [number, number] };
  /**
   * A random part of the picture that has the model's size, at the picture's own scale, in place of the resizes and crops of `preprocess`: what counting
   * calls a random crop. Where the picture is smaller, zeros come right of it and below it after it is normalized. Not with `crop`.
   */
  readonly cut?: boolean;
  /** Probability of a left-right mirror image. */
  readonly flip?: number;
  /** Probability of an upside-down mirror image. */
  readonly flipVertical?: number;
  /**
   * RandAugment with timm's operations and meaning, as its `rand-m9-mstd0.5-inc1`: of 15 operations `count` are drawn, each is done with
   * probability `probability`, at a magnitude (0 to 10) drawn around `magnitude`.
   * Defaults: magnitude 9, deviation 0.5, count 2, probability 0.5. What comes in from outside is the mean of `normalize`.
   */
  readonly randAugment?: {
    readonly magnitude?: number;
    readonly deviation?: number;
    readonly count?: number;
    readonly probability?: number;
    /** Draws of the operations that change colors and move nothing alone; what goes with points (default: false). */
    readonly colors?: boolean;
  };
  /**
   * Mixes pictures of a batch with those of the batch in reverse, and their targets with them, as timm's `Mixup` in its mode `batch`: a share of
   * Beta(mixup, mixup), or a box of a share of Beta(cutmix, cutmix). With both, `cutmixShare` of the batches (default 0.5) get a box.
   * `mixShare`: of how many batches it is done (default 1).
   */
  readonly mixup?: number;
  readonly cutmix?: number;
  readonly cutmixShare?: number;
  readonly mixShare?: number;
}

/** What a density map is made by (density.ts). */
export interface DensityOptions {
  /** Of the map, in pixels. It may be smaller than the sample: points are scaled. */
  readonly width: number;
  readonly height: number;
  /** Standard deviation of the Gaussian at each point, and side of the kernel that it is cut off to (odd), in pixels of the map. */
  readonly sigma: number;
  readonly kernel: number;
}

export interface LoaderOptions {
  /** Items of a batch. */
  readonly size: number;
  /** Any whole number from 0 to 2^32 - 1. */
  readonly seed: number;
  /** Steps from pixels to the model's input, as a compiled program has them. */
  readonly preprocess: readonly PreprocessStep[];
  /** What the model takes. */
  readonly input: { readonly channels: number; readonly height: number; readonly width: number };
  /**
   * `shuffled` (default): each item once, in an order of its own each epoch. `balanced`: as many samples, of each class as many as of any other (a rest
   * of less than one each goes by chance); none comes again before all of its class have come. `listed`: as they are listed, for evaluation.
   */
  readonly order?: 'shuffled' | 'balanced' | 'listed';
  /** Leaves out an epoch's last batch where it would be smaller. Default: false. */
  readonly dropLast?: boolean;
  readonly augment?: Augment;
  /** How targets are made of points; needed where the data have them. */
  readonly density?: DensityOptions;
  /**
   * Gives of each picture all of its tiles of the model's size, as it is listed, at its own scale: items come as often as they have tiles, and batches are of
   * tiles. For evaluating counts on pictures of any size; nothing is then changed at random, and `preprocess` neither resizes nor crops.
   */
  readonly tiles?: boolean;
  /** How many batches are made ahead of the one that is being used. Default: 2. */
  readonly ahead?: number;
  /** Bytes that may be taken to keep decoded and resized pictures, where no picture of them is changed at random. Default: 512 MiB. */
  readonly memory?: number;
  /** The share of the items that may be unreadable (they are named, and left out of their batches); more are an error. Default: 0.1. */
  readonly corrupt?: number;
  /** Hears of each item that cannot be read, once. */
  readonly skipped?: (item: SkippedItem) => void;
}

export interface SkippedItem {
  readonly index: number;
  readonly id: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface Batch {
  readonly epoch: number;
  /** Its number in the epoch. */
  readonly batch: number;
  /** [n, channels, height, width], normalized. */
  readonly images: Float32Array;
  readonly shape: readonly [n: number, channels: number, height: number, width: number];
  /** In place of the images, which are empty then: what a model makes of them, by name, [n, ...] each. A loader of pictures gives none. */
  readonly features?: Readonly<Record<string, Float32Array>>;
  readonly targets: BatchTargets;
  /** Items, by their number in the data set. Fewer than the size of a batch in an epoch's last one, and where one could not be read. */
  readonly indices: Int32Array;
}

export type BatchTargets =
  | { readonly kind: 'labels'; readonly labels: Int32Array }
  /**
   * [n, width]: shares of classes (mixed), yes and no of each class (`classes`), numbers, or densities [height, width] of points. `counts` says how many
   * points lie in each sample, if there are points.
   */
  | { readonly kind: 'values'; readonly values: Float32Array; readonly width: number; readonly counts?: Int32Array };

/** Where in the data a run is: all that going on needs. */
export interface Position {
  readonly epoch: number;
  readonly batch: number;
}

export interface Loader {
  /** Batches of one epoch. */
  readonly perEpoch: number;
  /**
   * Batches from a position up to the beginning of epoch `until`. While one is used those after it are made, those of the next epoch too. A batch of which no
   * item can be read is left out.
   * @throws EspalierError where more than the share allowed cannot be read (ESP1007)
   */
  batches(from: Position, until: number): AsyncGenerator<Batch, void, undefined>;
  /** Since the loader was made. */
  readonly report: LoadReport;
  /** Ends threads. */
  close(): Promise<void>;
}

export interface LoadReport {
  readonly images: number;
  /** Items that could not be read, in the order in which they were met. */
  readonly skipped: readonly SkippedItem[];
  /** Milliseconds for which the loop waited for a batch, and in all, from when it first asked to when it last did. */
  readonly waited: number;
  readonly elapsed: number;
}
