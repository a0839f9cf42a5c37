/** Short ways to say what generators say often. */
import { add, builtin, u32 } from './expr.js';
import type { Expr } from './types.js';

export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** `x + amount`, or just x. */
export const plus = (x: Expr, amount: number): Expr => (amount === 0 ? x : add(x, u32(amount)));

/** a·b + c, rounded once. */
export const fma = (a: Expr, b: Expr, c: Expr): Expr => builtin('fma', a, b, c);

/** The most negative f32: below every score, and exp(SMALLEST - score) is 0 without an infinity in between. */
export const SMALLEST = -3.4028234e38;
