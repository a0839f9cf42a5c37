/** `inspect` on the example, and `doctor`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { STAGES } from '../../src/api/compile.js';
import type { InspectedNode } from '../../src/api/index.js';
import { parseModule } from '../../src/ir/text/print.js';
import { scratch, vitSpec } from '../api/support.js';
import { expectFile } from '../golden.js';
import { cli, expectRefused, FASHION } from './support.js';

const folder = scratch();
const spec = join(FASHION, 'lora.peft');

describe('inspect', () => {
  test('prints the tree with shapes, adapters and the names in the checkpoint', async () => {
    const { code, out } = await cli('inspect', spec);
    expect(code).toBe(0);
    for (const line of [
      /qkv {2}Linear/,
      /\.weight \[384, 128\]\n +rows 0\.\.128 {2}<- .*attention\.query\.weight\n +rows 128\.\.256 {2}<- .*key\.weight/,
      /\.weight \[128, 128\] {2}<- .*attention\.output\.dense\.weight/,
      /\+ lora/,
      // PEFT's own names, each half of each pair.
      /\+ lora\n +\.A \[8, 128\] trained {2}<- base_model\.model\..*\.0\..*q_proj\.lora_A\.weight\n +\.B .*\.0\..*q_proj\.lora_B\.weight\n/,
      /fc {2}Linear/,
    ]) {
      expect(out).toMatch(line);
    }
  });

  test('prints what adapter files call their tensors, and says of a shared one that it is one', async () => {
    const { out } = await cli('inspect', join(FASHION, 'karst.peft'));
    expect(out).toContain('.A [2, 3, 4, 16] trained  <- base.blocks.2.attn.qkv@karst.A\n');
    const path = join(folder, 'shared.peft');
    const body = `adapt base.blocks[*].attn.qkv with fact_tt(rank: 2)
  adapt base.blocks[*].mlp_branch with adaptformer(hidden: 4)`;
    writeFileSync(path, vitSpec('vit-shards', body).text);
    const tied = await cli('inspect', path);
    // Both blocks name the one tensor; what each has for itself is not called shared.
    expect(tied.out.match(/\.U \[2, 32\] trained shared by 2 sites {2}<- base@fact_tt\.U\n/g)).toHaveLength(2);
    for (const i of [0, 1]) {
      expect(tied.out).toContain(`.core [2, 2] trained  <- base.blocks.${i}.attn.qkv@fact_tt.core\n`);
      expect(tied.out).toContain(
        `.down.weight [4, 32] trained  <- base.blocks.${i}.mlp_branch@adaptformer.down.weight\n`,
      );
    }
    const { out: json } = await cli('inspect', path, '--json');
    expect([...json.matchAll(/"shared": (\d+)/g)].map((m) => m[1])).toEqual(['2', '2', '2', '2']);
  });

  test('gives the same as JSON: shapes, what is pruned or trained, and where it comes from', async () => {
    const { code, out } = await cli('inspect', join(FASHION, 'karst.peft'), '--json');
    expect(code).toBe(0);
    const nodes: InspectedNode[] = [];
    const visit = (node: InspectedNode) => {
      nodes.push(node);
      node.children.forEach(visit);
    };
    visit(JSON.parse(out) as InspectedNode);
    const weight = (path: string) => nodes.find((n) => n.path === path)!.params.find((p) => p.name === 'weight')!;
    expect(weight('base.blocks[1].mlp.fc1')).toEqual({
      name: 'weight',
      param: 'base.blocks.1.mlp.fc1.weight',
      shape: [512, 128],
      trained: false,
      pruned: true,
      from: [{ tensor: 'vit.encoder.layer.1.intermediate.dense.weight' }],
    });
    expect(weight('head.fc')).toMatchObject({ shape: [10, 128], trained: true, pruned: false, from: [] });
    expect(weight('base.blocks[0].attn.qkv').from.map((f) => f.rows)).toEqual([
      [0, 128],
      [128, 256],
      [256, 384],
    ]);
    const fc1 = nodes.find((n) => n.path === 'base.blocks[1].mlp.fc1')!;
    expect(fc1.adapters.map((a) => [a.name, a.params.map((p) => p.name).sort()])).toEqual([
      ['karst', ['A', 'B', 'C', 's', 't']],
    ]);
  });

  test('prints any stage, and lists the stages', async () => {
    expect((await cli('inspect', spec, '--emit', 'help')).out.trim().split('\n')).toEqual(
      STAGES.map((s) => `after:${s}`),
    );
    const { out } = await cli('inspect', spec, '--emit', 'after:split');
    expect([...parseModule(out).funcs.keys()].sort()).toEqual(['infer', 'prepare']);
    expectRefused(await cli('inspect', spec, '--emit', 'after:lunch'), 2, 'ESP0904');
  });

  test('draws a picture that is XML', async () => {
    const path = join(folder, 'model.svg');
    expect((await cli('inspect', join(FASHION, 'karst.peft'), '--svg', path)).code).toBe(0);
    const svg = readFileSync(path, 'utf8');
    // sharp's renderer refuses XML that is not well formed, and draws nothing for an empty picture.
    const { channels } = await sharp(Buffer.from(svg)).stats();
    expect(channels[0]!.stdev).toBeGreaterThan(5);
    // README shows it.
    expectFile('docs/digits.svg', svg);
    expect(svg).toMatch(/karst/);
    expect(svg).toMatch(/4 × \(0 to 3\)/);
    // What passes between the boxes, the two residual connections of a block, and what the marks mean.
    for (const shape of ['1 × 28 × 28', '128 × 7 × 7', '50 × 384', '50 × 512', '10'])
      expect(svg).toContain(`class="shape">${shape}<`);
    expect(svg.match(/class="plus"/g)).toHaveLength(2);
    for (const words of [
      'karst: 19.5 k parameters at 16 sites',
      'trained: 1.3 k parameters',
      'pruned by magnitude 50%',
    ])
      expect(svg).toContain(words);
    const below = join(path, 'below-a-file.svg');
    expectRefused(await cli('inspect', spec, '--svg', below), 1, 'ESP0520');
  });
});

test('doctor names the driver, its limits and features', async () => {
  const text = await cli('doctor');
  expect(text.code).toBe(0);
  expect(text.out).toMatch(/subgroups +\d+ to \d+ lanes/);
  expect(text.out).toMatch(/maxBufferSize/);
  const { chosen } = JSON.parse((await cli('doctor', '--json')).out) as {
    chosen: { driver: string; limits: Record<string, number> };
  };
  expect(['system', 'lavapipe', 'swiftshader']).toContain(chosen.driver);
  expect(chosen.limits.maxBufferSize).toBeGreaterThanOrEqual(2 ** 28);
});
