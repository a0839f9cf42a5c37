/** What the verifier knows of the value of an expression, and the rules that concern expressions: ranges, bounds, speculation, lanes. */
import { constIndex, dependsOn, type Index, LANE, laneForm } from '../../read/indexing.js';
import type { Buffer, Expr, Kernel } from '../types.js';
import { Integers, isInteger, NEVER, type Outcome, rangeOfType } from './integers.js';
import {
  type Facts,
  hull,
  type Level,
  lower,
  meet,
  named,
  namesIn,
  type Range,
  replace,
  type Symbols,
  within,
} from './ranges.js';
import { type Report, showIndex } from './report.js';
import { type Races, UNTOUCHED } from './shared.js';
import { fork, joinShared, type State, speculation, type Value } from './state.js';
import { claims, divided } from './terms.js';
import { pureFunctions } from './walk.js';

const shown = ({ lo, hi }: Range): string => `${lo}..${hi}`;

/** Elements that an address may name. The padding is reached four at a time. */
export function reach(b: Buffer, at: Index): number {
  return b.padded && dependsOn(at, 'lane') ? Math.ceil(b.count / 4) * 4 : b.count;
}

export interface Place {
  readonly form: Index;
  readonly range: Range;
  readonly level: Level;
  /** Its variables are in their ranges. Where they are not, which is reported, bounds need not be looked at. */
  readonly claimed: boolean;
  /** Its range where more is known. */
  readonly at: (facts: Facts) => Range;
}

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>;

export class Values {
  readonly integers: Integers;
  private readonly buffers: ReadonlyMap<string, Buffer>;
  private readonly pure: ReadonlySet<string>;

  constructor(
    private readonly kernel: Kernel,
    private readonly symbols: Symbols,
    private readonly report: Report,
    private readonly races: Races,
    private readonly call: (fn: string, args: readonly Value[], s: State) => Value | undefined,
  ) {
    this.integers = new Integers(symbols);
    this.buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
    this.pure = pureFunctions(kernel);
  }

  buffer(name: string): Buffer {
    return this.buffers.get(name)!;
  }

  /** In a workgroup that is one subgroup, what a subgroup has alike the workgroup has. */
  private lift(level: Level): Level {
    const size = this.kernel.workgroup.reduce((a, b) => a * b, 1);
    return level === 1 && this.kernel.subgroup === size ? 2 : level;
  }

  private levelOf(x: Index): Level {
    return lower(...[...namesIn(x)].map((n) => (n === 'lane' ? 2 : this.symbols.info(n).level)));
  }

  /** An address at a place: every variable has to be in the range that the address claims, for it was simplified by these. */
  place(x: Index, s: State, facts: Facts = s.facts): Place {
    let claimed = true;
    let level: Level = 2;
    for (const [name, hi] of claims(x)) {
      const v = s.env.get(name)!;
      level = lower(level, v.level);
      if (v.speculative) this.report.say('speculation', `${name} is speculative, and part of an address`);
      if (facts.within(v.parts![0]!, 0, hi)) continue;
      claimed = false;
      this.report.say(
        'range',
        `${name} is ${shown(facts.range(v.parts![0]!))}, but ${showIndex(x)} takes it to be 0..${hi}`,
      );
    }
    const forms = new Map([...claims(x).keys()].map((name) => [name, s.env.get(name)!.parts![0]!]));
    const ofName = (name: string): Index => (name === 'lane' ? LANE : forms.get(name)!);
    // A sum that wraps still comes out right, but not if it is divided.
    for (const of of divided(x)) {
      if (!claimed || of.hi < 2 ** 32 || facts.within(replace(of, ofName), 0, 2 ** 32 - 1)) continue;
      this.report.say('range', `${showIndex(of)} may be no u32 where it is divided`);
    }
    const form = replace(x, ofName);
    // What the address says itself holds only where its claims do.
    const at = (known: Facts): Range => {
      const range = known.range(form);
      return claimed
        ? meet(
            range,
            meet(
              named(x, (y) => known.range(replace(y, ofName))),
              x,
            ),
          )
        : range;
    };
    return { form, range: at(facts), level, claimed, at };
  }

  /** The value, if it is to be used for more than to be selected away. */
  settled(e: Expr, s: State, use: string): Value {
    const v = this.value(e, s);
    if (v.speculative) this.report.say('speculation', `a speculative value is used as ${use}`);
    return { ...v, speculative: false };
  }

  /** The index of an item; reports it if it may lie outside. */
  indexOf(e: Expr, s: State, name: string, count: number): Value {
    const at = this.settled(e, s, 'an index');
    const r = s.facts.range(at.parts![0]!);
    if (!within(r, 0, count - 1)) this.report.say('bounds', `${name} has ${count} elements, the index is ${shown(r)}`);
    return at;
  }

  /** What `index < below` says here. */
  below(index: Index, end: number, s: State, facts: Facts = s.facts): { place: Place; outcome: Outcome } {
    // x / 10 < 7 is x < 70, which names of x say more by: what x / 10 is of them no longer shows that it is a quotient.
    const only =
      index.constant === 0 && index.terms.length === 1 && index.terms[0]!.coeff === 1
        ? index.terms[0]!.atom
        : undefined;
    if (only?.kind === 'div' && only.of.lo >= 0 && only.of.hi < 2 ** 32 && end * only.by < 2 ** 32)
      return this.below(only.of, end * only.by, s, facts);
    const place = this.place(index, s, facts);
    return { place, outcome: this.integers.compareUnsigned(place.form, end, facts) };
  }

  value(e: Expr, s: State): Value {
    const { scalar } = e;
    switch (e.kind) {
      case 'literal':
        return {
          scalar,
          level: 2,
          speculative: false,
          ...(isInteger(scalar) ? { parts: [constIndex(e.value)] } : {}),
          ...(scalar === 'bool' ? { outcome: e.value ? { yes: [], no: [NEVER] } : { yes: [NEVER], no: [] } } : {}),
        };
      case 'name':
        return s.env.get(e.name)!;
      case 'address': {
        const { form, level } = this.place(e.index, s);
        return { scalar, level, speculative: false, parts: [this.integers.fit('u32', form, s.facts, level)] };
      }
      case 'below': {
        const { place, outcome } = this.below(e.index, e.below, s);
        const agree = this.lanesAgree(e, place.range);
        return { scalar, level: place.level, speculative: false, ...(agree ? { outcome } : {}) };
      }
      case 'unary': {
        const x = this.value(e.x, s);
        if (e.op === '!') return { ...x, ...(x.outcome ? { outcome: { yes: x.outcome.no, no: x.outcome.yes } } : {}) };
        return this.each(e, [x], ([a]) => this.integers.negative(a!, s.facts, x.level));
      }
      case 'binary':
        return this.binary(e, s);
      case 'builtin':
        return e.fn === 'select' ? this.select(e, s) : this.builtin(e, s);
      case 'call': {
        // What a function of numbers alone makes of a speculative value is one.
        const pure = this.pure.has(e.fn);
        const args = e.args.map((a) => (pure ? this.value(a, s) : this.settled(a, s, `an argument of ${e.fn}`)));
        const settled = args.map((a) => ({ ...a, speculative: false }));
        return { ...this.call(e.fn, settled, s)!, ...speculation(args) };
      }
      case 'convert':
        return this.convert(e, this.value(e.x, s), s);
      case 'bitcast':
        return this.each(e, [this.value(e.x, s)]);
      case 'splat': {
        const x = this.value(e.x, s);
        return this.each(e, [x], x.parts && (() => x.parts![0]!));
      }
      case 'vector': {
        const all = e.parts.map((p) => this.value(p, s));
        const parts = all.flatMap((v) => v.parts ?? []);
        return this.each(e, all, isInteger(scalar) ? (_, i) => parts[i]! : undefined);
      }
      case 'component':
        return this.component(e, s);
      case 'load':
        return this.load(e, s);
      case 'fetch': {
        const b = this.buffer(e.buffer);
        const at = e.speculative ? this.settled(e.at, s, 'an index') : this.indexOf(e.at, s, e.buffer, b.count);
        const level = b.access === 'read' ? at.level : 0;
        const inside = (facts: Facts): boolean => facts.within(at.parts![0]!, 0, b.count - 1);
        const { below } = b;
        const known = below === undefined ? undefined : () => this.symbols.fresh({ lo: 0, hi: below - 1 }, level);
        return {
          ...this.each(e, [{ ...at, level }], known),
          speculative: e.speculative,
          ...(e.speculative ? { inside } : {}),
        };
      }
      case 'item':
        return this.item(e, s);
      case 'collective':
        return this.collective(e, s);
    }
  }

  /** A value made of others element by element; integers are any number, unless `form` gives them. */
  private each(
    e: Expr,
    of: readonly Value[],
    form?: (elements: readonly Index[], i: number) => Index,
    known: Partial<Value> = {},
  ): Value {
    const level = lower(...of.map((v) => v.level));
    const { scalar } = e;
    const value = { scalar, level, ...speculation(of), ...known };
    if (!isInteger(scalar)) return value;
    const parts = Array.from({ length: e.lanes }, (_, i) =>
      form
        ? form(
            of.map((v) => v.parts?.[i] ?? constIndex(0)),
            i,
          )
        : this.integers.any(scalar, level),
    );
    return { ...value, parts };
  }

  private binary(e: Of<'binary'>, s: State): Value {
    const a = this.value(e.a, s);
    if (e.op === '&&' || e.op === '||') return this.logical(e, a, s);
    const b = this.value(e.b, s);
    const level = lower(a.level, b.level);
    if (e.scalar === 'bool') {
      const scalars = e.lanes === 1 && a.parts && b.parts;
      const outcome = scalars ? this.integers.compare(e.op, a.parts![0]!, b.parts![0]!, s.facts) : undefined;
      return this.each(e, [a, b], undefined, outcome ? { outcome } : {});
    }
    const { scalar } = e;
    if (!isInteger(scalar)) return this.each(e, [a, b]);
    return this.each(e, [a, b], ([x, y]) => this.integers.binary(e.op, scalar, x!, y!, s.facts, level));
  }

  /** The second operand is computed only where the first does not decide. */
  private logical(e: Of<'binary'>, a: Value, s: State): Value {
    const and = e.op === '&&';
    const decided = a.outcome ?? { yes: [], no: [] };
    const inner = fork(s, s.facts.with(and ? decided.yes : decided.no), a.level);
    if (inner.facts.impossible) return a;
    const b = this.value(e.b, inner);
    s.arrays = joinShared([s, inner], a.level < 2);
    const other = b.outcome ?? { yes: [], no: [] };
    const outcome = and
      ? { yes: [...decided.yes, ...other.yes], no: [] }
      : { yes: [], no: [...decided.no, ...other.no] };
    return this.each(e, [a, b], undefined, { outcome });
  }

  /**
   * Here speculation ends: one of the two is not taken. Where both are speculative, each has to be from inside where it is taken. Where what
   * decides is speculative, either may be taken, and where it is decided, the other never is.
   */
  private select(e: Of<'builtin'>, s: State): Value {
    const [no, yes] = e.args.slice(0, 2).map((a) => this.value(a, s)) as [Value, Value];
    const when = this.value(e.args[2]!, s);
    const taken = s.facts.with(when.outcome?.yes);
    const left = s.facts.with(when.outcome?.no);
    const level = lower(no.level, yes.level, when.level);
    const form = ([n, y]: readonly Index[]): Index => this.integers.either(y!, taken, n!, left, level);
    const outside = (v: Value, facts: Facts): boolean =>
      v.speculative && !facts.impossible && !(v.inside?.(facts) ?? false);
    const open = no.speculative && yes.speculative ? [no, yes] : taken.impossible ? [no] : left.impossible ? [yes] : [];
    const wrong = open.some((v) => outside(v, v === yes ? taken : left));
    const { inside: _, ...made } = this.each(e, [no, yes, when], form);
    return { ...made, speculative: when.speculative || wrong };
  }

  private builtin(e: Of<'builtin'>, s: State): Value {
    const args = e.args.map((a) => this.value(a, s));
    const level = lower(...args.map((a) => a.level));
    const extreme = (fn: 'min' | 'max', a: Index, b: Index): Index => this.integers.extreme(fn, a, b, s.facts, level);
    switch (e.fn) {
      case 'min':
      case 'max': {
        const { fn } = e;
        return this.each(e, args, ([a, b]) => extreme(fn, a!, b!));
      }
      case 'clamp':
        return this.each(e, args, ([x, lo, hi]) => extreme('min', extreme('max', x!, lo!), hi!));
      default:
        return this.each(e, args);
    }
  }

  private convert(e: Of<'convert'>, x: Value, s: State): Value {
    const { scalar } = e;
    if (!isInteger(scalar)) return this.each(e, [x]);
    if (x.scalar === 'bool') return this.each(e, [x], () => this.symbols.fresh({ lo: 0, hi: 1 }, x.level));
    if (!x.parts) return this.each(e, [x]);
    return this.each(e, [x], ([a]) => this.integers.fit(scalar, a!, s.facts, x.level));
  }

  private component(e: Of<'component'>, s: State): Value {
    const x = this.value(e.x, s);
    if (typeof e.at === 'number') {
      const part = x.parts?.[e.at];
      if (!part) return this.each(e, [x]);
      // Of a thread's place, the elements along an axis of one thread are the same for all.
      const level = Math.max(x.level, this.levelOf(part)) as Level;
      return this.each(e, [{ ...x, level }], () => part);
    }
    const at = this.indexOf(e.at, s, 'the vector', e.x.lanes);
    const all = x.parts && hull(...x.parts.map((p) => s.facts.range(p)));
    const level = lower(x.level, at.level);
    return this.each(e, [x, at], all && (() => this.symbols.fresh(all, level)));
  }

  private load(e: Of<'load'>, s: State): Value {
    const b = this.buffer(e.buffer);
    const { range, level, claimed, at } = this.place(e.at, s);
    const count = reach(b, e.at);
    const isInside = claimed && within(range, 0, count - 1);
    if (!e.speculative && claimed && !isInside) {
      this.report.say('bounds', `${b.name} has ${count} elements to read, the address is ${shown(range)}`);
    }
    // What surely lies inside may be used, as by another read of the place that shares the value.
    const speculative = e.speculative && !isInside;
    const inside = (facts: Facts): boolean => within(at(facts), 0, count - 1);
    const own = {
      scalar: e.scalar,
      level: b.access === 'read' ? level : (0 as Level),
      speculative,
      ...(speculative && claimed ? { inside } : {}),
    };
    return this.each(e, [own]);
  }

  private item(e: Of<'item'>, s: State): Value {
    const local = s.env.get(e.array);
    if (local) {
      const at = this.indexOf(e.at, s, e.array, local.length!);
      return this.each(e, [{ ...local, speculative: false }, at]);
    }
    const shared = this.kernel.shared.find((a) => a.name === e.array)!;
    const at = this.indexOf(e.at, s, e.array, shared.count);
    const before = s.arrays.get(e.array) ?? UNTOUCHED;
    s.arrays.set(e.array, this.races.read(e.array, before, this.races.access(at.parts![0]!, s.facts)));
    return this.each(e, [{ ...at, level: 0 }]);
  }

  private collective(e: Of<'collective'>, s: State): Value {
    if (lower(s.pc, s.live) < 1) this.report.say('flow', `${e.op} where not all lanes of a subgroup may be`);
    const x = this.settled(e.x, s, `what ${e.op} takes`);
    const lanes = this.kernel.subgroup ?? 1;
    if (e.op === 'shuffle') {
      const lane = this.settled(e.lane!, s, 'a lane');
      const r = s.facts.range(lane.parts![0]!);
      if (!within(r, 0, lanes - 1)) this.report.say('lanes', `a subgroup has ${lanes} lanes, the lane is ${shown(r)}`);
    }
    const passes = e.op === 'shuffle' || e.op === 'shuffle_xor';
    const level = this.lift(passes ? x.level : (Math.max(1, x.level) as Level));
    const { scalar } = e;
    if (!isInteger(scalar)) return { scalar, level, speculative: false };
    const full = rangeOfType(scalar);
    const parts = x.parts!.map((p) => {
      const r = s.facts.range(p);
      const all = e.op === 'add' ? { lo: r.lo * lanes, hi: r.hi * lanes } : r;
      return this.symbols.fresh(within(all, full.lo, full.hi) ? all : full, level);
    });
    return { scalar, level, speculative: false, parts };
  }

  /** With LANE in it, a condition has to hold for all four or for none. */
  private lanesAgree(e: Of<'below'>, r: Range): boolean {
    const form = laneForm(e.index);
    if (form.kind === 'uniform' || (form.kind === 'quad' && e.below % 4 === 0)) return true;
    if (within(r, 0, e.below - 1) || within(r, e.below, 2 ** 32 - 1)) return true;
    this.report.say('lanes', `${showIndex(e.index)} < ${e.below} may differ between the four of an address`);
    return false;
  }
}
