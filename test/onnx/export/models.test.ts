/** The example's models as ONNX, run by onnxruntime beside the model as it is written, in f64. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { exportOnnx } from '../../../src/api/node/spec.js';
import { writeOnnx } from '../../../src/api/node/write.js';
import type { OnnxExportOptions } from '../../../src/api/onnx/export.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import { resultAsWritten, scratch } from '../../api/support.js';
import { bytesOf, runOnnx } from '../runtime.js';

const FASHION = fileURLToPath(new URL('../../../examples/fashion/', import.meta.url));
const folder = scratch();

const PLAIN = {
  text: 'use std\nmodel Clothes {\n  base = vit_auto() from "./vit-fashion"\n  head = classify(base)\n}\n',
  path: join(FASHION, 'plain.peft'),
};
const example = (name: string) => join(FASHION, `${name}.peft`);

const pixels = (samples: number): Tensor =>
  tensor(
    [samples, 1, 28, 28],
    Float32Array.from({ length: samples * 784 }, (_, i) => Math.sin(i * 0.37) * 0.9),
  );

function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number>, within: number): void {
  expect(found.length).toBe(wanted.length);
  const largest = Math.max(...Array.from(wanted, Math.abs));
  const difference = Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i]!)));
  expect(difference / largest).toBeLessThan(within);
}

describe('onnxruntime gives what the model gives', () => {
  test.each<[string, string | typeof PLAIN, Partial<OnnxExportOptions>]>([
    ['plain', PLAIN, {}],
    ['KARST, merged', example('karst'), { adapters: 'merged' }],
    ['LoRA, merged', example('lora'), { adapters: 'merged' }],
    ['KARST, factored', example('karst'), { adapters: 'factored' }],
    ['LoRA, factored', example('lora'), { adapters: 'factored' }],
    ['masked over the sum', example('karst-sparse'), {}],
    ['in opset 13', example('lora'), { opset: 13 }],
    ['in opset 21', example('lora'), { opset: 21 }],
  ])('%s', async (_, spec, options) => {
    const { model } = await exportOnnx(spec, options);
    const bytes = await bytesOf(model);
    for (const samples of [1, 3]) {
      const input = pixels(samples);
      const found = (await runOnnx(bytes, new Map([['pixels', input]]))).get('logits')!;
      const wanted = await resultAsWritten(spec, input);
      expect(found.shape).toEqual([samples, 10]);
      expectNear(found.data, wanted, 1e-5);
    }
  });
});

test('newer versions say in one node what older ones put together', async () => {
  const ops = async (opset: number) => {
    const { model } = await exportOnnx(PLAIN, { opset });
    return new Set(model.graph.nodes.map((n) => n.op));
  };
  const [old, middle, last] = [await ops(13), await ops(17), await ops(20)];
  expect([old.has('LayerNormalization'), old.has('ReduceMean'), old.has('Erf')]).toEqual([false, true, true]);
  expect([middle.has('LayerNormalization'), middle.has('Gelu')]).toEqual([true, false]);
  expect([last.has('Gelu'), last.has('Erf')]).toEqual([true, false]);
});

test('the same bytes each time', async () => {
  const [a, b] = [await exportOnnx(example('lora')), await exportOnnx(example('lora'))];
  expect(Buffer.compare(await bytesOf(a.model), await bytesOf(b.model))).toBe(0);
});

describe('names', () => {
  test('weights have those of the checkpoint, where it has the very tensor; nodes those of their modules', async () => {
    const { model } = await exportOnnx(example('lora'));
    const { store } = await openCheckpointAt(join(FASHION, 'vit-fashion'));
    const weights = [...model.graph.initialisers.keys()];
    expect(weights.filter((name) => !store.tensors.has(name))).toEqual([
      // Query, key and value are three in the file, and one layer here.
      ...[0, 1, 2, 3].flatMap((i) => [`base.blocks.${i}.attn.qkv.weight`, `base.blocks.${i}.attn.qkv.bias`]),
      'head.fc.weight',
      'head.fc.bias',
    ]);
    const names = model.graph.nodes.map((n) => n.name);
    expect(names).toContain('/base/blocks.2/mlp/fc1/MatMul');
    expect(new Set(names).size).toBe(names.length);
    expect(model.graph.inputs).toEqual([{ name: 'pixels', dtype: 'float', shape: ['b', 1, 28, 28] }]);
    expect(model.graph.outputs).toEqual([{ name: 'logits', dtype: 'float', shape: ['b', 10] }]);
  });

  test('adapters beside their layers keep their own, and no Kronecker product is built', async () => {
    const { model } = await exportOnnx(example('karst'), { adapters: 'factored' });
    const weights = [...model.graph.initialisers];
    expect(weights.some(([name]) => name.startsWith('base.blocks.0.attn.qkv@karst'))).toBe(true);
    const own = weights.filter(([name]) => name.includes('@karst'));
    const largest = Math.max(...own.map(([, { shape }]) => shape.reduce((a, b) => a * b, 1)));
    // Of a weight of 512 x 128; beside it, in two kernels: 4 (out/2 + in/2).
    expect(largest).toBeLessThan(16384);
  });

  test('classes and steps of preprocessing stand in the metadata', async () => {
    const { model } = await exportOnnx(example('lora'));
    expect(JSON.parse(model.metadata.labels!)).toHaveLength(10);
    expect(JSON.parse(model.metadata.preprocess!)).toEqual([
      { step: 'grayscale' },
      { step: 'resize', size: [28, 28], filter: 'bilinear' },
      { step: 'normalize', mean: [0.5], std: [0.5] },
    ]);
  });
});

describe('files', () => {
  test('weights beside the model, which onnxruntime finds there', async () => {
    const exported = await exportOnnx(example('karst'));
    const path = join(folder, 'apart.onnx');
    expect(await writeOnnx(exported, path, { external: true })).toEqual([`${path}.data`, path]);
    const input = pixels(1);
    const found = (await runOnnx(path, new Map([['pixels', input]]))).get('logits')!;
    expectNear(found.data, await resultAsWritten(example('karst'), input), 1e-5);
    const { onnx } = await openCheckpointAt(path);
    expect(onnx!.graph.initialisers.get('head.fc.weight')).toMatchObject({ held: true });
    expect(onnx!.graph.initialisers.get('vit.encoder.layer.0.output.dense.weight')).toMatchObject({ held: false });
  });

  test('an ONNX file is a checkpoint under its names', async () => {
    await writeOnnx(await exportOnnx(PLAIN), join(folder, 'plain.onnx'));
    const { store } = await openCheckpointAt(join(folder, 'plain.onnx'));
    const { store: base } = await openCheckpointAt(join(FASHION, 'vit-fashion'));
    const name = 'vit.encoder.layer.3.intermediate.dense.weight';
    expect((await store.tensors.get(name)!.read()).data).toEqual((await base.tensors.get(name)!.read()).data);
  });
});
