/** How a contraction's generated code reads its weight operand: packed tiles of f32 or f16, or the scheduler's own function. */
import { isBatch } from '../ir/batch.js';
import { Body } from './kernel/body.js';
import {
  add,
  call,
  component,
  div,
  F32X4,
  fetch,
  last,
  min,
  mul,
  rem,
  size,
  U32,
  u32,
  uint,
  unpackHalves,
  vector,
} from './kernel/expr.js';
import type { Expr, KernelFunction, Type } from './kernel/types.js';
import { TILE_K, TILE_N } from './pack.js';
import type { ContractProblem } from './problem.js';

/** Inputs up to which the loop runs: whole tiles for packed weights, whole steps otherwise (a step may begin before and end behind the last). */
export function paddedK(p: ContractProblem, kStep: number): Expr {
  if (isBatch(p.k)) return size(p.k);
  const unit = p.weight.kind === 'tiles' ? TILE_K : kStep;
  return u32(Math.ceil(p.k / unit) * unit);
}

/**
 * `weight4(z, k, column)`: b at k for four neighbouring columns, for any k below `paddedK` and any column that is a multiple of 4.
 * Past the last column it repeats valid ones, and past k it may give any finite number (a is 0 there).
 */
export function weightFunction(p: ContractProblem, kStep: number): KernelFunction {
  const b = new Body();
  const make = (params: readonly string[]): KernelFunction => ({
    name: 'weight4',
    params: params.map((text) => ({ name: text, type: U32 })),
    result: F32X4,
    body: b.stmts,
  });
  const [z, k] = [uint('z'), uint('k')];
  if (p.weight.kind === 'function') {
    const lastColumn = 4 * (Math.ceil(p.n / 4) - 1);
    const within = p.k % kStep === 0 ? k : min(k, last(p.k));
    b.return(call('load_b4', F32X4, [z, within, min(uint('column'), u32(lastColumn))]));
    return make(['z', 'k', 'column']);
  }
  const blocksN = Math.ceil(p.n / TILE_N);
  const blocksK = Math.ceil(p.k / TILE_K);
  const vectors = TILE_N / 4;
  const column = b.named('column', min(uint('past'), u32(blocksN * TILE_N - 4)));
  const tile = add(mul(div(column, u32(TILE_N)), u32(blocksK)), div(k, u32(TILE_K)));
  const row = mul(rem(k, u32(TILE_K)), u32(vectors));
  const at = add(add(mul(tile, u32(TILE_K * vectors)), row), div(rem(column, u32(TILE_N)), u32(4)));
  const item = weightItem(p.weight.dtype);
  if (p.weight.dtype === 'f32') b.return(fetch('weight', item, at));
  else {
    const halves = b.named('halves', fetch('weight', item, at));
    b.return(vector(unpackHalves(component(halves, 0)), unpackHalves(component(halves, 1))));
  }
  return make(['z', 'k', 'past']);
}

/** What four neighbouring outputs are in a packed weight. */
export function weightItem(dtype: 'f32' | 'f16'): Type {
  return dtype === 'f32' ? F32X4 : { scalar: 'u32', lanes: 2 };
}
