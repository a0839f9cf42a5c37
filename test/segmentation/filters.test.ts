/** Which masks are things: each filter on masks that it takes and on those that it leaves. */
import { describe, expect, it } from 'vitest';
import {
  type Candidate,
  filtersOf,
  judge,
  stabilityOf,
  suppress,
  withoutParts,
} from '../../src/segmentation/filters.js';
import type { Mask } from '../../src/segmentation/index.js';
import { drawn, rectangle } from './pictures.js';

const candidate = (mask: Mask, iou: number): Candidate => ({ mask, iou, stability: 1 });
const SIZE = { width: 10, height: 10 };
/** Logits of a picture of 10 x 10: the first so many pixels are `inside`. */
const logits = (count: number, inside = 9) => Float32Array.from({ length: 100 }, (_, i) => (i < count ? inside : -9));
const judged = (values: Float32Array, iou: number, options = {}) => judge(values, iou, SIZE, filtersOf(options));

describe('one mask by itself', () => {
  it('is a candidate, with its pixels', () => {
    expect(judged(logits(10), 0.9)).toEqual({ mask: rectangle(0, 0, 10, 1), iou: 0.9, stability: 1 });
  });

  it('goes by the IoU that is predicted of it', () => {
    expect(judged(logits(10), 0.88)).toBe('iou');
    expect(judged(logits(10), Number.NaN)).toBe('iou');
    expect(judged(logits(10), 0.5, { iou: 0.4 })).toMatchObject({ iou: 0.5 });
  });

  it('goes where there is none', () => {
    expect(judged(logits(0), 1)).toBe('empty');
    expect(judged(new Float32Array(100), 1)).toBe('empty');
  });

  it('goes where it depends on the threshold', () => {
    // Eight pixels are sure, two are within one logit of the threshold, above it or below.
    const values = logits(8);
    values.set([0.5, -0.5], 8);
    expect(stabilityOf(values, 1)).toBe(0.8);
    expect(stabilityOf(values, 0.4)).toBe(1);
    expect(stabilityOf(logits(0), 1)).toBe(0);
    expect(judged(values, 1)).toBe('stability');
    expect(judged(values, 1, { stability: 0.8 })).toMatchObject({ stability: 0.8, mask: { area: 9 } });
    expect(judged(values, 1, { offset: 0 })).toMatchObject({ stability: 1 });
  });

  it('goes where it is too small or too large a part of the picture', () => {
    expect(judged(logits(4), 1, { area: [0.05, 0.25] })).toBe('small');
    expect(judged(logits(5), 1, { area: [0.05, 0.25] })).toMatchObject({ mask: { area: 5 } });
    expect(judged(logits(25), 1)).toMatchObject({ mask: { area: 25 } });
    expect(judged(logits(26), 1)).toBe('large');
  });
});

describe('several masks', () => {
  it('of one thing leave that of highest predicted IoU, whatever their order', () => {
    const [low, best, apart] = [
      candidate(rectangle(0, 0, 10, 10), 0.9),
      candidate(rectangle(0, 0, 10, 9), 1),
      candidate(rectangle(20, 0, 10, 10), 0.89),
    ];
    expect(suppress([low, best, apart], 0.7)).toEqual([best, apart]);
    expect(suppress([apart, best, low], 0.7)).toEqual([best, apart]);
    expect(suppress([low, best], 0.95)).toEqual([best, low]);
  });

  it('of equal IoU leave the first', () => {
    const [first, second] = [candidate(rectangle(0, 0, 10, 10), 1), candidate(rectangle(0, 0, 10, 9), 1)];
    expect(suppress([first, second], 0.7)).toEqual([first]);
    expect(suppress([second, first], 0.7)).toEqual([second]);
  });

  it('are compared with those that stay alone', () => {
    // The second overlaps both others, which do not overlap each other.
    const row = [0, 2, 4].map((x, i) => candidate(rectangle(x, 0, 10, 10), 1 - i / 10));
    expect(suppress(row, 0.5)).toEqual([row[0], row[2]]);
  });

  it('are of one thing where their boxes say so, as Segment Anything has it', () => {
    const filled = candidate(drawn('####', '####', '####'), 0.95);
    const ring = candidate(drawn('####', '#..#', '####'), 0.9);
    const cross = candidate(drawn('#..#', '.##.', '#..#'), 0.92);
    expect(suppress([ring, cross, filled], 0.9)).toEqual([filled]);
  });

  it('are of one thing by their pixels too, where a speck makes another box', () => {
    const clean = candidate(drawn('####......', '####......', '####......'), 0.9);
    const speck = candidate(drawn('####......', '####......', '####.....#'), 0.95);
    expect(suppress([clean, speck], 0.7)).toEqual([speck]);
    const apart = candidate(drawn('..........', '..........', '.....#####'), 0.95);
    expect(suppress([clean, apart], 0.7)).toEqual([apart, clean]);
  });

  it('lose those that are parts of larger ones, whatever was predicted', () => {
    const coin = candidate(rectangle(0, 0, 20, 20), 0.9);
    const face = candidate(rectangle(5, 5, 8, 8), 1);
    const leaning = candidate(rectangle(18, 0, 10, 10), 1);
    expect(withoutParts([face, coin, leaning], 0.8)).toEqual([coin, leaning]);
    expect(withoutParts([leaning, coin], 0.1)).toEqual([coin]);
    expect(withoutParts([face, coin], 1)).toEqual([face, coin]);
    // Ground with a hole has no pixel of what lies in the hole.
    const ground = candidate(drawn('#####', '#...#', '#...#', '#####'), 1);
    expect(withoutParts([candidate(rectangle(1, 1, 3, 2), 1), ground], 0.8)).toHaveLength(2);
  });

  it('may be none', () => {
    expect(suppress([], 0.7)).toEqual([]);
    expect(withoutParts([], 0.8)).toEqual([]);
  });
});
