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
 * Memory beyond the scores is one histogram of 65,536 counts, whatever their number (a radix selection over the bits of f64).
 */
export function cutSmallest(lists: readonly Scores[], k: number): Cut {
  if (k <= 0) return { threshold: Number.NEGATIVE_INFINITY, ties: 0 };
  const count = lists.reduce((n, l) => n + l.length, 0);
  if (k > count) throw new RangeError(`${k} of ${count} scores`);
  return count <= SORT_LIMIT ? cutBySort(lists, k, count) : cutByRadix(lists, k);
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
    let bucket = 0;
    while (left > histogram[bucket]!) left -= histogram[bucket++]!;
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
}
