/** What is known to be zero of a parameter, whatever others hold: against the elements themselves, over random parameters. */
import { describe, expect, it } from 'vitest';
import { build } from '../../src/ir/build.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Func, Module, Tensor, Value } from '../../src/ir/types.js';
import { PREPARE, supportsIn } from '../../src/passes/index.js';
import { Model, random } from '../codegen/harness.js';

/** A mask of zeros and ones. */
function mask(shape: readonly [number, number], seed: number): Tensor {
  const next = random(seed);
  return tensor(
    shape,
    Float32Array.from({ length: shape[0] * shape[1] }, () => (next() > 0 ? 1 : 0)),
  );
}

/** The support of a value of a model's parameters, and its elements. */
function found(m: Model, value: Value): { readonly support: Uint8Array | undefined; readonly data: ArrayLike<number> } {
  const prepare: Func = { name: PREPARE, inputs: [], results: [{ name: 'w', value }], updates: [] };
  const module: Module = { name: 'test', adapters: new Map(), params: m.params, funcs: new Map([[PREPARE, prepare]]) };
  const params = (name: string): Tensor => m.data.get(name)!;
  return { support: supportsIn(module, params)('w'), data: interpretValues([value], { params })[0]!.data };
}

/** Values whose zeros are exactly those that are known. */
const EXACT: Readonly<Record<string, (m: Model) => Value>> = {
  'a mask over a weight': (m) => build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 1))),
  'a mask over a weight and a merge': (m) => {
    const merged = build.add(m.param([6, 8]), build.matmul(m.param([6, 2]), m.param([2, 8])));
    return build.mul(m.param([6, 8], mask([6, 8], 1)), merged);
  },
  'two masks': (m) =>
    build.mul(build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 1))), m.param([6, 8], mask([6, 8], 2))),
  'a difference of masked weights': (m) => {
    const own = m.param([6, 8], mask([6, 8], 1));
    return build.sub(build.mul(m.param([6, 8]), own), build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 2))));
  },
  'a masked weight that is scaled by rows, turned and cut': (m) => {
    const w = build.mul(build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 1))), m.param([6, 1]));
    return build.slice(build.transpose(w, [1, 0]), [2, 0], [4, 6]);
  },
  'masked rows beside others': (m) =>
    build.concat([build.mul(m.param([3, 8]), m.param([3, 8], mask([3, 8], 1))), m.param([2, 8])], 0),
  'a weight that came with zeros': (m) => build.neg(m.param([6, 8], mask([6, 8], 3))),
};

/** Values that are taken to be able to be anything. */
const FULL: Readonly<Record<string, (m: Model) => Value>> = {
  'a weight': (m) => m.param([6, 8]),
  'a product of masked factors': (m) =>
    build.matmul(build.mul(m.param([6, 4]), m.param([6, 4], mask([6, 4], 1))), m.param([4, 8])),
  'a masked weight and a merge over it': (m) =>
    build.add(build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 1))), m.param([6, 8])),
  'an exponential of a masked weight': (m) => build.exp(build.mul(m.param([6, 8]), m.param([6, 8], mask([6, 8], 1)))),
};

describe('the elements that a prepared parameter can hold', () => {
  for (const [name, make] of Object.entries(EXACT)) {
    it(`${name}: those that are not zero`, () => {
      const m = new Model(4);
      const { support, data } = found(m, make(m));
      expect([...support!]).toEqual(Array.from(data, (x) => (x === 0 ? 0 : 1)));
      expect(support).toContain(0);
    });
  }

  for (const [name, make] of Object.entries(FULL)) {
    it(`${name}: all`, () => {
      const m = new Model(4);
      expect(found(m, make(m)).support).toBeUndefined();
    });
  }

  it('does not take zeros of what is trained for more than a start', () => {
    const m = new Model(4);
    const factor = m.param([6, 8], mask([6, 8], 1));
    m.params.set('p0', { ...m.params.get('p0')!, role: 'trainable' });
    expect(found(m, factor).support).toBeUndefined();
    expect(found(m, build.mul(factor, m.param([6, 8], mask([6, 8], 2)))).support).toContain(0);
  });

  it('does not depend on numbers that cancel', () => {
    const m = new Model(4);
    const w = m.param([6, 8]);
    expect(found(m, build.sub(w, w)).support).toBeUndefined();
    const masked = build.mul(w, m.param([6, 8], mask([6, 8], 1)));
    const { support, data } = found(m, build.sub(masked, masked));
    expect(Array.from(data).every((x) => x === 0)).toBe(true);
    expect([...support!]).toEqual([...mask([6, 8], 1).data]);
  });
});
