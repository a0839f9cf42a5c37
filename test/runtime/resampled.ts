/** One direction of a resize on the CPU, by the weights that the runtime gives to the GPU. */
import { type Filter, taps } from '../../runtime/images/resample.js';

/** A picture's byte at (x, y) of channel c; of one direction: at a place along it and across it. */
export type At = (x: number, y: number, c: number) => number;

export function resampled(from: number, to: number, filter: Filter, at: At): At {
  const { table, most } = taps(from, to, filter);
  return (i, j, c) => {
    const [start, ...weights] = table.subarray(i * (most + 1), (i + 1) * (most + 1));
    const sum = weights.reduce((all, w, t) => (w === 0 ? all : all + w * at(start! + t, j, c)), 1 << 21);
    return Math.min(255, Math.max(0, sum >> 22));
  };
}
