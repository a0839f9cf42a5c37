/**
 * The builder over the graph: `import { add, matmul, ... } from './build.js'`. What each helper
 * simplifies is said in ops/builder.ts; the less common ones are read off `build`.
 */
import { make } from './graph.js';
import { type Builder, makeBuilder } from './ops/builder.js';

export const build: Builder = makeBuilder(make);

/** A helper that needs no builder before it. */
const alone = <K extends keyof Builder>(name: K): Builder[K] => build[name].bind(build) as Builder[K];

export const abs = alone('abs');
export const add = alone('add');
export const attention = alone('attention');
export const aux = alone('aux');
export const broadcast = alone('broadcast');
export const cast = alone('cast');
export const concat = alone('concat');
export const div = alone('div');
export const exp = alone('exp');
export const gather = alone('gather');
export const iota = alone('iota');
export const kron = alone('kron');
export const linear = alone('linear');
export const log = alone('log');
export const matmul = alone('matmul');
export const mul = alone('mul');
export const neg = alone('neg');
export const pad = alone('pad');
export const relu = alone('relu');
export const reshape = alone('reshape');
export const roll = alone('roll');
export const select = alone('select');
export const sigmoid = alone('sigmoid');
export const slice = alone('slice');
export const sliceAxis = alone('sliceAxis');
export const softmax = alone('softmax');
export const sqrt = alone('sqrt');
export const sub = alone('sub');
export const sum = alone('sum');
export const transpose = alone('transpose');
