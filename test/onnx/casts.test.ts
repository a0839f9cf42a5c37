/** Casts to floats of 16 bits: the numbers that those types hold, in the interpreter, in kernels and where constants are folded, as onnxruntime has them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, exportOnnx, load } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { fromBfloat, fromHalves, toBfloat, toHalves } from '../../src/formats/tensors/float16.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { host, scratch } from '../api/support.js';
import { bytesOf, FLOAT, floatTensor, relu, value } from '../formats/onnx/support.js';
import { bytesOf as bytesOfExport, runOnnx } from './runtime.js';

const folder = scratch();
const [HALF, BFLOAT] = [10, 16];

const cast = (input: string, output: string, to: number) => ({
  op_type: 'Cast',
  input: [input],
  output: [output],
  attribute: [{ name: 'to', type: 2, i: to }],
});

/** Elements of every kind: ties, numbers that halves hold as subnormal ones, and what is beyond their largest. */
const NUMBERS = Float32Array.of(
  ...[0, 1, -1, 0.1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2049, -2051, 65504, 65519, 65520, -1e6],
  ...[1e-5, 1e-6, -3e-8, 2 ** -25, 3 * 2 ** -25, 1e-9, 3.3e38, -1e-38, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 12345.678, 1e20],
);
const COUNT = NUMBERS.length;

/** `y`: the input through a type and back. */
const through = (to: number) =>
  relu({
    node: [cast('x', 'narrow', to), cast('narrow', 'y', FLOAT)],
    input: [value('x', ['n', COUNT])],
    output: [value('y', ['n', COUNT])],
  });

async function ofSpec(name: string, model: ReturnType<typeof relu>) {
  const path = join(folder, name);
  writeFileSync(path, bytesOf(model));
  const spec = { text: `use std\n\nmodel M {\n  base = onnx() from "${path}"\n}\n`, path: join(folder, 'm.peft') };
  const analysis = await analyseModel(spec, { host });
  const { get } = await loadParameters(analysis);
  const { module } = analysis.elaborated;
  const results = (x: Float32Array) =>
    interpret(module, 'infer', { inputs: new Map([['x', tensor([1, x.length], x)]]), params: get }).get('y')!;
  return { spec, results };
}

const halves = (x: Float32Array): Float32Array => fromHalves(toHalves(x));
const bfloats = (x: Float32Array): Float32Array => fromBfloat(toBfloat(x));

describe.each([
  ['float16', HALF, halves],
  ['bfloat16', BFLOAT, bfloats],
] as const)('%s', (name, code, rounded) => {
  test('is rounded to when it runs, in the interpreter and on a GPU', async () => {
    const { spec, results } = await ofSpec(`${name}.onnx`, through(code));
    expect(Float32Array.from(results(NUMBERS).data)).toEqual(rounded(NUMBERS));
    const session = await load(await compile(spec, { host, golden: false }));
    try {
      const { outputs } = await session.run({ tensors: { x: NUMBERS } });
      expect(Object.values(outputs)[0]).toEqual(rounded(NUMBERS));
    } finally {
      session.dispose();
    }
  });

  test('is rounded to where few constants are folded, and where many are a part of the program', async () => {
    for (const repeats of [1, 8]) {
      const numbers = new Float32Array(COUNT * repeats).map((_, i) => NUMBERS[i % COUNT]!);
      const finite = numbers.map((x) => (Math.abs(x) > 6e4 || Math.abs(x) < 1e-8 ? 0.3 : x));
      const { results } = await ofSpec(
        `${name}-${repeats}.onnx`,
        relu({
          node: [
            cast('c', 'narrow', code),
            cast('narrow', 'wide', FLOAT),
            { op_type: 'Add', input: ['x', 'wide'], output: ['y'] },
          ],
          input: [value('x', ['n', finite.length])],
          output: [value('y', ['n', finite.length])],
          initializer: [floatTensor('c', [finite.length], [...finite])],
        }),
      );
      expect(Float32Array.from(results(new Float32Array(finite.length)).data)).toEqual(rounded(finite));
    }
  });
});

test('whole numbers and truth are rounded too, and what comes from a narrow type is as it was', async () => {
  const { results } = await ofSpec(
    'whole.onnx',
    relu({
      node: [cast('x', 'whole', 6), cast('whole', 'narrow', HALF), cast('narrow', 'y', FLOAT)],
      input: [value('x', ['n', 4])],
      output: [value('y', ['n', 4])],
    }),
  );
  expect(Array.from(results(Float32Array.of(2049.5, 2051, -4098, 1e5)).data)).toEqual([2048, 2052, -4096, Infinity]);
  const model = relu({
    node: [cast('x', 'wide', 11), cast('wide', 'y', FLOAT)],
    input: [value('x', ['n', 2])],
    output: [value('y', ['n', 2])],
  });
  const same = await ofSpec('wide.onnx', model);
  expect(Array.from(same.results(NUMBERS.slice(3, 5)).data)).toEqual(Array.from(NUMBERS.slice(3, 5)));
});

test('onnxruntime gives the same, of the file and of what is exported again', async () => {
  const { spec } = await ofSpec('again.onnx', through(HALF));
  const x = new Map([['x', tensor([1, COUNT], NUMBERS)]]);
  const [first] = (await runOnnx(bytesOf(through(HALF)), x)).values();
  expect(Float32Array.from(first!.data)).toEqual(halves(NUMBERS));
  const { model } = await exportOnnx(spec, { host });
  expect(model.graph.nodes.map((n) => n.op)).toEqual(['Cast', 'Cast']);
  const [second] = (await runOnnx(await bytesOfExport(model), x)).values();
  expect(second!.data).toEqual(first!.data);
});
