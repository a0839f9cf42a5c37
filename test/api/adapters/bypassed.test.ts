/** Adapters of peft's on modules whose weight the network in Python reads itself (`test/reference/make_peft_families.py`): computed as they are written, with a warning. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { exportAdapters } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { resultOf } from '../../backbones/support.js';
import { codes } from '../../dsl/semantics/helper.js';
import { maxDifference } from '../../tensors.js';
import { FIXTURES, host, readTensors, type TextSpec } from '../support.js';

const CASES = [
  {
    name: 'beit-timm',
    base: 'beit_auto(table_image: 16, patch: 4, dim: 8, depth: 2, heads: 2, hidden: 32, eps: 1e-6, activation: gelu)',
    from: 'beit/timm',
    head: 'classify(base, classes: 5)',
    sites: 'base.blocks[*].attn.qkv',
    said: /adapts blocks\.0\.attn\.qkv and 1 more, .* passes these by: .* beside `q_bias`/,
    others: 'base.blocks[*].attn.proj',
  },
  {
    name: 'siglip',
    base: 'siglip_auto()',
    from: 'siglip/model',
    head: 'embedding(base)',
    sites: 'base.attn_pool.proj',
    said: /adapts (vision_model\.)?head\.attention\.out_proj, .* passes it by: .* beside `in_proj_weight`/,
    others: 'base.blocks[*].attn.proj',
  },
];

describe.each(CASES)('$name', ({ name, base, from, head, sites, said, others }) => {
  const folder = join(FIXTURES, 'peft', 'bypassed', name);
  const spec = (graft: string): TextSpec => ({
    text: `use std\nmodel M {\n  base = ${base} from "${join(FIXTURES, from)}"\n  head = ${head}\n  ${graft}\n}\n`,
    path: 'bypassed.peft',
  });
  const warningsOf = async (s: TextSpec) =>
    (await loadParameters(await analyseModel(s, { host }))).warnings.filter((w) => w.code === 'ESP1287');
  const lora = spec(`adapt ${sites} with lora() from "${folder}"`);

  test('gives what peft gives once it is merged, and says that Python calls it not before', async () => {
    const want = (await readTensors(join(folder, 'reference.safetensors'))).get('merged')!;
    const pixels = (await readTensors(join(FIXTURES, from, 'reference.safetensors'))).get('pixels')!;
    const found = await resultOf(lora, pixels, want);
    expect(maxDifference(found, want) / Math.max(...want.data.map(Math.abs))).toBeLessThan(1e-5);
    const warnings = await warningsOf(lora);
    expect(warnings.map((w) => w.message)).toEqual([expect.stringMatching(said)]);
    expect(warnings[0]!.primary?.span.file).toBe('bypassed.peft');
  });

  test('is said of what is exported too, once; and of other modules nothing is said', async () => {
    const exported = async (s: TextSpec) =>
      (await exportAdapters(s, { host })).warnings.filter((w) => w.code === 'ESP1287').map((w) => w.message);
    expect(await exported(lora)).toEqual([expect.stringMatching(said)]);
    expect(await exported(spec(`adapt ${others} with lora(rank: 2)`))).toEqual([]);
  });
});

test('a layout says which modules these are by two names', () => {
  const variant = (entry: string) =>
    `use std\nvariant v = vit_auto(dim: 8) {\n  names mine {\n    ${entry}\n  }\n}\nmodel M {\n  base = v(depth: 1, heads: 1)\n}\n`;
  expect(codes(variant('bypassed "*.attn.qkv" = "q_bias"'))).toEqual([]);
  expect(codes(variant('bypassed "*.attn.qkv" = q_bias'))).toEqual(['ESP0101']);
});
