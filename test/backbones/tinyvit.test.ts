/** TinyViT of the library beside timm's, and as MobileSAM's image encoder under the names of its checkpoints (`test/reference/make_tinyvit.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, readTensors, scratch, type TextSpec } from '../api/support.js';
import { codes, good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { relative } from '../passes/models.js';
import { maxDifference } from '../tensors.js';
import { adapted, expectMerge, expectOnGpu, gradientsOf, resultOf, type SpecOf } from './support.js';

const FOLDER = join(FIXTURES, 'tinyvit');
const folder = scratch();
const reference = await readTensors(join(FOLDER, 'reference.safetensors'));
const SIZES = 'image: 64, dims: [4, 8, 8, 12], depths: [1, 1, 2, 1], heads: [1, 2, 2, 3], windows: [0, 7, 5, 2]';
const ENCODER = `${SIZES}, strides: [1, 2, 2, 1], features: 6`;

const spec = (options: string, file: string, body = ''): TextSpec => ({
  text: `use std\nmodel M {\n  base = tiny_vit(${options}) from "${join(FOLDER, file)}"\n${body}\n}\n`,
  path: 'tinyvit.peft',
});

describe('TinyViT', () => {
  test.each([
    ['timm.safetensors', SIZES, '  head = classify(base, classes: 5)', 'logits'],
    ['mobile_sam.safetensors', ENCODER, '', 'features'],
    ['folded.safetensors', `${ENCODER}, folded: true`, '', 'features'],
  ])('%s: gives what timm gives', async (file, options, body, name) => {
    const s = spec(options, file, body);
    expect((await loadParameters(await analyseModel(s, { host }))).warnings).toEqual([]);
    const want = reference.get(name)!;
    expect(maxDifference(await resultOf(s, reference.get('pixels')!, want), want)).toBeLessThan(1e-5);
  });

  const folderOf = (config: object): Host => {
    const files = {
      'config.json': JSON.stringify(config),
      'model.safetensors': readFileSync(join(FOLDER, 'timm.safetensors')),
    };
    return { ...host, openCheckpoint: () => openCheckpoint(memoryFolder('f', files)) };
  };
  const config = JSON.parse(readFileSync(join(FOLDER, 'timm.json'), 'utf8')) as { model_args: object };

  test('a folder of timm’s says it all: sizes, classes, preprocessing', async () => {
    const s = spec('image: 64', 'f', '  head = classify(base)');
    const want = reference.get('logits')!;
    const own = folderOf(config);
    expect((await loadParameters(await analyseModel(s, { host: own }))).warnings).toEqual([]);
    expect(maxDifference(await resultOf(s, reference.get('pixels')!, want, own), want)).toBeLessThan(1e-5);
    const { elaborated } = await analyseModel(spec('', 'f', '  head = classify(base)'), { host: own });
    expect(elaborated.preprocess?.slice(0, 2)).toEqual([
      { step: 'resize', size: 235, filter: 'bicubic' },
      { step: 'crop', size: [224, 224], rounding: 'even' },
    ]);
    const changed = folderOf({ ...config, model_args: { ...config.model_args, local_conv_size: 5 } });
    await expect(analyseModel(s, { host: changed })).rejects.toThrow('ESP0509');
  });

  // Norms over channels are taken apart there, and a bias of attention is a constant that it reads.
  test('reads an encoder by the names that `onnx()` finds in its graph', async () => {
    const saved = await readTensors(join(FOLDER, 'folded.safetensors'));
    const tensors = [...saved].map(([name, t]): [string, Tensor] => {
      const norm = /^(neck\.[13])\.(weight|bias)$/.exec(name);
      if (!norm) return [name.replace(/attn\.ab$/, 'attn.bias'), t];
      const shape = [...t.type.shape, 1, 1];
      return [`${norm[1]}.${norm[2] === 'weight' ? 'gain' : 'shift'}`, { ...t, type: { ...t.type, shape } }];
    });
    const file = encodeSafetensors(new Map(tensors.map(([n, t]) => [n, storeTensor(t)])));
    const own: Host = { ...host, openCheckpoint: () => openCheckpoint(memorySource('encoder.safetensors', file)) };
    const s = spec(`${ENCODER}, folded: true`, 'encoder.safetensors');
    const found = await resultOf(s, reference.get('pixels')!, reference.get('features')!, own);
    expect(maxDifference(found, reference.get('features')!)).toBeLessThan(1e-5);
  });

  const of: SpecOf = (body) => spec(ENCODER, 'mobile_sam.safetensors', body);
  const graft = (adapter: string) =>
    `  adapt base.stages[*].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with ${adapter}`;
  const KARST = 'karst(rank: 2, factor: 2)';
  const [pixels, features] = [reference.get('pixels')!, reference.get('features')!];

  test.each([
    ['lora', 'lora(rank: 2)'],
    ['karst', KARST],
  ])('%s on its layers merges: the same features, and only those tensors changed', async (name, adapter) => {
    const s = await adapted(of, folder, name, graft(adapter));
    const changes = /(attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)$/;
    const changed = await expectMerge(s, of(), join(FOLDER, 'mobile_sam.safetensors'), pixels, features, changes);
    expect(changed.filter((n) => n.endsWith('.weight'))).toHaveLength(16);
  });

  test("has autograd's gradients", async () => {
    const named = [...reference].flatMap(([n, t]) => (n.startsWith('gradient.') ? [[n.slice(9), t] as const] : []));
    const ours = (name: string) => `base.${name}`;
    const found = await gradientsOf(
      of(),
      pixels,
      reference.get('weight')!,
      named.map(([n]) => ours(n)),
    );
    for (const [name, want] of named) expect(relative(found.get(ours(name))!, want), name).toBeLessThan(1e-6);
  });

  test('runs on the GPU, with adapters by the kernels that it has without', async () => {
    const plain = await expectOnGpu(of(), join(folder, 'plain'), pixels, features, 1e-5);
    const s = await adapted(of, folder, 'gpu', graft(KARST));
    const { program } = await expectOnGpu(s, join(folder, 'out'), pixels, await resultOf(s, pixels, features), 1e-4);
    expect(program.entries[0]!.dispatches).toHaveLength(plain.program.entries[0]!.dispatches.length);
  });

  // As timm counts them, without the statistics of norms.
  test.each([
    ['tiny_vit_5m', 5_392_764],
    ['tiny_vit_11m', 10_996_972],
    ['tiny_vit_21m', 21_198_568],
    ['tiny_vit_21m_384', 21_230_488],
    ['tiny_vit_21m_512', 21_268_120],
  ])('%s has as many parameters', (variant, count) => {
    const { module } = good(`use std\nmodel M {\n  base = ${variant}()\n  head = classify(base, classes: 1000)\n}`);
    const counted = [...module.params.values()].filter((p) => p.role === 'frozen' && !p.name.includes('.running_'));
    expect(counted.reduce((sum, p) => sum + sizeOf(p.type.shape), 0)).toBe(count);
  });

  test("the encoder's features are no tokens: a classifier says so", () => {
    const text = 'use std\nmodel M {\n  base = mobile_sam()\n  head = classify(base, classes: 2)\n}';
    expect(codes(text)).toEqual(['ESP0215']);
  });
});
