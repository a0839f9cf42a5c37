/** Reference semantics of sorting, row by row. */
import type { Elements } from '../../types.js';

/** Places of each row of `width` in the order of their elements, the first of equal ones first. */
export function sortedOrder(x: Elements, width: number): Int32Array {
  const out = new Int32Array(x.length);
  for (let at = 0; at < x.length; at += width) {
    const order = out.subarray(at, at + width);
    for (let i = 0; i < width; i++) order[i] = i;
    order.sort((i, j) => x[at + i]! - x[at + j]! || i - j);
  }
  return out;
}

/** Neighbouring runs of each row's order merged two by two. */
export function mergedOrder(x: Elements, order: Elements, width: number, run: number): Int32Array {
  const out = new Int32Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    for (let from = 0; from < width; from += 2 * run) {
      const middle = Math.min(from + run, width);
      const end = Math.min(from + 2 * run, width);
      let [i, j] = [from, middle];
      const key = (at: number): number => x[row + order[row + at]!]!;
      for (let to = from; to < end; to++) {
        const first = i < middle && (j >= end || key(i) <= key(j));
        out[row + to] = order[row + (first ? i++ : j++)]!;
      }
    }
  }
  return out;
}
