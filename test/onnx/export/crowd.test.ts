/** Models as examples/crowd's: a head over several depths, norms over channels, adapters under a mask over the sum. As ONNX, in onnxruntime, and imported again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { compile, exportOnnx, writeOnnx } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { encodeAdapter } from '../../../src/formats/adapters/adapter.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import { host, random, scratch, type TextSpec } from '../../api/support.js';
import { bytesOf, runOnnx } from '../runtime.js';
import { programOf } from './same.js';

const folder = scratch();
const SIDE = 32;

/** Everything of the model comes from one file. */
const spec = (scores: string, file?: string): TextSpec => {
  const from = file === undefined ? '' : ` from "${file}"`;
  return {
    text: `use std

model Crowd {
  base = tiny_vit(image: ${SIDE}, dims: [8, 12, 16, 16], depths: [1, 1, 1, 1], heads: [1, 2, 2, 2], windows: [2, 2, 2, 1], folded: true)
  head = counting(base, dim: 8, heads: 2, patches: 1, scores: ${scores})
  in base.stages[1..4].blocks[*] {
    adapt attn.qkv with lora(rank: 2)${from}
    prune attn.*, mlp.* with magnitude(sparsity: 60%, scope: global, over: sum)
  }
  tune base, head${from}
}
`,
    path: join(folder, 'crowd.peft'),
  };
};

async function trained(scores: string): Promise<TextSpec> {
  const { elaborated } = await analyseModel(spec(scores), { host });
  const params = [...elaborated.module.params].filter(([name, p]) => !p.data && !name.endsWith('#mask'));
  const values = params.map(([name, p]) => [name, random(name, p.type.shape as number[], 0.3)] as const);
  const file = join(folder, `${scores}.safetensors`);
  writeFileSync(file, encodeAdapter(new Map(values)));
  return spec(scores, file);
}

/** Tables of positions that windows share have an axis of 1 in the graph. */
const withoutUnits = (compiled: Parameters<typeof programOf>[0]) => {
  const { weights, ...rest } = programOf(compiled);
  return { ...rest, weights: weights.map(([shape, ...more]) => [(shape as number[]).filter((d) => d !== 1), ...more]) };
};

test.each([
  ['token', 13],
  ['channel', 17],
] as const)('scores of each %s, opset %d', async (scores, opset) => {
  const model = await trained(scores);
  const analysis = await analyseModel(model, { host });
  const { get } = await loadParameters(analysis);
  const pixels = tensor(
    [2, 3, SIDE, SIDE],
    Float32Array.from({ length: 2 * 3 * SIDE * SIDE }, (_, i) => Math.sin(i * 0.0137) + Math.sin(i * 0.71)),
  );
  const inputs = new Map([['pixels', pixels]]);
  const wanted = interpret(analysis.elaborated.module, 'infer', { inputs, params: get });

  const exported = await exportOnnx(model, { host, opset });
  expect([...wanted.keys()]).toEqual(['density', 'count']);
  const found = await runOnnx(await bytesOf(exported.model), inputs);
  for (const [name, { type, data }] of wanted) {
    const { shape, data: own } = found.get(name)!;
    expect(shape).toEqual(type.shape);
    const largest = Math.max(...Array.from(data, Math.abs));
    expect(Math.max(...Array.from(data, (x, i) => Math.abs(x - own[i]!))) / largest, name).toBeLessThan(1e-5);
  }
  // What was pruned is zero in the file.
  const { elements, zeros } = exported.zeros!;
  expect(zeros).toBe(Math.floor(0.6 * elements));
  const stored = [...exported.model.graph.initialisers.values()].filter(({ name }) => /(attn|mlp).*weight$/.test(name));
  const counted = stored.reduce((sum, t) => sum + Array.from(t.read()).filter((x) => x === 0).length, 0);
  expect(counted).toBe(zeros);

  const file = join(folder, `${scores}-${opset}.onnx`);
  await writeOnnx(exported, file);
  const again = {
    text: `use std\n\nmodel Crowd {\n  base = onnx() from "${file}"\n}\n`,
    path: join(folder, 'again.peft'),
  };
  const options = { host, golden: false, adapters: 'merged', batch: [1] } as const;
  const [own, imported] = [await compile(model, options), await compile(again, options)];
  expect(withoutUnits(imported)).toEqual(withoutUnits(own));
});
