/** That a loader's options can be done, before anything is read. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { itemsByClass } from './order.js';
import { keepsSize } from './tile-loader.js';
import type { Augment, Dataset, LoaderOptions } from './types.js';

interface Range {
  readonly from: number;
  readonly to: number;
  readonly whole?: boolean;
  /** Whether `from` itself is out of range. */
  readonly above?: boolean;
}

const SHARE: Range = { from: 0, to: 1 };
const POSITIVE: Range = { from: 0, to: Number.MAX_VALUE, above: true };

function describe({ from, to, whole, above }: Range): string {
  const kind = whole ? 'a whole number' : 'a number';
  const start = above ? `above ${from}` : `from ${from}`;
  return to >= Number.MAX_SAFE_INTEGER ? `${kind} ${start}${above ? '' : ' on'}` : `${kind} ${start} to ${to}`;
}

/** @throws EspalierError ESP1009 */
function require(option: string, value: number | undefined, range: Range): void {
  if (value === undefined) return;
  const inside = value >= range.from && value <= range.to && !(range.above && value === range.from);
  if (inside && (!range.whole || Number.isInteger(value))) return;
  throw new EspalierError([diagnostic('ESP1009', { option, value: String(value), allowed: describe(range) })]);
}

function requireOrdered(option: string, pair: readonly [number, number] | undefined, most: number): void {
  if (!pair) return;
  for (const end of pair) require(option, end, { from: 0, to: most, above: true });
  if (pair[0] > pair[1])
    throw new EspalierError([
      diagnostic('ESP1009', { option, value: `[${pair.join(', ')}]`, allowed: 'the smaller number first' }),
    ]);
}

function checkAugment(augment: Augment): void {
  requireOrdered('crop.scale', augment.crop?.scale, 1);
  requireOrdered('crop.ratio', augment.crop?.ratio, Number.MAX_VALUE);
  for (const option of ['flip', 'flipVertical', 'cutmixShare', 'mixShare'] as const)
    require(option, augment[option], SHARE);
  for (const option of ['mixup', 'cutmix'] as const)
    require(option, augment[option], { from: 0, to: Number.MAX_VALUE });
  const { magnitude, deviation, count, probability } = augment.randAugment ?? {};
  require('randAugment.magnitude', magnitude, { from: 0, to: 10 });
  require('randAugment.deviation', deviation, { from: 0, to: Number.MAX_VALUE });
  require('randAugment.count', count, { from: 1, to: 100, whole: true });
  require('randAugment.probability', probability, SHARE);
  if (augment.crop && augment.cut)
    throw new EspalierError([
      diagnostic('ESP1009', { option: 'cut', value: 'set', allowed: 'left out where `crop` is set' }),
    ]);
}

/**
 * What points need, and what they cannot follow: pixels that are turned, sheared or moved at random, and pictures that are laid over one another.
 * @throws EspalierError ESP1009, ESP1020
 */
function checkDensity(
  { name, targets, pictures }: Dataset,
  { density, tiles, preprocess, augment = {} }: LoaderOptions,
): void {
  if (targets.kind !== 'points') {
    if (tiles)
      throw new EspalierError([
        diagnostic('ESP1009', { option: 'tiles', value: 'set', allowed: `left out for ${name}, which has no points` }),
      ]);
    return;
  }
  if (!density)
    throw new EspalierError([
      diagnostic('ESP1009', { option: 'density', value: 'left out', allowed: `given for ${name}, which has points` }),
    ]);
  require('density.sigma', density.sigma, POSITIVE);
  require('density.kernel', density.kernel, { from: 1, to: 999, whole: true });
  if (density.kernel % 2 === 0)
    throw new EspalierError([
      diagnostic('ESP1009', {
        option: 'density.kernel',
        value: String(density.kernel),
        allowed: 'odd, so that it has a middle',
      }),
    ]);
  for (const side of ['width', 'height'] as const)
    require(`density.${side}`, density[side], { from: 1, to: Number.MAX_SAFE_INTEGER, whole: true });
  if (augment.randAugment && !augment.randAugment.colors)
    throw new EspalierError([diagnostic('ESP1020', { name, option: 'randAugment' })]);
  for (const option of ['mixup', 'cutmix'] as const)
    if ((augment[option] ?? 0) > 0) throw new EspalierError([diagnostic('ESP1020', { name, option })]);
  if (tiles && (!keepsSize({ preprocess }) || pictures.input))
    throw new EspalierError([
      diagnostic('ESP1009', {
        option: 'tiles',
        value: 'set',
        allowed: 'for pictures that `preprocess` leaves their size',
      }),
    ]);
}

/** @throws EspalierError ESP1005, ESP1006, ESP1009, ESP1010, ESP1020 */
export function checkLoader(dataset: Dataset, options: LoaderOptions): void {
  const { size, seed, order = 'shuffled', ahead, memory, corrupt, augment = {}, input } = options;
  require('size', size, { ...POSITIVE, to: Number.MAX_SAFE_INTEGER, whole: true });
  require('seed', seed, { from: 0, to: 2 ** 32 - 1, whole: true });
  require('ahead', ahead, { from: 0, to: 1024, whole: true });
  require('memory', memory, { from: 0, to: Number.MAX_VALUE });
  require('corrupt', corrupt, SHARE);
  checkAugment(augment);
  checkDensity(dataset, options);
  // What is only read once through may be less than a batch; of what is trained on, a batch that is never full is a mistake.
  if (size > dataset.size && order !== 'listed')
    throw new EspalierError([diagnostic('ESP1005', { size, name: dataset.name, items: dataset.size })]);
  if (order === 'balanced') itemsByClass(dataset, 'balanced sampling');
  if (dataset.pictures.input) checkInputs(dataset, augment, input);
}

/** Arrays of floats go into the model as they are. */
function checkInputs({ name, pictures, places }: Dataset, augment: Augment, input: LoaderOptions['input']): void {
  for (const option of ['crop', 'cut', 'randAugment'] as const) {
    if (augment[option] === undefined) continue;
    const allowed = `left out for ${name}, whose arrays are f32: give 8-bit pixels to change them so`;
    throw new EspalierError([diagnostic('ESP1009', { option, value: 'set', allowed })]);
  }
  const [found, wanted] = [pictures.input!(places[0]!).length, input.channels * input.height * input.width];
  if (found !== wanted) {
    const size = `${input.channels} x ${input.height} x ${input.width}`;
    const problem = `arrays of f32 are taken as they are, and each has ${found} numbers where the model takes ${size}`;
    throw new EspalierError([diagnostic('ESP1006', { file: name, problem })]);
  }
}
