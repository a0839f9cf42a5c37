/** `preprocessor_config.json` -> the preprocessing steps of a program. What cannot be reproduced is an error, never left out. */
import type { PreprocessStep } from '../../../runtime/program/program.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Checked, EspalierError } from '../../diagnostics/types.js';
import type { JsonFile } from '../types.js';
import { configError, Fields, isObject } from './json.js';

/**
 * Fields that are read below, and fields that change nothing that is computed: all that the image processors of transformers 4 and 5 write for models that
 * classify or embed pictures. Any other field that is switched on is refused.
 */
const KNOWN = new Set([
  'do_resize',
  'size',
  'resample',
  'do_center_crop',
  'crop_size',
  'do_rescale',
  'rescale_factor',
  'do_normalize',
  'image_mean',
  'image_std',
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'do_convert_rgb',
  'default_to_square',
  'do_pad',
  'pad_size',
  // Not of transformers: what a family says of itself where its files do not (which `crop` is meant, and where the pad stands).
  'pad_after',
  'crop_rounding',
  // Of segmentation maps.
  'mask_size',
  'mask_pad_size',
  'do_reduce_labels',
  'reduce_labels',
  'data_format',
  'input_data_format',
  'return_tensors',
  'device',
  'disable_grouping',
  '_valid_processor_keys',
  'auto_map',
  '_processor_class',
  'image_processor_class',
  'transformers_version',
  '_name_or_path',
  '_commit_hash',
]);

/** PIL's codes of the filters that the resize operator has. */
const FILTERS: Readonly<Record<number, 'nearest' | 'bilinear' | 'bicubic'>> = {
  0: 'nearest',
  2: 'bilinear',
  3: 'bicubic',
};

/** Beyond this a size is a mistake; an image of it would fill any memory. */
const MAX_SIDE = 16_384;

type Size = Extract<PreprocessStep, { step: 'resize' }>['size'];

/**
 * @param file what the file says, with what its family means by fields that it leaves out
 * @param size height and width of the images that the model takes: what comes out must be of that size
 * @throws EspalierError ESP0507 (wrong type), ESP0509 (cannot be reproduced)
 */
export function preprocessSteps(
  file: JsonFile,
  channels: number,
  size: readonly [height: number, width: number],
): Checked<readonly PreprocessStep[]> {
  const config = new Fields(file.file, file.json);
  const unsupported = (field: string, why: string): EspalierError =>
    new EspalierError([
      diagnostic('ESP0509', { file: config.file, field, value: JSON.stringify(config.json[field]), why }),
    ]);

  for (const [field, value] of Object.entries(config.json)) {
    if (KNOWN.has(field) || isOff(value)) continue;
    // What is switched on and not known would be left out, and numbers would differ from Python's without a word.
    throw unsupported(
      field,
      field.startsWith('do_') || field === 'crop_pct'
        ? 'is a step that Espalier does not have'
        : 'is a field that Espalier does not know, so what it does to pictures would be left out',
    );
  }

  const type = processorOf(config);
  const given = (field: string): void => {
    if (config.has(field)) return;
    throw configError(config.file, `leaves out ${field}, and Espalier does not know what ${type} takes then`);
  };
  const steps: PreprocessStep[] = [];
  // Before the resize, as an image that is opened as `L` is grey from the start.
  if (channels === 1) steps.push({ step: 'grayscale' });
  else if (channels !== 3) throw configError(config.file, `a model of ${channels} channels takes no images`);
  if (config.bool('do_resize', true)) {
    given('size');
    given('resample');
    // timm has names of filters that have no code here.
    const code = config.json.resample;
    const filter = typeof code === 'string' ? undefined : FILTERS[config.number('resample', 2)];
    if (!filter)
      throw unsupported('resample', 'is a filter that Espalier does not have (0 nearest, 2 bilinear, 3 bicubic)');
    steps.push({ step: 'resize', size: sizeOf(config, 'size', unsupported), filter });
  }
  given('do_center_crop');
  if (config.bool('do_center_crop', false)) {
    given('crop_size');
    const rounding = config.text('crop_rounding', 'down');
    if (rounding !== 'down' && rounding !== 'even') throw unsupported('crop_rounding', 'is neither "down" nor "even"');
    const size = bothSides(config, 'crop_size', unsupported);
    steps.push({ step: 'crop', size, ...(rounding === 'down' ? {} : { rounding }) });
  }
  const pads: PreprocessStep[] = [];
  if (config.bool('do_pad', false)) {
    if (config.text('pad_after', '') !== 'normalize')
      throw unsupported('do_pad', `is done before or after normalizing, and of ${type} Espalier does not know which`);
    given('pad_size');
    pads.push({ step: 'pad', size: bothSides(config, 'pad_size', unsupported) });
  }

  // A shorter or a longer side alone fits square images; a program says of others that they do not fit.
  const last = [...steps, ...pads].findLast((s) => s.step === 'resize' || s.step === 'crop' || s.step === 'pad');
  const sides = last ? sidesOf(last.size) : [];
  if (last && !size.every((n, i) => n === (sides[i] ?? sides[0]))) {
    const field = last.step === 'resize' ? 'size' : `${last.step}_size`;
    throw unsupported(field, `gives images of ${sides.join(' x ')}, but the model takes ${size.join(' x ')}`);
  }

  // (factor x - mean) / std = (x/255 - mean/f) / (std/f) with f = 255 factor, so every factor is the one step that there is.
  const f = config.bool('do_rescale', true) ? 255 * config.number('rescale_factor', 1 / 255) : 255;
  if (f <= 0) throw unsupported('rescale_factor', 'is not positive');
  const scale = Math.abs(f - 1) < 1e-9 ? 1 : f;
  const normalize = config.bool('do_normalize', true);
  if (normalize) for (const field of ['image_mean', 'image_std']) given(field);
  const mean = normalize ? perChannel(config, 'image_mean', channels) : new Array<number>(channels).fill(0);
  const std = normalize ? perChannel(config, 'image_std', channels) : new Array<number>(channels).fill(1);
  if (std.some((s) => s <= 0)) throw unsupported('image_std', 'is not positive');
  steps.push({ step: 'normalize', mean: mean.map((m) => m / scale), std: std.map((s) => s / scale) }, ...pads);

  return { value: steps, diagnostics: [] };
}

/** The image processor's class. */
function processorOf(config: Fields): string {
  return config.text('image_processor_type', config.text('feature_extractor_type', 'its image processor'));
}

/** Null, false, and empty lists and objects switch nothing on. */
export function isOff(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

const sidesOf = (size: Size): readonly number[] =>
  typeof size === 'object' && 'longest' in size ? [size.longest] : [size].flat();

/** A size that is height and width, or a number for both. */
function bothSides(
  config: Fields,
  field: 'crop_size' | 'pad_size',
  unsupported: Unsupported,
): readonly [number, number] {
  const size = sizeOf(config, field, unsupported);
  if (typeof size === 'number') return [size, size];
  if ('longest' in size) throw unsupported(field, 'has to be a height and a width');
  return size;
}

type Unsupported = (field: string, why: string) => EspalierError;

function sizeOf(config: Fields, field: 'size' | 'crop_size' | 'pad_size', unsupported: Unsupported): Size {
  const value = config.json[field];
  const isCount = (n: unknown): n is number =>
    Number.isSafeInteger(n) && (n as number) >= 1 && (n as number) <= MAX_SIDE;
  if (isCount(value)) {
    if (field !== 'size') return [value, value];
    const type = processorOf(config);
    if (config.has('default_to_square')) return config.bool('default_to_square', true) ? [value, value] : value;
    throw unsupported(field, `means another thing in each image processor, and ${type} is not one that Espalier knows`);
  }
  if (isObject(value)) {
    const { height, width, shortest_edge: shorter, longest_edge: longest, ...rest } = value;
    const off = (...others: unknown[]): boolean => [...others, ...Object.values(rest)].every(isOff);
    if (isCount(height) && isCount(width) && off(shorter, longest)) return [height, width];
    if (isCount(shorter) && off(height, width, longest)) return shorter;
    if (isCount(longest) && off(height, width, shorter)) return { longest };
  }
  throw unsupported(
    field,
    `is not a size that Espalier knows: a number, {height, width}, {shortest_edge} or {longest_edge}, of at most ${MAX_SIDE}`,
  );
}

function perChannel(config: Fields, field: 'image_mean' | 'image_std', channels: number): number[] {
  const value = config.json[field];
  const list = typeof value === 'number' ? [value] : value;
  const valid = Array.isArray(list) && list.every((n) => typeof n === 'number' && Number.isFinite(n));
  if (!valid) throw configError(config.file, `${field} = ${JSON.stringify(value)} is not a list of numbers`);
  const numbers = list as number[];
  if (numbers.length === channels) return numbers;
  if (numbers.length === 1) return new Array<number>(channels).fill(numbers[0]!);
  throw configError(config.file, `${field} has ${numbers.length} numbers, but the model has ${channels} channels`);
}
