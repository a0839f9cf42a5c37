/** A merged program is the plain backbone's program with other weights; a factored one never holds the product of its factors. */
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { relativeError } from '../../src/api/golden/rows.js';
import { type Compiled, compile } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { generate } from '../../src/codegen/generate.js';
import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { rootsOf, topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Module, Value } from '../../src/ir/types.js';
import { adapted, host, infer, random, resultAsWritten, scratch, VITS, vitSpec } from './support.js';

const folder = scratch();

const kernelsOf = ({ files }: Compiled) => new Map([...files].filter(([name]) => name.endsWith('.wgsl')));
const dispatchesOf = ({ program }: Compiled) =>
  program.entries[0]!.dispatches.map((d) => [program.kernels[d.kernel]!.name, d.workgroups]);

const GRAFTS = [
  'base.blocks[*].{attn.qkv, attn.proj, mlp.fc1, mlp.fc2} with karst(kernels: 2, rank: 2)',
  'base.blocks[*].attn.qkv with karst(kernels: 3, factor: 4, rank: 1, rescale: none)',
  'base.blocks[*].{attn.qkv, mlp.fc1} with alore(experts: 4, rank: 2)',
  'base.blocks[*].attn.qkv.{q, v} with lora(rank: 2, alpha: 4)',
  'base.blocks[*].attn.qkv.v with karst(kernels: 2, factor: 4, rank: 2, rescale: none)',
  'base.blocks[*].{norm1, norm2, attn.proj, mlp.fc1, mlp.fc2}, base.patch_embed with ssf()',
];

describe.each(VITS)('%s', (vit) => {
  test.each(GRAFTS)('merged has the kernels of the plain backbone: %s', async (graft) => {
    // Its qkv layers have no bias, so a rescaling makes one there: the next test.
    const shifts = vit === 'vit-grey' && /attn\.qkv.*karst\(kernels: 2, rank: 2\)/.test(graft);
    const sites = shifts ? graft.replace('attn.qkv, ', '') : graft;
    const plain = await compile(vitSpec(vit), { host });
    const merged = await compile(await adapted(folder, vit, sites), { host, adapters: 'merged' });
    expect(merged.report.length).toBeGreaterThan(1);
    expect(merged.report.filter((a) => a.state !== 'merged')).toEqual([]);
    expect([...kernelsOf(merged)]).toEqual([...kernelsOf(plain)]);
    expect(dispatchesOf(merged)).toEqual(dispatchesOf(plain));
    expect(merged.warnings).toEqual([]);
    // The weights are other ones: the adapters are not just dropped.
    const weights = ({ files }: Compiled) => Buffer.from(files.get('weights.safetensors')!);
    expect(weights(merged).equals(weights(plain))).toBe(false);
    expect(weights(merged).length).toBeLessThan(weights(plain).length * 1.02);
  });
});

test('a shift on a layer without a bias makes one, and says so', async () => {
  const spec = await adapted(folder, 'vit-grey', 'base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2)');
  const [plain, merged] = [await compile(vitSpec('vit-grey'), { host }), await compile(spec, { host })];
  expect(merged.warnings.map((d) => [d.code, d.severity, d.message])).toEqual([
    ['ESP0402', 'note', 'merging gives a bias to base.blocks[0].attn.qkv and 1 more, which had none'],
  ]);
  expect(dispatchesOf(merged)).toHaveLength(dispatchesOf(plain).length);
});

/** Everything computed from parameters alone, one of them an adapter's, that is as large as the weight of the layer. */
function products(module: Module, size: number): Value[] {
  const ofAdapter = new Map<Value, boolean>();
  const found: Value[] = [];
  for (const func of module.funcs.values()) {
    for (const v of topological(rootsOf(func))) {
      const prepared = v.op === 'param' && module.params.get(v.attrs.name)?.role === 'prepared';
      const own = v.op === 'param' && (v.attrs.name.includes('@') || prepared);
      const mine = own || v.inputs.some((x) => ofAdapter.get(x));
      ofAdapter.set(v, mine);
      if (mine && v.op !== 'param' && !dependsOnInput(v) && sizeOf(v.type.shape) >= size) found.push(v);
    }
  }
  return found;
}

describe('factored', () => {
  // Sizes of vit-shards: qkv [96, 32], fc1 [64, 32].
  const graft = 'base.blocks[*].{attn.qkv, mlp.fc1} with karst(kernels: 2, rank: 2)';
  const smallest = 64 * 32;

  test('materialises no Kronecker product, neither once nor in each run', async () => {
    const spec = await adapted(folder, 'vit-shards', graft);
    const factored = await compile(spec, { host, adapters: 'factored' });
    const merged = await compile(spec, { host, adapters: 'merged' });
    expect(factored.report.map((a) => a.state)).toEqual(factored.report.map(() => 'factored'));
    // The search finds the products of the merged program, so finding none means something.
    expect(products(merged.module, smallest).length).toBeGreaterThanOrEqual(4);
    expect(products(factored.module, smallest)).toEqual([]);
    const fromAdapters = factored.program.weights.filter((w) => w.name.includes('@'));
    expect(fromAdapters.length).toBeGreaterThan(0);
    for (const w of fromAdapters) expect(sizeOf(w.shape), w.name).toBeLessThan(smallest);
    const { memory } = generate(factored.module, {
      name: 'f',
      compiler: 'x',
      weights: 'f32',
    });
    const shapes = memory.samples.tenants.map((t) => t.shape.join());
    expect(shapes.length).toBeGreaterThan(10);
    for (const [out, from] of [
      [96, 32],
      [64, 32],
    ]) {
      expect(shapes).not.toContain(`${out},${from}`);
      expect(shapes).not.toContain(`${from},${out}`);
    }
  });

  test('gives the same logits as merged and as written', async () => {
    const spec = await adapted(folder, 'vit-shards', graft);
    const pixels = random('pixels', [1, 3, 24, 24]);
    const written = await resultAsWritten(spec, pixels);
    const { get } = await loadParameters(await analyseModel(spec, { host }));
    for (const adapters of ['factored', 'merged', 'auto'] as const) {
      const module = (await compile(spec, { host, adapters })).module;
      expect(relativeError(written, infer(module, pixels, get)), adapters).toBeLessThan(1e-9);
    }
    const plain = (await analyseModel(vitSpec('vit-shards'), { host })).elaborated.module;
    const bare = interpret(plain, 'infer', { inputs: new Map([['pixels', pixels]]), params: get }).get('logits')!;
    expect(relativeError(written, bare.data), 'the adapters matter').toBeGreaterThan(0.01);
  });
});
