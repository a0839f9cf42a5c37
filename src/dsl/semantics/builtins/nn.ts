/** Composite operators of networks: attention, convolution, norms, linear maps, solving. */
import { make } from '../../../ir/graph.js';
import type { Value } from '../../../ir/types.js';
import type { Call, Operand, Operator } from '../evaluate/engine.js';
import { known } from '../evaluate/numbers.js';
import { showNumber } from '../evaluate/show.js';
import { num, tensorVal, type Val } from '../evaluate/values.js';
import {
  countArg,
  given,
  numberArg,
  optionalTensor,
  outOfRange,
  paddingArg,
  pairArg,
  spanOf,
  tensorArg,
  wrongType,
} from './arguments.js';

/** Added to the score of a pair that may not attend; far below any score, and finite. */
const MASKED = -1e9;

/** Terms that are added to the scores: each bias, and a mask as 0 where it holds and far below where it does not. */
function scoreTerms(call: Call): Operand[] {
  const terms: Operand[] = [];
  const bias = given(call, 'bias');
  const span = spanOf(call, 'bias');
  for (const v of bias === undefined ? [] : bias.kind === 'list' ? bias.items : [bias]) {
    terms.push({ value: call.engine.tensor(v, span), span });
  }
  const mask = given(call, 'mask');
  if (mask === undefined) return terms;
  const at = spanOf(call, 'mask');
  if (mask.kind === 'table') {
    const data = mask.data.map((m) => (m === 0 ? MASKED : 0));
    terms.push({ value: call.engine.tensor({ kind: 'table', shape: mask.shape, data, dtype: 'f32' }, at), span: at });
    return terms;
  }
  const m = call.engine.tensor(mask, at);
  if (m.type.dtype !== 'bool') wrongType(call, 'mask', 'a tensor of true and false');
  const value = call.engine.trace('attention', at, [{ value: m, span: at }], (b, o) => b.select(m, 0, MASKED, o));
  terms.push({ value, span: at });
  return terms;
}

function attention(call: Call): Val {
  const [q, k, v] = ['q', 'k', 'v'].map((n) => tensorArg(call, n)) as [Operand, Operand, Operand];
  const width = known(call.engine, num(q.value.type.shape.at(-1) ?? 1), q.span).value;
  const scale = numberArg(call, 'scale', 1 / Math.sqrt(width));
  const terms = scoreTerms(call);
  return tensorVal(
    call.engine.trace('attention', call.span, [q, k, v, ...terms], (b, o) =>
      b.attention(
        q.value,
        k.value,
        v.value,
        scale,
        terms.map((t) => t.value),
        o,
      ),
    ),
  );
}

/** Operands with the missing ones at the end left out; a gap in the middle is an error of the caller. */
const present = (...xs: (Operand | undefined)[]): Operand[] => xs.filter((x): x is Operand => x !== undefined);
const values = (xs: readonly Operand[]): Value[] => xs.map((x) => x.value);

function eps(call: Call): number {
  const e = numberArg(call, 'eps', 1e-5);
  if (e < 0) outOfRange(call, 'eps', showNumber(e), 'at least 0');
  return e;
}

export const NETWORKS: readonly Operator[] = [
  {
    name: 'attention',
    doc: 'softmax(q k^T * scale + bias) v over [b, h, n, d]; bias is one tensor or a list of tensors that broadcast, mask is true where a pair may attend.',
    params: ['q', 'k', 'v', 'bias?', 'mask?', 'scale?'],
    run: attention,
  },
  {
    name: 'conv2d',
    doc: 'Convolution of [b, c, h, w] with a weight [out, c / groups, kh, kw].',
    params: ['x', 'weight', 'bias?', 'stride?', 'padding?', 'dilation?', 'groups?'],
    run: (call) => {
      const xs = present(tensorArg(call, 'x'), tensorArg(call, 'weight'), optionalTensor(call, 'bias'));
      const attrs = {
        stride: pairArg(call, 'stride', 1, 1),
        padding: paddingArg(call, 'padding'),
        dilation: pairArg(call, 'dilation', 1, 1),
        groups: countArg(call, 'groups', 1),
      };
      return tensorVal(call.engine.trace('conv2d', call.span, xs, (_, o) => make('conv2d', values(xs), attrs, o)));
    },
  },
  {
    name: 'layer_norm',
    doc: 'Zero mean and unit variance over the last axis, then gain and shift.',
    params: ['x', 'gain?', 'shift?', 'eps?'],
    run: (call) => {
      const gain = optionalTensor(call, 'gain');
      const shift = optionalTensor(call, 'shift');
      if (shift && !gain) wrongType(call, 'gain', 'given where `shift` is');
      const xs = present(tensorArg(call, 'x'), gain, shift);
      const e = eps(call);
      return tensorVal(
        call.engine.trace('layer_norm', call.span, xs, (_, o) => make('layer_norm', values(xs), { eps: e }, o)),
      );
    },
  },
  {
    name: 'group_norm',
    doc: 'Zero mean and unit variance over each group of channels of [b, c, ...].',
    params: ['x', 'groups', 'gain?', 'shift?', 'eps?'],
    run: (call) => {
      const xs = present(tensorArg(call, 'x'), optionalTensor(call, 'gain'), optionalTensor(call, 'shift'));
      const attrs = { groups: countArg(call, 'groups', 1), eps: eps(call) };
      return tensorVal(
        call.engine.trace('group_norm', call.span, xs, (_, o) => make('group_norm', values(xs), attrs, o)),
      );
    },
  },
];
