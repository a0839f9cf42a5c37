/** Operators on single elements: of numbers while compiling, of tensors when traced. */

import { make } from '../../../ir/graph.js';
import type { Builder } from '../../../ir/ops/builder.js';
import type { About, Value } from '../../../ir/types.js';
import type { Call, Operator } from '../evaluate/engine.js';
import { known } from '../evaluate/numbers.js';
import { showNumber } from '../evaluate/show.js';
import { dtypeOf, isTensorLike, num, tensorVal, type Val } from '../evaluate/values.js';
import { finite, numberArg, outOfRange, pairArg, spanOf, tensorArg, wholeArg, wrongType } from './arguments.js';

function elementwise(call: Call, work: (b: Builder, x: Value, about: About) => Value): Val {
  const x = tensorArg(call, 'x');
  return tensorVal(call.engine.trace(call.name, call.span, [x], (b, o) => work(b, x.value, o)));
}

const rounding = (name: 'ceil' | 'round', doc: string): Operator => ({
  name,
  doc: `${doc} Of a list, each.`,
  params: ['x'],
  run: (call) => {
    const work = (v: Val): Val =>
      num(Math[name](call.engine.number(v, `the argument of ${name}`, spanOf(call, 'x'))), true);
    const { value } = call.args.get('x')!;
    return value.kind === 'list' ? { kind: 'list', items: value.items.map(work) } : work(value);
  },
});

const drop = (name: 'dropout' | 'drop_path', doc: string): Operator => ({
  name,
  doc,
  params: ['x', 'rate'],
  run: (call) => {
    const rate = numberArg(call, 'rate', 0);
    if (rate < 0 || rate >= 1) outOfRange(call, 'rate', showNumber(rate), 'from 0 to below 1');
    if (rate === 0) return tensorVal(tensorArg(call, 'x').value);
    return elementwise(call, (_, x, o) => make(name, [x], { rate, stream: call.engine.stream() }, o));
  },
});

function power(call: Call): Val {
  const tensors = ['x', 'y'].map((p) => call.args.get(p)!);
  const dtype = dtypeOf(tensors.map((t) => t.value).find(isTensorLike));
  const [x, y] = tensors.map((t) => ({ value: call.engine.tensor(t.value, t.span, dtype), span: t.span }));
  return tensorVal(call.engine.trace(call.name, call.span, [x!, y!], (b, o) => b.pow(x!.value, y!.value, o)));
}

export const MATH: readonly Operator[] = [
  rounding('ceil', 'The smallest whole number that is not smaller.'),
  rounding('round', 'The nearest whole number.'),
  drop('dropout', 'Zeros elements while training.'),
  drop('drop_path', 'Zeros whole samples while training.'),
  {
    name: 'pow',
    doc: 'x to the power of y.',
    params: ['x', 'y'],
    run: (call) => {
      const x = call.args.get('x')!.value;
      const y = call.args.get('y')!.value;
      if (x.kind === 'num' && y.kind === 'num') {
        for (const p of ['x', 'y']) known(call.engine, call.args.get(p)!.value, spanOf(call, p));
        return finite(
          call,
          `pow(${showNumber(x.value)}, ${showNumber(y.value)})`,
          x.value ** y.value,
          x.whole && y.whole && y.value >= 0,
        );
      }
      return power(call);
    },
  },
  {
    name: 'where',
    doc: 'Elements of `then` where the condition holds, of `otherwise` elsewhere.',
    params: ['condition', 'then', 'otherwise'],
    run: (call) => {
      const c = tensorArg(call, 'condition');
      const branches = ['then', 'otherwise'].map((n) => call.args.get(n)!);
      const dtype = dtypeOf(branches.map((a) => a.value).find(isTensorLike));
      const [t, e] = branches.map((a) => ({ value: call.engine.tensor(a.value, a.span, dtype), span: a.span }));
      return tensorVal(
        call.engine.trace('where', call.span, [c, t!, e!], (b, o) => b.select(c.value, t!.value, e!.value, o)),
      );
    },
  },
  {
    name: 'full',
    doc: 'A tensor of the given shape whose elements are all one number.',
    params: ['shape', 'value'],
    run: (call) => {
      const v = call.args.get('shape')!;
      const items = v.value.kind === 'list' ? v.value.items : [v.value];
      const shape = items.map((i) => call.engine.dimension(i, 'a dimension', v.span));
      const value = numberArg(call, 'value', 0);
      return tensorVal(call.engine.trace('full', call.span, [], (b) => b.constant(value, 'f32', shape)));
    },
  },
  {
    name: 'arange',
    doc: 'The whole numbers 0, 1, ... below n, as a vector of i32.',
    params: ['n'],
    run: (call) => {
      const n = call.engine.dimension(call.args.get('n')!.value, 'the length', spanOf(call, 'n'));
      return tensorVal(call.engine.trace('arange', call.span, [], (b, o) => b.iota([n], 0, 'i32', o)));
    },
  },
  {
    name: 'sides',
    doc: 'Height and width [h, w], as a list of two or one number for both says them.',
    params: ['x'],
    run: (call) => ({ kind: 'list', items: pairArg(call, 'x', 1, 1).map((n) => num(n)) }),
  },
  {
    name: 'shape',
    doc: 'The lengths of all axes of a tensor, as a list.',
    params: ['x'],
    run: (call) => ({ kind: 'list', items: tensorArg(call, 'x').value.type.shape.map((d) => num(d)) }),
  },
  {
    name: 'size',
    doc: 'The length of an axis of a tensor, or of a list.',
    params: ['x', 'axis?'],
    run: (call) => {
      const x = call.args.get('x')!;
      const axisArg = call.args.get('axis');
      if (axisArg && !isTensorLike(x.value)) {
        wrongType(call, 'x', 'a tensor where `axis` is given');
      }
      if (x.value.kind === 'list') return num(x.value.items.length);
      if (x.value.kind === 'site' && x.value.site.kind === 'list') return num(x.value.site.items.length);
      if (x.value.kind === 'num') return x.value;
      const shape = call.engine.tensor(x.value, x.span).type.shape;
      const axis = wholeArg(call, 'axis', 0);
      const at = axis < 0 ? axis + shape.length : axis;
      const found = shape[at];
      if (found === undefined) {
        return call.engine.report.stop(
          'ESP0305',
          { axis, rank: shape.length },
          { primary: { span: spanOf(call, 'axis'), text: 'no such axis' } },
        );
      }
      return num(found);
    },
  },
];
