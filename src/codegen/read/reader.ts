/**
 * The heart of code generation: a value read at symbolic coordinates gives an expression of a kernel program.
 *
 * `read(value, coords)` asks for one element, or for four neighbours where the coordinates hold LANE. A value that lies in a buffer
 * becomes a load; a value that is given (the accumulator that an epilogue finishes) is what it is given as; everything else is
 * computed in place by its operator's rule, which reads its operands in turn. Layout operators only change coordinates, so they
 * cost nothing but index arithmetic.
 */
import { traitsOf } from '../../ir/ops/index.js';
import type { DType, OpName, Value } from '../../ir/types.js';
import { elementAt } from '../buffers/layout.js';
import type { GroupKind } from '../groups/group.js';
import type { Body } from '../kernel/body.js';
import {
  add,
  all,
  below,
  binary,
  f32,
  LANES,
  literal,
  load,
  lt,
  select,
  size as sizeExpr,
  splat,
  vector,
} from '../kernel/expr.js';
import type { Library } from '../kernel/library.js';
import type { Buffer, Condition, Expr, Lanes, Scalar, Type } from '../kernel/types.js';
import { constIndex, dependsOn, type Index, substitute, ZERO } from './indexing.js';

/** What kernels compute in. f16 tensors are computed and stored as f32. */
export function scalarOf(dtype: DType): Exclude<Scalar, 'f16'> {
  return dtype === 'f16' ? 'f32' : dtype;
}

type ValueFor<O extends OpName> = Extract<Value, { op: O }>;

/** How an operator is computed in place. */
export type InlineRule<O extends OpName> = (r: Reader, value: ValueFor<O>, coords: readonly Index[]) => Expr;

/**
 * How an operator is generated: computed in place (`work` operations for one element), by a kernel of its own, or not at all, because it lies in
 * a buffer (`declared`) or other operators come in its place before fusion (`lowered`).
 */
export interface Generated<O extends OpName> {
  readonly inline: InlineRule<O> | null;
  readonly work: number;
  readonly kernel: ((value: ValueFor<O>) => GroupKind) | 'declared' | 'lowered' | null;
  /** Its own kernel reads each element of its operands about once (default: over and over, as a product does). */
  readonly once?: boolean;
}
export type Generation = { readonly [O in OpName]: Generated<O> };

/** A value's buffer; undefined for a value that has none and is computed in place. */
export type BufferOf = (value: Value) => Buffer | undefined;

type Given = (coords: readonly Index[]) => Expr;

export class Reader {
  private readonly given = new Map<number, Given>();
  /** Inside a reading that is selected away where its address lies outside. */
  private speculative = false;

  constructor(
    /** Where statements go. */
    readonly b: Body,
    readonly library: Library,
    private readonly bufferOf: BufferOf,
    private readonly rules: Generation,
  ) {}

  /** From here on reading `value` gives `expr`, whatever the coordinates: they are the ones it was made for. */
  give(value: Value, expr: Expr): void {
    this.given.set(value.id, () => expr);
  }

  /** @throws Error when the value's operator cannot be computed in place; the schedule gives such a value a buffer. */
  read(value: Value, coords: readonly Index[]): Expr {
    const given = this.given.get(value.id);
    if (given) return given(coords);
    return this.b.memo(`${value.id}[${coords.map((c) => c.key).join(',')}]`, () => {
      const buffer = this.bufferOf(value);
      if (buffer) return this.load(buffer, value, elementAt(buffer, coords, value.type.shape));
      const rule = this.rules[value.op].inline as InlineRule<OpName> | null;
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

  private load(buffer: Buffer, value: Value, flat: Index): Expr {
    const found = load(buffer.name, buffer.element, flat, this.speculative);
    return this.b.let(value.type.dtype === 'bool' ? binary('!=', found, literal(0, 'u32')) : found);
  }

  /** Whether reading the value is a load and index arithmetic, no more. */
  isLoad(value: Value): boolean {
    for (let v = value; ; v = v.inputs[0]!) {
      if (this.given.has(v.id) || this.bufferOf(v) || v.op === 'constant') return true;
      if (traitsOf(v).moves !== 'once') return false;
    }
  }

  /** Computes each lane by itself and puts the four together. Without a lane in the coordinates, computes once. */
  perLane(coords: readonly Index[], one: (coords: readonly Index[]) => Expr): Expr {
    if (!this.isWide(coords)) return one(coords);
    const lanes = [0, 1, 2, 3].map((lane) => one(coords.map((c) => substitute(c, 'lane', constIndex(lane)))));
    return this.b.let(vector(...lanes));
  }

  isWide(coords: readonly Index[]): boolean {
    return coords.some((c) => dependsOn(c, 'lane'));
  }

  constant(value: number, dtype: DType): Expr {
    return literal(value, scalarOf(dtype));
  }

  /**
   * `cases[i].read()` for the first case whose condition holds, otherwise `otherwise()`. Conditions are `index < below`, unsigned, so
   * that a negative index fails. They must be the same for all lanes: see `uniformCondition`. `branchless` reads both sides of a
   * single case and selects: right where reading is no more than a load, which WebGPU keeps within its buffer.
   */
  choose(type: Type, cases: readonly Case[], otherwise: () => Expr, branchless = false): Expr {
    const live: { when: Expr; read: () => Expr }[] = [];
    let last = otherwise;
    for (const { when, read } of cases) {
      if (when.some((c) => c.index.lo >= c.below)) continue;
      const open = when.filter((c) => !(c.index.lo >= 0 && c.index.hi < c.below));
      const condition = all(open.map((c) => below(c.index, c.below)));
      if (!condition) {
        last = read;
        break;
      }
      live.push({ when: condition, read });
    }
    if (live.length === 0) return last();
    if (branchless && live.length === 1) {
      const then = this.speculating(live[0]!.read);
      const other = this.speculating(last);
      return this.b.let(splat(select(other, then, live[0]!.when), type.lanes));
    }
    const result = this.b.var(this.b.fresh('v'), type);
    const assign = (read: () => Expr) => (): void => this.b.assign(result, splat(read(), type.lanes));
    this.b.choose(
      live.map((c) => ({ when: c.when, body: assign(c.read) })),
      assign(last),
    );
    return result;
  }

  /** Reads what may lie outside its tensor; whoever asks selects that away. */
  speculating(read: () => Expr): Expr {
    const outer = this.speculative;
    this.speculative = true;
    const found = read();
    this.speculative = outer;
    return found;
  }
}

export interface Case {
  readonly when: readonly Condition[];
  readonly read: () => Expr;
}

export const typeAt = (scalar: Scalar, wide: boolean): Type => ({ scalar, lanes: (wide ? 4 : 1) as Lanes });

/** Four neighbours from `at` on along an axis of this size; 0 past its end. */
export function within(r: Reader, size: number, at: Expr, read: () => Expr): Expr {
  if (size % 4 === 0) return splat(read(), 4);
  const x = splat(r.speculating(read), 4);
  return select(splat(f32(0), 4), x, lt(add(splat(at, 4), LANES), splat(sizeExpr(size), 4)));
}
