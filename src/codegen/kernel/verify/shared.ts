/**
 * The verifier's rule `shared`. Between two barriers no thread may read or put an element of workgroup memory that another thread puts.
 * Which elements a thread touches follows from its number, so two accesses are compared for every pair of threads of the workgroup: this
 * shows, rather than assumes, that `a[thread]` is a thread's own element and that a tree reduction's halves do not meet.
 */
import { constIndex, evaluate, type Index, scale, sum, type Term, variable } from '../../read/indexing.js';
import type { Kernel } from '../types.js';
import { type Fact, type Facts, namesIn, type Range, replace, type Symbols } from './ranges.js';
import type { Report } from './report.js';
import { formOf } from './terms.js';

export interface Access {
  readonly at: Index;
  readonly range: Range;
  /** What guards say of the numbers of the threads that come here. */
  readonly guards: readonly Fact[];
  readonly key: string;
}

/** What has happened to an array, on the paths that lead to a place. */
export interface ArrayState {
  /** On every path there was a put and then a barrier. */
  readonly published: boolean;
  /** On every path there was a put since the last barrier. */
  readonly put: boolean;
  /** Elements that the thread itself has put since the last barrier, on every path. */
  readonly own: ReadonlySet<string>;
  /** Since the last barrier, on some path. */
  readonly reads: ReadonlyMap<string, Access>;
  readonly writes: ReadonlyMap<string, Access>;
}

export const UNTOUCHED: ArrayState = {
  published: false,
  put: false,
  own: new Set(),
  reads: new Map(),
  writes: new Map(),
};

export function afterBarrier(a: ArrayState): ArrayState {
  return { ...UNTOUCHED, published: a.published || a.put };
}

const common = (a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> => new Set([...a].filter((x) => b.has(x)));

/** Where paths meet. `some`: threads take both, so a put on one of them is a put. */
export function joinArrays(a: ArrayState, b: ArrayState, some: boolean): ArrayState {
  return {
    published: a.published && b.published,
    put: some ? a.put || b.put : a.put && b.put,
    own: common(a.own, b.own),
    reads: new Map([...a.reads, ...b.reads]),
    writes: new Map([...a.writes, ...b.writes]),
  };
}

/** What threads that are elsewhere have touched, beside what happened here. */
export function withTouched(here: ArrayState, elsewhere: ArrayState): ArrayState {
  return {
    ...here,
    reads: new Map([...here.reads, ...elsewhere.reads]),
    writes: new Map([...here.writes, ...elsewhere.writes]),
  };
}

export function sameArrays(a: ArrayState, b: ArrayState): boolean {
  const keys = (s: ArrayState): string =>
    [s.published, s.put, ...[s.own, s.reads.keys(), s.writes.keys()].map((k) => [...k].sort().join())].join(';');
  return keys(a) === keys(b);
}

export class Races {
  private readonly size: number;
  private readonly known = new Map<string, boolean>();

  constructor(
    private readonly kernel: Kernel,
    private readonly symbols: Symbols,
    private readonly report: Report,
  ) {
    this.size = kernel.workgroup.reduce((a, b) => a * b, 1);
  }

  access(at: Index, facts: Facts): Access {
    const guards = [...facts.all()].filter((f) => this.isLocal(f.form));
    const range = facts.range(at);
    const limits = guards.map((g) => `${g.form.key} ${g.lo} ${g.hi}`).sort();
    return { at, range, guards, key: [at.key, range.lo, range.hi, ...limits].join() };
  }

  read(name: string, s: ArrayState, a: Access): ArrayState {
    const own = s.own.has(a.at.key);
    if (!s.published && !own) this.report.say('shared', `${name} is read before a put and a barrier`);
    for (const w of s.writes.values()) {
      if (!this.meet(w, a)) continue;
      this.report.say('shared', `${name} is read where another thread may have put since the last barrier`);
      break;
    }
    return { ...s, reads: new Map(s.reads).set(a.key, a) };
  }

  put(name: string, s: ArrayState, a: Access): ArrayState {
    if ([...s.reads.values()].some((r) => this.meet(a, r))) {
      this.report.say('shared', `${name} is put where another thread may have read since the last barrier`);
    }
    if (this.meet(a, a) || [...s.writes.values()].some((w) => this.meet(a, w))) {
      this.report.say('shared', `two threads may put the same element of ${name}`);
    }
    return { ...s, put: true, own: new Set(s.own).add(a.at.key), writes: new Map(s.writes).set(a.key, a) };
  }

  /**
   * The state as the next turn of a loop finds it. Numbers that were made in the loop (from `born` on) have other values then: what all
   * threads had alike, they still had alike, but it is not what they have now.
   */
  nextTurn(s: ArrayState, born: number): ArrayState {
    const inLoop = (name: string): boolean => name !== 'lane' && this.symbols.info(name).born >= born;
    const aged = (all: ReadonlyMap<string, Access>): Map<string, Access> => {
      const result = new Map<string, Access>();
      for (const a of all.values()) {
        let n = 0;
        const at = replace(a.at, (name, hi) => {
          if (!inLoop(name)) return variable(name, hi + 1);
          // Named by its order and range only, so that another turn does not make another state.
          return this.symbols.same(`past ${n++}`, { lo: 0, hi }, this.symbols.info(name).level);
        });
        const key = at.key + a.key.slice(a.at.key.length);
        result.set(key, { ...a, at, key });
      }
      return result;
    };
    // A symbol of the loop in a form is one in its key.
    const kept = [...s.own].filter((key) => ![...key.matchAll(/s\d+/g)].some(([name]) => inLoop(name)));
    return { ...s, own: new Set(kept), reads: aged(s.reads), writes: aged(s.writes) };
  }

  /** Whether two different threads may touch one element, one by `a` and the other by `b`. */
  private meet(a: Access, b: Access): boolean {
    if (a.range.hi < b.range.lo || b.range.hi < a.range.lo) return false;
    const key = `${a.key}|${b.key}`;
    let found = this.known.get(key);
    if (found === undefined) {
      found = this.compare(a, b);
      this.known.set(key, found);
    }
    return found;
  }

  private compare(a: Access, b: Access): boolean {
    const [x, y] = [this.split(a.at), this.split(b.at)];
    if (!x || !y) return true;
    const locals = [...namesIn(x.own), ...namesIn(y.own)].map((n) => this.symbols.info(n).local!);
    const bySubgroup = locals.includes('subgroup');
    // A lane's number is the thread's only where one subgroup is the whole workgroup, and even then lanes may be numbered in another order.
    if (bySubgroup && (this.kernel.subgroup !== this.size || locals.some((l) => l !== 'subgroup'))) return true;
    const difference = sum(x.alike, scale(y.alike, -1));
    const [first, second] = [this.places(x.own, a.guards, bySubgroup), this.places(y.own, b.guards, bySubgroup)];
    return first.some((p, t) => second.some((q, u) => t !== u && q - p >= difference.lo && q - p <= difference.hi));
  }

  /** A form as a sum of what depends on the thread's number and of what all threads have alike; undefined where it is neither. */
  private split(x: Index): { own: Index; alike: Index } | undefined {
    const own: Term[] = [];
    const alike: Term[] = [];
    for (const t of x.terms) {
      const infos = [...namesIn(formOf(t.atom))].map((n) => this.symbols.info(n));
      if (infos.every((i) => i.level === 2)) alike.push(t);
      else if (infos.every((i) => i.local)) own.push(t);
      else return undefined;
    }
    const whole = (t: Term): Index => scale(formOf(t.atom), t.coeff);
    return { own: sum(...own.map(whole)), alike: sum(...alike.map(whole), constIndex(x.constant)) };
  }

  private isLocal(x: Index): boolean {
    return [...namesIn(x)].every((n) => n !== 'lane' && this.symbols.info(n).local !== undefined);
  }

  /** The value of a form for each thread that its guards let through; holes are the others. */
  private places(x: Index, guards: readonly Fact[], bySubgroup: boolean): number[] {
    const usable = guards.filter((g) =>
      [...namesIn(g.form)].every((n) => (this.symbols.info(n).local === 'subgroup') === bySubgroup),
    );
    const names = new Set([x, ...usable.map((g) => g.form)].flatMap((f) => [...namesIn(f)]));
    const [across, down] = this.kernel.workgroup;
    const values: number[] = [];
    for (let t = 0; t < this.size; t++) {
      const place = {
        index: t,
        x: t % across,
        y: Math.floor(t / across) % down,
        z: Math.floor(t / (across * down)),
        subgroup: t,
      };
      const given = Object.fromEntries([...names].map((n) => [n, place[this.symbols.info(n).local!]]));
      const comes = usable.every((g) => {
        const v = evaluate(g.form, given);
        return v >= g.lo && v <= g.hi;
      });
      if (comes) values[t] = evaluate(x, given);
    }
    return values;
  }
}
