/** SAM's image encoder of the library on folders as transformers saves them (`test/reference/make_sam.py`), and under the names of its authors. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, infer, readTensors, type TextSpec } from '../api/support.js';
import { good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';

const FOLDER = join(FIXTURES, 'sam');
const reference = (folder: string) => readTensors(join(FOLDER, folder, 'reference.safetensors'));

const spec = (from: string, options = '', body = ''): TextSpec => ({
  text: `use std\nmodel M {\n  base = sam_auto(${options}) from "${from}"\n${body}\n}\n`,
  path: 'sam.peft',
});

/** What the model gives, as a tensor like `want`. */
async function features(s: TextSpec, pixels: Tensor, want: Tensor, on: Host = host): Promise<Tensor> {
  const analysis = await analyseModel(s, { host: on });
  const { get, warnings } = await loadParameters(analysis);
  expect(warnings).toEqual([]);
  return tensor(want.type.shape, infer(analysis.elaborated.module, pixels, get));
}

describe("SAM's image encoder", () => {
  test.each([
    ['vision', '', ''],
    ['model', '', ''],
    // Windows of 4 on a grid of 16, and a global block whose tables are those of a grid of 10.
    ['vision', 'larger.', 'image: 64'],
  ])('%s %s: gives what transformers gives', async (folder, prefix, options) => {
    const tensors = await reference(folder);
    const want = tensors.get(`${prefix}features`)!;
    const found = await features(spec(join(FOLDER, folder), options), tensors.get(`${prefix}pixels`)!, want);
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
      'dim: 16, depth: 3, heads: 2, table_image: 40, patch: 4, mlp_ratio: 2, window: 4, global_blocks: [1], features: 6',
    ],
  ])('reads the names of %s', async (_, rename, options) => {
    const saved = await readTensors(join(FOLDER, 'vision', 'model.safetensors'));
    const tensors = new Map([...saved].map(([name, t]) => [rename(name), storeTensor(t)]));
    expect([...tensors.keys()].some((n) => saved.has(n))).toBe(false);
    const folder = memoryFolder('f', {
      'model.safetensors': encodeSafetensors(tensors),
      'config.json': readFileSync(join(FOLDER, 'vision', 'config.json')),
    });
    const own: Host = { ...host, openCheckpoint: () => openCheckpoint(folder) };
    const { features: want, pixels } = Object.fromEntries(await reference('vision'));
    const found = await features(spec('f', options), pixels!, want!, own);
    expect(maxDifference(found, want!)).toBeLessThan(1e-5);
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
