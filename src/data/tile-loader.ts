/**
 * Pictures of any size as batches of their tiles, for evaluation: a picture's count is the sum over its tiles. Tiles lie at the picture's own scale, do not
 * overlap, and what they have outside of the picture is 0 after the pixels are normalized, as the `pad` of preprocessing has it.
 */
import { colourOf } from '../../runtime/images/colour/rule.js';
import { EspalierError } from '../diagnostics/types.js';
import { densityTargets } from './density.js';
import { cropped, normalize, normalizer, requireChannels, withoutAlpha } from './images/resize.js';
import { tilesOf } from './images/tiles.js';
import { partPlacement, placedPoints } from './placement.js';
import { saidOf } from './sample.js';
import type { Batch, Dataset, Loader, LoaderOptions, Position, Raster } from './types.js';
import { Unreadable } from './unreadable.js';

/** One tile as the model takes it. */
interface Tile {
  readonly item: number;
  readonly values: Float32Array;
  /** In pixels of the tile. */
  readonly points: Float64Array;
}

/** Whether preprocessing leaves pictures their size, so that they can be read in tiles. */
export const keepsSize = ({ preprocess }: Pick<LoaderOptions, 'preprocess'>): boolean =>
  preprocess.every(({ step }) => step === 'normalize' || step === 'grayscale' || step === 'colour');

/** A loader of the tiles of pictures with points. How many batches an epoch has is not known before it is read; `perEpoch` says how many pictures there are. */
export function makeTileLoader(dataset: Dataset, options: LoaderOptions): Loader {
  return new TileLoader(dataset, options);
}

class TileLoader implements Loader {
  readonly perEpoch: number;
  private readonly dataset: Dataset;
  private readonly options: LoaderOptions;
  private readonly tables: readonly Float32Array[];
  private readonly unreadable: Unreadable;
  private images = 0;
  private waited = 0;
  private used = 0;

  constructor(dataset: Dataset, options: LoaderOptions) {
    this.dataset = dataset;
    this.options = options;
    this.perEpoch = dataset.size;
    this.unreadable = new Unreadable(dataset, options);
    const normal = options.preprocess.find((s) => s.step === 'normalize');
    this.tables = normalizer(normal?.mean ?? [0], normal?.std ?? [1], options.input.channels);
  }

  get report() {
    const { images, waited, used } = this;
    return { images, waited, elapsed: waited + used, skipped: this.unreadable.items };
  }

  async close(): Promise<void> {}

  async *batches(from: Position, until: number): AsyncGenerator<Batch, void, undefined> {
    const { size } = this.options;
    for (let { epoch } = from; epoch < until; epoch++) {
      let [batch, since] = [0, performance.now()];
      const give = (tiles: readonly Tile[]): Batch => {
        const now = performance.now();
        this.waited += now - since;
        since = now;
        return this.collated(tiles, { epoch, batch: batch++ });
      };
      const after = (): void => {
        const now = performance.now();
        this.used += now - since;
        since = now;
      };
      const tiles: Tile[] = [];
      for await (const tile of this.tiles()) {
        tiles.push(tile);
        if (tiles.length < size) continue;
        yield give(tiles.splice(0));
        after();
      }
      if (tiles.length > 0) {
        yield give(tiles);
        after();
      }
    }
  }

  private collated(tiles: readonly Tile[], at: Position): Batch {
    const { input, density } = this.options;
    const shape = [tiles.length, input.channels, input.height, input.width] as const;
    const each = input.channels * input.height * input.width;
    const images = new Float32Array(tiles.length * each);
    for (const [i, { values }] of tiles.entries()) images.set(values, i * each);
    const targets = densityTargets(
      tiles.map(({ points }) => points),
      input,
      density!,
    );
    return { ...at, images, shape, targets, indices: Int32Array.from(tiles, ({ item }) => item) };
  }

  /** Of all pictures that can be read, as they are listed; while one's are used the next is decoded. */
  private async *tiles(): AsyncGenerator<Tile, void, undefined> {
    const { size } = this.dataset;
    let next = this.readable(0);
    for (let item = 0; item < size; item++) {
      const picture = await next;
      if (item + 1 < size) {
        next = this.readable(item + 1);
        // Whoever comes to it hears what is wrong; nobody may, if the loop ends before.
        next.catch(() => {});
      }
      if (!picture) continue;
      this.images++;
      yield* this.tilesOf(item, picture);
    }
  }

  private *tilesOf(item: number, picture: Raster): Generator<Tile, void, undefined> {
    const { input } = this.options;
    const { targets } = this.dataset;
    const points = targets.kind === 'points' ? targets.points[item]! : new Float32Array(0);
    for (const part of tilesOf(picture.width, picture.height, input)) {
      const values = new Float32Array(input.channels * input.height * input.width);
      normalize(cropped(picture, part), this.tables, values, input);
      yield { item, values, points: placedPoints(points, partPlacement(part)) };
    }
  }

  /** Undefined for an item that cannot be read. @throws EspalierError ESP1007 if it is one too many */
  private async readable(item: number): Promise<Raster | undefined> {
    const { pictures, places, ids } = this.dataset;
    const { preprocess, input } = this.options;
    try {
      return await saidOf(ids[item]!, async () => {
        const gray = preprocess.some(({ step }) => step === 'grayscale');
        const picture = withoutAlpha(await pictures.read(places[item]!, colourOf(preprocess)), gray);
        requireChannels(picture, input.channels);
        return picture;
      });
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      this.unreadable.skip(item, error.diagnostics);
      return undefined;
    }
  }
}
