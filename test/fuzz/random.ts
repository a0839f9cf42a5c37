/** Numbers of one fuzz case: a stream that only its seed and its index decide, so that any case can be made again alone. */

/** sfc32, started from the seed and the index. */
export class Random {
  private state: [number, number, number, number];

  constructor(seed: number, index: number) {
    this.state = [seed | 0, index | 0, Math.floor(index / 2 ** 32) ^ Math.floor(seed / 2 ** 32), 1];
    for (let i = 0; i < 15; i++) this.next();
  }

  /** In [0, 1). */
  next(): number {
    let [a, b, c, d] = this.state;
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    this.state = [a, b, c, d];
    return (t >>> 0) / 4294967296;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(p: number): boolean {
    return this.next() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Entries of a table of weights, as often as those say. */
  weighted<T>(table: readonly (readonly [weight: number, value: T])[]): T {
    let at = this.next() * table.reduce((sum, [w]) => sum + w, 0);
    for (const [w, value] of table) {
      at -= w;
      if (at < 0) return value;
    }
    return table.at(-1)![1];
  }

  /** 1, rarely more: how many changes a mutation makes. */
  few(): number {
    let n = 1;
    while (n < 8 && this.chance(0.4)) n++;
    return n;
  }
}
