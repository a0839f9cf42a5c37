/** Operators that reduce axes, and comprehensions that add up. */
import { make } from '../../../ir/graph.js';
import { num, tensorVal, type Val } from '../evaluate/values.js';
import { axesOf, axisOf, boolArg, countArg, tensorArg } from './arguments.js';
import { operands } from './layout.js';
import type { Call, Operator } from './operator.js';

/** `sum(i < n: expr)` adds; `sum(x, axis: 1)` reduces. */
function sum(call: Call): Val {
  if (call.expr.generators.length > 0) {
    for (const [option, arg] of call.args) {
      call.engine.report.stop(
        'ESP0203',
        { option, of: 'sum(i < n: ...)' },
        { primary: { span: arg.nameSpan ?? arg.span, text: 'it adds whole values up' } },
      );
    }
    const items = call.rest.map((a) => a.value);
    if (items.length === 0) return num(0);
    if (items.every((v) => v.kind === 'num')) {
      return num(
        items.reduce((s, v) => s + (v.kind === 'num' ? v.value : 0), 0),
        items.every((v) => v.kind === 'num' && v.whole),
      );
    }
    const xs = operands(call);
    return tensorVal(
      call.engine.trace('sum', call.span, xs, (b, o) => xs.map((x) => x.value).reduce((a, x) => b.add(a, x, o))),
    );
  }
  return reduction('reduce_sum')(call);
}

type Reduction = 'reduce_sum' | 'reduce_mean' | 'reduce_max';

const reduction =
  (op: Reduction) =>
  (call: Call): Val => {
    const first = call.rest[0] ?? call.args.get('x')!;
    const x = { value: call.engine.tensor(first.value, first.span), span: first.span };
    const axes = axesOf(call, 'axis', x.value) ?? x.value.type.shape.map((_, i) => i);
    const keep = boolArg(call, 'keep', false);
    return tensorVal(
      call.engine.trace(call.name, call.span, [x], (b, o) => {
        const f = op === 'reduce_sum' ? b.sum : op === 'reduce_mean' ? b.mean : b.max;
        return f(x.value, axes, keep, o);
      }),
    );
  };

export const REDUCTIONS: readonly Operator[] = [
  {
    name: 'sum',
    doc: 'The sum along an axis or a list of axes (all, if none is given); sum(i < n: expr) adds up.',
    params: ['...x', 'axis?', 'keep?'],
    comprehension: true,
    run: sum,
  },
  {
    name: 'mean',
    doc: 'The mean along an axis or a list of axes (all, if none is given).',
    params: ['x', 'axis?', 'keep?'],
    run: reduction('reduce_mean'),
  },
  {
    name: 'max',
    doc: 'The largest along an axis or a list of axes (all, if none is given).',
    params: ['x', 'axis?', 'keep?'],
    run: reduction('reduce_max'),
  },
  {
    name: 'norm',
    doc: 'The Euclidean norm along an axis or a list of axes (all, if none is given).',
    params: ['x', 'axis?', 'keep?'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const axes = axesOf(call, 'axis', x.value) ?? x.value.type.shape.map((_, i) => i);
      const keep = boolArg(call, 'keep', false);
      return tensorVal(
        call.engine.trace('norm', call.span, [x], (b, o) =>
          b.sqrt(b.sum(b.mul(x.value, x.value, o), axes, keep, o), o),
        ),
      );
    },
  },
  {
    name: 'argmax',
    doc: 'The place of the largest element along an axis (the last, if none is given), as i32.',
    params: ['x', 'axis?'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const axis = axisOf(call, 'axis', x.value, -1);
      return tensorVal(call.engine.trace('argmax', call.span, [x], (_, o) => make('argmax', [x.value], { axis }, o)));
    },
  },
  {
    name: 'top_k',
    doc: 'The k largest along the last axis and their places: [values, indices].',
    params: ['x', 'k'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const k = countArg(call, 'k', 1);
      const values = call.engine.trace('top_k', call.span, [x], (_, o) => make('top_k', [x.value], { k }, o));
      const indices = call.engine.trace('top_k', call.span, [x], (b, o) => b.aux(values, 'indices', o));
      return { kind: 'list', items: [tensorVal(values), tensorVal(indices)] };
    },
  },
  {
    name: 'softmax',
    doc: 'exp(x) divided by its sum along an axis (the last, if none is given).',
    params: ['x', 'axis?'],
    run: (call) => {
      const x = tensorArg(call, 'x');
      const axis = axisOf(call, 'axis', x.value, -1);
      return tensorVal(call.engine.trace('softmax', call.span, [x], (b, o) => b.softmax(x.value, axis, o)));
    },
  },
];
