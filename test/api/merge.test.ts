/** Merged checkpoints: they load in the layout of the base and compute what the adapters did; what cannot be written is refused. */
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { relativeError } from '../../src/api/golden/rows.js';
import { type Merged, merge, writeMerged } from '../../src/api/index.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { Tensor } from '../../src/ir/types.js';
import {
  adapted,
  FIXTURES,
  failure,
  host,
  random,
  randomAdapter,
  readTensors,
  resultAsWritten,
  scratch,
  type TextSpec,
  vitSpec,
} from './support.js';

const folder = scratch();

async function written(spec: TextSpec, name: string): Promise<{ merged: Merged; path: string }> {
  const merged = await merge(spec, { host });
  const path = join(folder, name);
  await writeMerged(merged, path);
  return { merged, path };
}

describe('a merged checkpoint', () => {
  const pixels = { 'vit-shards': [2, 3, 24, 24], 'vit-grey': [2, 1, 20, 20], 'vit-odd': [1, 3, 30, 30] } as const;

  test.each<[keyof typeof pixels, string]>([
    ['vit-shards', 'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with karst(kernels: 2, rank: 2)'],
    ['vit-shards', 'base.blocks[*].attn.qkv.{q, v} with lora(rank: 3)'],
    ['vit-shards', 'base.blocks[*].{attn.qkv, mlp.fc1} with alore(experts: 4, rank: 2, bias: true)'],
    ['vit-shards', 'base.blocks[*].{norm1, attn.proj}, base.patch_embed, base.norm with ssf()'],
    ['vit-grey', 'base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2, rescale: none)'],
    ['vit-grey', 'base.blocks[*].mlp.fc1 with dora(rank: 2)'],
  ])('%s reloads with the logits of %s', async (vit, graft) => {
    const spec = await adapted(folder, vit, graft);
    const { merged, path } = await written(spec, `merged-${graft.replace(/\W+/g, '-')}`);
    expect(merged.layout).toBe('huggingface');
    expect(merged.changed.length).toBeGreaterThan(0);
    expect(readdirSync(path).sort()).toEqual(['config.json', 'model.safetensors', 'preprocessor_config.json']);
    const x = random('pixels', pixels[vit]);
    const want = await resultAsWritten(spec, x);
    expect(relativeError(want, await resultAsWritten(vitSpec(path), x))).toBeLessThan(1e-5);
    expect(relativeError(want, await resultAsWritten(vitSpec(vit), x)), 'the adapters matter').toBeGreaterThan(1e-3);
  });

  test('keeps the dtype, names and untouched tensors of the base', async () => {
    const spec = await adapted(folder, 'vit-odd', 'base.blocks[1].mlp.fc1 with lora(rank: 2)');
    const { merged, path } = await written(spec, 'merged-odd');
    const [before, after] = [
      await readTensors(join(FIXTURES, 'vit-odd', 'model.safetensors')),
      await readTensors(join(path, 'model.safetensors')),
    ];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    const differing = [...before].filter(
      ([name, t]) => !Buffer.from(t.data.buffer).equals(Buffer.from(after.get(name)!.data.buffer)),
    );
    expect(differing.map(([name]) => name)).toEqual(['vit.encoder.layer.1.intermediate.dense.weight']);
    expect(merged).toMatchObject({ tensors: after.size, changed: differing.map(([name]) => name) });
    // bfloat16 keeps eight bits.
    const x = random('pixels', pixels['vit-odd']);
    expect(relativeError(await resultAsWritten(spec, x), await resultAsWritten(vitSpec(path), x))).toBeLessThan(0.05);
  });

  test('counts what changed by the names of the layout: query and value, not the key that lies between them', async () => {
    const spec = await adapted(folder, 'vit-shards', 'base.blocks[*].attn.qkv.{q, v} with lora(rank: 3)');
    const { merged, path } = await written(spec, 'merged-parts');
    const names = [0, 1].flatMap((i) =>
      ['query', 'value'].map((p) => `vit.encoder.layer.${i}.attention.attention.${p}.weight`),
    );
    expect([...merged.changed].sort()).toEqual(names);
    expect(merged.tensors).toBe((await readTensors(join(path, 'model.safetensors'))).size);
  });

  test('holds a backbone of one’s own with layer scale, a constant factor and a table, whose values stay', async () => {
    const backbone = `backbone net() {
  fc1 = Linear(8 -> 16)
  fc2 = Linear(16 -> 8)
  gamma = param [8] ones
  wave = table(i < 16: 0.3 + i)
  forward(pixels: [b, 4, 8]) { pixels + gamma * fc2(0.5 * fc1(pixels) + wave) }
}`;
    const shapes = { 'fc1.weight': [16, 8], 'fc1.bias': [16], 'fc2.weight': [8, 16], 'fc2.bias': [8], gamma: [8] };
    const base = new Map(Object.entries(shapes).map(([name, shape]) => [`base.${name}`, random(name, shape)]));
    const file = join(folder, 'net.safetensors');
    writeFileSync(file, encodeSafetensors(new Map([...base].map(([n, t]) => [n, storeTensor(t)]))));
    const spec = (from: string, body = ''): TextSpec => ({
      text: `use std\n${backbone}\nmodel M {\n  base = net() from "${from}"\n  ${body}\n}\n`,
      path: 'm.peft',
    });
    const graft = 'adapt base.{fc1, fc2} with karst(kernels: 1, factor: 2, rank: 2)';
    const adapter = join(folder, 'net-adapter.safetensors');
    writeFileSync(adapter, encodeAdapter(await randomAdapter(spec(file, graft))));
    const adaptedSpec = spec(file, `${graft} from "${adapter}"`);
    const { merged, path } = await written(adaptedSpec, 'merged-net');
    expect([...merged.changed].sort()).toEqual(['fc1', 'fc2'].flatMap((l) => [`base.${l}.bias`, `base.${l}.weight`]));
    const after = await readTensors(join(path, 'model.safetensors'));
    expect([...after.keys()].sort()).toEqual([...base.keys()].sort());
    expect(after.get('base.gamma')!.data).toEqual(base.get('base.gamma')!.data);
    const x = random('pixels', [2, 4, 8]);
    const want = await resultAsWritten(adaptedSpec, x);
    expect(relativeError(want, await resultAsWritten(spec(join(path, 'model.safetensors')), x))).toBeLessThan(1e-5);
    expect(relativeError(want, await resultAsWritten(spec(file), x)), 'the adapters matter').toBeGreaterThan(1e-3);
  });

  test('keeps what the spec waives; a pattern that waives nothing is said, beside what does not fit as well', async () => {
    cpSync(join(FIXTURES, 'vit-odd'), join(folder, 'waived'), { recursive: true });
    const file = join(folder, 'waived', 'model.safetensors');
    const tensors = new Map([...(await readTensors(file))].map(([n, t]) => [n, storeTensor(t)]));
    const mask = storeTensor(random('mask', [1, 1, 4]));
    writeFileSync(file, encodeSafetensors(tensors.set('vit.embeddings.spare', mask)));
    const spec = (pattern: string) =>
      vitSpec(join(folder, 'waived'), `ignore "${pattern}"\n  adapt base.blocks[1].mlp.fc1 with lora(rank: 2)`);
    const { merged, path } = await written(spec('*.spare'), 'merged-waived');
    expect((await readTensors(join(path, 'model.safetensors'))).get('vit.embeddings.spare')).toEqual(
      random('mask', [1, 1, 4]),
    );
    expect(merged.warnings.map((d) => d.code)).not.toContain('ESP1294');
    expect(await failure(() => merge(spec('mask'), { host }))).toEqual({
      codes: ['ESP0510', 'ESP1294'],
      text: expect.stringMatching(/unexpected \(1\)[\s\S]*`ignore "mask"` matches no tensor of the files/),
    });
    // What the model takes is read all the same.
    const { warnings } = await merge(vitSpec('vit-odd', 'ignore "*.cls_token"'), { host });
    expect(warnings.filter((d) => d.code === 'ESP1294').map((d) => d.message)).toEqual([
      expect.stringContaining('such as vit.embeddings.cls_token'),
    ]);
  });

  test('has zeros where the spec prunes', async () => {
    const spec = vitSpec('vit-shards', 'prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%)');
    const { path } = await written(spec, 'merged-pruned');
    for (const i of [0, 1]) {
      const { data } = (await readTensors(join(path, 'model.safetensors'))).get(
        `vit.encoder.layer.${i}.intermediate.dense.weight`,
      )!;
      expect([...data].filter((v) => v === 0).length).toBe(data.length / 2);
    }
  });
});

/** An adapter file like the random one, with one of its numbers replaced. */
async function spoilt(graft: string, change: (tensors: Map<string, Tensor>) => void): Promise<TextSpec> {
  const tensors = await randomAdapter(vitSpec('vit-shards', `adapt ${graft}`));
  change(tensors);
  const file = join(folder, 'spoilt.safetensors');
  writeFileSync(file, encodeAdapter(tensors));
  return vitSpec('vit-shards', `adapt ${graft} from "${file}"`);
}

describe('refused, with nothing written', () => {
  const out = join(folder, 'refused');
  const refused = async (spec: TextSpec) => {
    const found = await failure(async () => writeMerged(await merge(spec, { host }), out));
    expect(existsSync(out)).toBe(false);
    return found;
  };
  const lora = 'base.blocks[*].mlp.fc1 with lora(rank: 2)';

  test('an adapter that cannot merge', async () => {
    const found = await refused(vitSpec('vit-shards', 'adapt base.blocks[*].mlp_branch with adaptformer(hidden: 4)'));
    expect(found.codes).toEqual(['ESP0401', 'ESP0911']);
    expect(found.text).toMatch(/relu stands in the way/);
  });

  test('a bias that the layout has no place for', async () => {
    const found = await refused(
      await adapted(folder, 'vit-grey', 'base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2)'),
    );
    expect(found.codes).toContain('ESP0911');
    expect(found.text).toMatch(/attn\.qkv.*a shift or a bias is added there, for which the base has no tensor/);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'an adapter that holds %s',
    async (value) => {
      const found = await refused(await spoilt(lora, (t) => (t.get('base.blocks.1.mlp.fc1@lora.B')!.data[3] = value)));
      expect(found.codes).toEqual(['ESP0518']);
      expect(found.text).toContain('base.blocks.1.mlp.fc1@lora.B');
    },
  );

  test('factors whose product is too large for f32', async () => {
    const found = await refused(
      await spoilt(lora, (t) => {
        for (const half of ['A', 'B']) t.get(`base.blocks.0.mlp.fc1@lora.${half}`)!.data.fill(1e30);
      }),
    );
    expect(
      found.codes.every((c) => ['ESP0919', 'ESP0404'].includes(c)),
      found.codes.join(),
    ).toBe(true);
    expect(found.text).toContain('base.blocks.0.mlp.fc1');
  });

  test('a base with infinite weights', async () => {
    const base = join(folder, 'infinite');
    cpSync(join(FIXTURES, 'vit-grey'), base, { recursive: true });
    const tensors = await readTensors(join(base, 'model.safetensors'));
    tensors.get('vit.encoder.layer.0.output.dense.weight')!.data[5] = Number.POSITIVE_INFINITY;
    writeFileSync(
      join(base, 'model.safetensors'),
      encodeSafetensors(new Map([...tensors].map(([n, t]) => [n, storeTensor(t)]))),
    );
    const found = await refused(vitSpec(base));
    expect(found.codes).toEqual(['ESP0518']);
    expect(found.text).toContain('base.blocks.0.mlp.fc2.weight');
  });

  test('a backbone without a checkpoint', async () => {
    const text =
      'use std\nmodel M {\n  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n  head = classify(base, classes: 2)\n}\n';
    expect((await refused({ text, path: 'm.peft' })).codes).toEqual(['ESP0918']);
  });
});
