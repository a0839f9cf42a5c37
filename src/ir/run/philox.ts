/**
 * Philox 4x32-10: random bits from a counter and a key, with no state in between (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). The same bits on every machine and in every order of execution.
 */

/** What each round multiplies by, and what is added to the key between rounds. */
export const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
export const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
export const ROUNDS = 10;

export type Counter = readonly [number, number, number, number];

/** The upper 32 bits of a product of two u32. */
function high(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const low = al * bl;
  const middle = ah * bl + Math.floor(low / 65536);
  const other = al * bh + (middle % 65536);
  return ah * bh + Math.floor(middle / 65536) + Math.floor(other / 65536);
}

/** Four u32 of random bits. */
export function philox(counter: Counter, key: readonly [number, number]): Counter {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const [m, n] = MULTIPLIERS;
    const next: Counter = [
      (high(n, c) ^ b ^ k) >>> 0,
      Math.imul(n, c) >>> 0,
      (high(m, a) ^ d ^ l) >>> 0,
      Math.imul(m, a) >>> 0,
    ];
    [a, b, c, d] = next;
    k = (k + KEY_STEPS[0]) >>> 0;
    l = (l + KEY_STEPS[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** Element `i` of a stream: word i mod 4 of the block i div 4. A stream has 2^34 elements. */
export const counterOf = (block: number, stream: number): Counter => [block, 0, stream, 0];
