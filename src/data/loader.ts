/** Batches, made ahead of the one that is being used; what could not be read is named, counted and left out. */
import { EspalierError } from '../diagnostics/types.js';
import { checkLoader } from './check.js';
import { densityTargets } from './density.js';
import { Draws } from './draws.js';
import { normalize, normalizer } from './images/resize.js';
import { blendRows, drawMixture, isMixed, swapBoxes } from './mix.js';
import { epochOrder, type Order } from './order.js';
import { type Placement, placedPoints } from './placement.js';
import { isRandom, makeInput, type Recipe, type Sample, saidOf, samplesHere, type Workshop } from './sample.js';
import { makeTileLoader } from './tile-loader.js';
import type { Batch, BatchTargets, Dataset, Loader, LoaderOptions, Position, Targets } from './types.js';
import { Unreadable } from './unreadable.js';

/** The part of the options that a sample depends on. */
export function recipeOf({ preprocess, input, augment = {} }: LoaderOptions): Recipe {
  const { crop, cut, flip, flipVertical, randAugment } = augment;
  const set = Object.entries({ crop, cut, flip, flipVertical, randAugment }).filter(([, value]) => value !== undefined);
  return { preprocess, input, augment: Object.fromEntries(set) };
}

/**
 * A loader whose samples `workshop` makes; without it, this thread.
 * @throws EspalierError ESP1005 (a batch larger than the data), ESP1009 (an option out of range), ESP1010 (balanced, without classes), ESP1020 (augmentation that
 * points cannot follow)
 */
export function makeLoader(
  dataset: Dataset,
  options: LoaderOptions,
  workshop: Workshop = samplesHere(dataset.pictures, recipeOf(options)),
): Loader {
  checkLoader(dataset, options);
  if (options.tiles) return makeTileLoader(dataset, options);
  return new BatchLoader(dataset, options, workshop);
}

/** One sample as it is collated: pixels still to be normalized, or what the model takes. */
type Made = Sample | { readonly values: Float32Array; readonly placement: Placement };

class BatchLoader implements Loader {
  readonly perEpoch: number;
  private readonly dataset: Dataset;
  private readonly options: LoaderOptions;
  private readonly workshop: Workshop;
  private readonly recipe: Recipe;
  private readonly tables: readonly Float32Array[];
  private readonly orders = new Map<number, Order>();
  /** Samples that do not change. */
  private readonly kept = new Map<number, Sample>();
  private room: number;
  private readonly unreadable: Unreadable;
  private images = 0;
  private waited = 0;
  private used = 0;

  constructor(dataset: Dataset, options: LoaderOptions, workshop: Workshop) {
    this.dataset = dataset;
    this.options = options;
    this.workshop = workshop;
    this.recipe = recipeOf(options);
    this.unreadable = new Unreadable(dataset, options);
    const { size, dropLast = false, preprocess, input, memory = 512 * 2 ** 20 } = options;
    this.perEpoch = dropLast ? Math.floor(dataset.size / size) : Math.ceil(dataset.size / size);
    this.room = isRandom(this.recipe) ? 0 : memory;
    const normal = preprocess.find((s) => s.step === 'normalize');
    this.tables = normalizer(normal?.mean ?? [0], normal?.std ?? [1], input.channels);
  }

  get report() {
    const { images, waited, used } = this;
    return { images, waited, elapsed: waited + used, skipped: this.unreadable.items };
  }

  close(): Promise<void> {
    return this.workshop.close();
  }

  async *batches(from: Position, until: number): AsyncGenerator<Batch, void, undefined> {
    const { ahead = 2 } = this.options;
    const positions = this.positions(from, until);
    const made: Promise<Batch | undefined>[] = [];
    const begin = (most: number): void => {
      while (made.length < most) {
        const { value, done } = positions.next();
        if (done) return;
        const batch = this.make(value);
        // Whoever takes it hears what is wrong; nobody may, if the loop ends before.
        batch.catch(() => {});
        made.push(batch);
      }
    };
    let since = performance.now();
    for (;;) {
      begin(Math.max(1, ahead));
      const next = made.shift();
      if (!next) return;
      begin(ahead);
      const batch = await next;
      const now = performance.now();
      this.waited += now - since;
      since = now;
      if (!batch) continue;
      this.images += batch.indices.length;
      yield batch;
      since = performance.now();
      this.used += since - now;
    }
  }

  private *positions(from: Position, until: number): Generator<Position, void, undefined> {
    for (let { epoch, batch } = from; epoch < until; epoch++, batch = 0)
      for (; batch < this.perEpoch; batch++) yield { epoch, batch };
  }

  private order(epoch: number): Order {
    const { order = 'shuffled', seed } = this.options;
    let found = this.orders.get(epoch);
    if (!found) {
      // Of one epoch's end and the next one's beginning both are needed.
      for (const old of this.orders.keys()) if (old < epoch - 1 || old > epoch) this.orders.delete(old);
      found = epochOrder(this.dataset, order, seed, epoch);
      this.orders.set(epoch, found);
    }
    return found;
  }

  /** Undefined if none of its items can be read. */
  private async make({ epoch, batch }: Position): Promise<Batch | undefined> {
    const { size, input } = this.options;
    const { items, repeats } = this.order(epoch);
    const chosen = items.subarray(batch * size, (batch + 1) * size);
    const samples = await Promise.all(
      Array.from(chosen, (item, i) => this.readable(item, epoch, repeats[batch * size + i]!)),
    );
    const indices = chosen.filter((_, i) => samples[i] !== undefined);
    const n = indices.length;
    if (n === 0) return undefined;
    const shape = [n, input.channels, input.height, input.width] as const;
    const each = input.channels * input.height * input.width;
    const images = new Float32Array(n * each);
    let at = 0;
    for (const sample of samples) {
      if (!sample) continue;
      if ('values' in sample) images.set(sample.values, at);
      else normalize(sample, this.tables, images.subarray(at, at + each), input);
      at += each;
    }
    const placements = samples.flatMap((sample) => sample?.placement ?? []);
    const targets = this.targets(indices, placements);
    const { augment = {} } = this.options;
    if (!isMixed(augment)) return { epoch, batch, images, shape, targets, indices };
    const draws = new Draws({ seed: this.options.seed, epoch, purpose: 'batch', of: batch });
    const { share, box } = drawMixture(augment, input.width, input.height, draws);
    const mixed = inShares(targets, this.dataset.classes.length);
    if (box) swapBoxes(images, shape, box);
    else if (share < 1) blendRows(images, n, share);
    if (share < 1) blendRows(mixed.values, n, share);
    return { epoch, batch, images, shape, targets: mixed, indices };
  }

  private targets(indices: Int32Array, placements: readonly Placement[]): BatchTargets {
    const { targets } = this.dataset;
    const { density, input } = this.options;
    if (targets.kind === 'points') {
      const placed = placements.map((placement, i) => placedPoints(targets.points[indices[i]!]!, placement));
      return densityTargets(placed, input, density!);
    }
    return targetsOf(targets, indices, this.dataset.classes.length);
  }

  /** Undefined for an item that cannot be read. */
  private async readable(item: number, epoch: number, repeat: number): Promise<Made | undefined> {
    const { pictures, places, ids } = this.dataset;
    const place = places[item]!;
    const key = { seed: this.options.seed, epoch, item, repeat };
    if (pictures.input) return makeInput(pictures.input(place), this.recipe, key);
    const kept = this.kept.get(item);
    if (kept) return kept;
    if (this.unreadable.has(item)) return undefined;
    try {
      const sample = await saidOf(ids[item]!, () => this.workshop.sample({ place, key }));
      if (sample.data.byteLength <= this.room && !this.kept.has(item)) {
        this.room -= sample.data.byteLength;
        this.kept.set(item, sample);
      }
      return sample;
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      this.unreadable.skip(item, error.diagnostics);
      return undefined;
    }
  }
}

function targetsOf(targets: Exclude<Targets, { kind: 'points' }>, indices: Int32Array, classes: number): BatchTargets {
  if (targets.kind === 'class') return { kind: 'labels', labels: indices.map((i) => targets.labels[i]!) };
  const width = targets.kind === 'numbers' ? targets.width : classes;
  const values = new Float32Array(indices.length * width);
  for (const [row, i] of indices.entries()) {
    if (targets.kind === 'numbers') values.set(targets.values.subarray(i * width, (i + 1) * width), row * width);
    else for (const label of targets.labels[i]!) values[row * width + label] = 1;
  }
  return { kind: 'values', values, width };
}

/** Labels as shares of classes, all of one each. */
function inShares(targets: BatchTargets, width: number): Extract<BatchTargets, { kind: 'values' }> {
  if (targets.kind === 'values') return targets;
  const values = new Float32Array(targets.labels.length * width);
  for (const [row, label] of targets.labels.entries()) values[row * width + label] = 1;
  return { kind: 'values', values, width };
}
