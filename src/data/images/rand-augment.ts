/**
 * RandAugment (Cubuk, Zoph, Shlens, Le, 2019) with the operations and magnitudes of timm (`rand-m9-mstd0.5-inc1`: those whose strength grows with
 * the magnitude). A magnitude is a number from 0 to 10.
 */
import type { Draws } from '../draws.js';
import type { Augment, Raster } from '../types.js';
import {
  autocontrasted,
  brightenedShadows,
  equalized,
  inverted,
  posterized,
  solarized,
  withBrightness,
  withContrast,
  withSaturation,
  withSharpness,
} from './color.js';
import { type Affine, type Interpolation, rotation, warped } from './warp.js';

/** What operations that move pixels need to know. */
export interface Surroundings {
  readonly interpolation: Interpolation;
  /** What comes in from outside, for each channel. */
  readonly fill: readonly number[];
}

type Operation = (raster: Raster, magnitude: number, sign: 1 | -1, around: Surroundings) => Raster;

/** How strong, around 1 (which changes nothing). */
const strength = (magnitude: number, sign: number): number => Math.max(0.1, 1 + sign * (magnitude / 10) * 0.9);

const moved =
  (map: (magnitude: number, raster: Raster) => Affine): Operation =>
  (raster, magnitude, sign, { interpolation, fill }) =>
    warped(raster, map(sign * magnitude, raster), interpolation, fill);

/** In timm's order. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  AutoContrast: autocontrasted,
  Equalize: equalized,
  Invert: inverted,
  Rotate(raster, magnitude, sign, { interpolation, fill }) {
    const degrees = sign * (magnitude / 10) * 30;
    // Pillow copies a picture that is not turned.
    return degrees === 0 ? raster : warped(raster, rotation(degrees, raster.width, raster.height), interpolation, fill);
  },
  PosterizeIncreasing: (raster, magnitude) => posterized(raster, 4 - Math.trunc((magnitude / 10) * 4)),
  SolarizeIncreasing: (raster, magnitude) => solarized(raster, 256 - Math.min(256, Math.trunc((magnitude / 10) * 256))),
  SolarizeAdd: (raster, magnitude) => brightenedShadows(raster, Math.min(128, Math.trunc((magnitude / 10) * 110))),
  ColorIncreasing: (raster, magnitude, sign) => withSaturation(raster, strength(magnitude, sign)),
  ContrastIncreasing: (raster, magnitude, sign) => withContrast(raster, strength(magnitude, sign)),
  BrightnessIncreasing: (raster, magnitude, sign) => withBrightness(raster, strength(magnitude, sign)),
  SharpnessIncreasing: (raster, magnitude, sign) => withSharpness(raster, strength(magnitude, sign)),
  ShearX: moved((m) => [1, (m / 10) * 0.3, 0, 0, 1, 0]),
  ShearY: moved((m) => [1, 0, 0, (m / 10) * 0.3, 1, 0]),
  TranslateXRel: moved((m, { width }) => [1, 0, (m / 10) * 0.45 * width, 0, 1, 0]),
  TranslateYRel: moved((m, { height }) => [1, 0, 0, 0, 1, (m / 10) * 0.45 * height]),
};
const NAMES = Object.keys(OPERATIONS);
/** Those that move nothing. */
const COLORS = NAMES.filter((name) => !/^(Rotate|Shear|Translate)/.test(name));

export function randAugmented(
  raster: Raster,
  options: NonNullable<Augment['randAugment']>,
  around: Surroundings,
  draws: Draws,
): Raster {
  const { magnitude = 9, deviation = 0.5, count = 2, probability = 0.5, colors = false } = options;
  const names = colors ? COLORS : NAMES;
  let image = raster;
  for (let i = 0; i < count; i++) {
    const name = names[draws.whole(names.length)]!;
    // All are drawn, done or not, so that each operation's numbers stand at the same place.
    const done = draws.chance(probability);
    const level = Math.min(10, Math.max(0, draws.normal(magnitude, deviation)));
    const sign = draws.chance(0.5) ? 1 : -1;
    if (done) image = OPERATIONS[name]!(image, level, sign, around);
  }
  return image;
}
