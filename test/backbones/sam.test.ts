/** SAM's image encoder of the library on folders as transformers saves them (`test/reference/make_sam.py`), and under the names of its authors. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { loadParameters } from '../../src/api/parameters.js';
import { normalize, normalizer } from '../../src/data/images/resize.js';
import { makeSample } from '../../src/data/sample.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { FIXTURES, host, readTensors, scratch, type TextSpec } from '../api/support.js';
import { readBytes } from '../bytes.js';
import { good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { relative } from '../passes/models.js';
import { copyProgram } from '../runtime/program.js';
import { maxDifference } from '../tensors.js';
import { adapted, expectMerge, expectOnGpu, gradientsOf, resultOf, type SpecOf } from './support.js';

const FOLDER = join(FIXTURES, 'sam');
const folder = scratch();
const reference = (folder: string) => readTensors(join(FOLDER, folder, 'reference.safetensors'));

/** What the configuration of `vision` says. */
const VISION =
  'dim: 16, depth: 3, heads: 2, table_image: 40, patch: 4, mlp_ratio: 2, window: 4, global_blocks: [1], features: 6';

const spec = (from: string, options = '', body = ''): TextSpec => ({
  text: `use std\nmodel M {\n  base = sam_auto(${options}) from "${from}"\n${body}\n}\n`,
  path: 'sam.peft',
});

describe("SAM's image encoder", () => {
  test.each([
    ['vision', '', '', ''],
    ['model', '', '', ''],
    // Windows of 4 on a grid of 16, and a global block whose tables are those of a grid of 10. The folder says how images of 40 are made, the file nothing.
    ['vision', '/model.safetensors', 'larger.', `${VISION}, image: 64`],
  ])('%s%s %s: gives what transformers gives', async (folder, file, prefix, options) => {
    const tensors = await reference(folder);
    const want = tensors.get(`${prefix}features`)!;
    const from = join(FOLDER, `${folder}${file}`);
    const s = spec(from, options);
    expect((await loadParameters(await analyseModel(s, { host }))).warnings).toEqual([]);
    const found = await resultOf(s, tensors.get(`${prefix}pixels`)!, want);
    expect(maxDifference(found, want)).toBeLessThan(1e-5);
  });

  test.each<[string, (name: string) => string, string]>([
    ['a bare encoder', (n) => n.replace('vision_encoder.', ''), ''],
    [
      'the authors',
      (n) =>
        n
          .replace('vision_encoder.', 'image_encoder.')
          .replace('patch_embed.projection', 'patch_embed.proj')
          .replace(/layers\.(\d+)\.(?:layer_(norm\d)|(\w+))/, 'blocks.$1.$2$3')
          .replace(/neck\.(conv|layer_norm)(\d)/, (_, what, i) => `neck.${2 * (i - 1) + (what === 'conv' ? 0 : 1)}`),
      VISION,
    ],
  ])('reads the names of %s', async (_, rename, options) => {
    const saved = await readTensors(join(FOLDER, 'vision', 'model.safetensors'));
    const tensors = new Map([...saved].map(([name, t]) => [rename(name), storeTensor(t)]));
    expect([...tensors.keys()].some((n) => saved.has(n))).toBe(false);
    const renamed = memoryFolder('f', {
      'model.safetensors': encodeSafetensors(tensors),
      'config.json': readFileSync(join(FOLDER, 'vision', 'config.json')),
    });
    const own: Host = { ...host, openCheckpoint: () => openCheckpoint(renamed) };
    const { features: want, pixels } = Object.fromEntries(await reference('vision'));
    const found = await resultOf(spec('f', options), pixels!, want!, own);
    expect(maxDifference(found, want!)).toBeLessThan(1e-5);
  });

  const of: SpecOf = (body) => spec(join(FOLDER, 'vision'), '', body);
  const graft = (adapter: string) => `  adapt base.blocks[*].{attn.qkv, attn.proj, mlp.lin1, mlp.lin2} with ${adapter}`;
  const KARST = 'karst(rank: 2, factor: 2)';

  test.each([
    ['lora', 'lora(rank: 2)'],
    ['karst', KARST],
  ])('%s on its layers merges: the same features, and only those tensors changed', async (name, adapter) => {
    const s = await adapted(of, folder, name, graft(adapter));
    const { pixels, features } = Object.fromEntries(await reference('vision'));
    const changes = /(attn\.(qkv|proj)|mlp\.lin[12])\.(weight|bias)$/;
    const changed = await expectMerge(s, of(), join(FOLDER, 'vision'), pixels!, features!, changes);
    expect(changed.filter((n) => n.endsWith('.weight'))).toHaveLength(12);
  });

  test("has autograd's gradients", async () => {
    const tensors = await reference('vision');
    const named = [...tensors].flatMap(([n, t]) => (n.startsWith('gradient.') ? [[n.slice(9), t] as const] : []));
    const ours = (name: string) => `base.${name.replace('layers.', 'blocks.').replace('.projection', '')}`;
    const found = await gradientsOf(
      of(),
      tensors.get('pixels')!,
      tensors.get('weight')!,
      named.map(([n]) => ours(n)),
    );
    expect(named.length).toBe(5);
    for (const [name, want] of named) expect(relative(found.get(ours(name))!, want), name).toBeLessThan(1e-6);
  });

  test('runs on the GPU, with adapters by the kernels that it has without', async () => {
    const { pixels, features } = Object.fromEntries(await reference('vision'));
    const plain = await expectOnGpu(of(), join(folder, 'plain'), pixels!, features!, 1e-5);
    const s = await adapted(of, folder, 'gpu', graft(KARST));
    const { program } = await expectOnGpu(s, join(folder, 'out'), pixels!, await resultOf(s, pixels!, features!), 1e-4);
    expect(program.entries[0]!.dispatches).toHaveLength(plain.program.entries[0]!.dispatches.length);
  });

  describe('preprocesses as SamImageProcessor does', () => {
    const pictures = readBytes('./fixtures/sam/vision/pictures.safetensors');
    const names = [...pictures.tensors.keys()].flatMap((n) => (n.endsWith('.in') ? [n.slice(0, -3)] : []));
    const size = { channels: 3, height: 40, width: 40 };
    let steps: readonly PreprocessStep[];
    let gpu: OpenDevice;
    beforeAll(async () => {
      const { elaborated } = await analyseModel(spec(join(FOLDER, 'vision')), { host });
      steps = elaborated.preprocess!;
      gpu = await openDevice({ features: [] });
    });
    afterAll(() => gpu.release());

    test('the file says how', async () => {
      const normal = { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
      const pad = { step: 'pad', size: [40, 40] };
      expect(steps).toEqual([{ step: 'resize', size: { longest: 40 }, filter: 'bilinear' }, normal, pad]);
      // So does the variant, where there is no file.
      const text = 'use std\nmodel M {\n  base = mobile_sam(image: 64)\n}\n';
      expect(good(text).preprocess).toEqual([
        { step: 'resize', size: { longest: 64 }, filter: 'bilinear' },
        normal,
        { ...pad, size: [64, 64] },
      ]);
    });

    test.each(names)('%s', async (name) => {
      const { data, shape } = pictures.tensors.get(`${name}.in`)!;
      const image = { data, width: shape[1]!, height: shape[0]!, channels: 3 as const };
      const wanted = new Float32Array(pictures.tensors.get(`${name}.out`)!.data.slice().buffer);
      const session = await load(copyProgram(steps, 3, 40, 40), { device: gpu.device });
      const { outputs } = await session.run({ image });
      session.dispose();
      const made = new Float32Array(wanted.length);
      const [mean, std] = [
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
      ];
      const recipe = { preprocess: steps, input: size, augment: {} };
      normalize(
        makeSample(image, recipe, { seed: 0, epoch: 0, item: 0, repeat: 0 }),
        normalizer(mean!, std!, 3),
        made,
        size,
      );
      for (const found of [outputs.pixels!, made])
        expect(Math.max(...Array.from(wanted, (w, i) => Math.abs(w - found[i]!)))).toBeLessThan(2e-6);
    });
  });

  // As transformers counts them (SamVisionModel).
  test.each([
    ['sam_vit_base', 89_670_912],
    ['sam_vit_large', 308_278_272],
    ['sam_vit_huge', 637_026_048],
  ])('%s has as many parameters', (variant, count) => {
    const { module } = good(`use std\nmodel M {\n  base = ${variant}() from "./sam"\n}`);
    const counted = [...module.params.values()].filter((p) => p.role === 'frozen');
    expect(counted.reduce((sum, p) => sum + sizeOf(p.type.shape), 0)).toBe(count);
  });
});
