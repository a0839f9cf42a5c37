/**
 * The two kernels of preprocessing, which the runtime holds as text (scripts/embed-kernels.ts writes it). Pictures have any size, so what a kernel
 * is told about them lies in a buffer of 32-bit words, `params`; its names say in which order. Positions are u32: left of a picture is far beyond it.
 */
import { Body } from './kernel/body.js';
import {
  add,
  all,
  binary,
  bitcast,
  call,
  component,
  convert,
  div,
  F32,
  f32,
  fetch,
  I32,
  i32,
  lt,
  max,
  min,
  mul,
  name,
  rem,
  splat,
  sub,
  U32,
  u32,
  uint,
  vector,
} from './kernel/expr.js';
import { plus } from './kernel/sugar.js';
import type { Buffer, Expr, Kernel, KernelFunction, Type } from './kernel/types.js';

/** Elements of a kernel's buffers. Its text does not depend on them. */
export type Counts<N extends string> = { readonly [K in N]: number };

/** Threads of a workgroup. */
export const THREADS = 64;

const U32X3: Type = { scalar: 'u32', lanes: 3 };
const I32X3: Type = { scalar: 'i32', lanes: 3 };

const and = (a: Expr, b: Expr): Expr => binary('&', a, b);
const or = (a: Expr, b: Expr): Expr => binary('|', a, b);
const left = (a: Expr, by: number): Expr => binary('<<', a, u32(by));
const right = (a: Expr, by: number): Expr => binary('>>', a, u32(by));

/** Reached at computed places, by words. */
const words = (text: string, item: Type, count: number, access: Buffer['access'] = 'read'): Buffer => ({
  name: text,
  access,
  element: item.scalar as Buffer['element'],
  count,
  padded: false,
  packed: item,
});

/** Names every parameter that a kernel is given, in their order. */
function parameters<N extends string>(b: Body, names: readonly N[]): { readonly [K in N]: Expr } {
  const values = names.map((n, i) => [n, b.named(n, fetch('params', U32, u32(i)))] as const);
  return Object.fromEntries(values) as { [K in N]: Expr };
}

/** Number of the thread in a dispatch whose first row has `row` threads. Those past the last one are done. */
function thread(b: Body, row: Expr, count: Expr): Expr {
  const id = name('id', U32X3);
  const i = b.named('i', add(component(id, 0), mul(component(id, 1), row)));
  b.if(binary('>=', i, count), () => b.return());
  return i;
}

/** Red, green and blue of a word; turned to luma (ITU-R 601, as Pillow's `L`) where it is asked for. */
const PIXEL: KernelFunction = (() => {
  const b = new Body();
  const word = uint('word');
  const rgb = b.named('rgb', and(vector(word, right(word, 8), right(word, 16)), u32(255)));
  const part = (at: number, weight: number): Expr => mul(component(rgb, at), u32(weight));
  const luma = right(plus(add(add(part(0, 19595), part(1, 38470)), part(2, 7471)), 32768), 16);
  b.if(binary('!=', uint('gray'), u32(0)), () => b.return(splat(luma, 3)));
  b.return(rgb);
  const params = [
    { name: 'word', type: U32 },
    { name: 'gray', type: U32 },
  ];
  return { name: 'pixel_of', params, result: U32X3, body: b.stmts };
})();

function kernel(b: Body, buffers: readonly Buffer[], doc: string): Kernel {
  return {
    workgroup: [THREADS, 1, 1],
    inputs: [{ name: 'id', builtin: 'global_invocation_id' }],
    buffers,
    shared: [],
    functions: [PIXEL],
    main: b.stmts,
    doc,
  };
}

/**
 * `along` is the axis that is resized. Of both: pixels of the result, how far they lie apart there; and in the source how far apart, how many, and
 * what is added to a position (positions that then are no pixel's count as zeros).
 */
export const RESAMPLE_PARAMS = [
  'row',
  'count',
  'base',
  'gray',
  'taps',
  'along',
  'along_step',
  'along_apart',
  'along_pixels',
  'along_origin',
  'across',
  'across_step',
  'across_apart',
  'across_pixels',
  'across_origin',
] as const;

/**
 * One axis of a resize in Pillow's integer arithmetic: 22 fractional bits, rounded and clipped to 8. A row of `table` is, for a pixel of the
 * result, its first source pixel and `taps` weights. Pixels are words of 8-bit RGBA.
 */
export function resampleKernel(counts: Counts<'source' | 'table' | 'result'>): Kernel {
  const b = new Body();
  const p = parameters(b, RESAMPLE_PARAMS);
  const i = thread(b, p.row, p.count);
  // Neighbouring threads go along the axis whose pixels are neighbours in memory.
  const x = b.named('x', rem(div(i, p.along_step), p.along));
  const line = b.named('line', add(rem(div(i, p.across_step), p.across), p.across_origin));
  const weights = b.named('weights', mul(x, plus(p.taps, 1)));
  const first = b.named('first', add(convert(fetch('table', I32, weights), 'u32'), p.along_origin));
  const sum = b.var('sum', I32X3, splat(i32(1 << 21), 3));
  b.for('t', u32(0), p.taps, 1, () => {
    const at = b.named('at', add(first, uint('t')));
    b.if(all([lt(line, p.across_pixels), lt(at, p.along_pixels)])!, () => {
      const word = fetch('source', U32, add(mul(at, p.along_apart), mul(line, p.across_apart)));
      const weight = fetch('table', I32, plus(add(weights, uint('t')), 1));
      b.assign(sum, add(sum, mul(weight, convert(call('pixel_of', U32X3, [word, p.gray]), 'i32'))));
    });
  });
  const bytes = b.named('bytes', min(right(convert(max(sum, i32(0)), 'u32'), 22), u32(255)));
  const [red, green, blue] = [0, 1, 2].map((c) => component(bytes, c)) as [Expr, Expr, Expr];
  b.write('result', add(p.base, i), or(or(red, left(green, 8)), left(blue, 16)));
  return kernel(
    b,
    [
      words('source', U32, counts.source),
      words('table', I32, counts.table),
      words('result', U32, counts.result, 'read_write'),
      words('params', U32, RESAMPLE_PARAMS.length),
    ],
    'One axis of a resize, in integers of 22 fractional bits.',
  );
}

/** Sizes in pixels, of the result and of the window at its top left; the window's place in the source; mean and deviation of the channels are the bits of f32. */
export const FINISH_PARAMS = [
  'row',
  'count',
  'base',
  'gray',
  'channels',
  'result_width',
  'window_width',
  'window_height',
  'x_origin',
  'y_origin',
  'width',
  'height',
  'mean_red',
  'mean_green',
  'mean_blue',
  'deviation_red',
  'deviation_green',
  'deviation_blue',
] as const;

/** Writes planes of `count` pixels, one for each channel: the window, with zeros outside the source, normalized; 0 below it and on its right. */
export function finishKernel(counts: Counts<'source' | 'result'>): Kernel {
  const b = new Body();
  const p = parameters(b, FINISH_PARAMS);
  const i = thread(b, p.row, p.count);
  const [column, row] = [b.named('column', rem(i, p.result_width)), b.named('line', div(i, p.result_width))];
  const x = b.named('x', add(column, p.x_origin));
  const y = b.named('y', add(row, p.y_origin));
  const word = b.var('word', U32);
  b.if(all([lt(x, p.width), lt(y, p.height)])!, () => b.assign(word, fetch('source', U32, add(x, mul(y, p.width)))));
  const bits = (...parts: readonly Expr[]): Expr => vector(...parts.map((e) => bitcast(e, 'f32')));
  const mean = bits(p.mean_red, p.mean_green, p.mean_blue);
  const deviation = bits(p.deviation_red, p.deviation_green, p.deviation_blue);
  const share = div(convert(call('pixel_of', U32X3, [word, p.gray]), 'f32'), f32(255));
  const value = b.var('value', { scalar: 'f32', lanes: 3 }, splat(f32(0), 3));
  b.if(all([lt(column, p.window_width), lt(row, p.window_height)])!, () =>
    b.assign(value, div(sub(share, mean), deviation)),
  );
  b.for('c', u32(0), p.channels, 1, () =>
    b.write('result', add(add(p.base, mul(uint('c'), p.count)), i), component(value, uint('c'))),
  );
  return kernel(
    b,
    [
      words('source', U32, counts.source),
      words('result', F32, counts.result, 'read_write'),
      words('params', U32, FINISH_PARAMS.length),
    ],
    'A window of a picture as normalized planes.',
  );
}
