/** Operators that move elements: rearrange, reshape, concat, pad, roll, gather, resize and their like. */
import { make } from '../../../ir/graph.js';
import type { Call, Operand, Operator } from '../evaluate/engine.js';
import { showShape } from '../evaluate/show.js';
import { isTensorLike, num, tensorVal, type Val } from '../evaluate/values.js';
import {
  axesOf,
  axisOf,
  boolArg,
  numberArg,
  pairArg,
  sizeList,
  spanOf,
  tensorArg,
  wholeList,
  wordArg,
  wrongType,
} from './arguments.js';
import { PatternError, plan } from './rearrange.js';

/** The tensors of a variadic operator: its arguments, one list, or what a comprehension made. */
export function operands(call: Call): Operand[] {
  const only = call.rest.length === 1 ? call.rest[0]! : undefined;
  const items = only?.value.kind === 'list' ? only.value.items.map((value) => ({ value, span: only.span })) : call.rest;
  const like = items.map((a) => a.value).find((v) => v.kind === 'tensor');
  const dtype = like?.kind === 'tensor' ? like.value.type.dtype : undefined;
  return items.map((a) => ({ value: call.engine.tensor(a.value, a.span, dtype), span: a.span }));
}

/** Those of an operator that needs one at least. */
function tensors(call: Call): Operand[] {
  const xs = operands(call);
  return xs.length > 0 ? xs : wrongType(call, 'items', 'at least one tensor');
}

function rearrange(call: Call): Val {
  const x = tensorArg(call, 'x');
  const pattern = call.args.get('pattern')!;
  if (pattern.value.kind !== 'str') wrongType(call, 'pattern', 'a string such as "b n (h d) -> b h n d"');
  const text = (pattern.value as { value: string }).value;
  const sizes = new Map<string, number>();
  for (const a of call.rest) {
    sizes.set(a.name!, call.engine.dimension(a.value, `the axis \`${a.name}\``, a.span));
  }
  try {
    const p = plan(text, x.value.type.shape, sizes);
    return tensorVal(
      call.engine.trace('rearrange', call.span, [x], (b, o) =>
        b.reshape(b.transpose(b.reshape(x.value, p.split, o), p.perm, o), p.merged, o),
      ),
    );
  } catch (e) {
    if (!(e instanceof PatternError)) throw e;
    return call.engine.report.stop(
      'ESP0307',
      { pattern: text, why: e.message },
      {
        primary: { span: pattern.span, text: 'this pattern' },
        secondary: [{ span: x.span, text: `a tensor ${showShape(x.value.type.shape)}` }],
      },
    );
  }
}

function join(call: Call): Val {
  const first = call.rest[0]?.value;
  // Lists of compile-time values join into a list.
  if (call.rest.length > 1 && call.rest.every((a) => a.value.kind === 'list') && first?.kind === 'list') {
    const items = call.rest.flatMap((a) => (a.value.kind === 'list' ? a.value.items : []));
    if (!items.some(isTensorLike)) return { kind: 'list', items };
  }
  const xs = tensors(call);
  const axis = axisOf(call, 'axis', xs[0]!.value, 0);
  return tensorVal(
    call.engine.trace('concat', call.span, xs, (b, o) =>
      b.concat(
        xs.map((x) => x.value),
        axis,
        o,
      ),
    ),
  );
}

const MODES = ['nearest', 'bilinear', 'bicubic'] as const;

export const LAYOUT: readonly Operator[] = [
  {
    name: 'rearrange',
    doc: 'Splits, permutes and merges axes by a pattern: "b n (h d) -> b h n d", h: heads.',
    params: ['x', 'pattern'],
    open: true,
    run: rearrange,
  },
  {
    name: 'reshape',
    doc: 'The same elements in another shape; one size may be -1.',
    params: ['x', 'shape'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const sizes = sizeList(call, 'shape') ?? [];
      const total = x.value.type.shape.reduce((p, d) => p * d, 1);
      const known = sizes.filter((s) => s !== -1).reduce((p, d) => p * d, 1);
      const shape = sizes.map((s) => (s === -1 ? total / known : s));
      return tensorVal(call.engine.trace('reshape', call.span, [x], (b, o) => b.reshape(x.value, shape, o)));
    },
  },
  {
    name: 'transpose',
    doc: 'The axes in another order: transpose(x, [0, 2, 1]).',
    params: ['x', 'axes'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const perm = axesOf(call, 'axes', x.value) ?? [];
      return tensorVal(call.engine.trace('transpose', call.span, [x], (b, o) => b.transpose(x.value, perm, o)));
    },
  },
  {
    name: 'expand',
    doc: 'Repeats along an axis of size 1 (the first, unless `axis` says another).',
    params: ['x', 'size', 'axis?'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const size = call.engine.dimension(call.args.get('size')!.value, 'the size', spanOf(call, 'size'));
      const axis = axisOf(call, 'axis', x.value, 0);
      const shape = x.value.type.shape.map((d, i) => (i === axis ? size : d));
      return tensorVal(call.engine.trace('expand', call.span, [x], (b, o) => b.broadcast(x.value, shape, o)));
    },
  },
  {
    name: 'broadcast',
    doc: 'Repeats along axes of size 1, and new leading ones, up to a shape.',
    params: ['x', 'shape'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const shape = sizeList(call, 'shape') ?? [];
      return tensorVal(call.engine.trace('broadcast', call.span, [x], (b, o) => b.broadcast(x.value, shape, o)));
    },
  },
  {
    name: 'concat',
    doc: 'Tensors one after another along an axis (the first, unless `axis` says another).',
    params: ['...items', 'axis?'],
    comprehension: true,
    run: join,
  },
  {
    name: 'stack',
    doc: 'Tensors of one shape along a new axis.',
    params: ['...items', 'axis?'],
    comprehension: true,
    run: (call) => {
      const xs = tensors(call);
      const shape = xs[0]!.value.type.shape;
      const at = call.args.get('axis');
      const axis = at ? call.engine.whole(at.value, '`axis` of stack', at.span) : 0;
      const a = axis < 0 ? axis + shape.length + 1 : axis;
      if (a < 0 || a > shape.length) {
        call.engine.report.stop(
          'ESP0305',
          { axis, rank: shape.length + 1 },
          { primary: { span: spanOf(call, 'axis'), text: 'here' } },
        );
      }
      const wide = [...shape.slice(0, a), 1, ...shape.slice(a)];
      return tensorVal(
        call.engine.trace('stack', call.span, xs, (b, o) =>
          b.concat(
            xs.map((x) => b.reshape(x.value, wide, o)),
            a,
            o,
          ),
        ),
      );
    },
  },
  {
    name: 'pad',
    doc: 'Adds elements before (`low`) and after (`high`) along each axis.',
    params: ['x', 'low', 'high', 'value?'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const low = wholeList(call, 'low') ?? [];
      const high = wholeList(call, 'high') ?? [];
      const value = numberArg(call, 'value', 0, x.value.type.dtype);
      return tensorVal(call.engine.trace('pad', call.span, [x], (b, o) => b.pad(x.value, low, high, value, o)));
    },
  },
  {
    name: 'roll',
    doc: 'Circular shift: element i goes to i + shift, along `axes`.',
    params: ['x', 'shifts', 'axes'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const shifts = wholeList(call, 'shifts') ?? [];
      const axes = axesOf(call, 'axes', x.value) ?? [];
      if (shifts.every((s) => s === 0)) return tensorVal(x.value);
      return tensorVal(call.engine.trace('roll', call.span, [x], (b, o) => b.roll(x.value, shifts, axes, o)));
    },
  },
  {
    name: 'resize',
    doc: 'Scales the last two axes of [b, c, h, w] to `size`.',
    params: ['x', 'size', 'mode?', 'antialias?'],
    words: { mode: MODES },
    run: (call) => {
      const x = tensorArg(call, 'x');
      const size = pairArg(call, 'size', 1, 1);
      const mode = wordArg(call, 'mode', MODES, 'bilinear');
      const antialias = boolArg(call, 'antialias', false);
      return tensorVal(
        call.engine.trace('resize', call.span, [x], (_, o) => make('resize', [x.value], { size, mode, antialias }, o)),
      );
    },
  },
  {
    name: 'factorize',
    doc: 'Two factors of a size: [factor, size / factor] with the smaller first, or the nearest to a square if factor does not divide.',
    params: ['size', 'factor?'],
    run: (call) => {
      const size = call.engine.dimension(call.args.get('size')!.value, 'the size', spanOf(call, 'size'));
      const f = call.args.get('factor');
      const factor = f ? call.engine.whole(f.value, 'the factor', f.span) : -1;
      const [a, b] = factorize(size, factor);
      return { kind: 'list', items: [num(a), num(b)] };
    },
  },
];

/**
 * size = a * b with a <= b. If `factor` divides the size it is one of the two; otherwise a is the largest divisor that is at most
 * `factor` (and at most the square root); a negative factor sets no bound.
 */
export function factorize(size: number, factor: number): [number, number] {
  if (factor > 0 && size % factor === 0) {
    const other = size / factor;
    return factor <= other ? [factor, other] : [other, factor];
  }
  const bound = factor < 0 ? size : factor;
  let best = 1;
  for (let a = 1; a * a <= size && a <= bound; a++) if (size % a === 0) best = a;
  return [best, size / best];
}
