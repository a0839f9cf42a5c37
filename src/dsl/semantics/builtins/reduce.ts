/** Operators that reduce axes, and what lists and comprehensions add up to. */
import { make } from '../../../ir/graph.js';
import type { Builder } from '../../../ir/ops/builder.js';
import type { About, Value } from '../../../ir/types.js';
import type { ArgVal, Call, Operator } from '../evaluate/engine.js';
import { known } from '../evaluate/numbers.js';
import { isOpen, type NumVal, num, tensorVal, type Val } from '../evaluate/values.js';
import { axesOf, boolArg, countArg, tensorArg, wrongType } from './arguments.js';

/** What several values come to, two at a time. */
interface Fold {
  readonly numbers: (a: number, b: number) => number;
  readonly tensors: (b: Builder, x: Value, y: Value, about: About) => Value;
  /** Of no values. */
  readonly empty?: number;
}

const FOLDS: Readonly<Record<'sum' | 'max' | 'min', Fold>> = {
  sum: { numbers: (a, b) => a + b, tensors: (b, x, y, o) => b.add(x, y, o), empty: 0 },
  max: { numbers: Math.max, tensors: (b, x, y, o) => b.maximum(x, y, o) },
  min: { numbers: Math.min, tensors: (b, x, y, o) => b.minimum(x, y, o) },
};

/** The values of a comprehension, or of a list that is the only argument; undefined where it is a tensor that is reduced. */
function several(call: Call): readonly ArgVal[] | undefined {
  if (call.expr.generators.length > 0) return call.rest;
  const [first, ...more] = call.rest;
  if (first?.value.kind !== 'list' || more.length > 0) return undefined;
  return first.value.items.map((value) => ({ value, span: first.span }));
}

/** `sum(i < n: expr)` and `sum([a, b])` add up, `sum(x, axis: 1)` reduces; so do `max` and `min`. */
function folding(name: 'sum' | 'max' | 'min', along: (call: Call) => Val): (call: Call) => Val {
  const fold = FOLDS[name];
  return (call) => {
    const items = several(call);
    if (!items) return along(call);
    for (const [option, arg] of call.args) {
      const of = call.expr.generators.length > 0 ? `${name}(i < n: ...)` : `${name}([...])`;
      call.engine.report.stop(
        'ESP0203',
        { option, of },
        { primary: { span: arg.nameSpan ?? arg.span, text: 'it takes whole values together' } },
      );
    }
    if (items.length === 0) {
      if (fold.empty !== undefined) return num(fold.empty);
      return wrongType(call, 'x', 'at least one value');
    }
    if (items.every((a) => a.value.kind === 'num')) return numbers(call, fold, items);
    const xs = items.map((a) => ({ value: call.engine.tensor(a.value, a.span), span: a.span }));
    return tensorVal(
      call.engine.trace(name, call.span, xs, (b, o) =>
        xs.map((x) => x.value).reduce((a, x) => fold.tensors(b, a, x, o)),
      ),
    );
  };
}

/** Of multiples of the batch only sums of nothing else are known. */
function numbers(call: Call, fold: Fold, items: readonly ArgVal[]): Val {
  const values = items.map((a) => a.value as NumVal);
  const adds = fold.empty !== undefined && values.every(isOpen);
  if (!adds) for (const a of items) known(call.engine, a.value, a.span);
  return num(
    values.map((v) => v.value).reduce((a, x) => fold.numbers(a, x)),
    values.every((v) => v.whole),
  );
}

type Reduction = 'sum' | 'mean' | 'max' | 'min';

const WORK: Readonly<
  Record<Reduction, (b: Builder, x: Value, axes: readonly number[], keep: boolean, o: About) => Value>
> = {
  sum: (b, x, axes, keep, o) => b.sum(x, axes, keep, o),
  mean: (b, x, axes, keep, o) => b.mean(x, axes, keep, o),
  max: (b, x, axes, keep, o) => b.max(x, axes, keep, o),
  min: (b, x, axes, keep, o) => b.neg(b.max(b.neg(x, o), axes, keep, o), o),
};

const reduction =
  (op: Reduction) =>
  (call: Call): Val => {
    const [named, extra] = [call.args.get('x'), call.rest[1]];
    const first = call.rest[0] ?? named!;
    if (extra) {
      const about = { of: call.name, most: 1, found: call.rest.length };
      call.engine.report.stop('ESP0209', about, {
        primary: { span: extra.span, text: 'one too many; several are a list' },
      });
    }
    const x = { value: call.engine.tensor(first.value, first.span), span: first.span };
    const axes = axesOf(call, 'axis', x.value) ?? x.value.type.shape.map((_, i) => i);
    const keep = boolArg(call, 'keep', false);
    return tensorVal(call.engine.trace(call.name, call.span, [x], (b, o) => WORK[op](b, x.value, axes, keep, o)));
  };

export const REDUCTIONS: readonly Operator[] = [
  {
    name: 'sum',
    doc: 'The sum along an axis or a list of axes (all, if none is given); of a list, or sum(i < n: expr), what its values add up to.',
    params: ['...x', 'axis?', 'keep?'],
    comprehension: true,
    run: folding('sum', reduction('sum')),
  },
  {
    name: 'mean',
    doc: 'The mean along an axis or a list of axes (all, if none is given).',
    params: ['x', 'axis?', 'keep?'],
    run: reduction('mean'),
  },
  {
    name: 'max',
    doc: 'The largest along an axis or a list of axes (all, if none is given); of a list, or max(i < n: expr), the largest of its values.',
    params: ['...x', 'axis?', 'keep?'],
    comprehension: true,
    run: folding('max', reduction('max')),
  },
  {
    name: 'min',
    doc: 'The smallest along an axis or a list of axes (all, if none is given); of a list, or min(i < n: expr), the smallest of its values.',
    params: ['...x', 'axis?', 'keep?'],
    comprehension: true,
    run: folding('min', reduction('min')),
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
];
