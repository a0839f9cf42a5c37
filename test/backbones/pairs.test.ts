/**
 * Every backbone of the library with LoRA and KARST: each pair is compiled in a tiny size, with random adapters, and its merge compared; docs/backbones.md is the
 * table of that, with what each adapter adds to a published size.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/api/index.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { host, randomAdapter, scratch, type TextSpec } from '../api/support.js';
import { good } from '../dsl/semantics/helper.js';
import { expectFile } from '../golden.js';

/** A published size, one that is tiny, and the layers that adapters are put on. */
const BACKBONES: readonly (readonly [name: string, published: string, tiny: string, sites: string])[] = [
  [
    'ViT',
    'vit_base_patch16()',
    'vit_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'DeiT',
    'deit_base_patch16()',
    'deit_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'DINOv2',
    'dinov2_base()',
    'dinov2_auto(image: 8, table_image: 12, patch: 4, dim: 16, depth: 1, heads: 2)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'DINOv2 with registers, giant',
    'dinov2_registers_giant()',
    'dinov2_registers_auto(image: 8, table_image: 12, patch: 4, dim: 16, depth: 1, heads: 2, registers: 2, swiglu: true)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}',
  ],
  [
    'BEiT',
    'beit_base_patch16_224()',
    'beit_auto(image: 8, table_image: 12, patch: 4, dim: 16, depth: 1, heads: 2)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'DINOv3',
    'dinov3_base()',
    'dinov3_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, registers: 2)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'DINOv3, huge plus',
    'dinov3_huge_plus()',
    'dinov3_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, registers: 2, gated: true)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}',
  ],
  [
    'EVA-02',
    'eva02_base_patch14()',
    'eva02_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, mlp_norm: true, rotary_grid: 3)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.w12, mlp.w3}',
  ],
  [
    'CLIP',
    'clip_vit_base_patch16()',
    'clip_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, table_image: 12)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'SigLIP',
    'siglip_base_patch16_224()',
    'siglip_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, table_image: 12)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'SigLIP 2 (NaFlex)',
    'siglip2_naflex_auto(dim: 768, depth: 12, heads: 12)',
    'siglip2_naflex_auto(image: 8, patch: 4, dim: 16, depth: 1, heads: 2, table_places: 9)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'Swin',
    'swin_base()',
    'swin_auto(image: 12, patch: 2, dim0: 8, depths: [2, 1], heads: [1, 2], table_window: 4, window: 3)',
    'base.stages[*].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'Swin V2',
    'swinv2_base_window8_256()',
    'swinv2_auto(image: 12, patch: 2, dim0: 8, depths: [2, 1], heads: [1, 2], window: 3)',
    'base.stages[*].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'ConvNeXt',
    'convnext_base()',
    'convnext_auto(image: 16, dims: [8, 16], depths: [1, 1])',
    'base.stages[*].blocks[*].{pwconv1, pwconv2}',
  ],
  [
    'DINOv3, ConvNeXt',
    'dinov3_convnext_base()',
    'dinov3_convnext_auto(image: 16, dims: [8, 16], depths: [1, 1])',
    'base.stages[*].blocks[*].{pwconv1, pwconv2}',
  ],
  [
    'ConvNeXt V2',
    'convnextv2_base()',
    'convnextv2_auto(image: 16, dims: [8, 16], depths: [1, 1])',
    'base.stages[*].blocks[*].{pwconv1, pwconv2}',
  ],
  [
    'TinyViT',
    'tiny_vit_21m()',
    'tiny_vit(image: 64, dims: [8, 16], depths: [1, 1], heads: [1, 2], windows: [2, 2], strides: [1, 2])',
    'base.stages[1..].blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2}',
  ],
  [
    'AS-MLP',
    'as_mlp_base()',
    'as_mlp_auto(image: 16, dim0: 8, depths: [1, 1])',
    'base.stages[*].blocks[*].{axial_shift.conv1, axial_shift.conv2_1, axial_shift.conv2_2, axial_shift.conv3, mlp.fc1, mlp.fc2}',
  ],
  [
    "SAM's image encoder",
    'sam_vit_base()',
    'sam_auto(image: 16, patch: 4, dim: 16, depth: 2, heads: 2, window: 3, global_blocks: [1], table_image: 24, features: 8)',
    'base.blocks[*].{attn.qkv, attn.proj, mlp.lin1, mlp.lin2}',
  ],
];

/** LoRA of PEFT's usual rank, and KARST as its code has it for ViT-B/16, which fits any width. */
const ADAPTERS = [
  ['LoRA, rank 8', 'lora(rank: 8)', 'lora(rank: 2)'],
  ['KARST, 2 kernels, rank 8', 'karst(kernels: 2, rank: 8)', 'karst(kernels: 2, rank: 2, factor: 2)'],
] as const;

const spec = (base: string, body: string): TextSpec => ({
  text: `use std\nmodel M {\n  base = ${base}\n${body}\n}\n`,
  path: 'pair.peft',
});
const count = (n: number): string => n.toLocaleString('en-US');

/** Parameters of the backbone, sites, and parameters of adapters on them, in a published size. */
function added(base: string, sites: string, adapter: string) {
  const { module, adapters } = good(
    `use std\nmodel M {\n  base = ${base} from "./weights"\n  adapt ${sites} with ${adapter}\n}\n`,
  );
  const sizes = [...module.params.values()].map((p) => [p.role, sizeOf(p.type.shape)] as const);
  const of = (role: string) => sizes.filter(([r]) => r === role).reduce((sum, [, n]) => sum + n, 0);
  return { frozen: of('frozen'), trained: of('trainable'), sites: adapters.length };
}

describe('every backbone with every adapter', () => {
  const folder = scratch();
  const rows = new Map<string, string[]>();

  test.each(BACKBONES)('%s', async (name, published, tiny, sites) => {
    const cells: string[] = [];
    for (const [i, [, large, small]] of ADAPTERS.entries()) {
      const graft = `  adapt ${sites} with ${small}`;
      const file = join(folder, `${name}-${i}.safetensors`.replaceAll(/[^\w.-]/g, '-'));
      writeFileSync(file, encodeAdapter(await randomAdapter(spec(tiny, graft))));
      const { report, check } = await compile(spec(tiny, `${graft} from "${file}"`), { host });
      expect(report.length).toBeGreaterThan(0);
      expect(report.map((a) => a.state)).toEqual(report.map(() => 'merged'));
      expect(check.layers.layers).toBeGreaterThan(0);
      const { frozen, trained, sites: places } = added(published, sites, large);
      if (i === 0) cells.push(`\`${published.replace(/\(.*/, '')}\``, count(frozen), String(places));
      cells.push(`${count(trained)} (${((100 * trained) / frozen).toFixed(2)}%)`, 'yes');
    }
    rows.set(name, cells);
  });

  test('the table is fresh', () => {
    expect(rows.size).toBe(BACKBONES.length);
    const columns = ['backbone', 'size', 'parameters', 'layers', ...ADAPTERS.flatMap(([title]) => [title, 'merges'])];
    const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
    const table = [
      line(columns),
      line(columns.map(() => '---')),
      ...[...rows].map(([n, cells]) => line([n, ...cells])),
    ];
    expect(readFileSync('README.md', 'utf8'), 'the table of docs/backbones.md').toContain(table.join('\n'));
    expectFile(
      'docs/backbones.md',
      `# Backbones and adapters\n\nWritten by \`test/backbones/pairs.test.ts\`, which compiles each pair in a tiny size and compares each merged layer (\`UPDATE_GOLDEN=1\` writes it again).\nAdapters are on every linear layer of the blocks: queries, keys and values, what follows attention, and both layers of the MLP.\n\n${table.join('\n')}\n`,
    );
  });
});
