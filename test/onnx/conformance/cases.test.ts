/** ONNX's own cases, the smallest of each kind: imported, interpreted, and compared with what onnxruntime gives too. `npm run conformance` runs all of them. */
import { describe, expect, test } from 'vitest';
import { importOnnx } from '../../../src/onnx/import/index.js';
import { readBundle } from './bundle.js';
import { caseOf, difference, outcome } from './cases.js';

const bundle = readBundle();

describe('cases of ONNX', () => {
  test.each([...bundle])('%s', async (name, files) => {
    expect(await outcome(() => caseOf(name, files))).toMatchObject({ kind: 'passed' });
  });

  test('are of most operators, and of opsets up to 21', () => {
    const models = [...bundle].map(([name, files]) => caseOf(name, files).model);
    expect(new Set(models.flatMap((m) => m.graph.nodes.map((n) => n.op))).size).toBeGreaterThan(130);
    expect(Math.max(...models.map((m) => m.opsets.get('')!))).toBe(21);
  });
});

test('a tensor without elements is refused at the node that reads it', () => {
  const [name, files] = [...bundle].find(([n]) => n.includes('relu'))!;
  const { model } = caseOf(name, files);
  const inputs = model.graph.inputs.map((input) => ({ ...input, shape: [3, 0, 5] }));
  const empty = { ...model, graph: { ...model.graph, inputs } };
  expect(() => importOnnx(empty, { name: 'graph' })).toThrow(/node 0 .*reads a tensor without elements/);
});

test('a result that is another one is told from the expected one', async () => {
  const [name, files] = [...bundle].find(([n]) => n.includes('relu'))!;
  const opened = caseOf(name, files);
  const wanted = opened.sets[0]!.outputs[0]!;
  const data = Float64Array.from(wanted.read());
  const found = { type: { dtype: 'f32', shape: wanted.shape } as const, data };
  expect(difference(found, wanted)).toBeUndefined();
  data[1]! += 0.01;
  expect(difference(found, wanted)).toMatch(/element 1 is/);
  const wrong = { ...opened, sets: [{ ...opened.sets[0]!, outputs: [opened.sets[0]!.inputs[0]!] }] };
  expect(await outcome(() => wrong)).toMatchObject({ kind: 'differs' });
});
