/**
 * Writes the statements of one WGSL function: named values, nested blocks, and a memo so that the same value at the same place is
 * computed once. A memo made inside a block is forgotten at its end, as the name that it stands for is.
 */
import type { DType } from '../ir/types.js';
import type { Index } from './indexing.js';
import { dependsOn } from './indexing.js';
import type { HelperName } from './math.js';

/** What WGSL computes in. f16 tensors are computed and stored as f32. */
export type Scalar = 'f32' | 'i32' | 'u32' | 'bool';

/** A WGSL expression; `wide` ones are vec4, one element for each lane. */
export interface Expr {
  readonly code: string;
  readonly type: Scalar;
  readonly wide: boolean;
}

export function scalarOf(dtype: DType): Scalar {
  return dtype === 'f16' ? 'f32' : dtype;
}

const VECTOR: { readonly [S in Scalar]: string } = { f32: 'vec4f', i32: 'vec4i', u32: 'vec4u', bool: 'vec4<bool>' };

export function typeName(type: Scalar, wide: boolean): string {
  return wide ? VECTOR[type] : type;
}

/** The expression for all four lanes. */
export function widen(e: Expr): string {
  return e.wide ? e.code : `${VECTOR[e.type]}(${e.code})`;
}

export function at(e: Expr, wide: boolean): string {
  return wide ? widen(e) : e.code;
}

const F32_MAX = 3.4028234663852886e38;

/**
 * A literal. WGSL has no infinities, so they become the largest finite number: -inf in an attention mask still gives a weight
 * of exactly 0.
 * @throws RangeError for NaN.
 */
export function literal(value: number, type: Scalar): string {
  if (type === 'bool') return value ? 'true' : 'false';
  if (type === 'i32') return value === -2147483648 ? 'i32(-2147483648)' : `${value}i`;
  if (type === 'u32') return `${value}u`;
  if (Number.isNaN(value)) throw new RangeError('NaN has no literal in WGSL');
  const text = shortest(Math.fround(Math.max(-F32_MAX, Math.min(F32_MAX, value))));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

/** The fewest digits that name this f32. */
function shortest(value: number): string {
  // Rounded up, the largest number would lie outside f32.
  if (Math.abs(value) === F32_MAX) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

export class Emitter {
  /** WGSL functions that the text calls; see math.ts. Shared between the functions of one kernel. */
  readonly helpers: Set<HelperName>;
  private readonly lines: string[] = [];
  private readonly scopes: Map<string, unknown>[] = [new Map()];
  private counter = 0;

  constructor(
    helpers: Set<HelperName>,
    private readonly indent = 1,
  ) {
    this.helpers = helpers;
  }

  fresh(prefix: string): string {
    return `${prefix}${this.counter++}`;
  }

  line(text: string): void {
    this.lines.push('  '.repeat(this.indent + this.scopes.length - 1) + text);
  }

  /** `let` with a new name, which it returns. */
  name(prefix: string, code: string): string {
    const name = this.fresh(prefix);
    this.line(`let ${name} = ${code};`);
    return name;
  }

  expr(type: Scalar, wide: boolean, code: string): Expr {
    return { code: this.name('v', code), type, wide };
  }

  memo<T>(key: string, make: () => T): T {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const found = this.scopes[i]!.get(key);
      if (found !== undefined) return found as T;
    }
    const made = make();
    this.scopes[this.scopes.length - 1]!.set(key, made);
    return made;
  }

  /** `header { body }` */
  block(header: string, body: () => void): void {
    this.line(`${header} {`);
    this.scopes.push(new Map());
    body();
    this.scopes.pop();
    this.line('}');
  }

  /** The u32 expression for x; quotients and remainders get names. */
  index(x: Index): string {
    if (dependsOn(x, 'lane')) throw new Error('an index that still depends on the lane has no scalar expression');
    const plus: string[] = [];
    const minus: string[] = [];
    for (const { atom, coeff } of x.terms) {
      const name =
        atom.kind === 'var'
          ? atom.name
          : this.memo(`@${atom.key}`, () =>
              this.name('i', `${this.operand(atom.of)} ${atom.kind === 'div' ? '/' : '%'} ${atom.by}u`),
            );
      const size = Math.abs(coeff);
      (coeff > 0 ? plus : minus).push(size === 1 ? name : `${name} * ${size}u`);
    }
    if (x.constant > 0) plus.push(`${x.constant}u`);
    if (x.constant < 0) minus.push(`${-x.constant}u`);
    if (plus.length === 0) plus.push('0u');
    return [plus.join(' + '), ...minus].join(' - ');
  }

  /** Like `index`, safe as an operand of any operator. */
  operand(x: Index): string {
    const code = this.index(x);
    return /^[a-z0-9_]+$/i.test(code) ? code : `(${code})`;
  }

  toString(): string {
    return this.lines.join('\n');
  }
}
