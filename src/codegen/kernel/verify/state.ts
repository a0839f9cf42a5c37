/** What the verifier knows at a place of a kernel program, and how that parts and comes together again. */
import type { Index } from '../../read/indexing.js';
import type { Scalar } from '../types.js';
import type { Outcome } from './integers.js';
import { Facts, type Level, lower } from './ranges.js';
import { type ArrayState, joinArrays, UNTOUCHED } from './shared.js';

export interface Value {
  readonly scalar: Scalar;
  readonly level: Level;
  /** Of integers, the form of each element. */
  readonly parts?: readonly Index[];
  /** What follows from a bool of one lane. */
  readonly outcome?: Outcome;
  /** It may come from outside of a tensor. */
  readonly speculative: boolean;
  /** Of a speculative value: whether it comes from inside where these facts hold. Absent where nobody can tell. */
  readonly inside?: (facts: Facts) => boolean;
  /** Elements of a private array. Of what they are, only the level is followed. */
  readonly length?: number;
}

/** What is made of these values is speculative if one of them is, and from inside where all are. */
export function speculation(of: readonly Value[]): Pick<Value, 'speculative' | 'inside'> {
  const all = of.filter((v) => v.speculative);
  if (all.length === 0 || !all.every((v) => v.inside)) return { speculative: all.length > 0 };
  return { speculative: true, inside: (facts) => all.every((v) => v.inside!(facts)) };
}

/** What is known at a place of the program. */
export interface State {
  env: Map<string, Value>;
  facts: Facts;
  /** Who all are here, by the branches and loops around: 2 whole workgroups, 1 whole subgroups, 0 perhaps single threads. */
  pc: Level;
  /** The same by the returns before. */
  live: Level;
  /** Some may have returned since the branch, loop or function around began. */
  left: boolean;
  /** Nobody is here: every path has returned. */
  done: boolean;
  arrays: Map<string, ArrayState>;
}

export function fork(s: State, facts: Facts, level: Level): State {
  return {
    env: new Map(s.env),
    facts: new Facts(facts),
    pc: lower(s.pc, level),
    live: s.live,
    left: false,
    done: false,
    arrays: new Map(s.arrays),
  };
}

export function joinShared(states: readonly State[], some: boolean): Map<string, ArrayState> {
  const result = new Map<string, ArrayState>();
  for (const name of new Set(states.flatMap((s) => [...s.arrays.keys()]))) {
    const all = states.map((s) => s.arrays.get(name) ?? UNTOUCHED);
    result.set(
      name,
      all.reduce((a, b) => joinArrays(a, b, some)),
    );
  }
  return result;
}
