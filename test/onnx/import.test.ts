/** Graphs as PyTorch's exporter writes them, against onnxruntime (test/reference/make_onnx_import.py), and as specs that adapters go on. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile, importModel, merge, writeImported } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { BATCH } from '../../src/ir/batch.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, randomAdapter, readTensors, scratch, type TextSpec } from '../api/support.js';
import { expectGolden } from '../golden.js';
import { maxDifference } from '../tensors.js';

const FOLDER = join(FIXTURES, 'onnx', 'import');
const OUT = scratch();

const spec = (name: string, body = '', options = ''): TextSpec => ({
  text: `use std\n\nmodel M {\n  base = onnx(${options}) from "${join(FOLDER, `${name}.onnx`)}"\n${body}}\n`,
  path: 'imported.peft',
});

/** What a spec computes of an input, by output. */
async function computed(of: TextSpec | string, x: Tensor) {
  const { elaborated, ...analysis } = await analyseModel(of, { host });
  const { get } = await loadParameters({ elaborated, ...analysis });
  return interpret(elaborated.module, 'infer', { inputs: new Map([['x', x]]), params: get });
}

/** The largest difference, of the largest element. */
const off = (a: Tensor, b: Tensor): number =>
  maxDifference(a, b) / (b.data as Float32Array).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

const RECOGNISED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  vit12: { Conv2d: 1, Linear: 13, LayerNorm: 5, Attention: 2, Gelu: 2, Rearranged: 6 },
  vit17: { Conv2d: 1, Linear: 13, LayerNorm: 5, Attention: 2, Gelu: 2, Rearranged: 6 },
  swin: { Conv2d: 1, Linear: 25, LayerNorm: 11, Attention: 4, Gelu: 4, Rearranged: 25 },
  convnext: { Conv2d: 4, Linear: 4, LayerNorm: 4, Gelu: 2 },
  resnet: { Conv2d: 6 },
  windows: { Conv2d: 1, Linear: 9, LayerNorm: 2, Attention: 2, Gelu: 2, Rearranged: 8 },
  picks: { Linear: 2 },
  twice: { Linear: 7 },
};

describe('what was exported of one sample, for two at once', () => {
  test.each(Object.keys(RECOGNISED))('%s', async (name) => {
    const { x, ...reference } = Object.fromEntries(await readTensors(join(FOLDER, `${name}.safetensors`)));
    const given = await computed(spec(name), x!);
    expect([...given.keys()].sort()).toEqual(Object.keys(reference).sort());
    for (const [output, value] of Object.entries(reference)) {
      expect(given.get(output)!.type).toEqual(value.type);
      expect(off(given.get(output)!, value), output).toBeLessThan(1e-5);
    }
    const model = await importModel(join(FOLDER, `${name}.onnx`), { host });
    await model.close();
    expect(Object.fromEntries(model.raised)).toEqual(RECOGNISED[name]);
  });

  test('a graph of one sample alone, which says no other size', async () => {
    const reference = await readTensors(join(FOLDER, 'windows_fixed.safetensors'));
    const { type, data } = reference.get('x')!;
    const first = { type: { ...type, shape: [1, ...type.shape.slice(1)] }, data: data.slice(0, data.length / 2) };
    const given = (await computed(spec('windows_fixed'), first)).get('logits')!;
    expect(given.type.shape).toEqual([1, 5]);
    expect(maxDifference(given, { ...given, data: reference.get('logits')!.data.slice(0, 5) })).toBeLessThan(1e-5);
    // The number 1 may be the batch, if whoever imports says so.
    const both = await computed(spec('windows_fixed', '', 'shapes: ["x = b, 3, 24, 24"]'), reference.get('x')!);
    expect(off(both.get('logits')!, reference.get('logits')!)).toBeLessThan(1e-5);
  });
});

describe('as a spec', () => {
  test.each(['windows', 'twice', 'picks'])('%s reads as people write it', async (name) => {
    const model = await importModel(join(FOLDER, `${name}.onnx`), { host });
    await model.close();
    expectGolden(`${name}.peft`, model.spec);
  });

  test.each(['vit17', 'swin', 'twice'])('%s, written and compiled, is the same program', async (name) => {
    const model = await importModel(join(FOLDER, `${name}.onnx`), { host, name: `${name}_base` });
    const written = await writeImported(model, join(OUT, name));
    await model.close();
    // Under the same name, which programs carry.
    const text = readFileSync(written.spec, 'utf8').replace(/model \w+ \{/, 'model M {');
    const [own, direct] = await Promise.all([
      compile({ text, path: written.spec }, { host, golden: false }),
      compile(spec(name), { host, golden: false }),
    ]);
    expect([...own.files.keys()]).toEqual([...direct.files.keys()]);
    for (const [file, bytes] of own.files) expect(direct.files.get(file), file).toEqual(bytes);
  });

  test('its preprocessing is what the spec says, and the program is the same', async () => {
    const steps = 'crop(60, even), resize(longest: 28), normalize(mean: [0.4, 0.5, 0.6], std: 0.25), pad(28)';
    const [plain, pictures] = await Promise.all(
      ['', `preprocess: [${steps}]`].map((options) => compile(spec('vit17', '', options), { host, golden: false })),
    );
    expect(plain!.program.preprocess).toBeUndefined();
    expect(pictures!.program.preprocess).toEqual([
      { step: 'crop', size: [60, 60], rounding: 'even' },
      { step: 'resize', size: { longest: 28 }, filter: 'bilinear' },
      { step: 'normalize', mean: [0.4, 0.5, 0.6], std: [0.25, 0.25, 0.25] },
      { step: 'pad', size: [28, 28] },
    ]);
    for (const [file, bytes] of plain!.files)
      if (file !== 'program.json') expect(pictures!.files.get(file), file).toEqual(bytes);
  });

  test('a spec is not written over another', async () => {
    const model = await importModel(join(FOLDER, 'picks.onnx'), { host });
    await writeImported(model, OUT);
    await expect(writeImported(model, OUT)).rejects.toThrow(/exists already/);
    await model.close();
  });
});

describe('adapters and masks on an imported graph', () => {
  const sites = 'base.blocks[*].{attn.qkv, attn.proj, mlp[0], mlp[2]}';
  test.each(['lora(rank: 2)', 'karst(kernels: 2, rank: 2)'])('%s merges', async (adapter) => {
    const body = (from: string) => `  adapt ${sites} with ${adapter}${from}\n`;
    const bare = await analyseModel(spec('windows', body('')), { host });
    expect(bare.elaborated.adapters.map((a) => a.site)).toContain('base.blocks.1.mlp.2');
    expect(bare.elaborated.adapters).toHaveLength(8);
    const file = join(OUT, `${adapter.slice(0, 4)}.safetensors`);
    writeFileSync(file, encodeAdapter(await randomAdapter(spec('windows', body('')))));
    const trained = spec('windows', body(` from "${file}"`));
    const { check, report, module } = await compile(trained, { host });
    expect(report).toHaveLength(8);
    expect([...module.funcs.get('infer')!.results].length).toBe(1);
    expect(check.model!.difference).toBeLessThan(1e-5);
  });
});

test('weights alone are no model to merge into', async () => {
  await expect(merge(spec('windows'), { host })).rejects.toThrow(/ESP1235: .*windows\.onnx is an ONNX file/);
});

describe('one file bound more than once', () => {
  const file = join(FOLDER, 'windows_fixed.onnx');

  test('two graphs of a model, each with weights of its own', async () => {
    const text = `use std\n\nmodel M {\n  a = onnx() from "${file}"\n  base = onnx(outputs: ["logits"]) from "${file}"\n}\n`;
    const analysis = await analyseModel({ text, path: 'twice.peft' }, { host });
    const { get } = await loadParameters(analysis);
    for (const [name, { type }] of analysis.elaborated.module.params) expect(get(name).type, name).toEqual(type);
    expect(get('a.patch.weight')).toEqual(get('base.patch.weight'));
  });

  test('a graph in each of two models or branches, of the sizes that it says', async () => {
    const binding = (shape: string) => `base = onnx(shapes: ["x = ${shape}, 3, 24, 24"]) from "${file}"`;
    const models = `model One {\n  ${binding('1')}\n}\nmodel Any {\n  ${binding('b')}\n}\n`;
    const branches = `model M(any: bool) {\n  if any {\n    ${binding('b')}\n  } else {\n    ${binding('1')}\n  }\n}\n`;
    const batch = async (text: string, options: object) => {
      const { elaborated } = await analyseModel({ text: `use std\n\n${text}`, path: 'two.peft' }, { host, ...options });
      return elaborated.module.funcs.get('infer')!.inputs[0]!.type.shape[0];
    };
    expect(await batch(models, { model: 'One' })).toBe(1);
    expect(await batch(models, { model: 'Any' })).toBe(BATCH);
    expect(await batch(branches, { set: { any: 'false' } })).toBe(1);
    expect(await batch(branches, { set: { any: 'true' } })).toBe(BATCH);
  });
});
