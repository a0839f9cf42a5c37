/** How a contraction's generated code reads its weight operand: packed tiles of f32 or f16, or the scheduler's own function. */
import { TILE_K, TILE_N } from './pack.js';
import type { ContractProblem } from './problem.js';

/** Inputs up to which the loop runs: whole tiles for packed weights, whole steps otherwise. */
export function paddedK(p: ContractProblem, kStep: number): number {
  const unit = p.weight.kind === 'tiles' ? TILE_K : kStep;
  return Math.ceil(p.k / unit) * unit;
}

/**
 * WGSL of `fn weight4(z, k, column) -> vec4f`: b at k for four neighbouring columns, for any k below `paddedK` and any column that
 * is a multiple of 4. Past the last column it repeats valid ones, and past k it may give any finite number (a is 0 there).
 */
export function weightFunction(p: ContractProblem, kStep: number): string {
  if (p.weight.kind === 'function') {
    const lastColumn = 4 * (Math.ceil(p.n / 4) - 1);
    const k = p.k % kStep === 0 ? 'k' : `min(k, ${p.k - 1}u)`;
    return `fn weight4(z: u32, k: u32, column: u32) -> vec4f {
  return load_b4(z, ${k}, min(column, ${lastColumn}u));
}`;
  }
  const blocksN = Math.ceil(p.n / TILE_N);
  const blocksK = Math.ceil(p.k / TILE_K);
  const vectors = TILE_N / 4;
  const at = `((column / ${TILE_N}u) * ${blocksK}u + k / ${TILE_K}u) * ${TILE_K * vectors}u + (k % ${TILE_K}u) * ${vectors}u + (column % ${TILE_N}u) / 4u`;
  const clamp = `let column = min(past, ${blocksN * TILE_N - 4}u);`;
  const load =
    p.weight.dtype === 'f32'
      ? `return weight[${at}];`
      : `let halves = weight[${at}];
  return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));`;
  return `fn weight4(z: u32, k: u32, past: u32) -> vec4f {
  ${clamp}
  ${load}
}`;
}
