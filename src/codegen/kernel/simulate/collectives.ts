/** Operations over the lanes of a subgroup: runs of consecutive threads of a workgroup, the last of which may be short. */

import type { Collective } from '../types.js';
import type { Machine, Place } from './machine.js';
import { roundToHalf, type Values } from './math.js';

/** Lanes of a subgroup. */
export interface Subgroups {
  /** What the kernel was made for. */
  readonly expected: number;
  /** What the simulated hardware has. */
  readonly lanes: number;
}

/** Tells of subgroups that are not as the kernel wants them, or not all of whose lanes are here. */
function checkLanes(machine: Machine, op: Collective, { expected, lanes }: Subgroups, place: Place): void {
  if (lanes !== expected) {
    const what = `a subgroup has ${lanes} lanes, and the kernel is for ${expected}, first seen in ${place.text}`;
    machine.report('wrong-lanes', '', undefined, -1, what);
  }
  const { threads, mask } = machine;
  if (machine.active === threads) return;
  for (let first = 0; first < threads; first += lanes) {
    const end = Math.min(first + lanes, threads);
    let on = 0;
    let off = first;
    for (let t = first; t < end; t++) {
      if (mask[t] === 1) on++;
      else off = t;
    }
    if (on === 0 || on === end - first) continue;
    const what = `subgroup ${op} without ${end - first - on} of ${end - first} lanes, such as`;
    machine.report('divergent-collective', op, place, off, what);
  }
}

/**
 * Fills `out` for all active threads: with the value of `x` in the lane that `lane` says (broadcast, shuffle), in the one whose number
 * differs in those bits (shuffle_xor), or with the sum or an extreme of all active lanes, taken in their order.
 */
export function collect(
  machine: Machine,
  op: Collective,
  subgroups: Subgroups,
  x: Values,
  lane: Values | undefined,
  out: Values,
  half: boolean,
  place: Place,
): void {
  checkLanes(machine, op, subgroups, place);
  if (lane) exchange(machine, op, subgroups.lanes, x, lane, out, place);
  else reduce(machine, op, subgroups.lanes, x, out, half);
}

function exchange(
  machine: Machine,
  op: Collective,
  lanes: number,
  x: Values,
  lane: Values,
  out: Values,
  place: Place,
): void {
  const { threads, mask } = machine;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const own = t % lanes;
    const wanted = op === 'shuffle_xor' ? (own ^ lane[t]!) >>> 0 : lane[t]!;
    const from = t - own + wanted;
    const there = wanted < lanes && from < threads && mask[from] === 1;
    if (!there) {
      machine.report('absent-lane', op, place, t, `subgroup ${op} from lane ${wanted}, which takes no part`);
    }
    for (let k = 0; k < out.length; k += threads) out[k + t] = there ? x[k + from]! : 0;
  }
}

function reduce(machine: Machine, op: Collective, lanes: number, x: Values, out: Values, half: boolean): void {
  const { threads, mask } = machine;
  // The array rounds or wraps what is stored in it.
  const total = out.slice(0, 1);
  for (let k = 0; k < out.length; k += threads) {
    for (let first = 0; first < threads; first += lanes) {
      const end = Math.min(first + lanes, threads);
      let begun = false;
      for (let t = first; t < end; t++) {
        if (mask[t] === 0) continue;
        const value = x[k + t]!;
        if (!begun) total[0] = value;
        else if (op === 'add') total[0] = total[0]! + value;
        else total[0] = op === 'max' ? Math.max(total[0]!, value) : Math.min(total[0]!, value);
        if (half) roundToHalf(total);
        begun = true;
      }
      out.fill(total[0]!, k + first, k + end);
    }
  }
}
