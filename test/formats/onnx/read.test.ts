/** ONNX files that Python wrote (test/reference/make_onnx.py), read. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { readOnnx, readTensorProto } from '../../../src/formats/onnx/read.js';
import { TENSOR } from '../../../src/formats/onnx/schema.js';
import { ONNX_TYPES } from '../../../src/formats/onnx/types.js';
import { encode } from '../../../src/formats/onnx/wire.js';
import { joinBytes } from '../../../src/formats/tensors/bytes.js';

const pathOf = (name: string) => fileURLToPath(new URL(`../../fixtures/onnx/${name}`, import.meta.url));
const model = (name: string) => readOnnx(name, new Uint8Array(readFileSync(pathOf(name))));

describe('every type, as bytes and as a list of numbers', () => {
  const { graph } = model('types.onnx');
  test.each(Object.values(ONNX_TYPES))('%s', async (dtype) => {
    const wanted = {
      bool: [1, 0, 1, 1, 0, 1],
      ...(dtype.startsWith('u') ? { [dtype]: [0, 1, 2, 100, 3, 7] } : {}),
    }[dtype as string] ?? [0, 1, -2, 100, -128, 7];
    for (const form of ['list', 'raw']) {
      const tensor = graph.initialisers.get(`${form}.${dtype}`)!;
      expect(tensor).toMatchObject({ dtype, shape: [2, 3], held: true });
      expect([...Array.from(tensor.read())], form).toEqual(wanted);
      expect([...Array.from(await tensor.load())], form).toEqual(wanted);
    }
    const [list, raw] = ['list', 'raw'].map((form) => graph.initialisers.get(`${form}.${dtype}`)!);
    expect(await list!.bytes()).toEqual(await raw!.bytes());
  });

  test('a scalar, no elements, and whole numbers that no double holds', () => {
    const read = (name: string) => Array.from(graph.initialisers.get(name)!.read());
    expect([read('scalar'), read('none'), read('large')]).toEqual([[0.5], [], [2 ** 63, -(2 ** 63)]]);
  });

  test('bytes are those of the file, not copies', async () => {
    const file = new Uint8Array(readFileSync(pathOf('types.onnx')));
    const bytes = await readOnnx('t', file).graph.initialisers.get('raw.float')!.bytes();
    expect(bytes.buffer).toBe(file.buffer);
  });

  test('a size, the name of one, and nothing', () => {
    expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float', shape: ['n', 3, undefined] }]);
    expect(model('types.onnx')).toMatchObject({
      file: 'types.onnx',
      producer: 'make_onnx',
      opsets: new Map([['', 17]]),
    });
  });
});

describe('nodes', () => {
  const { graph, metadata, opsets } = model('attributes.onnx');

  test('stand behind what they read, and what their graphs read', () => {
    expect(graph.nodes.map((n) => n.op)).toEqual(['Relu', 'If', 'Thing']);
    expect(graph.nodes.map((n) => n.label)).toEqual([
      'node 1 (Relu, of "mid")',
      'node "choice" (If)',
      'node "thing" (Thing)',
    ]);
    expect(graph.nodes[2]).toMatchObject({ domain: 'my.own', inputs: ['z', '', 'w'], outputs: ['y', ''] });
  });

  test('have attributes of every kind', () => {
    const { t, ...rest } = Object.fromEntries(graph.nodes[2]!.attributes);
    expect(rest).toEqual({
      f: { kind: 'float', value: 0.5 },
      i: { kind: 'int', value: -3 },
      s: { kind: 'string', value: 'grün' },
      fs: { kind: 'floats', value: [1.5, -2] },
      is_: { kind: 'ints', value: [1, 2 ** 63] },
      ss: { kind: 'strings', value: ['a', ''] },
    });
    expect(t?.kind === 'tensor' && Array.from(t.value.read())).toEqual([1, 2]);
    const branch = graph.nodes[1]!.attributes.get('then_branch');
    expect(branch?.kind === 'graph' && branch.value).toMatchObject({
      name: 'then',
      nodes: [{ op: 'Neg', inputs: ['mid'] }],
      outputs: [{ name: 't', dtype: 'float' }],
    });
  });

  test('an input with an initialiser is none', () => {
    expect(graph.inputs.map((i) => i.name)).toEqual(['x']);
    expect([...graph.initialisers.keys()]).toEqual(['flag', 'w']);
    expect(metadata).toEqual({ purpose: 'a test' });
    expect(opsets).toEqual(
      new Map([
        ['', 17],
        ['my.own', 3],
      ]),
    );
  });
});

test('functions, with what their nodes take of a call', () => {
  const { functions } = model('functions.onnx');
  expect([...functions.keys()]).toEqual(['my.own.Scale:', 'my.own.Act:']);
  const act = functions.get('my.own.Act:')!;
  expect(act).toMatchObject({ inputs: ['x'], outputs: ['y'], attributes: new Map([['slope', undefined]]) });
  expect(act.nodes[1]!.attributes).toEqual(new Map([['alpha', { kind: 'reference', value: 'slope' }]]));
});

describe('weights in a file beside the model', () => {
  test('are read by range when they are wanted; small ones with the model', async () => {
    const { onnx, store, kind } = await openCheckpointAt(pathOf('external.onnx'));
    expect(kind).toBe('onnx');
    const { initialisers } = onnx!.graph;
    expect([...initialisers].map(([name, { held }]) => [name, held])).toEqual([
      ['large', false],
      ['small', true],
    ]);
    expect(Array.from(initialisers.get('small')!.read())).toEqual([3, -1]);
    const large = await initialisers.get('large')!.load();
    expect([large.length, large[0], large[32767]]).toEqual([32768, 0, 32767]);
    expect((await store.tensors.get('large')!.read()).data).toEqual(large);
    expect((await store.tensors.get('small')!.read()).data).toEqual(Int32Array.of(3, -1));
  });

  test('are no part of bytes', () => {
    expect(() => model('external.onnx').graph.initialisers.get('large')!.read()).toThrow('ESP1206');
  });
});

test('the initialisers of a file are a checkpoint', async () => {
  const { store, facts, close } = await openCheckpointAt(pathOf('types.onnx'));
  expect(store.tensors.get('raw.float16')).toMatchObject({ dtype: 'F16', shape: [2, 3] });
  expect(await store.tensors.get('list.bfloat16')!.read()).toEqual({
    type: { dtype: 'f32', shape: [2, 3] },
    data: Float32Array.of(0, 1, -2, 100, -128, 7),
  });
  await expect(store.tensors.get('raw.uint64')!.read()).rejects.toThrow('ESP0504');
  await expect(store.tensors.get('large')!.read()).rejects.toThrow('ESP0505');
  expect(facts).toEqual({});
  await close();
});

test('a tensor that is a file of its own', () => {
  const raw_data = new Uint8Array(Float32Array.of(1, 2, 3).buffer);
  const file = joinBytes(encode(TENSOR, { name: 'x', dims: [3], data_type: 1, raw_data }));
  const { name, shape, read } = readTensorProto('input_0.pb', file);
  expect([name, shape, Array.from(read())]).toEqual(['x', [3], [1, 2, 3]]);
});
