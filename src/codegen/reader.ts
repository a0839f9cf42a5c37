/**
 * The heart of code generation: a value read at symbolic coordinates gives a WGSL expression.
 *
 * `read(value, coords)` asks for one element, or for four neighbours where the coordinates hold LANE. A value that lies in a buffer
 * becomes a load; a value that is given (the accumulator that an epilogue finishes) is what it is given as; everything else is
 * computed in place by its operator's rule, which reads its operands in turn. Layout operators only change coordinates, so they
 * cost nothing but index arithmetic.
 */
import type { OpAttrs, OpName, Value } from '../ir/types.js';
import type { Bindings, Slot } from './bindings.js';
import { at, type Emitter, type Expr, literal, scalarOf, typeName, widen } from './emit.js';
import { constIndex, dependsOn, flatten, type Index, laneForm, substitute, ZERO } from './indexing.js';

type ValueFor<O extends OpName> = Extract<Value, { op: O }>;

/** How an operator is computed in place. */
export type InlineRule<O extends OpName> = (r: Reader, value: ValueFor<O>, coords: readonly Index[]) => Expr;
export type InlineRules = { readonly [O in OpName]: InlineRule<O> | null };

/** Names a value's buffer; undefined for a value that has none and is computed in place. */
export type SlotOf = (value: Value) => Slot | undefined;

type Given = (coords: readonly Index[]) => Expr;

export class Reader {
  private readonly given = new Map<number, Given>();

  constructor(
    readonly e: Emitter,
    readonly bindings: Pick<Bindings<Value>, 'loadQuad' | 'loadElement' | 'quadsAllowed'>,
    private readonly slotOf: SlotOf,
    private readonly rules: InlineRules,
  ) {}

  /** From here on reading `value` gives `expr`, whatever the coordinates: they are the ones it was made for. */
  give(value: Value, expr: Expr): void {
    this.given.set(value.id, () => expr);
  }

  /** @throws Error when the value's operator cannot be computed in place; the schedule gives such a value a buffer. */
  read(value: Value, coords: readonly Index[]): Expr {
    const given = this.given.get(value.id);
    if (given) return given(coords);
    return this.e.memo(`${value.id}[${coords.map((c) => c.key).join(',')}]`, () => {
      const slot = this.slotOf(value);
      if (slot) return this.load(slot, value, flatten(coords, value.type.shape));
      const rule = this.rules[value.op] as InlineRule<OpName> | null;
      if (!rule) throw new Error(`${value.op} cannot be computed in place`);
      return rule(this, value as ValueFor<OpName>, coords);
    });
  }

  /** An operand under NumPy broadcasting: read at the coordinates of the result. */
  operand(value: Value, coords: readonly Index[]): Expr {
    const shape = value.type.shape;
    const lead = coords.length - shape.length;
    return this.read(
      value,
      shape.map((d, i) => (d === 1 ? ZERO : coords[lead + i]!)),
    );
  }

  private load(slot: Slot, value: Value, flat: Index): Expr {
    const type = scalarOf(value.type.dtype);
    const decode = (code: string, wide: boolean): string =>
      type === 'bool' ? `${code} != ${wide ? 'vec4u(0u)' : '0u'}` : code;
    const write = (i: Index): string => this.e.index(i);
    const form = laneForm(flat);
    if (form.kind === 'uniform') {
      return this.e.expr(type, false, decode(this.bindings.loadElement(slot, flat, write), false));
    }
    if (form.kind === 'quad' && this.bindings.quadsAllowed(slot)) {
      return this.e.expr(type, true, decode(this.bindings.loadQuad(slot, form.quad, flat, write), true));
    }
    const lanes = [0, 1, 2, 3].map((lane) => {
      const one = substitute(flat, 'lane', constIndex(lane));
      return decode(this.bindings.loadElement(slot, one, write), false);
    });
    return this.e.expr(type, true, `${typeName(type, true)}(${lanes.join(', ')})`);
  }

  /** Whether reading the value is a load and index arithmetic, no more. */
  isLoad(value: Value): boolean {
    for (let v = value; ; v = v.inputs[0]!) {
      if (this.given.has(v.id) || this.slotOf(v) || v.op === 'constant') return true;
      if (v.op !== 'reshape' && v.op !== 'transpose' && v.op !== 'slice' && v.op !== 'roll') return false;
    }
  }

  /** Computes each lane by itself and puts the four together. Without a lane in the coordinates, computes once. */
  perLane(coords: readonly Index[], one: (coords: readonly Index[]) => Expr): Expr {
    if (!this.isWide(coords)) return one(coords);
    const lanes = [0, 1, 2, 3].map((lane) => one(coords.map((c) => substitute(c, 'lane', constIndex(lane)))));
    const type = lanes[0]!.type;
    return this.e.expr(type, true, `${typeName(type, true)}(${lanes.map((l) => l.code).join(', ')})`);
  }

  isWide(coords: readonly Index[]): boolean {
    return coords.some((c) => dependsOn(c, 'lane'));
  }

  constant(value: number, dtype: OpAttrs['constant']['dtype']): Expr {
    const type = scalarOf(dtype);
    return { code: literal(value, type), type, wide: false };
  }

  /**
   * `cases[i].read()` for the first case whose condition holds, otherwise `otherwise()`. Conditions are `index < below`, unsigned, so
   * that a negative index fails. They must be the same for all lanes: see `uniformCondition`. `branchless` reads both sides of a
   * single case and selects: right where reading is no more than a load, which WebGPU keeps within its buffer.
   */
  choose(wide: boolean, type: Expr['type'], cases: readonly Case[], otherwise: () => Expr, branchless = false): Expr {
    const live: { code: string; read: () => Expr }[] = [];
    let last = otherwise;
    for (const c of cases) {
      const codes: string[] = [];
      let never = false;
      for (const { index, below } of c.when) {
        if (index.lo >= 0 && index.hi < below) continue;
        if (index.lo >= below) never = true;
        else codes.push(this.condition(index, below));
      }
      if (never) continue;
      if (codes.length === 0) {
        last = c.read;
        break;
      }
      live.push({ code: codes.join(' && '), read: c.read });
    }
    if (live.length === 0) return last();
    if (branchless && live.length === 1) {
      const then = live[0]!.read();
      const other = last();
      return this.e.expr(type, wide, `select(${at(other, wide)}, ${at(then, wide)}, ${live[0]!.code})`);
    }
    const name = this.e.fresh('v');
    this.e.line(`var ${name}: ${typeName(type, wide)};`);
    const assign = (read: () => Expr): void => {
      const e = read();
      this.e.line(`${name} = ${wide ? widen(e) : e.code};`);
    };
    // Conditions of later cases are written before the first `if`, so their names are in scope.
    live.forEach((c, i) => {
      this.e.block(i === 0 ? `if (${c.code})` : `else if (${c.code})`, () => assign(c.read));
    });
    this.e.block('else', () => assign(last));
    return { code: name, type, wide };
  }

  private condition(index: Index, below: number): string {
    const form = laneForm(index);
    if (form.kind === 'quad') return `${this.e.operand(form.quad)} < ${below / 4}u`;
    return `${this.e.operand(index)} < ${below}u`;
  }
}

export interface Condition {
  readonly index: Index;
  readonly below: number;
}

export interface Case {
  readonly when: readonly Condition[];
  readonly read: () => Expr;
}

/** Whether `index < below` holds for all lanes or for none. */
export function uniformCondition({ index, below }: Condition): boolean {
  if (index.lo >= 0 && index.hi < below) return true;
  const form = laneForm(index);
  return form.kind === 'uniform' || (form.kind === 'quad' && below % 4 === 0);
}
