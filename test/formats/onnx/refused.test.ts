/** What an ONNX file may not be: for each check one that only this check refuses (`npm run checks`). */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { readOnnx, readTensorProto } from '../../../src/formats/onnx/read.js';
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  TENSOR,
  type TensorProto,
  type TypeProto,
} from '../../../src/formats/onnx/schema.js';
import { encode, type Packed } from '../../../src/formats/onnx/wire.js';
import { joinBytes, memorySource } from '../../../src/formats/tensors/bytes.js';
import { scratch } from '../../api/support.js';
import { bytesOf, FLOAT, floatTensor, relu, value } from './support.js';

const said = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing';
};
const saidOf = (model: ModelProto) => said(() => readOnnx('m.onnx', bytesOf(model)));
const withGraph = (graph: GraphProto) => saidOf(relu(graph));
const withNodes = (...node: NodeProto[]) => withGraph({ node });
const RELU: NodeProto = { op_type: 'Relu', input: ['x'], output: ['y'] };
const withAttribute = (...attribute: AttributeProto[]) => withNodes({ ...RELU, name: 'act', attribute });
const withTensor = (tensor: TensorProto) => withGraph({ initializer: [{ name: 'w', data_type: FLOAT, ...tensor }] });

test('what the tests start from is good', () => {
  expect(saidOf(relu())).toBe('nothing');
});

describe('bytes that are no model', () => {
  const good = bytesOf(relu());
  test('every cut is refused or a shorter model, never a crash', () => {
    for (let n = 0; n < good.length; n++) {
      const message = said(() => readOnnx('m.onnx', good.subarray(0, n)));
      expect(message, `${n} bytes`).toMatch(/^(ESP120[1-6]: |nothing)/);
    }
    expect(said(() => readOnnx('m.onnx', good.subarray(0, good.length - 1)))).toContain('ESP120');
  });
  test.each<[string, number[], string]>([
    ['nothing', [], 'it holds no model'],
    ['a graph of two gigabytes', [0x3a, 0xff, 0xff, 0xff, 0xff, 0x07], 'graph: the bytes are no protobuf'],
    [
      'raw data of two gigabytes',
      [8, 8, 0x3a, 8, 0x2a, 6, 0x4a, 0xff, 0xff, 0xff, 0xff, 7],
      'graph.initializer[0].raw_data: ',
    ],
    ['an unknown field of two gigabytes', [8, 8, 0xa2, 6, 0xff, 0xff, 0xff, 0xff, 7], 'premature EOF'],
    ['a wire type that there is not', [0x0f], 'illegal tag'],
    ['a number where a message is wanted', [0x38, 1], 'graph: wire type 0 stands where 2 is wanted'],
    ['a message where a number is wanted', [0x0a, 1, 0], 'ir_version: wire type 2 stands where 0 is wanted'],
    ['two graphs', [8, 8, 0x3a, 0, 0x3a, 0], 'graph: it stands twice'],
    ['a group that has no end', [0x4b], 'the bytes are no protobuf'],
    ['a name that is not UTF-8', [0x12, 1, 0xff], 'producer_name: the bytes are no protobuf'],
  ])('%s', (_, bytes, words) => {
    expect(said(() => readOnnx('m.onnx', Uint8Array.from(bytes)))).toMatch(
      /^ESP1201: m\.onnx is not a valid ONNX file: /,
    );
    expect(said(() => readOnnx('m.onnx', Uint8Array.from(bytes)))).toContain(words);
  });
  test('graphs in graphs, deeper than any are', () => {
    let graph: GraphProto = {};
    for (let i = 0; i < 40; i++)
      graph = { node: [{ op_type: 'If', attribute: [{ name: 'then_branch', g: graph, type: 5 }] }] };
    expect(saidOf(relu(graph))).toContain('messages lie in one another more than 100 deep');
  });
  test('more parts than any model has', () => {
    // An empty node is two bytes of the file, and an object in memory.
    const nodes = new Uint8Array((1 << 22) + 2).fill(0);
    for (let i = 0; i < nodes.length; i += 2) nodes[i] = 0x0a;
    const front = [0x3a];
    for (let n = nodes.length; ; n >>>= 7) {
      front.push(n >= 128 ? (n & 127) | 128 : n);
      if (n < 128) break;
    }
    const file = joinBytes([Uint8Array.of(8, 8), Uint8Array.from(front), nodes]);
    expect(said(() => readOnnx('m.onnx', file))).toContain('it is made of more than 4,194,304 parts');
  });
  test('a file of more than protobuf allows is not read', async () => {
    const source = { name: 'm.onnx', size: 2 ** 31, read: () => Promise.reject(new Error('it is read')) };
    await expect(openCheckpoint(source)).rejects.toThrow(
      'it has 2,147,483,648 bytes, and protobuf allows 2,147,483,647',
    );
  });
});

test.each<[string, ModelProto, string]>([
  ['no version', relu({}, { ir_version: 0 }), 'ESP1201: m.onnx is not a valid ONNX file: it holds no model'],
  ['opset 8', relu({}, { opset_import: [{ version: 8 }] }), 'ESP1203: m.onnx is of opset 8; Espalier reads 9 to 21'],
  ['opset 22', relu({}, { opset_import: [{ domain: 'ai.onnx', version: 22 }] }), 'ESP1203: m.onnx is of opset 22;'],
  [
    'two opsets',
    relu({}, { opset_import: [{ version: 17 }, { version: 18 }] }),
    'two versions of the operators of domain ""',
  ],
  ['no opset', relu({}, { opset_import: [] }), 'ESP1202: m.onnx: node 0 (Relu, of "y") is of domain "", for which'],
  ['no outputs', relu({ output: [] }), 'its graph has no outputs'],
])('%s', (_, model, words) => expect(saidOf(model)).toContain(words));

describe('names', () => {
  test.each<[string, string, string]>([
    [
      'an input that nothing gives',
      withNodes({ ...RELU, name: 'act', input: ['q'] }),
      'ESP1202: m.onnx: node "act" (Relu) reads "q", which nothing gives',
    ],
    ['an output that nothing gives', withGraph({ output: [value('q')] }), 'nothing gives its output "q"'],
    [
      'one result of two nodes',
      withNodes(RELU, { ...RELU, op_type: 'Abs' }),
      'node 1 (Abs, of "y") gives "y", which the result of node 0 (Relu, of "y") is already',
    ],
    ['a result that is an input', withNodes({ ...RELU, output: ['x'] }), 'gives "x", which an input is already'],
    [
      'a node that reads itself',
      withNodes({ ...RELU, input: ['y'] }),
      'ESP1202: m.onnx: node 0 (Relu, of "y") depends on its own result',
    ],
    [
      'a circle of nodes',
      withNodes({ ...RELU, input: ['z'] }, { op_type: 'Abs', input: ['y'], output: ['z'] }),
      'depends on its own result, by way of',
    ],
    ['two inputs', withGraph({ input: [value('x'), value('x')] }), 'there are two inputs "x"'],
    [
      'two initialisers',
      withGraph({ initializer: [floatTensor('w', [0], []), floatTensor('w', [0], [])] }),
      'there are two initialisers "w"',
    ],
    [
      'an initialiser without a name',
      withGraph({ initializer: [floatTensor('', [0], [])] }),
      'an initialiser has no name',
    ],
    ['an input without a name', withGraph({ input: [value('x'), value('')] }), 'an input has no name'],
    ['a node without an operator', withNodes({ ...RELU, op_type: '' }), 'has no operator'],
    [
      'a circle by way of a graph in a node',
      withNodes({
        op_type: 'If',
        input: ['x'],
        output: ['y'],
        attribute: [
          {
            name: 'then_branch',
            type: 5,
            g: { node: [{ op_type: 'Neg', input: ['y'], output: ['t'] }], output: [{ name: 't' }] },
          },
        ],
      }),
      'node 0 (If, of "y") depends on its own result',
    ],
    [
      'a name in the graph of a node that nothing gives',
      withNodes({ ...RELU, name: 'n', attribute: [{ name: 'body', type: 5, g: { output: [{ name: 'q' }] } }] }),
      'node "n" (Relu) reads "q"',
    ],
  ])('%s', (_, message, words) => expect(message).toContain(words));

  test('a long chain of nodes that stand backwards', () => {
    const n = 50_000;
    const node = Array.from({ length: n }, (_, i) => ({
      op_type: 'Relu',
      input: [i === n - 1 ? 'x' : `v${i + 1}`],
      output: [i === 0 ? 'y' : `v${i}`],
    }));
    const { graph } = readOnnx('m', bytesOf(relu({ node })));
    expect([graph.nodes[0]!.inputs, graph.nodes.at(-1)!.outputs]).toEqual([['x'], ['y']]);
  });
});

describe('types', () => {
  const input = (type: TypeProto) => withGraph({ input: [value('x'), { name: 'i', type }] });
  const some = new Uint8Array(1);
  test.each<[string, string, string]>([
    [
      'texts',
      input({ tensor_type: { elem_type: 8 } }),
      'ESP1204: m.onnx: input "i" is of string, which Espalier does not read',
    ],
    ['a type that there is not', input({ tensor_type: { elem_type: 99 } }), 'input "i" is of type 99'],
    ['a sequence', input({ sequence_type: some }), 'input "i" is a sequence'],
    ['a map', input({ map_type: some }), 'is a map'],
    ['an optional value', input({ optional_type: some }), 'is an optional value'],
    ['a sparse input', input({ sparse_tensor_type: some }), 'is a sparse tensor'],
    ['an opaque input', input({ opaque_type: some }), 'of an opaque type'],
    ['an output of texts', withGraph({ output: [value('y', [2], 8)] }), 'output "y" is of string'],
    [
      'sparse weights',
      withGraph({ sparse_initializer: [{ values: floatTensor('w', [0], []) }] }),
      'initialiser "w" is a sparse tensor',
    ],
    ['weights of 4 bits', withTensor({ data_type: 22, dims: [2] }), 'tensor "w" is of int4'],
    ['weights of 8-bit floats', withTensor({ data_type: 17, dims: [2] }), 'tensor "w" is of float8e4m3fn'],
    ['weights without a type', withTensor({ data_type: 0 }), 'tensor "w" is of no type at all'],
  ])('%s', (_, message, words) => expect(message).toContain(words));
});

describe('tensors', () => {
  const packed = (...bytes: number[]): Packed => ({ bytes: [Uint8Array.from(bytes)] });
  test.each<[string, string, string]>([
    [
      'too few bytes',
      withTensor({ dims: [2, 3], raw_data: new Uint8Array(20) }),
      'ESP1205: m.onnx: tensor "w" has 20 bytes, but float [2, 3] needs 24',
    ],
    [
      'too few numbers',
      withTensor({ dims: [2], float_data: packed(0, 0, 0, 0) }),
      'has 1 elements (float_data), but float [2] needs 2',
    ],
    ['no data at all', withTensor({ dims: [2 ** 40] }), 'has 0 elements (float_data), but float [1099511627776] needs'],
    [
      'numbers of another list',
      withTensor({ dims: [1], double_data: packed(0, 0, 0, 0, 0, 0, 0, 0) }),
      'has 0 elements (float_data)',
    ],
    [
      'a number that is cut',
      withTensor({ dims: [2], data_type: 7, int64_data: packed(1, 0x81) }),
      'a list of numbers (int64_data) that ends inside of one, or is none',
    ],
    [
      'a number of eleven bytes',
      withTensor({ dims: [1], data_type: 7, int64_data: packed(...Array<number>(10).fill(0x80), 0) }),
      'a list of numbers (int64_data) that ends inside of one, or is none',
    ],
    [
      'a float that is cut',
      withTensor({ dims: [1], float_data: packed(0, 0, 0) }),
      'a list of numbers (float_data) that ends inside of one, or is none',
    ],
    ['a size below zero', withTensor({ dims: [-1] }), 'the impossible shape [-1]'],
    ['more bytes than there are numbers', withTensor({ dims: [2 ** 30, 2 ** 30] }), 'the impossible shape'],
  ])('%s', (_, message, words) => expect(message).toContain(words));

  test('a tensor that is a file of its own', () => {
    const file = joinBytes(encode(TENSOR, { dims: [3], data_type: FLOAT }));
    expect(said(() => readTensorProto('input_0.pb', file))).toContain('ESP1205: input_0.pb: the tensor has 0 elements');
    expect(said(() => readTensorProto('input_0.pb', Uint8Array.of(0x0a, 9)))).toContain('ESP1201: input_0.pb');
  });
});

describe('attributes', () => {
  test.each<[string, string, string]>([
    [
      'twice',
      withAttribute({ name: 'a', type: 2 }, { name: 'a', type: 2 }),
      'ESP1202: m.onnx: node "act" (Relu) has two attributes "a"',
    ],
    ['without a name', withAttribute({ type: 2 }), 'has an attribute without a name'],
    ['without a value', withAttribute({ name: 'a' }), 'has an attribute "a" without a value'],
    ['of a kind that there is not', withAttribute({ name: 'a', type: 99 }), 'of kind 99, which there is not'],
    ['a tensor that is not there', withAttribute({ name: 'a', type: 4 }), 'is said to be a tensor, and holds none'],
    ['text that is none', withAttribute({ name: 'a', type: 3, s: Uint8Array.of(0xff) }), 'that is not text (UTF-8)'],
    [
      'a sparse tensor',
      withAttribute({ name: 'a', type: 11 }),
      'ESP1204: m.onnx: attribute "a" of node "act" (Relu) is a sparse tensor',
    ],
    [
      'a tensor of texts',
      withAttribute({ name: 'a', type: 4, t: { data_type: 8 } }),
      'attribute "a" of node "act" (Relu) is of string',
    ],
    [
      'a tensor that is cut',
      withAttribute({ name: 'a', type: 4, t: { data_type: 1, dims: [2] } }),
      'attribute "a" of node "act" (Relu) has 0 elements',
    ],
  ])('%s', (_, message, words) => expect(message).toContain(words));

  test('kinds that are not said are those of what is there', () => {
    const node = {
      ...RELU,
      attribute: [
        { name: 'a', i: 3 },
        { name: 'b', floats: [0.5] },
        { name: 'c', s: Uint8Array.of(65) },
      ],
    };
    const { attributes } = readOnnx('m', bytesOf(relu({ node: [node] }))).graph.nodes[0]!;
    expect([...attributes.values()]).toEqual([
      { kind: 'int', value: 3 },
      { kind: 'floats', value: [0.5] },
      { kind: 'string', value: 'A' },
    ]);
  });
});

describe('functions', () => {
  const opset_import = [{ version: 17 }, { domain: 'f', version: 1 }];
  const fn = (name: string, ...calls: string[]) => ({
    name,
    domain: 'f',
    opset_import,
    input: ['x'],
    output: ['y'],
    node: calls.map((op_type, i) => ({
      op_type,
      domain: op_type === 'Relu' ? '' : 'f',
      input: ['x'],
      output: [i === 0 ? 'y' : `v${i}`],
    })),
  });
  const withFunctions = (...functions: ModelProto['functions'] & object) =>
    saidOf(relu({ node: [{ ...RELU, op_type: functions[0]!.name!, domain: 'f' }] }, { opset_import, functions }));
  test.each<[string, string, string]>([
    ['calls itself', withFunctions(fn('A', 'A')), 'the function "A" calls itself'],
    ['calls itself by another', withFunctions(fn('A', 'Relu', 'B'), fn('B', 'A')), 'calls itself'],
    ['twice', withFunctions(fn('A', 'Relu'), fn('A', 'Relu')), 'there are two functions "A" of domain "f"'],
    ['without a name', withFunctions(fn('A', 'Relu'), fn('', 'Relu')), 'a function has no name'],
    [
      'with one input twice',
      withFunctions({ ...fn('A', 'Relu'), input: ['x', 'x'] }),
      'function "A" has two inputs "x"',
    ],
    [
      'that reads what nothing gives',
      withFunctions({ ...fn('A', 'Relu'), input: [] }),
      'in function "A", node 0 (Relu, of "y") reads "x"',
    ],
    [
      'that does not give its output',
      withFunctions({ ...fn('A', 'Relu'), output: ['z'] }),
      'the output "z" of function "A" is given by nothing',
    ],
    [
      'of an opset that is not read',
      withFunctions({ ...fn('A', 'Relu'), opset_import: [{ version: 3 }] }),
      'ESP1203: m.onnx has operators of opset 3 in function "A"',
    ],
    [
      'that unfold into more than a model can be',
      withFunctions(
        ...Array.from({ length: 40 }, (_, i) => fn(`F${i}`, ...(i === 39 ? ['Relu'] : [`F${i + 1}`, `F${i + 1}`]))),
      ),
      'with its functions written out it has more than 1,048,576 nodes',
    ],
  ])('%s', (_, message, words) => expect(message).toContain(words));
});

describe('weights in other files', () => {
  const folder = scratch();
  const inside = join(folder, 'inside');
  mkdirSync(join(inside, 'below'), { recursive: true });
  const numbers = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
  writeFileSync(join(inside, 'w.bin'), numbers);
  writeFileSync(join(inside, 'below', 'w.bin'), numbers);
  writeFileSync(join(folder, 'secret'), numbers);
  symlinkSync(join(folder, 'secret'), join(inside, 'link'));
  symlinkSync(folder, join(inside, 'up'));
  symlinkSync(join(inside, 'w.bin'), join(inside, 'same'));
  const open = async (entries: Record<string, string>) => {
    const external_data = Object.entries(entries).map(([key, value]) => ({ key, value }));
    const tensor = { name: 'w', dims: [4], data_type: FLOAT, data_location: 1, external_data };
    writeFileSync(join(inside, 'm.onnx'), bytesOf(relu({ initializer: [tensor] })));
    return openCheckpointAt(join(inside, 'm.onnx'));
  };

  test.each(['w.bin', 'below/w.bin', './w.bin', 'same'])('%s is one', async (location) => {
    const { store } = await open({ location, offset: '0', length: '16' });
    expect((await store.tensors.get('w')!.read()).data).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  test.each<[string, Record<string, string>, string, string]>([
    [
      'a name that leads out',
      { location: '../secret' },
      'ESP1206',
      'the data of tensor "w" are said to be in "../secret": it leads out of the folder',
    ],
    ['a name that leads out and in', { location: 'below/../../secret' }, 'ESP1206', 'it leads out of the folder'],
    ['the same with backslashes', { location: '..\\secret' }, 'ESP1206', 'it leads out of the folder'],
    ['an absolute path', { location: '/etc/hostname' }, 'ESP1206', 'only a file in the folder of the model'],
    ['a drive', { location: 'C:\\secret' }, 'ESP1206', 'only a file in the folder of the model'],
    ['an address', { location: 'https://a/b' }, 'ESP1206', 'only a file in the folder of the model'],
    ['a link that leads out', { location: 'link' }, 'ESP0501', 'a link leads out of the folder'],
    ['a file by way of a link to a folder', { location: 'up/secret' }, 'ESP0501', 'a link leads out of the folder'],
    ['no name', {}, 'ESP1206', 'no file is named'],
    [
      'a file that is not there',
      { location: 'gone.bin' },
      'ESP1206',
      'there is no such file in the folder of the model',
    ],
    ['a folder', { location: 'below' }, 'ESP0501', 'it is a folder'],
    [
      'a length that is another',
      { location: 'w.bin', length: '12' },
      'ESP1206',
      'its length is 12, but its type and shape need 16 bytes',
    ],
    [
      'an offset that is none',
      { location: 'w.bin', offset: '-1' },
      'ESP1206',
      'its offset is "-1", which is no count of bytes',
    ],
    [
      'more than the file has',
      { location: 'w.bin', offset: '4' },
      'ESP1206',
      'they would end at byte 20, but the file has 16',
    ],
  ])('%s', async (_, entries, code, words) => {
    const error = await open(entries).then(
      () => undefined,
      (e: Error) => e.message,
    );
    expect(error).toContain(`${code}: `);
    expect(error).toContain(words);
  });

  test('a model that is bytes has none', async () => {
    const external_data = [{ key: 'location', value: 'w.bin' }];
    const file = bytesOf(
      relu({ initializer: [{ name: 'w', dims: [4], data_type: FLOAT, data_location: 1, external_data }] }),
    );
    await expect(openCheckpoint(memorySource('m.onnx', file))).rejects.toThrow('there are no files beside it');
    expect(said(() => readOnnx('m', file).graph.initialisers.get('w')!.read())).toContain('not among what is known');
  });
});
