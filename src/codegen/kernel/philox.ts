/** Philox 4x32-10 as kernels compute it: src/ir/run/philox.ts says what it is. */
import { KEY_STEPS, MULTIPLIERS, ROUNDS } from '../../ir/run/philox.js';
import { Body } from './body.js';
import { add, binary, call, literal, mul, U32, u32, uint, vector } from './expr.js';
import type { Expr, KernelFunction, Type } from './types.js';

const U32X4: Type = { scalar: 'u32', lanes: 4 };

const low = (x: Expr): Expr => binary('&', x, u32(0xffff));
const top = (x: Expr): Expr => binary('>>', x, u32(16));
const xor = (...xs: readonly Expr[]): Expr => xs.reduce((a, b) => binary('^', a, b));

/** The upper 32 bits of x by a constant, from products of halves: none of the sums leaves a u32. */
function high(b: Body, x: Expr, by: number): Expr {
  const [bl, bh] = [u32(by & 0xffff), u32(by >>> 16)];
  const [al, ah] = [b.let(low(x)), b.let(top(x))];
  const middle = b.let(add(mul(ah, bl), top(mul(al, bl))));
  const other = b.let(add(mul(al, bh), low(middle)));
  return b.let(add(add(mul(ah, bh), top(middle)), top(other)));
}

/** The function `philox` of block, stream and the two words of the key: four u32. */
export function philoxFunction(): KernelFunction {
  const b = new Body();
  const counter = (['block', undefined, 'stream', undefined] as const).map((word, i) =>
    b.var(`c${i}`, U32, word ? uint(word) : u32(0)),
  );
  const key = ['k', 'l'].map((word, i) => b.var(`key${i}`, U32, uint(word)));
  b.for('round', u32(0), u32(ROUNDS), 1, () => {
    const [c0, c1, c2, c3] = counter as [Expr, Expr, Expr, Expr];
    const next = [
      b.let(xor(high(b, c2, MULTIPLIERS[1]), c1, key[0]!)),
      b.let(mul(c2, u32(MULTIPLIERS[1]))),
      b.let(xor(high(b, c0, MULTIPLIERS[0]), c3, key[1]!)),
      b.let(mul(c0, u32(MULTIPLIERS[0]))),
    ];
    for (const [i, c] of counter.entries()) b.assign(c, next[i]!);
    for (const [i, k] of key.entries()) b.assign(k, add(k, u32(KEY_STEPS[i]!)));
  });
  b.return(vector(...counter));
  const params = ['block', 'stream', 'k', 'l'].map((text) => ({ name: text, type: U32 }));
  return { name: 'philox', params, result: U32X4, body: b.stmts };
}

/** Four random u32 of a block of a stream. */
export const philoxOf = (block: Expr, stream: number, key: readonly [Expr, Expr]): Expr =>
  call('philox', U32X4, [block, literal(stream, 'u32'), ...key]);
