/**
 * Runs a kernel program on what is known of its values instead of on values: every statement for all threads at once. Branches are followed
 * apart and joined; loops are run until what is assumed of their variables holds at the end of a turn as well; functions are run anew at
 * every call, with what is known of the arguments, so that one which nothing calls is not looked at.
 */
import { constIndex, dependsOn, type Index, scale, substitute, sum } from '../../read/indexing.js';
import type { Kernel, KernelFunction, Stmt } from '../types.js';
import { inputsOf, type Workgroups } from './inputs.js';
import { isInteger } from './integers.js';
import { type Head, headOf, narrowedTo, widened } from './loops.js';
import { Facts, hull, type Level, lower, type Range, Symbols, within } from './ranges.js';
import type { Report } from './report.js';
import { afterBarrier, Races, sameArrays, UNTOUCHED, withTouched } from './shared.js';
import { fork, joinShared, type State, type Value } from './state.js';
import { reach, Values } from './values.js';
import { assigned, sharingFunctions } from './walk.js';

type Of<K extends Stmt['kind']> = Extract<Stmt, { kind: K }>;

interface Return {
  readonly state: State;
  readonly value: Value | undefined;
}

/** Turns after which a loop's variables are taken to be any number, and after which the verifier gives up. */
const WIDEN_AFTER = 2;
const GIVE_UP_AFTER = 20;

/** Checks the rules on values. The program must keep the rules `scope` and `type`. */
export function checkFlow(kernel: Kernel, workgroups: Workgroups | undefined, report: Report): void {
  new Flow(kernel, report).main(workgroups);
}

class Flow {
  private readonly symbols = new Symbols();
  private readonly values: Values;
  private readonly races: Races;
  private readonly functions: ReadonlyMap<string, KernelFunction>;
  private readonly sharing: ReadonlySet<string>;
  /** Of the function that is being run. */
  private returned: Return[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly report: Report,
  ) {
    this.functions = new Map(kernel.functions.map((f) => [f.name, f]));
    this.sharing = sharingFunctions(kernel);
    this.races = new Races(kernel, this.symbols, report);
    this.values = new Values(kernel, this.symbols, report, this.races, (fn, args, s) => this.call(fn, args, s));
  }

  main(workgroups: Workgroups | undefined): void {
    const env = inputsOf(this.kernel, workgroups, this.symbols, this.values.integers);
    this.report.enter('main');
    this.run(this.kernel.main, {
      env,
      facts: new Facts(),
      pc: 2,
      live: 2,
      left: false,
      done: false,
      arrays: new Map(this.kernel.shared.map((a) => [a.name, UNTOUCHED])),
    });
    this.report.leave();
  }

  private run(body: readonly Stmt[], s: State): void {
    for (const stmt of body) {
      if (s.done || s.facts.impossible) return;
      this.report.at(stmt);
      this.stmt(stmt, s);
    }
  }

  private stmt(stmt: Stmt, s: State): void {
    switch (stmt.kind) {
      case 'let':
      case 'assign':
        s.env.set(stmt.name, this.values.value(stmt.value, s));
        return;
      case 'var': {
        if (stmt.value) {
          s.env.set(stmt.name, this.values.value(stmt.value, s));
          return;
        }
        const { scalar, lanes } = stmt.type;
        const zero = isInteger(scalar) ? { parts: Array.from({ length: lanes }, () => constIndex(0)) } : {};
        s.env.set(stmt.name, { scalar, level: 2, speculative: false, ...zero });
        return;
      }
      case 'array': {
        const all = stmt.values.map((v) => this.values.settled(v, s, `an element of ${stmt.name}`));
        const level = lower(...all.map((v) => v.level));
        s.env.set(stmt.name, { scalar: stmt.type.scalar, level, speculative: false, length: all.length });
        return;
      }
      case 'put':
        this.put(stmt, s);
        return;
      case 'store':
        this.store(stmt, s);
        return;
      case 'if':
        this.branch(stmt, s);
        return;
      case 'for':
        this.loop(stmt, s);
        return;
      case 'block':
        this.run(stmt.body, s);
        return;
      case 'do': {
        const args = stmt.args.map((a) => this.values.settled(a, s, `an argument of ${stmt.fn}`));
        this.call(stmt.fn, args, s);
        return;
      }
      case 'barrier':
        if (lower(s.pc, s.live) < 2) this.report.say('flow', 'a barrier where not all threads of a workgroup may be');
        s.arrays = new Map([...s.arrays].map(([name, a]) => [name, afterBarrier(a)]));
        return;
      case 'return': {
        const value = stmt.value && this.values.settled(stmt.value, s, 'a result');
        this.returned.push({ state: fork(s, s.facts, s.live), value });
        s.done = true;
        s.left = true;
        return;
      }
      case 'write':
        this.values.settled(stmt.value, s, 'what is stored');
        this.values.indexOf(stmt.at, s, stmt.buffer, this.values.buffer(stmt.buffer).count);
        return;
      case 'comment':
        return;
    }
  }

  private put(stmt: Of<'put'>, s: State): void {
    const value = this.values.settled(stmt.value, s, `an element of ${stmt.array}`);
    const local = s.env.get(stmt.array);
    if (local) {
      const at = this.values.indexOf(stmt.at, s, stmt.array, local.length!);
      s.env.set(stmt.array, { ...local, level: lower(local.level, at.level, value.level) });
      return;
    }
    const { count } = this.kernel.shared.find((a) => a.name === stmt.array)!;
    const at = this.values.indexOf(stmt.at, s, stmt.array, count);
    const before = s.arrays.get(stmt.array) ?? UNTOUCHED;
    s.arrays.set(stmt.array, this.races.put(stmt.array, before, this.races.access(at.parts![0]!, s.facts)));
  }

  private store(stmt: Of<'store'>, s: State): void {
    // Where conditions say what is stored, the rest may be anything.
    if (stmt.when.length === 0) this.values.settled(stmt.value, s, 'what is stored');
    else this.values.value(stmt.value, s);
    const b = this.values.buffer(stmt.buffer);
    const count = reach(b, stmt.at);
    // Conditions hold of each lane by itself. Without them, all four are looked at together.
    const apart = stmt.when.length > 0 && [stmt.at, ...stmt.when.map((c) => c.index)].some((x) => dependsOn(x, 'lane'));
    for (const lane of apart ? [0, 1, 2, 3] : [undefined]) {
      const one = (x: Index): Index => (lane === undefined ? x : substitute(x, 'lane', constIndex(lane)));
      const facts = new Facts(s.facts);
      for (const c of stmt.when) {
        if (!facts.impossible) facts.add(this.values.below(one(c.index), c.below, s, facts).outcome.yes);
      }
      if (facts.impossible) continue;
      const { range, claimed } = this.values.place(one(stmt.at), s, facts);
      if (!claimed || within(range, 0, count - 1)) continue;
      const where = `${range.lo}..${range.hi}`;
      this.report.say('bounds', `${b.name} has ${count} elements to write, the address is ${where}`);
    }
  }

  private branch(stmt: Of<'if'>, s: State): void {
    const branches: State[] = [];
    let level: Level = 2;
    let rest = s.facts;
    for (const c of stmt.cases) {
      if (rest.impossible) break;
      const here = fork(s, rest, level);
      const when = this.values.settled(c.when, here, 'a condition');
      s.arrays = joinShared([s, here], level < 2);
      level = lower(level, when.level);
      const taken = this.beside(s, branches, rest.with(when.outcome?.yes), level);
      rest = rest.with(when.outcome?.no);
      if (taken.facts.impossible) continue;
      this.run(c.body, taken);
      branches.push(taken);
    }
    if (!rest.impossible) {
      const other = this.beside(s, branches, rest, level);
      this.run(stmt.otherwise ?? [], other);
      branches.push(other);
    }
    this.join(s, branches, level);
  }

  /** A branch that other threads may be in while some are in those before it: then these have touched what they touch. */
  private beside(s: State, before: readonly State[], facts: Facts, level: Level): State {
    const own = fork(s, facts, level);
    if (level === 2) return own;
    for (const b of before) {
      own.arrays = new Map([...own.arrays].map(([n, a]) => [n, withTouched(a, b.arrays.get(n) ?? UNTOUCHED)]));
    }
    return own;
  }

  /** Where branches meet that threads took by a condition of this level. */
  private join(s: State, branches: readonly State[], level: Level): void {
    // Who has returned may still be compared with by those who were elsewhere, until a barrier, which then may no longer come.
    const alive = branches.filter((b) => !b.done && !b.facts.impossible);
    const ended = alive.length === 0 || lower(level, s.pc) < 2 ? branches : alive;
    if (ended.length > 0) s.arrays = joinShared(ended, level < 2);
    // Facts may turn out to contradict each other within a branch: nobody gets to its end.
    if (alive.length === 0) {
      s.left = true;
      s.done = true;
      return;
    }
    // All that were in a branch may have left from it by a condition of their own: then those of the other branches are alone.
    const left = branches.some((b) => b.left);
    s.left ||= left;
    s.live = lower(...alive.map((b) => b.live), left ? level : 2);
    if (alive.length === 1) s.facts = alive[0]!.facts;
    for (const name of s.env.keys()) {
      const all = alive.map((b) => ({ value: b.env.get(name)!, facts: b.facts }));
      s.env.set(name, this.either(all, level));
    }
  }

  /** One of several values, by a choice of this level. */
  private either(all: readonly { readonly value: Value; readonly facts: Facts }[], choice: Level): Value {
    const [first] = all;
    if (all.every((v) => v.value === first!.value)) return first!.value;
    const level = lower(choice, ...all.map((v) => v.value.level));
    const { scalar, length } = first!.value;
    const parts = first!.value.parts?.map((part, i) =>
      all.every((v) => v.value.parts![i]!.key === part.key)
        ? part
        : this.symbols.fresh(hull(...all.map((v) => v.facts.range(v.value.parts![i]!))), level),
    );
    return {
      scalar,
      level,
      speculative: all.some((v) => v.value.speculative),
      ...(parts ? { parts } : {}),
      ...(length === undefined ? {} : { length }),
    };
  }

  private loop(stmt: Of<'for'>, s: State): void {
    const born = this.symbols.count;
    const from = this.values.settled(stmt.from, s, 'the start of a loop');
    const below = this.values.settled(stmt.below, s, 'the end of a loop');
    const level = lower(from.level, below.level);
    const [first, end] = [s.facts.range(from.parts![0]!), s.facts.range(below.parts![0]!)];
    if (end.hi <= first.lo) return;
    const surely = first.hi < end.lo;
    const counter = this.counter(from.parts![0]!, first, end, stmt.step, level);
    const facts = s.facts.with(this.values.integers.compare('<', counter, below.parts![0]!, s.facts).yes);
    const heads = new Map<string, Head>();
    for (const name of assigned(stmt.body)) {
      const value = s.env.get(name);
      if (value) heads.set(name, headOf(value, s.facts));
    }
    const before = new Map(heads);
    let narrowed = false;
    let { live, arrays } = s;
    for (let pass = 0; ; pass++) {
      const found = this.report.count;
      const turn = fork({ ...s, live, arrays }, facts, level);
      for (const [name, h] of heads) turn.env.set(name, this.started(h));
      turn.env.set(stmt.name, { scalar: 'u32', level, parts: [counter], speculative: false });
      this.run(stmt.body, turn);
      const over = turn.done || turn.facts.impossible;
      const again = { ...turn, arrays: new Map([...turn.arrays].map(([n, a]) => [n, this.races.nextTurn(a, born)])) };
      const next = over ? arrays : joinShared([{ ...s, arrays }, again], false);
      const nextLive = over ? live : lower(live, turn.live);
      let settled = nextLive === live && [...next].every(([n, a]) => sameArrays(a, arrays.get(n) ?? UNTOUCHED));
      for (const [name, h] of over ? [] : heads) {
        const more = widened(h, headOf(turn.env.get(name)!, turn.facts), pass >= WIDEN_AFTER);
        if (more !== h) settled = false;
        heads.set(name, more);
      }
      if (settled && !over && pass > WIDEN_AFTER && !narrowed) {
        narrowed = true;
        for (const [name, h] of before) {
          const own = narrowedTo(h, headOf(turn.env.get(name)!, turn.facts), heads.get(name)!);
          if (own !== heads.get(name)) settled = false;
          heads.set(name, own);
        }
      }
      if (settled || pass === GIVE_UP_AFTER) {
        if (!settled) this.report.say('flow', 'what a turn of the loop leaves behind is not understood');
        this.leaveLoop(s, heads, level, {
          turn,
          over,
          surely,
          live,
          arrays: over ? joinShared([{ ...s, arrays }, again], false) : surely ? again.arrays : arrays,
        });
        return;
      }
      this.report.forget(found);
      arrays = next;
      live = nextLive;
    }
  }

  /** Where a loop starts at a known number, its counter is exact: a multiple of the step stays one. */
  private counter(from: Index, first: Range, end: Range, step: number, level: Level): Index {
    if (end.hi - 1 + step >= 2 ** 32) return this.symbols.fresh({ lo: 0, hi: end.hi - 1 }, level);
    const turns = this.symbols.fresh({ lo: 0, hi: Math.floor((end.hi - 1 - first.lo) / step) }, level);
    return sum(from, scale(turns, step));
  }

  private leaveLoop(
    s: State,
    heads: ReadonlyMap<string, Head>,
    level: Level,
    end: Pick<State, 'live' | 'arrays'> & { turn: State; over: boolean; surely: boolean },
  ): void {
    // Threads leave after different turns, unless they all do the same ones.
    for (const [name, h] of heads) {
      const v = this.started(h);
      s.env.set(name, { ...v, level: lower(v.level, level) });
    }
    s.arrays = end.arrays;
    s.done = end.over && end.surely;
    s.left ||= end.turn.left;
    s.live = lower(end.live, end.over ? 2 : end.turn.live, end.turn.left ? level : 2);
  }

  private started({ value, ranges }: Head): Value {
    const { outcome: _, ...rest } = value;
    return ranges ? { ...rest, parts: ranges.map((r) => this.symbols.fresh(r, value.level)) } : rest;
  }

  /** Runs a function in the state of its caller. All who called it come back from it. */
  private call(fn: string, args: readonly Value[], s: State): Value | undefined {
    const f = this.functions.get(fn)!;
    const inner: State = { ...fork(s, s.facts, s.live), env: new Map(), live: 2 };
    f.params.forEach((p, i) => {
      inner.env.set(p.name, this.sharing.has(f.name) ? args[i]! : this.argument(args[i]!, inner.facts));
    });
    const outer = this.returned;
    this.returned = [];
    this.report.enter(fn);
    this.run(f.body, inner);
    this.report.leave();
    const all = this.returned;
    if (!inner.done && !inner.facts.impossible) all.push({ state: inner, value: undefined });
    this.returned = outer;
    // Guards that contradict each other on every path: the call never comes back, nor is it ever made.
    if (all.length === 0) {
      s.facts.impossible = true;
      return f.result && this.unknown(f.result.scalar, f.result.lanes);
    }
    s.arrays = joinShared(
      all.map((r) => r.state),
      false,
    );
    if (!f.result) return undefined;
    const choice = all.length === 1 ? 2 : lower(...all.map((r) => lower(r.state.pc, r.state.live)));
    return this.either(
      all.map((r) => ({ value: r.value!, facts: r.state.facts })),
      choice,
    );
  }

  /**
   * A sum gets a symbol of its own within a function, and is known to equal it. A guard then bounds the parameter itself: of a row that is
   * 64·group + thread, a quotient by 49 would otherwise be that of 15·group + thread, of which the guard says nothing.
   */
  private argument(v: Value, facts: Facts): Value {
    const [form] = v.parts ?? [];
    if (!form || v.parts!.length > 1 || form.terms.length < 2) return v;
    const own = this.symbols.fresh(facts.range(form), v.level);
    facts.assume(sum(own, scale(form, -1)), 0, 0);
    return { ...v, parts: [own] };
  }

  private unknown(scalar: Value['scalar'], lanes: number): Value {
    const parts = isInteger(scalar) ? Array.from({ length: lanes }, () => this.values.integers.any(scalar, 0)) : [];
    return { scalar, level: 0, speculative: false, ...(parts.length > 0 ? { parts } : {}) };
  }
}
