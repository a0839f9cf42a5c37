/** Two clocks. On a software driver processor time is what a kernel costs, however many other processes want the cores. */

export const CLOCKS = ['wall', 'cpu'] as const;
/** `wall`: elapsed time. `cpu`: processor time of all threads of this process. */
export type Clock = (typeof CLOCKS)[number];

/** Seconds; differences of them mean something. */
export function seconds(clock: Clock): number {
  if (clock === 'wall') return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
