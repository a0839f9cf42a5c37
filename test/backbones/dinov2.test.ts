/** DINOv2 of the library on what transformers and timm save (`test/reference/make_dinov2.py`). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { FIXTURES, host } from '../api/support.js';
import { rows, specOf, testAdapters, testNames, testNumbers, testSizes, threeSizes } from './family.js';

const FOLDER = join(FIXTURES, 'dinov2');
const TIMM =
  'dim: 16, depth: 2, heads: 2, patch: 4, swiglu: true, hidden: 24, registers: 3, class_position: false, table_image: 24';

const of = (folder: string, call: string, head: string) => threeSizes(join(FOLDER, folder), 24, call, head);
const options = 'dim: 16, depth: 2, heads: 2, patch: 4, mlp_ratio: 2, table_image: 24, ';
const pooled = 'classify(base, pool: cls_mean, classes: 5)';
const plain = of('plain', `dinov2_auto(${options}`, pooled);
const registers = of('registers', `dinov2_registers_auto(${options}swiglu: true, registers: 3, `, pooled);
const timm = of('timm', `dinov2_auto(${TIMM}, `, 'classify(base, classes: 5)');

describe('DINOv2', () => {
  testNumbers([
    ...plain,
    ...registers,
    ...timm,
    ...['plain', 'registers'].map((folder) => ({
      name: `${folder} by its configuration: tokens`,
      base: `dinov2_${folder === 'plain' ? '' : 'registers_'}auto(image: 24)`,
      from: join(FOLDER, folder),
      reference: join(FOLDER, folder, 'reference.safetensors'),
      what: 'features',
    })),
  ]);

  testAdapters(
    plain[2]!,
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
    /(attention\.(query|key|value|dense)|output\.dense|mlp\.fc[12])\.(weight|bias)$/,
    12,
  );
  describe('with registers', () =>
    testAdapters(
      registers[1]!,
      'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}',
      /(attention\.(query|key|value|dense)|output\.dense|mlp\.weights_(in|out))\.(weight|bias)$/,
      12,
    ));

  const five = (name: string) =>
    name
      .replace(/attention\.attention\.(.)(?:uery|ey|alue)\./, 'attention.$1_proj.')
      .replace('attention.output.dense', 'attention.o_proj')
      .replace('weights_out', 'down_proj');
  testNames(
    'by the names of transformers 5',
    plain[1]!,
    (name, t) => [[five(name), t]],
    join(FOLDER, 'plain', 'names.json'),
  );
  testNames('by the names of a bare model of transformers 4', plain[1]!, (name, t) => [
    [name.replace('dinov2.', ''), t],
  ]);
  testNames(
    'with registers by the names of transformers 5',
    registers[2]!,
    (name, t) =>
      name.includes('weights_in')
        ? rows(t, 2).map((part, i) => [name.replace('weights_in', ['gate_proj', 'up_proj'][i]!), part])
        : [[five(name), t]],
    join(FOLDER, 'registers', 'names.json'),
  );
  testNames("by the authors' names", timm[1]!, (name, t) => [
    [name.replace('reg_token', 'register_tokens').replace('mlp.fc1', 'mlp.w12').replace('mlp.fc2', 'mlp.w3'), t],
  ]);

  test('reads what the folder says: classes and preprocessing', async () => {
    const { elaborated } = await analyseModel(
      specOf({ base: 'dinov2_auto(image: 24)', from: join(FOLDER, 'plain'), head: 'classify(base, pool: cls_mean)' }),
      { host },
    );
    expect(elaborated.labels).toHaveLength(5);
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 27, filter: 'bicubic' },
      { step: 'crop', size: [24, 24] },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
  });

  // As transformers counts them, without the mask token.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
