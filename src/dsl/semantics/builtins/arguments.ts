/** Reading an operator's arguments: tensors, numbers, axes, sizes, words. Each reports what is wrong at the argument. */
import type { DType, Value } from '../../../ir/types.js';
import type { Span } from '../../ast.js';
import type { Call, Operand } from '../evaluate/engine.js';
import { element, known } from '../evaluate/numbers.js';
import { describe } from '../evaluate/show.js';
import { isNone, num, type Val } from '../evaluate/values.js';

export const spanOf = (call: Call, name: string): Span => call.args.get(name)?.span ?? call.span;

export function given(call: Call, name: string): Val | undefined {
  const v = call.args.get(name)?.value;
  return v === undefined || isNone(v) ? undefined : v;
}

export function tensorArg(call: Call, name: string): Operand {
  const arg = call.args.get(name)!;
  return { value: call.engine.tensor(arg.value, arg.span), span: arg.span };
}

export function optionalTensor(call: Call, name: string): Operand | undefined {
  const v = given(call, name);
  if (v === undefined) return undefined;
  const span = spanOf(call, name);
  return { value: call.engine.tensor(v, span), span };
}

/** A number that is an element of a tensor of this type. */
export function numberArg(call: Call, name: string, otherwise: number, dtype: DType = 'f32'): number {
  const v = given(call, name);
  if (v === undefined) return otherwise;
  const span = spanOf(call, name);
  return element(call.engine, call.engine.number(v, `\`${name}\` of ${call.name}`, span), dtype, span);
}

export function wholeArg(call: Call, name: string, otherwise: number): number {
  const v = given(call, name);
  if (v === undefined) return otherwise;
  const span = spanOf(call, name);
  return call.engine.whole(known(call.engine, v, span), `\`${name}\` of ${call.name}`, span);
}

/** A whole number of at least `least`. */
export function countArg(call: Call, name: string, otherwise: number, least = 1): number {
  const n = wholeArg(call, name, otherwise);
  if (n < least) outOfRange(call, name, String(n), `at least ${least}`);
  return n;
}

export function boolArg(call: Call, name: string, otherwise: boolean): boolean {
  const v = given(call, name);
  return v === undefined ? otherwise : call.engine.truth(v, `\`${name}\` of ${call.name}`, spanOf(call, name));
}

/** A list of whole numbers; one number alone is a list of one. */
export function wholeList(call: Call, name: string): number[] | undefined {
  const span = spanOf(call, name);
  for (const i of listed(given(call, name))) known(call.engine, i, span);
  return sizeList(call, name);
}

const listed = (v: Val | undefined): readonly Val[] => (v === undefined ? [] : v.kind === 'list' ? v.items : [v]);

/** The same, of sizes: each may be a multiple of the batch. */
export function sizeList(call: Call, name: string): number[] | undefined {
  const v = given(call, name);
  if (v === undefined) return undefined;
  const span = spanOf(call, name);
  return listed(v).map((i) => call.engine.whole(i, `\`${name}\` of ${call.name}`, span));
}

/** Two whole numbers [height, width]; one number stands for both. */
export function pairArg(call: Call, name: string, otherwise: number, least: number): [number, number] {
  const list = wholeList(call, name) ?? [otherwise];
  const pair = list.length === 1 ? [list[0]!, list[0]!] : list;
  if (pair.length !== 2) wrongType(call, name, 'a number or [height, width]');
  for (const n of pair) if (n < least) outOfRange(call, name, String(n), `at least ${least}`);
  return pair as [number, number];
}

/** [top, left, bottom, right] from one number, [vertical, horizontal] or all four. */
export function paddingArg(call: Call, name: string): [number, number, number, number] {
  const l = wholeList(call, name) ?? [0];
  for (const n of l) if (n < 0) outOfRange(call, name, String(n), 'at least 0');
  if (l.length === 1) return [l[0]!, l[0]!, l[0]!, l[0]!];
  if (l.length === 2) return [l[0]!, l[1]!, l[0]!, l[1]!];
  if (l.length === 4) return l as [number, number, number, number];
  return wrongType(call, name, 'a number, [vertical, horizontal] or [top, left, bottom, right]');
}

/** An axis of `x`, counted from the front. */
export function axisOf(call: Call, name: string, x: Value, otherwise: number): number {
  return resolveAxis(call, name, wholeArg(call, name, otherwise), x.type.shape.length);
}

export function axesOf(call: Call, name: string, x: Value): number[] | undefined {
  return wholeList(call, name)?.map((a) => resolveAxis(call, name, a, x.type.shape.length));
}

function resolveAxis(call: Call, name: string, axis: number, rank: number): number {
  const a = axis < 0 ? axis + rank : axis;
  if (a < 0 || a >= rank) {
    call.engine.report.stop(
      'ESP0305',
      { axis, rank },
      {
        primary: {
          span: spanOf(call, name),
          text: rank === 0 ? 'a single number has none' : `axes are 0 to ${rank - 1}`,
        },
      },
    );
  }
  return a;
}

export function wordArg<W extends string>(call: Call, name: string, choices: readonly W[], otherwise: W): W {
  const v = call.args.get(name)?.value;
  if (v === undefined) return otherwise;
  if (v.kind === 'word' && (choices as readonly string[]).includes(v.name)) return v.name as W;
  return call.engine.report.stop(
    'ESP0210',
    { option: name, found: describe(v), choices },
    { primary: { span: spanOf(call, name), text: 'not a choice' } },
  );
}

/** A number that a calculation gave, or the message that it gave none. */
export function finite(call: Call, text: string, value: number, whole: boolean): Val {
  if (!Number.isFinite(value)) {
    call.engine.report.stop(
      'ESP0227',
      { what: text, value: Number.isNaN(value) ? 'not a number' : 'infinite' },
      { primary: { span: call.span, text: 'this calculation' } },
    );
  }
  return num(value, whole);
}

export function wrongType(call: Call, name: string, expected: string): never {
  const arg = call.args.get(name);
  return call.engine.report.stop(
    'ESP0205',
    { what: `\`${name}\` of ${call.name}`, expected, found: arg ? describe(arg.value) : 'nothing' },
    { primary: { span: spanOf(call, name), text: 'this one' } },
  );
}

export function outOfRange(call: Call, name: string, found: string, range: string): never {
  return call.engine.report.stop(
    'ESP0226',
    { what: `\`${name}\` of ${call.name}`, found, range },
    { primary: { span: spanOf(call, name), text: 'out of range' } },
  );
}
