/** CLIP's image encoder of the library on what transformers and timm save (`test/reference/make_clip.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host } from '../api/support.js';
import { specOf, testAdapters, testNames, testNumbers, testSizes, threeSizes } from './family.js';

const FOLDER = join(FIXTURES, 'clip');
const options = 'dim: 16, depth: 2, heads: 2, hidden: 32, patch: 4, table_image: 24, ';
const of = (folder: string, head: string, what = 'logits', more = '') =>
  threeSizes(
    join(FOLDER, folder),
    24,
    `clip_auto(${options}${more}`,
    head,
    what,
    folder === 'classifier' || folder === 'timm',
  );
const classifier = of('classifier', 'classify(base, pool: mean, classes: 5)');
const model = of('model', 'embedding(base, dim: 6)', 'embedding');
const vision = of('vision', 'embedding(base)', 'pooled', 'activation: gelu, ');
const timm = of('timm', 'classify(base, classes: 5)', 'logits', 'antialias: true, ');

describe("CLIP's image encoder", () => {
  testNumbers([...classifier, ...model, ...vision, ...timm]);
  testNumbers(
    (['classifier', 'model', 'vision'] as const).map((name) => ({
      ...{ classifier, model, vision }[name][0]!,
      name: `${name} by its configuration`,
      from: join(FOLDER, name),
      base: 'clip_auto()',
    })),
  );

  testNames('CLIPVisionModel by the names of transformers 4', vision[1]!, (name, t) => [
    [`vision_model.${name}`, t],
    ...(name.includes('position_embedding')
      ? [['vision_model.embeddings.position_ids', tensor([1, 37], new Float64Array(37))] as const]
      : []),
  ]);
  const openai = (name: string) =>
    `visual.${name
      .replace('patch_embed.proj', 'conv1')
      .replace('pos_embed', 'positional_embedding')
      .replace('norm_pre', 'ln_pre')
      .replace('cls_token', 'class_embedding')
      .replace('blocks.', 'transformer.resblocks.')
      .replace('qkv.', 'in_proj_')
      .replace('attn.proj', 'attn.out_proj')
      .replace('mlp.fc1', 'mlp.c_fc')
      .replace('mlp.fc2', 'mlp.c_proj')
      .replace(/norm([12])/, 'ln_$1')
      .replace(/^norm\./, 'ln_post.')}`;
  // OpenAI's encoder has a projection in place of timm's classifier: `visual.proj`, the other way round.
  testNames(
    "by OpenAI's names",
    { ...timm[2]!, head: 'embedding(base, dim: 5)' },
    (name, t) => {
      const { shape } = t.type;
      if (name === 'head.bias') return [];
      if (name === 'head.weight') {
        const turned = Float64Array.from(t.data, (_, i) => t.data[(i % 5) * 16 + Math.floor(i / 5)]!);
        return [['visual.proj', tensor([16, 5], turned)]];
      }
      const units = name === 'cls_token' ? 2 : name === 'pos_embed' ? 1 : 0;
      return [[openai(name), tensor(shape.slice(units), t.data)]];
    },
    join(FOLDER, 'openai.json'),
    ['visual.proj'],
    // Without the classifier's bias.
    (want, saved) =>
      tensor(
        want.type.shape,
        Float64Array.from(want.data, (v, i) => v - saved.get('head.bias')!.data[i % 5]!),
      ),
  );

  testAdapters(
    classifier[2]!,
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
    /(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])\.(weight|bias)$/,
    12,
  );

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'clip_auto()', from: join(FOLDER, 'classifier'), head: 'classify(base, pool: mean)' }),
      { host },
    );
    expect(elaborated.labels).toHaveLength(5);
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 24, filter: 'bicubic' },
      { step: 'crop', size: [24, 24] },
      {
        step: 'normalize',
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.26130258, 0.27577711],
      },
    ]);
  });

  // As transformers counts them.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
