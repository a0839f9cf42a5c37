/** Expressions one thread at a time and in exact integers: what the simulator is compared with. */
import type { BinaryOp, Expr, Scalar } from '../../../src/codegen/kernel/types.js';

/** The values of one thread's inputs. */
export type Inputs = Readonly<Record<string, number | boolean>>;

/** Expressions of one thread. */
/** WGSL has no literal for an infinity: the largest number stands for it. */
const finite = (x: number): number => Math.max(-3.4028234663852886e38, Math.min(3.4028234663852886e38, x));

export class Evaluator {
  /** How often an integer was divided by 0. */
  zeroDivisors = 0;

  constructor(protected readonly inputs: Inputs) {}

  of(e: Expr): number | boolean {
    switch (e.kind) {
      case 'literal':
        return e.scalar === 'bool' ? e.value === 1 : e.scalar === 'f32' ? finite(Math.fround(e.value)) : e.value;
      case 'name':
        return this.inputs[e.name]!;
      case 'unary':
        return e.op === '!'
          ? !this.of(e.x)
          : wrapped(e.scalar, e.scalar === 'f32' ? -this.number(e.x) : 0n - this.integer(e.x));
      case 'binary':
        return this.binary(e.op, e.a, e.b, e.scalar);
      case 'convert': {
        const x = this.of(e.x);
        if (e.scalar === 'bool') return x !== 0 && x !== false;
        if (typeof x === 'boolean' || e.scalar === 'f32') return Math.fround(Number(x));
        if (e.x.scalar !== 'f32') return wrapped(e.scalar, BigInt(x));
        const [least, most] = e.scalar === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
        return Number.isNaN(x) ? 0 : x <= least ? least : x >= most ? most : Math.trunc(x) + 0;
      }
      case 'bitcast': {
        const view = new DataView(new ArrayBuffer(4));
        const put = { f32: 'setFloat32', i32: 'setInt32', u32: 'setUint32' } as const;
        const get = { f32: 'getFloat32', i32: 'getInt32', u32: 'getUint32' } as const;
        view[put[e.x.scalar as 'f32']](0, this.number(e.x));
        return view[get[e.scalar as 'f32']](0);
      }
      case 'builtin':
        return this.builtin(e);
      default:
        throw new Error(e.kind);
    }
  }

  private number(e: Expr): number {
    return this.of(e) as number;
  }

  private integer(e: Expr): bigint {
    return BigInt(this.number(e));
  }

  private binary(op: BinaryOp, left: Expr, right: Expr, scalar: Scalar): number | boolean {
    if (op === '&&') return this.of(left) && this.of(right);
    if (op === '||') return this.of(left) || this.of(right);
    const a = this.of(left);
    const b = this.of(right);
    const compared: Partial<Record<BinaryOp, boolean>> = {
      '<': a < b,
      '<=': a <= b,
      '>': a > b,
      '>=': a >= b,
      '==': a === b,
      '!=': a !== b,
    };
    if (op in compared) return compared[op]!;
    if (typeof a === 'boolean' || typeof b === 'boolean')
      return op === '&' ? a === true && b === true : a === true || b === true;
    if (scalar === 'f32') {
      const result: Partial<Record<BinaryOp, number>> = { '+': a + b, '-': a - b, '*': a * b, '/': a / b, '%': a % b };
      return Math.fround(result[op]!);
    }
    const [m, n] = [BigInt(a), BigInt(b)];
    if ((op === '/' || op === '%') && n === 0n) {
      this.zeroDivisors++;
      return op === '/' ? a : 0;
    }
    const result: Partial<Record<BinaryOp, () => bigint>> = {
      '+': () => m + n,
      '-': () => m - n,
      '*': () => m * n,
      '/': () => m / n,
      '%': () => m % n,
      '&': () => m & n,
      '|': () => m | n,
      '^': () => m ^ n,
      '<<': () => m << (n & 31n),
      '>>': () => m >> (n & 31n),
    };
    return wrapped(scalar, result[op]!());
  }

  private builtin(e: Extract<Expr, { kind: 'builtin' }>): number | boolean {
    const [a, b, c] = e.args.map((x) => this.of(x)) as [number, number, number];
    switch (e.fn) {
      case 'select':
        return c ? b : a;
      case 'abs':
        return wrapped(e.scalar, a < 0 || Object.is(a, -0) ? -a : a);
      case 'min':
        return Math.min(a, b);
      case 'max':
        return Math.max(a, b);
      case 'clamp':
        return Math.min(Math.max(a, b), c);
      case 'fma':
        return Math.fround(a * b + c);
      case 'floor':
        return Math.floor(a);
      case 'sqrt':
        return Math.fround(Math.sqrt(a));
      case 'round': {
        // Adding 2^23 leaves no room for a fraction.
        const size = Math.abs(a) < 2 ** 23 ? Math.fround(Math.fround(Math.abs(a) + 2 ** 23) - 2 ** 23) : Math.abs(a);
        return a < 0 || Object.is(a, -0) ? -size : size;
      }
      default:
        throw new Error(e.fn);
    }
  }
}

/** The number modulo 2^32 as its type has it; a float rounded. */
function wrapped(scalar: Scalar, value: number | bigint): number {
  if (scalar === 'f32') return Math.fround(Number(value));
  return Number(scalar === 'i32' ? BigInt.asIntN(32, BigInt(value)) : BigInt.asUintN(32, BigInt(value)));
}
