/**
 * How many there are in a picture, by a program that gives densities: `density` [1, h, w] of each sample, of which `count` is the sum. Where preprocessing
 * leaves pictures their size, one of any size is read in tiles as evaluation reads it (src/data/tile-loader.ts): those do not overlap, what lies outside of
 * the picture is 0 after pixels are normalized, counts are added up, and densities are put together. Otherwise the model sees the picture whole.
 */
import type { RawImage, Session } from '../../runtime/index.js';
import { entryNamed, INFER, type TensorSpec } from '../../runtime/program/program.js';
import { cropped, normalize, normalizer, requireChannels, withoutAlpha } from '../data/images/resize.js';
import { tilesOf } from '../data/images/tiles.js';
import { keepsSize } from '../data/tile-loader.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { type Density, placedDensity } from './placed.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** A loaded program that counts. */
export interface Counter {
  readonly session: Session;
  /** The model's input, in pixels, and its name. */
  readonly input: Size & { readonly channels: number; readonly name: string };
  /** The density map of one sample, in cells. */
  readonly map: Size;
}

export interface Counted {
  /** What the program says: of tiles, the sum. */
  readonly count: number;
  /** How many tiles it was read in; 1 for a picture that the model saw whole. */
  readonly tiles: number;
  readonly density: Density;
}

/** Tiles that are handed to the program at once: it needs memory for all of them. */
const AT_ONCE = 16;

/** @throws EspalierError ESP1250 if the program does not take pictures and give `density` [1, h, w] and `count` of each */
export function counterOf(session: Session): Counter {
  const { name, entries } = session.program;
  const infer = entryNamed(session.program, INFER);
  const [input, ...others] = infer?.inputs ?? [];
  const result = (named: string) => infer?.outputs.find((o) => o.name === named && o.samples)?.shape ?? [];
  const [density, count] = [result('density'), result('count')];
  const isPicture = others.length === 0 && input?.shape.length === 4 && session.program.preprocess !== undefined;
  const counts = density.length === 4 && density[0] === 1 && density[1] === 1 && count.length === 1 && count[0] === 1;
  if (!isPicture || !counts) {
    const shown = ({ name, shape, samples }: TensorSpec): string =>
      `${name} [${samples ? ['b', ...shape.slice(1)].join(', ') : shape.join(', ')}]`;
    const { inputs, outputs } = infer ?? entries[0]!;
    throw new EspalierError([
      diagnostic('ESP1250', {
        program: name,
        takes: inputs.map(shown),
        gives: outputs.map(shown),
        pictures: isPicture,
      }),
    ]);
  }
  const [, channels, height, width] = input.shape as [number, number, number, number];
  return {
    session,
    input: { name: input.name, channels, height, width },
    map: { height: density[2]!, width: density[3]! },
  };
}

/**
 * Counts in one picture.
 * @throws InputError (ESP0708) if it has colours and the model takes none, or preprocessing does not give it the model's size; DeviceLostError (ESP0703),
 * DisposedError (ESP0709)
 */
export async function countIn(counter: Counter, picture: RawImage): Promise<Counted> {
  return keepsSize({ preprocess: counter.session.program.preprocess! })
    ? inTiles(counter, picture)
    : whole(counter, picture);
}

async function whole({ session, input, map }: Counter, picture: RawImage): Promise<Counted> {
  const { outputs } = await session.run({ image: picture });
  const { preprocess } = session.program;
  const density = placedDensity(picture, { preprocess: preprocess!, input, map, data: outputs.density! });
  return { count: outputs.count![0]!, tiles: 1, density };
}

async function inTiles({ session, input, map }: Counter, picture: RawImage): Promise<Counted> {
  const steps = session.program.preprocess!;
  const normal = steps.find((s) => s.step === 'normalize');
  const tables = normalizer(normal?.mean ?? [0], normal?.std ?? [1], input.channels);
  const { width, height, data } = picture;
  const channels = (data.length / (width * height)) as 1 | 3 | 4;
  const bytes = data instanceof Uint8Array ? data : Uint8Array.from(data);
  const raster = withoutAlpha(
    { data: bytes, width, height, channels },
    steps.some(({ step }) => step === 'grayscale'),
  );
  requireChannels(raster, input.channels);

  const tiles = tilesOf(width, height, input);
  const cells = map.width * map.height;
  const found = new Float32Array(tiles.length * cells);
  const each = input.channels * input.width * input.height;
  let count = 0;
  for (let from = 0; from < tiles.length; from += AT_ONCE) {
    const some = tiles.slice(from, from + AT_ONCE);
    const values = new Float32Array(some.length * each);
    for (const [i, tile] of some.entries())
      normalize(cropped(raster, tile), tables, values.subarray(i * each, (i + 1) * each), input);
    const { outputs } = await session.run({ tensors: { [input.name]: values } });
    for (let i = 0; i < some.length; i++) count += outputs.count![i]!;
    found.set(outputs.density!.subarray(0, some.length * cells), from * cells);
  }
  const density = placedDensity(picture, { preprocess: steps, input, map, data: found });
  return { count, tiles: tiles.length, density };
}
