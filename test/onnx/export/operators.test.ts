/** Every operator of the table as ONNX has it: run by onnxruntime, beside the interpreter. */
import { describe, expect, test } from 'vitest';
import { topological } from '../../../src/ir/graph.js';
import { OP_NAMES } from '../../../src/ir/ops/index.js';
import type { OpName, Tensor, Value } from '../../../src/ir/types.js';
import { onnxModelOf } from '../../../src/onnx/export/model.js';
import { Model } from '../../codegen/harness.js';
import { lifted } from '../../codegen/lift.js';
import { CASES, TOLERANCE } from '../../codegen/operators.js';
import { WHOLE } from '../../codegen/whole.js';
import { bytesOf, runOnnx } from '../runtime.js';

async function agrees(m: Model, results: readonly Value[], expected: readonly Tensor[], opset: number, within: number) {
  const module = m.module(...results);
  const model = onnxModelOf(module, { opset, params: (name) => m.data.get(name)!, producer: 'test' });
  const found = await runOnnx(await bytesOf(model), m.arguments);
  expected.forEach((wanted, i) => {
    const { shape, data } = found.get(`y${i}`)!;
    expect(shape, `shape of y${i}`).toEqual(wanted.type.shape);
    let largest = 0;
    for (const x of wanted.data) if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x));
    for (let j = 0; j < data.length; j++) {
      const [a, b] = [Number(data[j]), wanted.data[j]!];
      if (Object.is(a, b) || a === b) continue;
      expect(Math.abs(a - b), `y${i}[${j}] is ${a}, not ${b}`).toBeLessThanOrEqual(within * Math.max(largest, 1e-30));
    }
  });
}

/** From which version on operators can be written, where that is not from the first; those of no version compute what no inference does. */
const SINCE: { readonly [O in OpName]?: number } = {
  random_bits: Infinity,
  merge_order: Infinity,
  conv2d_weight: Infinity,
  solve: Infinity,
  scatter_add: 16,
  segment_sum: 16,
};
/** Of whole numbers from then on, of truth always. */
const BITS: readonly OpName[] = ['and', 'or', 'xor', 'not'];
const sinceOf = (v: Value): number => (BITS.includes(v.op) && v.type.dtype !== 'bool' ? 18 : (SINCE[v.op] ?? 0));

async function check(m: Model, results: readonly Value[], opset: number, within: number): Promise<void> {
  const since = Math.max(...topological(results).map(sinceOf));
  const work = agrees(m, results, m.expected(m.module(...results)), opset, within);
  if (opset < since) await expect(work).rejects.toThrow(/^ESP1240: `\w+`( in test\.\w+)? cannot be written as ONNX: /);
  else await work;
}

describe.each([13, 17, 21])('opset %d', (opset) => {
  for (const op of OP_NAMES) {
    const within = TOLERANCE[op] ?? 1e-5;
    test(op, async () => {
      if (op === 'solve') {
        const m = new Model(1);
        await check(m, [m.op('solve', [m.input([3, 3]), m.input([3, 1])], {})], opset, within);
        return;
      }
      for (const [i, make] of CASES[op].entries()) {
        const m = new Model(100 + i);
        const made = make(m);
        const results = 'id' in made ? [made] : made;
        await check(m, results, opset, within);
        const over = topological(results).some((v) => sinceOf(v) > opset) ? undefined : lifted(m, results, 3);
        if (over) await agrees(over.model, over.results, over.expected, opset, within);
      }
    });
  }
  test.each(WHOLE.map(({ name, make }) => [name, make] as const))('%s', async (_name, make) => {
    const m = new Model(1);
    await check(m, make(m), opset, 1e-12);
  });
});
