/** Graphs and specs that cannot be imported: each message says what, where, and what to do. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyse } from '../../src/api/analyse.js';
import type { GraphProto } from '../../src/formats/onnx/schema.js';
import { host, scratch } from '../api/support.js';
import { bytesOf, floatTensor, relu, value } from '../formats/onnx/support.js';

const folder = scratch();
let files = 0;

/** What is said of a spec whose one binding is this, over a file with this graph. */
async function said(graph: GraphProto, binding = 'onnx() from "./FILE"', body = ''): Promise<string[]> {
  const name = `m${files++}.onnx`;
  writeFileSync(join(folder, name), bytesOf(relu(graph)));
  const text = `use std\n\nmodel M {\n  base = ${binding.replace('FILE', name)}\n${body}}\n`;
  const { diagnostics } = await analyse({ text, path: join(folder, 'spec.peft') }, { host });
  return diagnostics.map((d) => {
    const at = d.primary ? text.slice(d.primary.span.start, d.primary.span.end) : '';
    return `${d.code} ${d.message.replaceAll(join(folder, name), 'FILE').replaceAll(name, 'FILE')} @ ${at.replaceAll(name, 'FILE')}`;
  });
}

const node = (op_type: string, input: readonly string[], output: readonly string[], name = '') => ({
  op_type,
  input,
  output,
  name,
});

describe('an operator that is not read', () => {
  test('all of them are listed with their nodes', async () => {
    const graph = {
      node: [
        node('LSTM', ['x'], ['h'], 'first'),
        node('Bernoulli', ['h'], ['i'], 'second'),
        node('LSTM', ['i'], ['y'], 'third'),
      ],
    };
    expect(await said(graph)).toEqual([
      'ESP1230 FILE has operators that Espalier does not read: LSTM (node "first" (LSTM), node "third" (LSTM)); Bernoulli (node "second" (Bernoulli)) @ "./FILE"',
    ]);
  });

  test('with what they read of other nodes, which may be the results in their place', async () => {
    const graph = {
      node: [
        node('Relu', ['x'], ['boxes']),
        node('Sigmoid', ['boxes'], ['scores/of']),
        node('NonMaxSuppression', ['boxes', 'scores/of', 'most'], ['y'], 'nms'),
      ],
      initializer: [floatTensor('most', [1], [3])],
    };
    writeFileSync(join(folder, 'boxes.onnx'), bytesOf(relu(graph)));
    const analysed = (options: string) =>
      analyse(
        {
          text: `use std\n\nmodel M {\n  base = onnx(${options}) from "./boxes.onnx"\n}\n`,
          path: join(folder, 'spec.peft'),
        },
        { host },
      );
    const [first, ...more] = (await analysed('')).diagnostics;
    expect(first!.message).toMatch(/does not read: NonMaxSuppression \(node "nms" \(NonMaxSuppression\)\)$/);
    expect(first!.help[0]).toBe('Without them: `onnx(outputs: ["boxes", "scores/of"])` gives what they read.');
    expect(more).toEqual([]);
    const { value, diagnostics } = await analysed('outputs: ["boxes", "scores/of"]');
    expect(diagnostics).toEqual([]);
    const results = value!.elaborated!.module.funcs.get('infer')!.results;
    expect(results.map((r) => r.name)).toEqual(['boxes', 'scores_of']);
  });

  test('but not where no output needs it', async () => {
    expect(await said({ node: [node('LSTM', ['x'], ['h']), node('Relu', ['x'], ['y'])] })).toEqual([]);
  });
});

describe('a node that is not what its operator allows', () => {
  test('shapes that do not go together', async () => {
    const graph = {
      node: [node('MatMul', ['x', 'w'], ['y'], '/fc/MatMul')],
      input: [value('x', ['batch', 3])],
      initializer: [floatTensor('w', [2, 2], [1, 2, 3, 4])],
    };
    expect(await said(graph)).toEqual([
      'ESP1231 FILE: node "/fc/MatMul" (MatMul): @: [b, 3] has 3 columns and [2, 2] has 2 rows @ "./FILE"',
    ]);
  });

  test('a join of nothing', async () => {
    const graph = {
      node: [
        { ...node('Concat', [], ['c']), attribute: [{ name: 'axis', type: 2, i: 0 }] },
        node('Add', ['x', 'c'], ['y']),
      ],
    };
    const [first, ...more] = await said(graph);
    expect(first).toMatch(/^ESP1231 FILE: node making "c" \(Concat\): |^ESP1231 FILE: .*Concat/);
    expect(more).toEqual([]);
  });

  describe('elements that lie in another file', () => {
    const count = 10_000;
    writeFileSync(join(folder, 'sizes.bin'), new Uint8Array(BigInt64Array.of(1n, 2n).buffer));
    writeFileSync(join(folder, 'long.bin'), new Uint8Array(new BigInt64Array(count).fill(1n).buffer));
    const beside = (name: string, length: number, location: string) => ({
      name,
      dims: [length],
      data_type: 7,
      data_location: 1,
      external_data: [{ key: 'location', value: location }],
    });
    const reshape = [node('Reshape', ['x', 'sizes'], ['y'], 'reshape')];

    test('are known where they are few, in initialisers and constants', async () => {
      const sizes = beside('sizes', 2, 'sizes.bin');
      expect(await said({ node: reshape, initializer: [sizes] })).toEqual([]);
      const constant = { ...node('Constant', [], ['sizes']), attribute: [{ name: 'value', type: 4, t: sizes }] };
      expect(await said({ node: [constant, ...reshape] })).toEqual([]);
    });

    test('are not where they are many', async () => {
      expect(await said({ node: reshape, initializer: [beside('sizes', count, 'long.bin')] })).toEqual([
        'ESP1231 FILE: node "reshape" (Reshape): has an input 1 that lies in another file, 10000 elements that are read only when weights are @ "./FILE"',
      ]);
    });
  });

  test('the number of each sample as a result', async () => {
    const graph = {
      node: [
        node('Shape', ['x'], ['shape']),
        node('Gather', ['shape', 'zero'], ['count']),
        node('Range', ['zero', 'count', 'one'], ['y']),
      ],
      input: [value('x', ['n', 2])],
      initializer: [0, 1].map((n) => ({
        name: ['zero', 'one'][n]!,
        dims: [],
        data_type: 7,
        raw_data: new Uint8Array(BigInt64Array.of(BigInt(n)).buffer),
      })),
    };
    expect(await said(graph)).toEqual([
      'ESP1231 FILE: `y`: it is the numbers of the samples, which each call counts anew @ "./FILE"',
    ]);
  });

  test('a shape that only data say; what follows from it is not said again', async () => {
    const graph = {
      node: [
        node('Cast', ['x'], ['sizes'], 'cast'),
        node('Reshape', ['x', 'sizes'], ['r'], 'reshape'),
        node('Relu', ['r'], ['y']),
      ],
    };
    const [first, ...more] = await said({
      ...graph,
      node: [{ ...graph.node[0]!, attribute: [{ name: 'to', type: 2, i: 7 }] }, ...graph.node.slice(1)],
    });
    expect(first).toMatch(/^ESP1231 FILE: node "reshape" \(Reshape\): has an input 1 that is not known before it runs/);
    expect(more).toEqual([]);
  });
});

test('an input that is called as an operator is does not take it away', async () => {
  const graph = {
    node: [node('ReduceMean', ['mean'], ['m']), node('Mul', ['m', 'relu'], ['z']), node('Relu', ['z'], ['y'])],
    input: [value('mean', ['n', 3]), value('relu', [1])],
  };
  expect(await said(graph)).toEqual([]);
});

describe('sizes', () => {
  const open = { input: [value('x', ['batch', 3, 'height', 'width'])] };

  test('all that are left open are said at once, but for the batch', async () => {
    expect(await said(open)).toEqual([
      'ESP1232 FILE leaves sizes of its inputs open: `x = b, 3, height, width` @ "./FILE"',
    ]);
    expect(await said(open, 'onnx(shapes: ["x = b, 3, 8, 8"]) from "./FILE"')).toEqual([]);
    expect(await said(open, 'onnx(shapes: ["x = 2, 3, 8, 8"]) from "./FILE"')).toEqual([]);
  });

  test('what the message says to write is what is taken, whatever the file calls its sizes', async () => {
    writeFileSync(
      join(folder, 'paddle.onnx'),
      bytesOf(relu({ input: [value('x', ['n', 3, 'p2o.Dim.1', 'p2o.Dim.2'])] })),
    );
    const analysed = (options: string) =>
      analyse(
        {
          text: `use std\n\nmodel M {\n  base = onnx(${options}) from "./paddle.onnx"\n}\n`,
          path: join(folder, 'spec.peft'),
        },
        { host },
      );
    const [open] = (await analysed('')).diagnostics;
    expect(open!.help).toEqual([
      'Say them: `onnx(shapes: ["x = b, 3, 224, 224"])`, or `--shape` of `espalier import`.',
    ]);
    expect((await analysed('shapes: ["x = b, 3, 224, 224"]')).diagnostics).toEqual([]);
  });

  test('an input that says nothing of its shape', async () => {
    const unknown = { input: [{ name: 'x', type: { tensor_type: { elem_type: 1 } } }] };
    expect(await said(unknown)).toEqual([
      'ESP1232 FILE leaves sizes of its inputs open: `x, of unknown rank` @ "./FILE"',
    ]);
    expect(await said(unknown, 'onnx(shapes: ["x = b, 3, 224, 224"]) from "./FILE"')).toEqual([]);
  });

  test.each([
    [
      'onnx(shapes: ["x = b, 3, 8"]) from "./FILE"',
      /`x = b, 3, 8` does not fit the graph: FILE has `x = batch, 3, height, width`, with 4 axes/,
    ],
    ['onnx(shapes: ["x = b, 4, 8, 8"]) from "./FILE"', /FILE has `x = batch, 3, height, width`/],
    ['onnx(shapes: ["x = b, 3, b, 8"]) from "./FILE"', /the batch is the first axis/],
    ['onnx(shapes: ["z = b, 3, 8, 8"]) from "./FILE"', /FILE has no input of that name; it has x/],
    ['onnx(shapes: ["b, 3, 8, 8"]) from "./FILE"', /it is not a name and sizes/],
    ['onnx(shapes: ["x = b, 3, -1, 8"]) from "./FILE"', /it is not a name and sizes/],
    [
      'onnx(outputs: ["z"], shapes: ["x = b, 3, 8, 8"]) from "./FILE"',
      /FILE has no output of that name, and no node that makes it; its outputs are y/,
    ],
  ])('%s', async (binding, message) => {
    const [first, ...more] = await said(open, binding);
    expect(first).toMatch(/^ESP1233/);
    expect(first).toMatch(message);
    expect(more).toEqual([]);
  });
});

describe('onnx() in a spec', () => {
  test.each([
    ['onnx()', /^ESP1234 `onnx\(\)` is the graph of a file/],
    ['onnx(8) from "./FILE"', /^ESP1234 `onnx\(\)` takes `shapes`.* @ 8$/],
    ['onnx(preprocess: resize(8)) from "./FILE"', /^ESP1234 .* @ preprocess: resize\(8\)$/],
    [
      'onnx(preprocess: [resize(8)]) from "./FILE"',
      /^ESP1234 .* steps that make a picture its input, and FILE takes `x = 2`, which is none of 1 or 3 channels @ resize\(8\)$/,
    ],
    ['onnx(shapes: "x = b") from "./FILE"', /^ESP1234 .* @ shapes: "x = b"$/],
    ['onnx(shapes: [b]) from "./FILE"', /^ESP1234 `onnx\(\)` takes strings as `shapes` @ b$/],
    ['onnx(size: 8) from "./FILE"', /^ESP1234 .* @ size: 8$/],
  ])('%s', async (binding, message) => {
    const [first, ...more] = await said({}, binding);
    expect(first).toMatch(message);
    expect(more).toEqual([]);
  });

  test('steps that there are not', async () => {
    const picture = { input: [value('x', ['batch', 3, 8, 8])] };
    expect(await said(picture, 'onnx(preprocess: [resize(8), blur(8)]) from "./FILE"')).toEqual([
      expect.stringMatching(/^ESP0252 .*blur.* @ blur$/),
    ]);
  });

  test('over a file that is none', async () => {
    writeFileSync(join(folder, 'w.safetensors'), '\\x02\\0\\0\\0\\0\\0\\0\\0{}');
    const [first, ...more] = await said({}, 'onnx() from "./w.safetensors"');
    expect(first).toMatch(/^ESP0502|^ESP1234/);
    expect(more).toEqual([]);
  });
});
