/** The type rule of every operator: one call that fits and what is refused, with the operands at fault and the sentence. */
import { describe, expect, test } from 'vitest';
import { input, make, ShapeError } from '../../src/ir/graph.js';
import { OP_NAMES, OPS } from '../../src/ir/ops/index.js';
import { showType } from '../../src/ir/ops/shapes.js';
import type { OpAttrs, OpName, Value } from '../../src/ir/types.js';
import { CONTRACTIONS } from './rules/contractions.js';
import { ELEMENTWISE } from './rules/elementwise.js';
import { LAYOUT } from './rules/layout.js';
import type { Rule } from './rules/rule.js';
import { f32 } from './support.js';

const RULES: { readonly [O in OpName]: Rule } = { ...ELEMENTWISE, ...LAYOUT, ...CONTRACTIONS };

describe.each(OP_NAMES)('%s', (op) => {
  const { fits, refused } = RULES[op];
  const build = (inputs: readonly Value[], attrs: unknown): Value => make<OpName>(op, inputs, attrs as OpAttrs[OpName]);

  test.each(fits)('gives %s', (type, inputs, attrs) => {
    const v = build(inputs, attrs);
    expect(showType(v.type)).toBe(type);
    const cost = (OPS[op].cost as (i: unknown, a: unknown, r: unknown) => { flops: number; bytes: number })(
      inputs.map((x) => x.type),
      attrs,
      v.type,
    );
    expect(cost.flops).toBeGreaterThanOrEqual(0);
    expect(cost.bytes).toBeGreaterThanOrEqual(0);
  });

  test.each(refused)('refuses: %s', (message, operands, inputs, attrs) => {
    let error: unknown;
    try {
      build(inputs, attrs);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ShapeError);
    const refusal = error as ShapeError;
    expect(refusal.message).toBe(`${op}: ${message}`);
    expect(refusal.operands).toEqual(operands);
    expect(refusal.op).toBe(op);
  });
});

test('f16 is a float and does not mix with f32', () => {
  const h = input('h', { dtype: 'f16', shape: [2] });
  expect(showType(make('exp', [h], {}).type)).toBe('f16[2]');
  expect(() => make('add', [h, f32('x', 2)], {})).toThrow('f16[2] and f32[2] have different element types');
});

test('costs of contractions count a multiply-add as two', () => {
  const cost = OPS.linear.cost([f32('x', 7, 3).type, f32('w', 5, 3).type, f32('b', 5).type], {}, f32('y', 7, 5).type);
  expect(cost).toEqual({ flops: 7 * 5 * (2 * 3 + 1), bytes: 4 * (21 + 15 + 5 + 35) });
});

test('an argument has positive sizes', () => {
  expect(() => f32('x', 2, 0)).toThrow(ShapeError);
  expect(() => f32('x', 1.5)).toThrow('not positive');
});
