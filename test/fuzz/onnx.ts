/** The kind `onnx`: models as they are written, changed in their bytes, or in what they say, and what is imported of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { readTensorProto } from '../../src/formats/onnx/read.js';
import { MODEL, type ModelProto, TENSOR } from '../../src/formats/onnx/schema.js';
import type { OnnxGraph } from '../../src/formats/onnx/types.js';
import { decode, encode } from '../../src/formats/onnx/wire.js';
import { onnxFiles } from '../../src/formats/onnx/write.js';
import { joinBytes, memorySource } from '../../src/formats/tensors/bytes.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import { input, make, paramRef } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Module, Param, Value } from '../../src/ir/types.js';
import { onnxModelOf } from '../../src/onnx/export/model.js';
import { importOnnx } from '../../src/onnx/import/index.js';
import { Broken, type Kind } from './case.js';
import { ROOT } from './host.js';
import { mutateBytes, someNumber, someString } from './mutate.js';
import type { Random } from './random.js';

/** A small network of many operators, as it is exported. */
function network(): Module {
  const params = new Map<string, Param>();
  const param = (shape: readonly number[]): Value => {
    const p: Param = { name: `net.layers.${params.size}.weight`, type: { dtype: 'f32', shape }, role: 'frozen' };
    params.set(p.name, p);
    return paramRef(p);
  };
  const image = input('image', { dtype: 'f32', shape: [BATCH, 3, 8, 8] });
  const window = { stride: [2, 2], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 } as const;
  const convolved = build.conv2d(image, param([16, 3, 3, 3]), param([16]), window);
  const normal = make('batch_norm', [convolved, ...[16, 16, 16, 16].map((n) => param([n]))], { eps: 1e-5 });
  const tokens = build.transpose(build.reshape(build.gelu(normal), [BATCH, 16, 16]), [0, 2, 1]);
  const row = build.layerNorm(tokens, param([16]), param([16]), 1e-6);
  const heads = (x: Value) => build.transpose(build.reshape(x, [BATCH, 16, 2, 8]), [0, 2, 1, 3]);
  const [q, k, v] = [0, 1, 2].map(() => heads(build.linear(row, param([16, 16]), param([16])))) as [
    Value,
    Value,
    Value,
  ];
  const mixed = build.reshape(build.transpose(build.attention(q, k, v, 0.35), [0, 2, 1, 3]), [BATCH, 16, 16]);
  const sum = build.add(tokens, build.silu(mixed));
  const rolled = build.pad(build.roll(sum, [3], [1]), [0, 1, 0], [0, 0, 2]);
  const pooled = build.mean(build.sliceAxis(rolled, 2, 1, 17), [1]);
  const logits = build.linear(build.concat([pooled, build.max(sum, [1])], 1), param([4, 32]), param([4]));
  const results = [{ name: 'logits', value: build.softmax(logits, 1) }];
  const infer = { name: 'infer', inputs: [image], results, updates: [] };
  return { name: 'net', adapters: new Map(), params, funcs: new Map([['infer', infer]]) };
}

type Files = Readonly<Record<string, Uint8Array>>;

async function written(opset: number, external: boolean): Promise<Files> {
  const module = network();
  const params = (name: string) => {
    const { shape } = module.params.get(name)!.type;
    return tensor(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i)),
    );
  };
  const files = await onnxFiles('x.onnx', onnxModelOf(module, { opset, params, producer: 'fuzz' }), { external });
  return Object.fromEntries([...files].map(([name, pieces]) => [name, joinBytes(pieces)]));
}

const FILES: readonly Files[] = [
  ...['types', 'attributes', 'functions'].map((name) => ({
    'x.onnx': new Uint8Array(readFileSync(join(ROOT, 'test/fixtures/onnx', `${name}.onnx`))),
  })),
  await written(13, false),
  await written(20, false),
  await written(17, true),
];

// ---- What a model says, changed ---------------------------------------------------------------------------------------

type Holder = Record<string, unknown> | unknown[];
const isHolder = (x: unknown): x is Holder => typeof x === 'object' && x !== null && !(x instanceof Uint8Array);

/** Every place of a message where something stands. */
function places(root: Holder): { holder: Holder; key: string }[] {
  const found: { holder: Holder; key: string }[] = [];
  const open: Holder[] = [root];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const [key, value] of Object.entries(at)) {
      found.push({ holder: at, key });
      if (isHolder(value)) open.push(value);
    }
  }
  return found;
}

/** Another value of the same form, so that it can still be written. */
function other(random: Random, value: unknown, all: readonly { holder: Holder; key: string }[]): unknown {
  const like = () => {
    const { holder, key } = random.pick(all);
    const found = (holder as Record<string, unknown>)[key];
    const fits = typeof found === typeof value && Array.isArray(found) === Array.isArray(value);
    // A copy, or a message could come to lie within itself.
    return structuredClone(fits ? found : value);
  };
  if (value instanceof Uint8Array) return random.chance(0.5) ? mutateBytes(random, value) : like();
  if (typeof value === 'string') return random.chance(0.7) ? like() : someString(random);
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return random.pick([0, -1, 1e30, Number.NaN, Infinity, value * 2]);
    if (random.chance(0.5)) return random.pick([0, 1, -1, 2, 3, value + 1, value - 1, -value]);
    return Math.max(-(2 ** 63), Math.min(2 ** 62, Math.trunc(someNumber(random)) || 0));
  }
  if (Array.isArray(value)) return random.pick([[], [...value, ...value], [...value].reverse(), value.slice(1)]);
  return like();
}

function mutateModel(random: Random, bytes: Uint8Array): Uint8Array {
  const model = structuredClone(decode(MODEL, bytes)) as Holder & ModelProto;
  for (let n = random.few(); n > 0; n--) {
    const all = places(model);
    const { holder, key } = random.pick(all);
    const at = holder as Record<string, unknown>;
    if (random.chance(0.15)) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete at[key];
    } else at[key] = other(random, at[key], all);
  }
  try {
    return joinBytes(encode(MODEL, model));
  } catch {
    // A list of one kind where another one is wanted: what no file says.
    return mutateBytes(random, bytes);
  }
}

// ---- The kind ----------------------------------------------------------------------------------------------------------

function makeFiles(random: Random): Files {
  const files: Record<string, Uint8Array> = { ...random.pick(FILES) };
  files['x.onnx'] = random.chance(0.75) ? mutateModel(random, files['x.onnx']!) : mutateBytes(random, files['x.onnx']!);
  const [data] = Object.keys(files).filter((name) => name.endsWith('.data'));
  if (data !== undefined && random.chance(0.2)) files[data] = mutateBytes(random, files[data]!);
  return files;
}

/** Elements of all tensors, which must not be more than the files have room for. */
async function readEverything({ initialisers, nodes }: OnnxGraph, room: number): Promise<void> {
  const tensors = [...initialisers.values()];
  for (const { attributes } of nodes) {
    for (const attribute of attributes.values()) {
      if (attribute.kind === 'tensor') tensors.push(attribute.value);
      if (attribute.kind === 'graph') await readEverything(attribute.value, room);
    }
  }
  for (const tensor of tensors) {
    const size = sizeOf(tensor.shape);
    if (size > 8 * room + 1024) throw new Broken(`a tensor of ${size} elements in ${room} bytes`);
    if ((await tensor.load()).length !== size) throw new Broken('another number of elements than the shape says');
  }
}

export const onnx: Kind = {
  weight: 20,
  make(random) {
    if (random.chance(0.05)) {
      const proto = { dims: [2, 3], data_type: 1, name: 'x', raw_data: new Uint8Array(24) };
      return { mode: 'tensor', files: { 'x.pb': mutateBytes(random, joinBytes(encode(TENSOR, proto))) } };
    }
    return { mode: 'model', files: makeFiles(random) };
  },
  async run(files, mode) {
    if (mode === 'tensor') {
      readTensorProto('x.pb', files['x.pb']!).read();
      return [];
    }
    const room = Object.values(files).reduce((n, bytes) => n + bytes.length, 0);
    const beside = async (name: string) => (Object.hasOwn(files, name) ? memorySource(name, files[name]!) : undefined);
    const source = { ...memorySource('x.onnx', files['x.onnx']!), beside };
    const { onnx: model, store } = await openCheckpoint(source);
    await readEverything(model!.graph, room);
    for (const f of model!.functions.values()) {
      await readEverything({ name: '', nodes: f.nodes, initialisers: new Map(), inputs: [], outputs: [] }, room);
    }
    for (const entry of store.tensors.values()) await entry.read();
    importOnnx(model!, { name: 'x' });
    return [];
  },
};
