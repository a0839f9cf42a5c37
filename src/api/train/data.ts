/** Data as a `train` block takes them: cut to its limit, with a validation split, and loaders that make batches of them as the model reads them. */
import { limited, withValidation } from '../../data/splits.js';
import { keepsSize } from '../../data/tile-loader.js';
import type {
  Augment,
  Dataset,
  Datasets,
  DensityOptions,
  Loader,
  LoaderOptions,
  SkippedItem,
} from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, TrainSettings } from '../../dsl/elaborated.js';

/** Data to train on. */
export interface Splits extends Datasets {
  /** Whether the validation split was taken out of the training data. */
  readonly split: boolean;
}

export interface Loaders {
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  readonly sets: Splits;
  readonly train: Loader;
  readonly validation?: Loader;
  readonly test?: Loader;
  /** What is read each epoch, by steps and for the validation. */
  readonly readings: { readonly step: Reading; readonly loss?: Reading };
  /** Ends threads. */
  close(): Promise<void>;
}

/** A data set, and how it is read. */
export interface Reading extends Pick<LoaderKind, 'open'> {
  readonly data: Dataset;
  readonly options: LoaderOptions;
}

export interface LoaderKind {
  /** Makes loaders: in this thread, or with others. */
  readonly open: (data: Dataset, options: LoaderOptions) => Loader;
  /** Hears of pictures that cannot be read. */
  readonly skipped?: ((item: SkippedItem) => void) | undefined;
}

/**
 * The data under a spec's settings.
 * @throws EspalierError ESP1111 for classes that are not as many as the model has, ESP1021 for points and a model that gives no density, or the reverse, ESP1011 where no item can be spared for validation, or there is no
 * test split to be limited
 */
export function splitsOf(train: TrainSettings, given: Datasets): Splits {
  const { limit, test_limit: testLimit } = train.data?.options ?? {};
  if (testLimit !== undefined && !given.test) {
    const why = '`test_limit` is given, and there is no test split';
    throw new EspalierError([diagnostic('ESP1011', { name: given.train.name, why })]);
  }
  const cut = {
    ...given,
    ...(typeof limit === 'number' ? { train: limited(given.train, limit, train.splitSeed) } : {}),
    ...(typeof testLimit === 'number' && given.test ? { test: limited(given.test, testLimit, train.splitSeed) } : {}),
  };
  const { targets } = cut.train;
  const gives = train.loss.results[1]!.value.type.shape;
  if ((targets.kind === 'points') !== (densityOf(train) !== undefined))
    throw new EspalierError([
      diagnostic('ESP1021', { name: cut.train.name, points: targets.kind === 'points', gives: gives.slice(1) }),
    ]);
  const classes = targets.kind === 'points' ? 0 : gives.at(-1)!;
  const found = targets.kind === 'numbers' ? targets.width : cut.train.classes.length;
  const fits = found === classes && (targets.kind === 'numbers' || classes >= 2);
  if (targets.kind !== 'points' && !fits)
    throw new EspalierError([
      diagnostic('ESP1111', { found, names: cut.train.classes.slice(0, 5), gives: gives.slice(1) }),
    ]);
  if (train.validation === 0 && !cut.val) return { ...cut, split: false };
  return { ...withValidation(cut, train.validation, train.splitSeed), split: !cut.val };
}

/** @throws EspalierError ESP1005 for a batch that is larger than the data, and what `open` throws */
export function loadersOf(elaborated: Elaborated, train: TrainSettings, sets: Splits, kind: LoaderKind): Loaders {
  const { open, skipped } = kind;
  const options = { ...loaderOptions(elaborated, train), ...(skipped ? { skipped } : {}) };
  const listed = (data: Dataset): Reading => listedReading(elaborated, train, data, kind);
  const step = { data: sets.train, options, open };
  const loss = sets.val && listed(sets.val);
  const opened = (reading: Reading): Loader => open(reading.data, reading.options);
  const loaders = {
    train: opened(step),
    ...(loss ? { validation: opened(loss) } : {}),
    ...(sets.test ? { test: opened(listed(sets.test)) } : {}),
  };
  return {
    input: inputOf(elaborated).name,
    sets,
    ...loaders,
    readings: { step, ...(loss ? { loss } : {}) },
    close: async () => {
      await Promise.all(Object.values(loaders).map((loader) => loader.close()));
    },
  };
}

/**
 * Each item of a data set once, unchanged, as they are listed. Where objects are counted and pictures keep their size, they are read in tiles, since a
 * count is a sum.
 */
export function listedReading(
  elaborated: Elaborated,
  train: TrainSettings,
  data: Dataset,
  { open, skipped }: LoaderKind,
): Reading {
  const { augment: _, ...plain } = loaderOptions(elaborated, train);
  const tiles = data.targets.kind === 'points' && !data.pictures.input && keepsSize(plain);
  const size = tiles ? train.batch : Math.min(train.batch, data.size);
  return {
    data,
    options: { ...plain, ...(skipped ? { skipped } : {}), ...(tiles ? { tiles } : {}), size, order: 'listed' },
    open,
  };
}

/** The input that pictures go to, and their size. */
export function inputOf({ inputs }: Elaborated): { readonly name: string } & LoaderOptions['input'] {
  const { name, type } = inputs[0]!;
  const [, channels = 1, height = 1, width = 1] = type.shape;
  return { name, channels, height, width };
}

/** How the training data of a spec are read. */
export function loaderOptions(elaborated: Elaborated, train: TrainSettings): LoaderOptions {
  const { name: _, ...input } = inputOf(elaborated);
  const { batch, seed, order, corrupt } = train;
  const density = densityOf(train);
  return {
    size: batch,
    seed,
    order,
    corrupt,
    preprocess: elaborated.preprocess ?? [],
    input,
    augment: augmentOf(train),
    ...(density ? { density } : {}),
  };
}

/** Gaussians of the crowd counting literature, where nothing else is said. */
const SIGMA = 4;
const KERNEL = 15;

/** How points become what the model gives, if that is a density: one number for each place of a map, [b, 1, height, width]. */
function densityOf({ loss, data }: TrainSettings): DensityOptions | undefined {
  const [, channels, height = 0, width = 0, ...rest] = loss.results[1]!.value.type.shape;
  if (channels !== 1 || height < 1 || width < 1 || rest.length > 0) return undefined;
  const { sigma = SIGMA, kernel = KERNEL } = data?.form === 'points' ? data.options : {};
  return { width, height, sigma: Number(sigma), kernel: Number(kernel) };
}

/** What the settings say, as the data take it. */
function augmentOf({ augment }: TrainSettings): Augment {
  const out: Record<string, unknown> = {};
  for (const { form, options } of augment) {
    if (form === 'crop') out.crop = options;
    else if (form === 'cut') out.cut = true;
    else if (form === 'flip') out.flip = options.probability ?? 0.5;
    else if (form === 'flip_vertical') out.flipVertical = options.probability ?? 0.5;
    else if (form === 'rand_augment') out.randAugment = options;
    else {
      out[form] = options.alpha ?? (form === 'mixup' ? 0.8 : 1);
      if (options.share !== undefined) out.mixShare = options.share;
    }
  }
  return out as Augment;
}
