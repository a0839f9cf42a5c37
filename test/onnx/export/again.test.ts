/** What was exported, imported again: the program that it came from. And what was imported, adapted and exported again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { compile, exportOnnx, writeOnnx } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { encodeAdapter } from '../../../src/formats/adapters/adapter.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import {
  FIXTURES,
  host,
  randomAdapter,
  readTensors,
  resultAsWritten,
  scratch,
  type TextSpec,
} from '../../api/support.js';
import { bytesOf, runOnnx } from '../runtime.js';
import { programOf } from './same.js';

const FASHION = fileURLToPath(new URL('../../../examples/fashion/', import.meta.url));
const folder = scratch();

const pixels: Tensor = tensor(
  [2, 1, 28, 28],
  Float32Array.from({ length: 2 * 784 }, (_, i) => Math.sin(i * 0.37) * 0.9),
);

const off = (found: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  const largest = Math.max(...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i]!))) / largest;
};

test.each([
  ['lora', 'merged'],
  ['karst', 'merged'],
  ['karst', 'factored'],
  ['karst-sparse', 'merged'],
] as const)('%s, %s', async (name, adapters) => {
  const spec = join(FASHION, `${name}.peft`);
  const file = join(folder, `${name}-${adapters}.onnx`);
  await writeOnnx(await exportOnnx(spec, { adapters }), file);
  const again = {
    text: `use std\nmodel Digits {\n  base = onnx() from "${file}"\n}\n`,
    path: join(folder, 'again.peft'),
  };
  expect(off(await resultAsWritten(again, pixels), await resultAsWritten(spec, pixels))).toBeLessThan(1e-6);
  const options = { golden: false, adapters, batch: [1] } as const;
  const [own, imported] = [await compile(spec, options), await compile(again, options)];
  expect(programOf(imported)).toEqual(programOf(own));
});

describe('adapters on an imported graph, exported', () => {
  const FILE = join(FIXTURES, 'onnx', 'import', 'windows.onnx');
  const spec = (adapter: string): TextSpec => ({
    text: `use std\nmodel M {\n  base = onnx() from "${FILE}"\n  adapt base.blocks[*].{attn.qkv, attn.proj, mlp[0], mlp[2]} with ${adapter}\n}\n`,
    path: join(folder, 'adapted.peft'),
  });
  test.each([
    ['lora(rank: 2)', 'merged'],
    ['lora(rank: 2)', 'factored'],
    ['karst(kernels: 2, rank: 2)', 'merged'],
    ['karst(kernels: 2, rank: 2)', 'factored'],
  ] as const)('%s, %s', async (adapter, adapters) => {
    const weights = join(folder, `${adapter.slice(0, 4)}.safetensors`);
    writeFileSync(weights, encodeAdapter(await randomAdapter(spec(adapter))));
    const adapted = spec(`${adapter} from "${weights}"`);
    const x = (await readTensors(FILE.replace(/onnx$/, 'safetensors'))).get('x')!;
    const { model } = await exportOnnx(adapted, { host, adapters });
    const found = (await runOnnx(await bytesOf(model), new Map([['x', x]]))).get('logits')!;
    // Merged and unmerged are one thing in f64.
    const { module, params } = await written(adapted);
    const wanted = interpret(module, 'infer', { inputs: new Map([['x', x]]), params }).get('logits')!;
    expect(off(found.data, wanted.data)).toBeLessThan(1e-5);
    // What the adapters add is there.
    const plain = await written({ ...adapted, text: adapted.text.replace(/\n {2}adapt .*/, '') });
    const without = interpret(plain.module, 'infer', { inputs: new Map([['x', x]]), params: plain.params });
    expect(off(found.data, without.get('logits')!.data)).toBeGreaterThan(1e-3);
  });
});

async function written(spec: TextSpec) {
  const analysis = await analyseModel(spec, { host });
  const { get } = await loadParameters(analysis);
  return { module: analysis.elaborated.module, params: get };
}
