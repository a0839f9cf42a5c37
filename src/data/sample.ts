/** From a picture to one sample: 8-bit pixels of the model's size, changed at random by the numbers of its key. */
import { InputError } from '../../runtime/errors.js';
import { colourOf } from '../../runtime/images/colour/rule.js';
import { planSteps } from '../../runtime/images/resample.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { Draws } from './draws.js';
import { randAugmented } from './images/rand-augment.js';
import { randomPart, rounded } from './images/random-crop.js';
import { cropped, planned, requireChannels, resized, withoutAlpha } from './images/resize.js';
import { flipped, flippedVertically } from './images/warp.js';
import { asItIs, mirrored, type Placement, partPlacement, plannedPlacement, resizedPart } from './placement.js';
import type { Augment, LoaderOptions, Pictures, Raster } from './types.js';

/** How samples are made: the same for all of a loader, and plain data, so that threads can be told. */
export type Recipe = Pick<LoaderOptions, 'preprocess' | 'input'> & {
  readonly augment: Pick<Augment, 'crop' | 'cut' | 'flip' | 'flipVertical' | 'randAugment'>;
};

/** Pixels, and where points of the picture lie in them. */
export interface Sample extends Raster {
  readonly placement: Placement;
}

export interface SampleKey {
  readonly seed: number;
  readonly epoch: number;
  readonly item: number;
  readonly repeat: number;
}

/** A sample to make, of the picture at a place. */
export interface SampleJob {
  readonly place: number;
  readonly key: SampleKey;
}

/** Who makes samples: this thread, or others. */
export interface Workshop {
  /** @throws EspalierError if the picture cannot be read, or does not fit */
  sample(job: SampleJob): Promise<Sample>;
  close(): Promise<void>;
}

/** Whether two samples of one picture can differ. */
export function isRandom({ augment: { crop, cut = false, flip = 0, flipVertical = 0, randAugment } }: Recipe): boolean {
  return crop !== undefined || cut || flip > 0 || flipVertical > 0 || randAugment !== undefined;
}

const drawsOf = ({ seed, epoch, item, repeat }: SampleKey): Draws =>
  new Draws({ seed, epoch, purpose: 'sample', of: item, repeat });

/**
 * The sample of a picture, in as many channels as the model takes; smaller than the model's input where that is padded.
 * @throws InputError where its size or its colors are not what the model takes
 */
export function makeSample(raster: Raster, recipe: Recipe, key: SampleKey): Sample {
  const { augment, input } = recipe;
  const draws = drawsOf(key);
  const { crop, cut = false } = augment;
  const whole = crop
    ? randomCrop(raster, recipe, crop, draws)
    : cut
      ? randomCut(raster, recipe, draws)
      : fitted(raster, recipe);
  let image: Raster = whole;
  requireChannels(image, input.channels);
  if (input.channels === 3) image = colored(image);
  // Both are drawn in any case, so that what comes after them does not depend on them.
  const [mirror, turn] = [draws.chance(augment.flip ?? 0), draws.chance(augment.flipVertical ?? 0)];
  if (mirror) image = flipped(image);
  if (turn) image = flippedVertically(image);
  const placement = mirrored(whole.placement, mirror, turn);
  if (augment.randAugment) image = randAugmented(image, augment.randAugment, surroundings(recipe), draws);
  return { ...image, placement };
}

/** As `makeSample`, of f32 planes [channels, height, width] that are the model's input: mirrored, where the key says so. */
export function makeInput(
  values: Float32Array,
  { augment, input }: Recipe,
  key: SampleKey,
): { readonly values: Float32Array; readonly placement: Placement } {
  const draws = drawsOf(key);
  const [mirror, turn] = [draws.chance(augment.flip ?? 0), draws.chance(augment.flipVertical ?? 0)];
  const { width, height } = input;
  const placement = mirrored(asItIs(width, height), mirror, turn);
  if (!mirror && !turn) return { values, placement };
  const changed = values.map((_, i) => {
    const [x, y] = [i % width, Math.floor(i / width) % height];
    const from = (turn ? height - 1 - y : y) * width + (mirror ? width - 1 - x : x);
    return values[i - (y * width + x) + from]!;
  });
  return { values: changed, placement };
}

/** Where points of a picture of a size lie in the sample that inference makes of it. @throws InputError where its size does not fit */
export function fittedPlacement({ preprocess }: Recipe, width: number, height: number): Placement {
  return plannedPlacement(planSteps(preprocess, width, height));
}

/** What inference makes of a picture, up to normalizing: what is padded after that is not there yet. */
function fitted(raster: Raster, { preprocess, input }: Recipe): Sample {
  const plan = planSteps(preprocess, raster.width, raster.height);
  if (plan.width !== input.width || plan.height !== input.height) {
    throw new InputError(
      `preprocessing a ${raster.width}x${raster.height} image gives ${plan.width}x${plan.height}, the model takes ${input.width}x${input.height}`,
      'end `preprocess` with a crop or a pad, or resize to both sides; or train on parts of it with `cut`',
    );
  }
  return { ...planned(raster, plan), placement: plannedPlacement(plan) };
}

function randomCrop(
  raster: Raster,
  { preprocess, input }: Recipe,
  { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] }: NonNullable<Augment['crop']>,
  draws: Draws,
): Sample {
  const from = randomPart(raster.width, raster.height, scale, ratio, draws);
  const { width, height } = input;
  const gray = preprocess.findIndex((s) => s.step === 'grayscale');
  const resize = preprocess.findIndex((s) => s.step === 'resize');
  const before = gray >= 0 && (resize < 0 || gray < resize);
  const keep = { x: 0, y: 0, width, height };
  const stage = { from, width, height, filter: filterOf({ preprocess }), gray: before, keep };
  const image = withoutAlpha(resized(withoutAlpha(raster, before), stage), gray >= 0);
  return { ...image, placement: resizedPart(from, width, height) };
}

/** A part of the model's size where it fits, at the picture's own scale; otherwise as much as there is. */
function randomCut(raster: Raster, { preprocess, input }: Recipe, draws: Draws): Sample {
  const axis = (length: number, size: number): readonly [at: number, size: number] => {
    // Drawn in any case, so that what comes after does not depend on the picture's size.
    const at = draws.whole(Math.max(0, length - size) + 1);
    return [at, Math.min(length, size)];
  };
  const [[y, height], [x, width]] = [axis(raster.height, input.height), axis(raster.width, input.width)];
  const part = { x, y, width, height };
  const gray = preprocess.some((s) => s.step === 'grayscale');
  return { ...withoutAlpha(cropped(raster, part), gray), placement: partPlacement(part) };
}

/** The filter of the first resize; bilinear where there is none. */
function filterOf({ preprocess }: Pick<Recipe, 'preprocess'>) {
  return preprocess.find((s) => s.step === 'resize')?.filter ?? 'bilinear';
}

function surroundings({ preprocess }: Recipe) {
  const mean = preprocess.find((s) => s.step === 'normalize')?.mean ?? [0.5];
  const fill = mean.map((m) => Math.min(255, Math.max(0, rounded(255 * m))));
  return { fill, interpolation: filterOf({ preprocess }) === 'bicubic' ? 'bicubic' : 'bilinear' } as const;
}

/** In three channels. */
function colored(raster: Raster): Raster {
  if (raster.channels !== 1) return raster;
  const data = new Uint8Array(raster.data.length * 3);
  for (const [i, byte] of raster.data.entries()) data.fill(byte, 3 * i, 3 * i + 3);
  return { ...raster, data, channels: 3 };
}

/** What does not fit is said of the picture that it is. */
export async function saidOf<T>(id: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new EspalierError([diagnostic(error.code, { message: `${id}: ${error.message}`, help: error.help })]);
  }
}

/** Samples made by this thread. */
export function samplesHere(pictures: Pictures, recipe: Recipe): Workshop {
  return {
    sample: async ({ place, key }) => makeSample(await pictures.read(place, colourOf(recipe.preprocess)), recipe, key),
    close: async () => {},
  };
}
