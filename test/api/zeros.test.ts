/** Zeros as they are counted, against those in the files that are written. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HERE } from '../../examples/fashion/mnist.js';
import { type Compiled, compile, merge, type Spec, writeMerged } from '../../src/api/index.js';
import { describeCompiled } from '../../src/cli/summary.js';
import { tiles } from '../../src/codegen/buffers/layout.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { unpack } from '../codegen/unpack.js';
import { adapted, FIXTURES, host, readTensors, scratch, vitSpec } from './support.js';

const folder = scratch();

/** Zeros of every weight of a compiled folder, read from its files in the layout that kernels read. */
async function zerosInFiles({ program, files }: Compiled): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const name of program.weightFiles) {
    const { tensors } = await openSafetensors(memorySource(name, files.get(name) as Uint8Array));
    for (const { name: weight, dtype, shape, layout } of program.weights) {
      const entry = tensors.get(weight);
      if (!entry) continue;
      const bytes = (await entry.bytes!()).slice();
      const [n, k] = shape as [number, number];
      const data =
        layout === 'rows'
          ? new Float32Array(bytes.buffer).subarray(
              0,
              shape.reduce((a, b) => a * b, 1),
            )
          : unpack(bytes, tiles([n, k], 0), dtype as 'f32' | 'f16');
      found.set(
        weight,
        data.reduce((sum, v) => sum + Number(v === 0), 0),
      );
    }
  }
  return found;
}

async function compiled(spec: Spec, options: { adapters?: 'merged' | 'factored'; weights?: 'f16' } = {}) {
  const result = await compile(spec, { host, golden: false, ...options });
  const { zeros, flops, adapterShare } = result.program.summary;
  // What the summary says of each tensor is what its file holds.
  const inFiles = await zerosInFiles(result);
  for (const t of zeros?.tensors ?? []) {
    const shipped = inFiles.get(`${t.name}#prepared`) ?? inFiles.get(t.name);
    expect(t.zeros, t.name).toBe(shipped);
  }
  return { zeros, flops, adapterShare, said: describeCompiled(result, 'out') };
}

const fashion = (name: string): string => join(HERE, `${name}.peft`);

describe('a mask', () => {
  test('over the base is filled in by a merge, and this is said', async () => {
    const { zeros, said } = await compiled(fashion('karst'));
    expect(zeros).toMatchObject({ elements: 524_288, before: 262_144, zeros: 0, filled: 262_144 });
    expect(zeros!.tensors).toHaveLength(8);
    expect(said).toContain('0 of 524,288 weights (0.00%) are zero in 8 pruned tensors');
    expect(said).toContain(
      'merging filled in 262,144 of 262,144 zeros, in base.blocks.0.mlp.fc1.weight and 7 more; a mask `over: sum` keeps them',
    );
    // Nothing else of the backbone is zero.
    expect(zeros!.backbone).toEqual({ elements: 802_048, zeros: 0 });
    expect(said).toContain('0% of the multiplications are skipped');
  });

  test('over the base can be kept in two other ways, whose zeros and operations are those of such programs', async () => {
    const { ways, program, warnings } = await compile(fashion('karst'), { host, golden: false });
    const factored = await compiled(fashion('karst'), { adapters: 'factored' });
    const sparse = await compiled(fashion('karst-sparse'));
    expect(ways!.merged.zeros).toBe(program.summary.zeros!.zeros);
    expect(ways!.factored.zeros).toBe(factored.zeros!.zeros);
    expect(ways!.sum.zeros).toBe(sparse.zeros!.zeros);
    expect(sparse.zeros!.backbone).toEqual({ elements: 802_048, zeros: 262_144 });
    expect(sparse.said).toContain('of all 802,048 parameters of the backbone 262,144 (32.68%) are zero');
    // Kernels count a few operations that their fusion saves or adds.
    expect(ways!.merged.flops / program.summary.flops).toBeCloseTo(1, 1);
    expect(ways!.factored.flops / ways!.merged.flops).toBeCloseTo(factored.flops / program.summary.flops, 2);
    // The spec says `merged`, so nobody is asked.
    expect(warnings.map((w) => w.code)).not.toContain('ESP0407');
    const asked = await compile(fashion('karst'), { host, golden: false, adapters: 'auto' });
    expect(asked.warnings.map((w) => w.code)).toContain('ESP0407');
    const kept = await compile(fashion('karst-sparse'), { host, golden: false, adapters: 'auto' });
    expect(kept.ways).toBeUndefined();
    expect(kept.warnings.map((w) => w.code)).not.toContain('ESP0407');
  });

  test('is counted once, in what multiplies, where each load prepares it', async () => {
    for (const name of ['karst', 'karst-sparse']) {
      const [now, later] = await Promise.all(
        (['cpu', 'load'] as const).map((prepare) => compile(fashion(name), { host, golden: false, prepare })),
      );
      expect(later!.program.summary.zeros, name).toEqual(now!.program.summary.zeros);
    }
  });

  test('over the base keeps its zeros where the adapter stays in factors', async () => {
    const { zeros, flops, adapterShare, said } = await compiled(fashion('karst'), { adapters: 'factored' });
    expect(zeros).toMatchObject({ before: 262_144, zeros: 262_144, filled: 0 });
    // What that costs: the work beyond the merged program's, which is that of the plain ViT.
    const merged = await compiled(fashion('karst'), { adapters: 'merged' });
    expect(adapterShare).toBeCloseTo(1 - merged.flops / flops, 2);
    expect(said).toMatch(/beside their layers they take 8\.\d\d% of the work/);
    expect(merged.adapterShare).toBeUndefined();
    expect(said).toContain('262,144 of 524,288 weights (50.00%) are zero in 8 pruned tensors');
    expect(said).not.toContain('filled');
  });

  test('over the sum keeps as many zeros as PyTorch has in the masked sum', async () => {
    const { zeros } = await compiled(fashion('karst-sparse'));
    expect(zeros).toMatchObject({ before: 262_144, zeros: 262_144, filled: 0 });
    const { metadata } = await openSafetensors(
      memorySource('reference', readFileSync(join(HERE, 'reference', 'karst-sparse.safetensors'))),
    );
    const torch = JSON.parse(metadata.merged_zeros!) as Record<string, number>;
    for (const { name, zeros: n } of zeros!.tensors) expect(n, name).toBe(torch[name.replace(/\.weight$/, '')]);
  });
});

/** The checkpoint of a fixture with the smallest half of each MLP weight's groups of four (or of all) set to zero, in a folder of its own. */
async function sparseBase(pattern: '2:4' | 'unstructured'): Promise<string> {
  const path = join(folder, `base-${pattern.replace(':', '-')}`);
  cpSync(join(FIXTURES, 'vit-odd'), path, { recursive: true });
  const tensors = await readTensors(join(path, 'model.safetensors'));
  for (const [name, { data }] of tensors) {
    if (!/(intermediate|\d\.output)\.dense\.weight$/.test(name)) continue;
    const group = pattern === '2:4' ? 4 : data.length;
    for (let at = 0; at < data.length; at += group) {
      const part = data.subarray(at, at + group);
      const order = [...part.keys()].sort((i, j) => Math.abs(part[i]!) - Math.abs(part[j]!));
      for (const i of order.slice(0, group / 2)) part[i] = 0;
    }
  }
  writeFileSync(
    join(path, 'model.safetensors'),
    encodeSafetensors(new Map([...tensors].map(([name, t]) => [name, storeTensor(t, 'BF16')])), { format: 'pt' }),
  );
  return path;
}

describe.each(['2:4', 'unstructured'] as const)('a base that arrives sparse (%s)', (pattern) => {
  test('is noticed, without adapters too', async () => {
    const { zeros, said } = await compiled(vitSpec(await sparseBase(pattern)));
    expect(zeros!.tensors.map((t) => [t.name, t.arrived, t.mask, t.zeros / t.elements])).toEqual(
      [0, 1, 2].flatMap((i) =>
        ['fc1', 'fc2'].map((fc) => [`base.blocks.${i}.mlp.${fc}.weight`, pattern, undefined, 0.5]),
      ),
    );
    expect(zeros!.filled).toBe(0);
    expect(said).toContain(`(50.00%) are zero in 6 tensors that arrived sparse (${pattern})`);
  });

  test('has its zeros filled in where an adapter merges, and nowhere else', async () => {
    const spec = await adapted(folder, await sparseBase(pattern), 'base.blocks[1].mlp.fc1 with lora(rank: 2)');
    const { zeros, said } = await compiled(spec, { adapters: 'merged' });
    for (const t of zeros!.tensors) {
      expect(t.before, t.name).toBe(t.elements / 2);
      expect(t.zeros, t.name).toBe(t.name === 'base.blocks.1.mlp.fc1.weight' ? 0 : t.elements / 2);
    }
    expect(said).toMatch(/merging filled in ([\d,]+) of \1 zeros, in base\.blocks\.1\.mlp\.fc1\.weight; a mask/);
    expect((await compiled(spec, { adapters: 'factored' })).zeros).toMatchObject({ filled: 0 });
  });

  test('keeps them under a scale', async () => {
    const spec = await adapted(folder, await sparseBase(pattern), 'base.blocks[*].mlp.fc1 with ssf()');
    const { zeros } = await compiled(spec, { adapters: 'merged' });
    expect(zeros).toMatchObject({ before: zeros!.elements / 2, zeros: zeros!.elements / 2, filled: 0 });
  });

  test('and `merge` says how many it wrote', async () => {
    const spec = await adapted(folder, await sparseBase(pattern), 'base.blocks[0].mlp.fc2 with lora(rank: 2)');
    const merged = await merge(spec, { host });
    const out = join(folder, `merged-${pattern.replace(':', '-')}`);
    await writeMerged(merged, out);
    const written = await readTensors(join(out, 'model.safetensors'));
    for (const { name, zeros } of merged.zeros!.tensors) {
      const [, i, fc] = /blocks\.(\d)\.mlp\.fc(\d)/.exec(name)!;
      const { data } = written.get(`vit.encoder.layer.${i}.${fc === '1' ? 'intermediate' : 'output'}.dense.weight`)!;
      expect(zeros, name).toBe([...data].filter((v) => v === 0).length);
      expect(zeros, name).toBe(name === 'base.blocks.0.mlp.fc2.weight' ? 0 : data.length / 2);
    }
    expect(merged.zeros!.filled).toBe(merged.zeros!.tensors.find((t) => t.zeros === 0)!.before);
  });
});

test('zeros that f16 storage makes of small weights are counted', async () => {
  const spec = vitSpec('vit-shards', 'prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 25%)');
  const path = join(folder, 'tiny-weights');
  cpSync(join(FIXTURES, 'vit-odd'), path, { recursive: true });
  const tensors = await readTensors(join(path, 'model.safetensors'));
  for (const [name, { data }] of tensors) {
    if (name.endsWith('0.intermediate.dense.weight')) for (let i = 0; i < data.length; i++) data[i]! *= 1e-8;
  }
  writeFileSync(
    join(path, 'model.safetensors'),
    encodeSafetensors(new Map([...tensors].map(([name, t]) => [name, storeTensor(t)])), { format: 'pt' }),
  );
  const small = { ...spec, text: spec.text.replace(join(FIXTURES, 'vit-shards'), path) };
  const [f32, f16] = [await compiled(small), await compiled(small, { weights: 'f16' })];
  const first = (zeros: typeof f32.zeros) => zeros!.tensors.find((t) => t.name === 'base.blocks.0.mlp.fc1.weight')!;
  expect(first(f32.zeros).zeros).toBe(first(f32.zeros).elements / 4);
  expect(first(f16.zeros).zeros).toBe(first(f16.zeros).elements);
});

test('a dense base without masks has no such row', async () => {
  const { zeros, said } = await compiled(vitSpec('vit-grey', 'adapt base.blocks[*].attn.proj with lora(rank: 2)'));
  expect(zeros).toBeUndefined();
  expect(said).not.toContain('zero');
});
