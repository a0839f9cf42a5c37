/** Operators of the IR that specs call by their own names: their entries in the operator table say so (`inSpecs`), and nothing else has to name them. */
import { make } from '../../../ir/graph.js';
import type { Attr } from '../../../ir/ops/attrs.js';
import type { InSpecs, OpDef } from '../../../ir/ops/define.js';
import { attrsOf, OP_NAMES, OPS } from '../../../ir/ops/index.js';
import { tensor } from '../../../ir/run/tensor.js';
import type { OpName, Value } from '../../../ir/types.js';
import type { Call, Operand, Operator } from '../evaluate/engine.js';
import { known } from '../evaluate/numbers.js';
import { showNumber } from '../evaluate/show.js';
import { dtypeOf, isTensorLike, type NumVal, tensorVal, type Val } from '../evaluate/values.js';
import {
  axisOf,
  boolArg,
  finite,
  given,
  numberArg,
  sizeList,
  spanOf,
  wholeArg,
  wholeList,
  wordArg,
  wrongType,
} from './arguments.js';

/** An attribute of a call; `x`: its first operand. */
function attribute(call: Call, key: string, attr: Attr<unknown>, x: Value | undefined, otherwise: unknown): unknown {
  if (attr.words) return wordArg(call, key, attr.words, otherwise as string);
  switch (attr.kind) {
    case 'axis':
      return x ? axisOf(call, key, x, otherwise as number) : wholeArg(call, key, otherwise as number);
    case 'flag':
      return boolArg(call, key, otherwise as boolean);
    case 'number':
      return numberArg(call, key, otherwise as number);
    case 'numbers':
    case 'shape': {
      const list =
        (attr.kind === 'shape' ? sizeList : wholeList)(call, key) ?? (otherwise as readonly number[] | undefined);
      if (list === undefined) return wrongType(call, key, 'a list of numbers');
      return attr.length === undefined || list.length === attr.length
        ? list
        : wrongType(call, key, `a list of ${attr.length} numbers`);
    }
    case 'word':
    case 'dtype': {
      const text = given(call, key);
      if (text === undefined) return otherwise;
      return text.kind === 'str' ? text.value : wrongType(call, key, 'a string');
    }
  }
}

/**
 * Operands in the order of the table; of one that repeats a tensor or a list of them. Beside tensors a number takes their element type where elements
 * are joined one by one.
 */
function operands(call: Call, { operands: all, traits }: OpDef<OpName>): Operand[] {
  const args = all.map(({ name, kind }) => ({
    name,
    value: kind ? given(call, name) : call.args.get(name)!.value,
    span: spanOf(call, name),
  }));
  const tensors = args.flatMap(({ value }) => (value && isTensorLike(value) ? [value] : []));
  const dtype = traits.pointwise ? dtypeOf(tensors[0]) : 'f32';
  return args.flatMap(({ name, value, span }, i) => {
    if (!value) {
      const next = args.slice(i + 1).find((a) => a.value);
      return next ? wrongType(call, name, `given where \`${next.name}\` is`) : [];
    }
    const values = all[i]!.kind === 'variadic' && value.kind === 'list' ? value.items : [value];
    return values.map((v) => ({ value: call.engine.tensor(v, span, dtype), span }));
  });
}

/** The operator of numbers, by its reference; undefined where one of them is a tensor. */
function ofNumbers(call: Call, def: OpDef<OpName>): Val | undefined {
  const whole = def.inSpecs?.numbers;
  const args = def.operands.map(({ name }) => call.args.get(name)!);
  if (!whole || !args.every((a) => a.value.kind === 'num')) return undefined;
  const values = args.map((a) => known(call.engine, a.value as NumVal, a.span));
  const type = { dtype: 'f32', shape: [] } as const;
  const [result] = def.reference!(
    values.map((v) => tensor([], [v.value])),
    {} as never,
    type,
  ).data;
  const text = `${call.name}(${values.map((v) => showNumber(v.value)).join(', ')})`;
  return finite(call, text, result!, whole === 'whole' || (whole === 'kept' && values.every((v) => v.whole)));
}

/** Of a list of numbers, what an operator of one number makes of each; undefined where it is called with anything else. */
function ofEach(call: Call, def: OpDef<OpName>): Val | undefined {
  const [name, ...others] = def.operands.map((o) => o.name);
  const arg = others.length === 0 && name !== undefined ? call.args.get(name) : undefined;
  if (arg?.value.kind !== 'list' || arg.value.items.length === 0) return undefined;
  const items = arg.value.items.map((value) =>
    ofNumbers({ ...call, args: new Map([[name!, { ...arg, value }]]) }, def),
  );
  return items.every((v) => v !== undefined) ? { kind: 'list', items } : undefined;
}

function operatorOf(op: OpName, { defaults = {} }: InSpecs<OpName>): Operator {
  const def = OPS[op] as unknown as OpDef<OpName>;
  const attrs = Object.entries(attrsOf(op));
  const words = attrs.flatMap(([key, attr]) => (attr.words ? [[key, attr.words] as const] : []));
  const otherwise = defaults as Readonly<Record<string, unknown>>;
  return {
    name: op,
    doc: def.doc,
    params: [
      ...def.operands.map(({ name, kind, least = 1 }) =>
        kind === 'optional' || (kind === 'variadic' && least === 0) ? `${name}?` : name,
      ),
      ...attrs.map(([key]) => (key in otherwise ? `${key}?` : key)),
    ],
    ...(words.length > 0 ? { words: Object.fromEntries(words) } : {}),
    run: (call) => {
      const number = ofNumbers(call, def) ?? ofEach(call, def);
      if (number) return number;
      const xs = operands(call, def);
      const read = attrs.map(([key, attr]) => [key, attribute(call, key, attr, xs[0]?.value, otherwise[key])]);
      const values = xs.map((x) => x.value);
      return tensorVal(
        call.engine.trace(op, call.span, xs, (_, about) => make(op, values, Object.fromEntries(read) as never, about)),
      );
    },
  };
}

export const TABLE: readonly Operator[] = OP_NAMES.flatMap((op) => {
  const inSpecs = OPS[op].inSpecs as InSpecs<OpName> | undefined;
  return inSpecs ? [operatorOf(op, inSpecs)] : [];
});
