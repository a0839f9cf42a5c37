/**
 * How parameters start when no file has them. Every tensor has a stream of its own, keyed by the seed and its name, so adding an
 * adapter never changes another's numbers.
 */

import { isFloat } from '../ops/shapes.js';
import type { Elements, Init, Module, Param, Tensor } from '../types.js';
import { interpret } from './interpret.js';
import { allocate } from './tensor.js';

/** 32-bit hash of a string (FNV-1a), the key of a parameter's stream. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** Uniform numbers in [0, 1): the counter-based SplitMix32. */
export function uniformStream(seed: number, name = ''): () => number {
  let state = (hash(name) ^ Math.imul(seed, 0x9e3779b9)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
  };
}

/** Standard normal numbers (Box-Muller). */
export function normalStream(seed: number, name = ''): () => number {
  const uniform = uniformStream(seed, name);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** Sizes that a random initialisation scales by: those of the innermost matrix, [out, in]. */
function fans(shape: readonly number[]): { fanIn: number; fanOut: number } {
  const fanIn = shape.at(-1) ?? 1;
  return { fanIn, fanOut: shape.length > 1 ? shape.at(-2)! : fanIn };
}

function fill(data: Elements, init: Exclude<Init, { kind: 'value' }>, param: Param, seed: number): void {
  const { fanIn, fanOut } = fans(param.type.shape);
  const uniform = (bound: number) => {
    const next = uniformStream(seed, param.name);
    for (let i = 0; i < data.length; i++) data[i] = (2 * next() - 1) * bound;
  };
  switch (init.kind) {
    case 'zeros':
      return;
    case 'ones':
      data.fill(1);
      return;
    case 'constant':
      data.fill(init.value);
      return;
    case 'uniform':
      uniform(init.bound);
      return;
    case 'kaiming_uniform':
      uniform(Math.sqrt(6 / ((1 + init.a * init.a) * fanIn)));
      return;
    case 'xavier_uniform':
      uniform(init.gain * Math.sqrt(6 / (fanIn + fanOut)));
      return;
    case 'normal': {
      const next = normalStream(seed, param.name);
      for (let i = 0; i < data.length; i++) data[i] = (init.mean ?? 0) + init.std * next();
      return;
    }
    case 'eye':
      for (let i = 0; i < data.length; i++) {
        const within = i % (fanIn * fanOut);
        data[i] = Math.floor(within / fanIn) === within % fanIn ? 1 : 0;
      }
  }
}

/**
 * The starting tensor of a parameter.
 * @param others gives parameters that a computed start reads (DoRA's magnitude from the frozen weight).
 */
export function initialise(param: Param, seed: number, module: Module, others: (name: string) => Tensor): Tensor {
  const size = param.type.shape.reduce((a, b) => a * b, 1);
  const init = param.init ?? { kind: 'zeros' };
  if (init.kind === 'value') {
    const func = { name: 'init', inputs: [], results: [{ name: 'start', value: init.value }], updates: [] };
    const start = interpret({ ...module, funcs: new Map([['init', func]]) }, 'init', {
      inputs: new Map(),
      params: others,
    });
    const { data } = start.get('start')!;
    return { type: param.type, data: isFloat(param.type.dtype) ? new Float32Array(data) : data };
  }
  const data = isFloat(param.type.dtype) ? new Float32Array(size) : allocate(param.type.dtype, size);
  fill(data, init, param, seed);
  return { type: param.type, data };
}
