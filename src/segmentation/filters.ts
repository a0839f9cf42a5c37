/**
 * Which of the masks that a grid of points gave are things: the filters of Segment Anything's automatic mask generator (predicted IoU, stability,
 * suppression of overlapping boxes), limits of size, and one for parts of things.
 */
import { InputError } from '../../runtime/errors.js';
import { boxOverlap, type Mask, maskOf, maskOverlap, sharedArea } from './mask.js';

export interface FilterOptions {
  /** Least IoU that the decoder predicts of its mask. Default: 0.88. */
  readonly iou?: number;
  /** Least stability: IoU of the masks that two thresholds give, `offset` above and below the one that is used. Default: 0.9; with 0.95, as Segment Anything has it, thin things are lost. */
  readonly stability?: number;
  /** In logits. Default: 1. */
  readonly offset?: number;
  /** Least and largest share of the picture that a thing covers. Default: 0.001 to 0.25; what covers more is the ground that things lie on. */
  readonly area?: readonly [least: number, most: number];
  /** Two masks are of one thing where the IoU of their boxes, or of their pixels, is larger; the one of higher predicted IoU stays. Default: 0.7. */
  readonly overlap?: number;
  /** A mask of which a larger share lies in a larger mask is of a part of that thing, and goes. Default: 0.8; 1 keeps all parts. */
  readonly contained?: number;
}

export const FILTERS: Required<FilterOptions> = {
  iou: 0.88,
  stability: 0.9,
  offset: 1,
  area: [0.001, 0.25],
  overlap: 0.7,
  contained: 0.8,
};

/** Why a mask is none of the things: in the order in which it is asked. */
export const REASONS = ['iou', 'empty', 'stability', 'small', 'large', 'repeated', 'part'] as const;
export type Reason = (typeof REASONS)[number];

export interface Candidate {
  readonly mask: Mask;
  /** As the decoder predicts it; may be above 1. */
  readonly iou: number;
  readonly stability: number;
}

/** @throws InputError (ESP0708) for an option that is out of range */
export function filtersOf(options: FilterOptions): Required<FilterOptions> {
  const filters = { ...FILTERS, ...options };
  const [least, most] = filters.area;
  const shares = { stability: filters.stability, overlap: filters.overlap, contained: filters.contained, least, most };
  for (const [name, value] of Object.entries(shares))
    if (!(value >= 0 && value <= 1)) throw new InputError(`${name} is ${value}`, 'it is a share: give 0 to 1');
  if (least > most)
    throw new InputError(`things are at least ${least} and at most ${most} of the picture`, 'swap them');
  if (!Number.isFinite(filters.iou)) throw new InputError(`iou is ${filters.iou}`, 'give a number, such as 0.88');
  if (!(filters.offset >= 0 && filters.offset < Infinity))
    throw new InputError(`offset is ${filters.offset}`, 'give a number of logits of at least 0, such as 1');
  return filters;
}

/** IoU of the masks above `offset` and above `-offset`: 1 where no logit is near 0, 0 where the lower one is empty. */
export function stabilityOf(logits: Float32Array, offset: number): number {
  let [inner, outer] = [0, 0];
  for (const value of logits) {
    if (value > offset) inner++;
    if (value > -offset) outer++;
  }
  return outer === 0 ? 0 : inner / outer;
}

/** One mask by itself, by the picture's logits [height, width]: a candidate, or why it is none. */
export function judge(
  logits: Float32Array,
  iou: number,
  { width, height }: { readonly width: number; readonly height: number },
  filters: Required<FilterOptions>,
): Candidate | Reason {
  // NaN is above nothing, so it is refused as what it is: no prediction.
  if (!(iou > filters.iou)) return 'iou';
  const stability = stabilityOf(logits, filters.offset);
  const mask = maskOf(logits, width, height);
  if (!mask) return 'empty';
  if (stability < filters.stability) return 'stability';
  const share = mask.area / (width * height);
  if (share < filters.area[0]) return 'small';
  if (share > filters.area[1]) return 'large';
  return { mask, iou, stability };
}

/**
 * Non-maximum suppression: from the highest predicted IoU down (of equal ones the first), without those that overlap one that stays. Boxes are what Segment
 * Anything compares; a speck far from the thing makes another box of the same pixels, so pixels are compared too.
 */
export function suppress<T extends Candidate>(candidates: readonly T[], overlap: number): T[] {
  const kept: T[] = [];
  for (const candidate of candidates.toSorted((a, b) => b.iou - a.iou)) {
    const { mask } = candidate;
    const isOneOf = (k: T) => boxOverlap(k.mask.box, mask.box) > overlap || maskOverlap(k.mask, mask) > overlap;
    if (!kept.some(isOneOf)) kept.push(candidate);
  }
  return kept;
}

/** Those that are not parts of others: no larger share than `contained` of them lies in a larger one. */
export function withoutParts<T extends Candidate>(candidates: readonly T[], contained: number): T[] {
  return candidates.filter(
    ({ mask }) =>
      !candidates.some((other) => other.mask.area > mask.area && sharedArea(mask, other.mask) > contained * mask.area),
  );
}
