/** Patterns of the makers of values: what a rule of raising looks for. A pattern is tried on a value and what was found before. */
import type { GraphNode } from '../graph.js';
import type { Maker, Net } from './net.js';

/** What was found: values and numbers by the names that a pattern gives them. */
export interface Found {
  readonly values: ReadonlyMap<string, string>;
  readonly numbers: ReadonlyMap<string, number>;
}

export type Pattern = (net: Net, value: string, found: Found) => Found | undefined;

export const NOTHING: Found = { values: new Map(), numbers: new Map() };

/** Any value; the same one wherever the name stands. */
export const any =
  (name: string): Pattern =>
  (_, value, found) => {
    const before = found.values.get(name);
    if (before !== undefined) return before === value ? found : undefined;
    return { ...found, values: new Map([...found.values, [name, value]]) };
  };

/** A weight of the file. */
export const weight =
  (name: string): Pattern =>
  (net, value, found) =>
    net.isWeight(value) ? any(name)(net, value, found) : undefined;

/** A number that is known, any. */
export const scalar =
  (name: string): Pattern =>
  (net, value, found) => {
    const x = net.number(value);
    return x === undefined ? undefined : { ...found, numbers: new Map([...found.numbers, [name, x]]) };
  };

/** The nearest number with so many bits behind the first one. */
function nearest(x: number, bits: number): number {
  const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - bits);
  return Math.round(x / step) * step;
}

/**
 * A number that is known, this one: within 1e-6 of it, as exporters write it in decimals or in the precision of an f32 (√2, √(2/π), 0.044715), or what f16 or bf16 make
 * of it. What is farther off would be another function than the operator is.
 */
export const number = (wanted: number): Pattern => {
  const rounded = [10, 7].map((bits) => nearest(wanted, bits));
  return (net, value, found) => {
    const x = net.number(value);
    if (x === undefined) return undefined;
    return rounded.includes(x) || Math.abs(x - wanted) <= 1e-6 * Math.abs(wanted) ? found : undefined;
  };
};

type Test = (maker: Maker, net: Net) => boolean;

/** What an operator makes of operands in this order. */
export const op =
  (name: string, operands: readonly Pattern[], test: Test = () => true): Pattern =>
  (net, value, found) => {
    const maker = net.makers.get(value);
    if (maker?.op !== name || !test(maker, net)) return undefined;
    return operands.reduce<Found | undefined>((f, pattern, i) => {
      const input = maker.inputs[i];
      return f && input !== undefined ? pattern(net, input, f) : undefined;
    }, found);
  };

/** The first of these that is there. */
export const either =
  (...patterns: readonly Pattern[]): Pattern =>
  (net, value, found) => {
    for (const p of patterns) {
      const f = p(net, value, found);
      if (f) return f;
    }
    return undefined;
  };

/** An operator whose two operands can change places. */
export const both = (name: string, a: Pattern, b: Pattern): Pattern => either(op(name, [a, b]), op(name, [b, a]));

/** A value of which a name is kept. */
export const as =
  (name: string, pattern: Pattern): Pattern =>
  (net, value, found) => {
    const f = pattern(net, value, found);
    return f && any(name)(net, value, f);
  };

/** A product of these factors, whichever way it is put together. */
export const product = (...patterns: readonly Pattern[]): Pattern => {
  return (net, value, found) => {
    for (const factors of splits(net, value, patterns.length)) {
      for (const order of orders(factors)) {
        const f = order.reduce<Found | undefined>((g, v, i) => g && patterns[i]!(net, v, g), found);
        if (f) return f;
      }
    }
    return undefined;
  };
};

/** The ways in which a value is a product of `count` others. */
function* splits(net: Net, value: string, count: number): Generator<readonly string[]> {
  if (count === 1) {
    yield [value];
    return;
  }
  const maker = net.makers.get(value);
  const [a, b] = maker?.op === 'Mul' ? maker.inputs : [];
  if (a === undefined || b === undefined) return;
  for (let left = 1; left < count; left++) {
    for (const xs of splits(net, a, left)) for (const ys of splits(net, b, count - left)) yield [...xs, ...ys];
  }
}

function* orders<T>(items: readonly T[]): Generator<readonly T[]> {
  if (items.length <= 1) yield items;
  else {
    for (const [i, x] of items.entries()) {
      for (const rest of orders(items.filter((_, k) => k !== i))) yield [x, ...rest];
    }
  }
}

/** The whole numbers of an attribute, or of an input that is known. */
export function axesOf(node: GraphNode, net: Net, input: number): readonly number[] | undefined {
  const given = node.attributes.get('axes');
  if (given?.kind === 'ints') return given.value;
  const name = node.inputs[input];
  const known = name === undefined ? undefined : net.values.get(name)?.known?.();
  return known && Array.from(known.data);
}

/** A mean over the last axis, which stays. */
export const meanOfLast = (of: Pattern): Pattern =>
  op('ReduceMean', [of], ({ node, inputs }, net) => {
    const rank = net.shape(inputs[0]!).length;
    const axes = axesOf(node, net, 1);
    const keep = node.attributes.get('keepdims');
    return axes?.length === 1 && (axes[0] === -1 || axes[0] === rank - 1) && (keep?.kind !== 'int' || keep.value === 1);
  });
