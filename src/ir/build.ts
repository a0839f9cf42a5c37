/**
 * The builder over the graph: `import { add, matmul, ... } from './build.js'`. What each helper
 * simplifies is said in ops/builder.ts; the less common ones are read off `build`.
 */
import { make } from './graph.js';
import { type Builder, makeBuilder } from './ops/builder.js';

export const build: Builder = makeBuilder(make);

export const {
  abs,
  add,
  attention,
  aux,
  broadcast,
  cast,
  concat,
  div,
  exp,
  gather,
  iota,
  kron,
  linear,
  log,
  matmul,
  mul,
  neg,
  pad,
  relu,
  reshape,
  roll,
  select,
  sigmoid,
  slice,
  sliceAxis,
  softmax,
  sqrt,
  sub,
  sum,
  transpose,
} = build;
