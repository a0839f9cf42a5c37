/** Where a model counted, of the pictures that it counted worst: what a report draws over them. */
import type { Seen } from '../../counting/index.js';
import type { LoaderOptions } from '../../data/types.js';
import type { Counted } from './counting.js';

/** What the model made of one picture, [tiles, height, width] of maps that are no larger than a report draws them, to three digits. */
export interface KeptDensity extends Seen {
  readonly data: readonly number[];
}

/** Cells along a picture that are worth keeping: a report draws it small. */
const CELLS = 64;
/** So many pictures of a split. */
const PICTURES = 12;

/** Keeps the worst of what it hears. Samples of one picture have to come one after another. */
export class WorstDensities {
  private readonly kept: { readonly item: number; readonly error: number; readonly density: KeptDensity }[] = [];
  private open: { item: number; count: number; predicted: number; readonly tiles: Float32Array[] } | undefined;

  constructor(private readonly options: Pick<LoaderOptions, 'preprocess' | 'input' | 'density'>) {}

  /** Samples of a batch, and their densities one after another. */
  add(samples: readonly Counted[], densities: Float32Array): void {
    const each = densities.length / samples.length;
    for (const [i, { item, count, predicted }] of samples.entries()) {
      if (this.open?.item !== item) {
        this.close();
        this.open = { item, count: 0, predicted: 0, tiles: [] };
      }
      this.open!.count += count;
      this.open!.predicted += predicted;
      this.open!.tiles.push(densities.slice(i * each, (i + 1) * each));
    }
  }

  /** By their number in the data set. */
  end(): ReadonlyMap<number, KeptDensity> {
    this.close();
    return new Map(this.kept.map(({ item, density }) => [item, density]));
  }

  private close(): void {
    const { open, kept } = this;
    this.open = undefined;
    if (!open) return;
    const error = Math.abs(open.predicted - open.count);
    if (kept.length === PICTURES && error <= kept.at(-1)!.error) return;
    kept.push({ item: open.item, error, density: this.small(open.tiles) });
    kept.sort((a, b) => b.error - a.error || a.item - b.item);
    kept.splice(PICTURES);
  }

  private small(tiles: readonly Float32Array[]): KeptDensity {
    const { preprocess, input, density } = this.options;
    const { width, height } = density!;
    const along = CELLS / Math.ceil(Math.sqrt(tiles.length));
    const whole = (by: number): boolean => width % by === 0 && height % by === 0;
    let by = 1;
    for (let k = 2; k <= Math.min(width, height) && Math.max(width, height) / by > along; k++) if (whole(k)) by = k;
    const map = { width: width / by, height: height / by };
    const data = tiles.flatMap((tile) => {
      const sums = new Float64Array(map.width * map.height);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          sums[Math.floor(y / by) * map.width + Math.floor(x / by)]! += tile[y * width + x]!;
      return Array.from(sums, (sum) => Number(sum.toPrecision(3)));
    });
    return { preprocess, input: { width: input.width, height: input.height }, map, data };
  }
}
