/**
 * Random numbers of the data by counter: a function of seed, epoch, purpose and item, so that any of them can be drawn again, in any order, by
 * anyone. Philox, as the programs' own (src/ir/run/philox.ts); the fourth word of a counter, which those leave at 0, is above 0 here.
 */
import { philox } from '../ir/run/philox.js';

/** What numbers are drawn for: streams that have nothing to do with one another. */
export const PURPOSES = { order: 0, sample: 1, batch: 2, split: 3, limit: 4, search: 5 } as const;

export interface DrawKey {
  readonly seed: number;
  readonly epoch: number;
  readonly purpose: keyof typeof PURPOSES;
  /** The item, batch or class that they are for. */
  readonly of: number;
  /** How often it has come in this epoch before. */
  readonly repeat?: number;
}

/** Numbers of one key, one after another. */
export class Draws {
  private readonly key: DrawKey;
  private block: readonly number[] = [];
  private next = 0;

  constructor(key: DrawKey) {
    this.key = key;
  }

  /** 32 random bits. */
  bits(): number {
    const { seed, epoch, purpose, of, repeat = 0 } = this.key;
    if (this.next % 4 === 0) this.block = philox([this.next / 4, of, PURPOSES[purpose], 1 + repeat], [seed, epoch]);
    return this.block[this.next++ % 4]!;
  }

  /** In [from, to). */
  uniform(from = 0, to = 1): number {
    return from + (to - from) * (this.bits() / 2 ** 32);
  }

  /** A whole number in [0, below). */
  whole(below: number): number {
    return Math.floor(this.uniform(0, below));
  }

  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Normally distributed (Box and Muller). */
  normal(mean = 0, deviation = 1): number {
    const radius = Math.sqrt(-2 * Math.log((this.bits() + 1) / 2 ** 32));
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Beta(a, a), from two numbers of a Gamma distribution. */
  beta(a: number): number {
    const [x, y] = [this.gamma(a), this.gamma(a)];
    // Both are 0 only where `a` is so small that all of it lies at the ends.
    return x + y > 0 ? x / (x + y) : this.whole(2);
  }

  /** Marsaglia and Tsang, "A simple method for generating gamma variables", 2000. */
  private gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * this.uniform() ** (1 / shape);
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(this.uniform() + 2 ** -33) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  /** In a random order (Fisher and Yates). */
  shuffled(items: ArrayLike<number>): Int32Array<ArrayBuffer> {
    const list = Int32Array.from(items);
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.whole(i + 1);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
    return list;
  }
}
