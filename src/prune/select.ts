/** Exact selection: which k of many scores are smallest, ties by position. */

export type Scores = Float32Array | Float64Array;

/** Everything that is below the threshold, and the first `ties` of what equals it. */
export interface Cut {
  readonly threshold: number;
  readonly ties: number;
}

/** Below this many scores a sort is quicker than clearing histograms. */
const SORT_LIMIT = 1 << 14;

/**
 * The cut that takes exactly the k smallest over all lists together. Scores must not be NaN; -0 counts as 0.
 * Memory beyond the scores is one histogram of 65,536 counts, whatever their number (a radix selection over the bits of f32, or of f64 if a list has them).
 */
export function cutSmallest(lists: readonly Scores[], k: number): Cut {
  if (k <= 0) return { threshold: Number.NEGATIVE_INFINITY, ties: 0 };
  const count = lists.reduce((n, l) => n + l.length, 0);
  if (k > count) throw new RangeError(`${k} of ${count} scores`);
  if (count <= SORT_LIMIT) return cutBySort(lists, k, count);
  const singles = lists.filter((l) => l instanceof Float32Array);
  return singles.length === lists.length ? cutSingles(singles, k) : cutByRadix(lists, k);
}

/** Bits of f32 as a number whose order, read as unsigned, is the f32's; those of -0 are those of 0. */
const ordered = (bits: number): number => {
  // A sign is all that -0 has: turned around it would lie below 0.
  const plain = bits === -0x80000000 ? 0 : bits;
  return plain < 0 ? ~plain : plain | -0x80000000;
};

/** Two rounds of 16 bits over the scores as they lie in memory: which upper half, then which lower half within it. */
function cutSingles(lists: readonly Float32Array[], k: number): Cut {
  const views = lists.map((l) => new Int32Array(l.buffer, l.byteOffset, l.length));
  const upper = new Uint32Array(65_536);
  for (const view of views) countUpper(view, upper);
  const first = bucketOf(upper, k);
  const lower = new Uint32Array(65_536);
  for (const view of views) countLower(view, first.bucket, lower);
  const second = bucketOf(lower, first.left);
  const key = (first.bucket << 16) | second.bucket;
  const bits = Int32Array.of(key < 0 ? key & 0x7fffffff : ~key);
  return { threshold: new Float32Array(bits.buffer)[0]!, ties: second.left };
}

function countUpper(view: Int32Array, histogram: Uint32Array): void {
  for (let i = 0; i < view.length; i++) histogram[ordered(view[i]!) >>> 16]!++;
}

function countLower(view: Int32Array, upper: number, histogram: Uint32Array): void {
  for (let i = 0; i < view.length; i++) {
    const key = ordered(view[i]!);
    if (key >>> 16 === upper) histogram[key & 0xffff]!++;
  }
}

/** Where the k-th lies, and its place within the bucket. */
function bucketOf(histogram: Uint32Array, k: number): { readonly bucket: number; readonly left: number } {
  let left = k;
  let bucket = 0;
  while (left > histogram[bucket]!) left -= histogram[bucket++]!;
  return { bucket, left };
}

function cutBySort(lists: readonly Scores[], k: number, count: number): Cut {
  const all = new Float64Array(count);
  let at = 0;
  for (const list of lists) {
    for (let i = 0; i < list.length; i++) all[at + i] = list[i]! + 0;
    at += list.length;
  }
  all.sort();
  const threshold = all[k - 1]!;
  let below = k - 1;
  while (below > 0 && all[below - 1] === threshold) below--;
  return { threshold, ties: k - below };
}

/** An f64's bits as two words whose order, read as unsigned, is the number's. */
const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);
const LOW = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Four rounds of 16 bits, from the highest: each keeps the bucket in which the k-th smallest lies. */
function cutByRadix(lists: readonly Scores[], k: number): Cut {
  let high = 0;
  let low = 0;
  let left = k;
  for (let round = 0; round < 4; round++) {
    const histogram = new Uint32Array(65_536);
    const shift = round % 2 === 0 ? 16 : 0;
    for (const list of lists) {
      for (let i = 0; i < list.length; i++) {
        number[0] = list[i]! + 0;
        const sign = words[HIGH]! >>> 31;
        const h = sign ? ~words[HIGH]! >>> 0 : (words[HIGH]! | 0x80000000) >>> 0;
        if (round === 0) {
          histogram[h >>> 16]!++;
          continue;
        }
        if (round === 1) {
          if (h >>> 16 === high >>> 16) histogram[h & 0xffff]!++;
          continue;
        }
        if (h !== high) continue;
        const l = sign ? ~words[LOW]! >>> 0 : words[LOW]!;
        if (round === 2) histogram[l >>> 16]!++;
        else if (l >>> 16 === low >>> 16) histogram[l & 0xffff]!++;
      }
    }
    const { bucket, left: rest } = bucketOf(histogram, left);
    left = rest;
    if (round < 2) high = (high | (bucket << shift)) >>> 0;
    else low = (low | (bucket << shift)) >>> 0;
  }
  const negative = high >>> 31 === 0;
  words[HIGH] = negative ? ~high >>> 0 : high & 0x7fffffff;
  words[LOW] = negative ? ~low >>> 0 : low;
  return { threshold: number[0]!, ties: left };
}

/** Takes scores one after another, in the order in which ties are broken. */
export class Taker {
  private readonly cut: Cut;
  private ties: number;

  constructor(cut: Cut) {
    this.cut = cut;
    this.ties = cut.ties;
  }

  /** Whether this score is among the k smallest. */
  takes(score: number): boolean {
    if (score < this.cut.threshold) return true;
    return score === this.cut.threshold && this.ties-- > 0;
  }

  /** Zeroes in a mask the scores that it takes: `takes` for each, without a call. */
  clear(scores: Scores, mask: Float32Array, from: number): void {
    const { threshold } = this.cut;
    let { ties } = this;
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i]!;
      // A number and not a branch, of which nobody could guess the way.
      if (score !== threshold) mask[from + i]! *= Number(score > threshold);
      else if (ties-- > 0) mask[from + i] = 0;
    }
    this.ties = ties;
  }
}
