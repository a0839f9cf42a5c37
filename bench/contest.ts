/** Runs contestants in turn, so that a machine that gets slower or faster meanwhile is slower or faster for all. */

export interface Contestant {
  /** Does it once; gives the seconds that it took. */
  measure(): Promise<number>;
}

/** Of `count` contestants, who runs when in a round. Of two or three, each has each place, and follows each other one, equally often. */
export function order(count: number, round: number): number[] {
  const rotated = Array.from({ length: count }, (_, i) => (i + (round >> 1)) % count);
  return round % 2 === 0 ? rotated : rotated.reverse();
}

/** Seconds of each contestant, by round. */
export async function contest(contestants: readonly Contestant[], rounds: number): Promise<number[][]> {
  const times: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const i of order(contestants.length, round)) times[i]!.push(await contestants[i]!.measure());
  }
  return times;
}
