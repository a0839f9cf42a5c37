/** The numeric check of merges: it passes what is right and refuses what is wrong, in each precision. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { build as b } from '../../src/ir/build.js';
import { input, paramRef } from '../../src/ir/graph.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Tensor, Value } from '../../src/ir/types.js';
import type { Region } from '../../src/passes/index.js';
import { checkRegions } from './check-regions.js';
import { random } from './models.js';

const p = (name: string, ...shape: number[]): Value =>
  paramRef({ name, type: { dtype: 'f32', shape }, role: 'frozen' });
const x = input('x0', { dtype: 'f32', shape: [1, 197, 6] });
const func = (name: string, value: Value): Func => ({
  name,
  inputs: [x],
  results: [{ name: 'y', value }],
  updates: [],
});
const scaled = b.mul(b.linear(x, p('w', 4, 6), p('b', 4)), p('s', 4));
const layer = (factor: Value, bias: Value): Value => b.linear(x, b.mul(p('w', 4, 6), b.reshape(factor, [4, 1])), bias);
const right = layer(p('s', 4), b.mul(p('b', 4), p('s', 4)));
const region = (after: Value): Region => ({
  site: 'base.proj',
  adapters: ['base.proj@ssf'],
  before: func('before', scaled),
  after: func('after', after),
  flopsBefore: 2,
  flopsAfter: 1,
  newBias: false,
});
const params = (change: (name: string, t: Tensor) => Tensor = (_, t) => t): ((name: string) => Tensor) => {
  const shapes: Record<string, number[]> = { w: [4, 6], b: [4], s: [4] };
  return (name) => change(name, random(shapes[name]!, name.charCodeAt(0)));
};

describe('checkRegions', () => {
  it('accepts an equal region, with room for what storing it rounds', () => {
    const difference = (precision: 'f64' | 'f32' | 'f16'): number => {
      const [check] = checkRegions([region(right)], params(), { precision });
      expect(check!.diagnostic).toBeUndefined();
      return check!.difference;
    };
    const [f64, f32, f16] = [difference('f64'), difference('f32'), difference('f16')];
    expect(f64).toBeLessThan(1e-14);
    expect(f32).toBeGreaterThan(f64);
    expect(f16).toBeGreaterThan(f32);
  });

  it('accepts a result that no argument reaches any more, at its own number of tokens', () => {
    const few = input('x0', { dtype: 'f32', shape: [BATCH, 3, 6] });
    const nothing = b.linear(b.sub(few, few), p('w', 4, 6), p('b', 4));
    const alone = b.broadcast(b.reshape(p('b', 4), [1, 1, 4]), [BATCH, 3, 4]);
    const made = { ...region(alone), before: { ...func('before', nothing), inputs: [few] } };
    const [check] = checkRegions([made], params());
    expect(check).toEqual({ site: 'base.proj', difference: 0 });
  });

  it('refuses a region that differs', () => {
    const [check] = checkRegions([region(layer(p('s', 4), p('b', 4)))], params(), { precision: 'f16' });
    expect(check!.diagnostic?.code).toBe('ESP0403');
    expect(check!.difference).toBeGreaterThan(0.01);
    expect(check!.diagnostic?.message).toContain('base.proj');
  });

  it.each([
    ['without its bias', layer(p('s', 4), b.sub(p('b', 4), p('b', 4)))],
    ['with a factor of 1.01', layer(b.mul(p('s', 4), 1.01), b.mul(p('b', 4), p('s', 4)))],
  ])('refuses a region %s', (_, after) => {
    const [check] = checkRegions([region(after)], params(), { precision: 'f32' });
    expect(check!.diagnostic).toMatchObject({ code: 'ESP0403', severity: 'error' });
  });

  for (const [what, value] of [
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
  ] as const) {
    it(`refuses ${what} in a parameter and names it`, () => {
      const bad = (name: string, t: Tensor): Tensor => {
        if (name === 's') t.data[1] = value;
        return t;
      };
      const [check] = checkRegions([region(right)], params(bad));
      expect(check!.diagnostic?.code).toBe('ESP0404');
      expect(check!.diagnostic?.message).toContain('s holds a value that is not finite');
      expect(check!.difference).toBeNaN();
    });
  }

  it('refuses a weight that is too large for half precision', () => {
    const large = (name: string, t: Tensor): Tensor => (name === 's' ? tensor([4], [1e6, 1, 1, 1]) : t);
    expect(checkRegions([region(right)], params(large), { precision: 'f32' })[0]!.diagnostic).toBeUndefined();
    expect(checkRegions([region(right)], params(large), { precision: 'f16' })[0]!.diagnostic?.code).toBe('ESP0404');
  });

  it('looks at as many tokens as asked, not at all of them', () => {
    let multiplied = 0;
    const count = (name: string, t: Tensor): Tensor => {
      if (name === 'w') multiplied++;
      return t;
    };
    const slow = checkRegions([region(right)], params(count), { tokens: 2, seed: 3 });
    const other = checkRegions([region(right)], params(), { tokens: 2, seed: 4 });
    expect(multiplied).toBeGreaterThan(0);
    expect(slow[0]!.difference).not.toBe(other[0]!.difference);
  });
});
