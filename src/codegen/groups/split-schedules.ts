/**
 * How a long sum that few threads share is split, as data: partial sums of parts, computed side by side, and one of these. `split-sums.ts`
 * writes it. The cost model counts turns of a thread's loop, a load and what is done with it each. Its constants are priors for hardware: nobody
 * has measured them. On software drivers, whose few cores a single workgroup for each keeps busy, there is little to win or to lose.
 */

/** A sum (or another fold), and how it would be computed whole. All sizes are of one sample. */
export interface SumProblem {
  /** Numbers that come out. */
  readonly results: number;
  /** Threads that compute them. */
  readonly threads: number;
  /** Turns of each thread's loop. */
  readonly turns: number;
  /** Terms along the axis that can be cut. */
  readonly length: number;
  /** What a part is a multiple of, so that loads of four neighbours stay such. */
  readonly unit: number;
  /** The most samples that the sum goes over; 1 where it is a sum within each. */
  readonly samples: number;
  /** Dispatches that a split takes beyond those of the whole. */
  readonly launches: number;
}

export interface SumSplit {
  /** Parts of a sample. Where the sum goes over samples, each of these has its own. */
  readonly parts: number;
  /** Terms of a part; the last one is filled up with what changes nothing. */
  readonly part: number;
}

/** Chooses how a sum is split; undefined: not at all. Any parts that cover it will do. */
export type Splitting = (problem: SumProblem) => SumSplit | undefined;

/** Threads that a device runs side by side; for more of them it takes as much longer. */
const BUSY = 2 ** 14;
/** What a dispatch costs, in turns: tens of microseconds on hardware, beside a load's tenth of one. */
const LAUNCH = 512;
/** What a turn costs more where its load is guarded. */
const GUARD = 1.25;
/** What a split has to cost at most, of the whole: the constants are guesses, and partial sums take memory. */
const WORTH = 3 / 4;
/** Fewer parts may cost this much more: they take less memory, and on software drivers partial sums are what a split costs. */
const FEWER = 1.1;
/** More parts than this only move the long sum into the second step. */
const MOST_PARTS = 1024;

const turnsFor = (threads: number, each: number): number => Math.max(1, threads / BUSY) * each;

/** The split of fewest parts that costs about the least; undefined where none is worth it. Partial sums count as what the second step reads. */
export function splitOf(p: SumProblem): SumSplit | undefined {
  const whole = turnsFor(p.threads, p.turns * p.samples);
  const found: { readonly split: SumSplit; readonly cost: number }[] = [];
  for (let wanted = 1; wanted <= Math.min(p.length, MOST_PARTS); wanted++) {
    const part = p.unit * Math.ceil(p.length / (p.unit * wanted));
    const parts = Math.ceil(p.length / part);
    const side = p.samples * parts;
    if (side === 1) continue;
    const each = p.turns * (part / p.length) * (parts * part === p.length ? 1 : GUARD);
    const cost = turnsFor(p.threads * side, each) + p.launches * LAUNCH + turnsFor(p.results, side);
    if (cost < WORTH * whole) found.push({ split: { parts, part }, cost });
  }
  const least = Math.min(...found.map((f) => f.cost));
  return found.find((f) => f.cost <= FEWER * least)?.split;
}
