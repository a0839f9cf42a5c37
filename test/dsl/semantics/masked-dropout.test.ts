/** Dropout in an adapter under a mask over the sum: what it means in a training step, and that it is nothing where a model infers. */
import { describe, expect, test } from 'vitest';
import type { Elaborated } from '../../../src/dsl/elaborated.js';
import { input, topological } from '../../../src/ir/graph.js';
import { interpretFunc } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Func, Module, Tensor, Value } from '../../../src/ir/types.js';
import { drawDropout } from '../../../src/passes/dropout.js';
import { optimize } from '../../../src/passes/index.js';
import { good, run } from './helper.js';

/** A layer of 4 under a mask over the sum, with one adapter that adds `branch`. */
const masked = (branch: string): Elaborated =>
  good(`use std
adapter low(rate: float) on base: Linear(in -> out) {
  A = param [2, in] normal(1)
  B = param [out, 2] normal(1)
  c = param [2] normal(1)
  forward(x) { base(x) + ${branch} }
}
backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(x) }
}
model M {
  base = one()
  prune base.fc with magnitude(sparsity: 50%, over: sum)
  adapt base.fc with low(rate: 50%)
}`);

const random = (shape: number[], seed: number): Tensor =>
  tensor(
    shape,
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.7 * i + seed)),
  );
const x = random([3, 4], 1);
const params = {
  'base.fc.weight': random([4, 4], 2),
  'base.fc.bias': random([4], 3),
  'base.fc.weight#mask': tensor([4, 4], [0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1]),
  'base.fc@low.A': random([2, 4], 4),
  'base.fc@low.B': random([4, 2], 5),
  'base.fc@low.c': random([2], 6),
};
const matrix = (name: keyof typeof params) => {
  const { type, data } = params[name];
  const { shape } = type;
  return Array.from({ length: shape[0]! }, (_, i) => [...data].slice(i * shape[1]!, (i + 1) * shape[1]!));
};
const times = (a: number[][], b: number[][]) =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, v, k) => sum + v * b[k]![j]!, 0)));
const plus = (a: number[][], b: number[][]) => a.map((row, i) => row.map((v, j) => v + b[i]![j]!));
const hidden = (a: number[][]) => {
  const mask = matrix('base.fc.weight#mask');
  return a.map((row, i) => row.map((v, j) => v * mask[i]![j]!));
};
const transposed = (a: number[][]) => a[0]!.map((_, j) => a.map((row) => row[j]!));
const rows = (t: Tensor) =>
  Array.from({ length: t.type.shape[0]! }, (_, i) =>
    [...t.data].slice(i * t.type.shape[1]!, (i + 1) * t.type.shape[1]!),
  );
const bias = [...params['base.fc.bias'].data];
const close = (found: number[][], expected: number[][]) =>
  found.forEach((row, i) => {
    for (const [j, v] of row.entries()) expect(v).toBeCloseTo(expected[i]![j]!, 9);
  });

/** `infer` as a training step computes it, with what each dropout did to its operand. */
function step(e: Elaborated, key: Tensor): { y: number[][]; dropped: number[][][] } {
  const infer = e.module.funcs.get('infer')!;
  const drops = topological(infer.results.map((r) => r.value)).filter(
    (v) => v.op === 'dropout' || v.op === 'drop_path',
  );
  const results = [...infer.results, ...drops.map((value, i) => ({ name: `drop${i}`, value }))];
  const k = input('key', { dtype: 'u32', shape: [2] });
  const func: Func = drawDropout({ name: 'step', inputs: [...infer.inputs, k], results, updates: [] }, k);
  const inputs = new Map([
    ['x', x],
    ['key', key],
  ]);
  const out = interpretFunc(func, { inputs, params: (name) => params[name as keyof typeof params] });
  return { y: rows(out.get(infer.results[0]!.name)!), dropped: drops.map((_, i) => rows(out.get(`drop${i}`)!)) };
}
const key: Tensor = { type: { dtype: 'u32', shape: [2] }, data: Uint32Array.from([7, 9]) };

const W = matrix('base.fc.weight');
const BA = times(matrix('base.fc@low.B'), matrix('base.fc@low.A'));
const shifted = (y: number[][], by: number[]) => y.map((row) => row.map((v, j) => v + by[j]!));

const BRANCHES: readonly (readonly [string, string])[] = [
  ['at the input', '(dropout(x, rate: rate) @ A.T) @ B.T'],
  ['between the factors', 'dropout(x @ A.T, rate: rate) @ B.T'],
  ['on the branch', 'drop_path((x @ A.T) @ B.T, rate: rate)'],
  ['twice', 'dropout(dropout(x, rate: rate) @ A.T, rate: rate) @ B.T'],
];

describe.each(BRANCHES)('dropout %s', (_, branch) => {
  const e = masked(branch);

  test('is nothing where the model infers: the mask covers the merged weight', () => {
    const expected = shifted(times(rows(x), transposed(hidden(plus(W, BA)))), bias);
    close(rows(run(e, { x }, params).get('base')!), expected);
    const { module, report } = optimize(e.module, { adapters: 'merged', verify: true });
    expect(report.diagnostics).toEqual([]);
    expect(layers(module)).toBe(1);
  });

  test('of a training step leaves out what the mask covers, and acts on what the layer reads', () => {
    const { y, dropped } = step(e, key);
    const read = dropped.at(-1)!;
    expect(read).not.toEqual(rows(x));
    // The last dropout that the layer's input goes through drops elements, or samples, of it.
    expect(read.flat().every((v, i) => v === 0 || Math.abs(v / x.data[i]!) >= 2 - 1e-9)).toBe(true);
    const expected = plus(times(rows(x), transposed(hidden(W))), times(read, transposed(hidden(BA))));
    close(y, shifted(expected, bias));
  });
});

/** Products of `infer` that read its input. */
function layers(module: Module): number {
  const values = topological(module.funcs.get('infer')!.results.map((r) => r.value));
  return values.filter((v: Value) => v.op === 'linear' || v.op === 'matmul').length;
}

test('what an adapter adds before its dropout is part of the bias', () => {
  const e = masked('dropout(x @ A.T + c, rate: rate) @ B.T');
  const shift = times([[...params['base.fc@low.c'].data]], transposed(matrix('base.fc@low.B')))[0]!;
  const expected = shifted(shifted(times(rows(x), transposed(hidden(plus(W, BA)))), bias), shift);
  close(rows(run(e, { x }, params).get('base')!), expected);
  const { y, dropped } = step(e, key);
  const sum = plus(times(rows(x), transposed(hidden(W))), times(dropped[0]!, transposed(hidden(BA))));
  close(y, shifted(shifted(sum, bias), shift));
});

test('each call of a layer draws for itself', () => {
  const twice = good(`use std
adapter low() on base: Linear(in -> out) {
  A = param [2, in] normal(1)
  B = param [out, 2] normal(1)
  forward(x) { base(x) + (dropout(x, rate: 10%) @ A.T) @ B.T }
}
backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(x) + fc(2 * x) }
}
model M {
  base = one()
  prune base.fc with magnitude(sparsity: 50%, over: sum)
  adapt base.fc with low()
}`);
  const drops = topological(twice.module.funcs.get('infer')!.results.map((r) => r.value));
  const streams = drops.flatMap((v) => (v.op === 'dropout' ? [v.attrs.stream] : []));
  expect(new Set(streams).size).toBe(2);
});
