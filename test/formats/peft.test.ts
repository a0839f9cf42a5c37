/** Adapter folders of the library peft: their tensors under our names, with the update that peft would apply. */
import { describe, expect, test } from 'vitest';
import { loadSources, openCheckpoint } from '../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { SourceLike } from '../../src/formats/types.js';
import { Waivers } from '../../src/formats/waivers.js';
import type { Tensor, TensorType } from '../../src/ir/types.js';
import { memoryFolder } from '../folders.js';
import { DIM, filled, folder, module, NAMES, pair, SITES } from './peft-folders.js';

/** Loads A and B for the sites and returns scale · B A for each. */
async function updates(where: ReturnType<typeof folder>, sites: string[], rows = DIM): Promise<Map<string, number[]>> {
  const c = await openCheckpoint(where);
  expect(c.kind).toBe('peft');
  const { rank, alpha, rslora } = c.facts.options as { rank: number; alpha: number; rslora: boolean };
  const params = sites.flatMap((s) => [`${s}@mine.A`, `${s}@mine.B`]);
  const types = new Map<string, TensorType>(
    params.map((p) => [p, { dtype: 'f32', shape: p.endsWith('A') ? [rank, DIM] : [rows, rank] }]),
  );
  const adapters = sites.map((site) => ({ site, params: { A: `${site}@mine.A`, B: `${site}@mine.B` } }));
  const loaded = await loadSources([{ location: 'lora', kind: 'adapter', params, adapters, layouts: {} }], c, {
    types,
    names: NAMES,
  });
  return new Map(
    sites.map((s) => {
      const A = loaded.get(`${s}@mine.A`)!.data;
      const B = loaded.get(`${s}@mine.B`)!.data;
      return [s, product(A, B, rank, rslora ? alpha / Math.sqrt(rank) : alpha / rank, rows)];
    }),
  );
}

function product(A: ArrayLike<number>, B: ArrayLike<number>, rank: number, scale: number, rows = DIM): number[] {
  const out: number[] = [];
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < DIM; i++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += B[o * rank + r]! * A[r * DIM + i]!;
      out.push(scale * sum);
    }
  }
  return out;
}
const expectClose = (actual: number[], expected: number[]): void => {
  for (const [i, e] of expected.entries()) expect(actual[i]!).toBeCloseTo(e, 5);
};

describe('names', () => {
  test('of a layout’s modules are our sites, row parts in order', () => {
    const qkv = (i: number) => ({
      site: `base.blocks.${i}.attn.qkv`,
      parts: ['q', 'k', 'v'].map((p) => `base.blocks.${i}.attn.qkv.${p}`),
    });
    expect(SITES.get(module(0, 'query'))).toMatchObject({ site: 'base.blocks.0.attn.qkv.q', of: qkv(0) });
    expect(SITES.get(module(1, 'value'))).toMatchObject({ site: 'base.blocks.1.attn.qkv.v', of: qkv(1) });
    expect(SITES.get('vit.encoder.layer.1.intermediate.dense')).toMatchObject({ site: 'base.blocks.1.mlp.fc1' });
  });
});

describe('the update', () => {
  test('is alpha / r · B A, as the tensors are', async () => {
    const q = pair(2, 1);
    const got = await updates(folder({}, { [module(0, 'query')]: q }), ['base.blocks.0.attn.qkv.q']);
    expectClose(got.get('base.blocks.0.attn.qkv.q')!, product(q[0].data, q[1].data, 2, 3));
  });

  test('is alpha / sqrt(r) · B A with use_rslora', async () => {
    const q = pair(2, 1);
    const got = await updates(folder({ use_rslora: true }, { [module(0, 'query')]: q }), ['base.blocks.0.attn.qkv.q']);
    expectClose(got.get('base.blocks.0.attn.qkv.q')!, product(q[0].data, q[1].data, 2, 6 / Math.SQRT2));
  });

  test('a pattern that matches no module is said', async () => {
    const config = { rank_pattern: { value: 3, qurey: 2 }, alpha_pattern: { 'layer.7.*': 10 } };
    const c = await openCheckpoint(
      folder({ ...config, target_modules: ['value'] }, { [module(0, 'value')]: pair(3, 2) }),
    );
    expect(c.warnings.map((w) => [w.code, w.severity, w.message])).toEqual([
      [
        'ESP1284',
        'warning',
        'lora/adapter_config.json: rank_pattern names modules that the folder does not adapt: qurey',
      ],
      [
        'ESP1284',
        'warning',
        'lora/adapter_config.json: alpha_pattern names modules that the folder does not adapt: layer.7.*',
      ],
    ]);
  });

  test('keeps every module’s own rank and scale when patterns give them', async () => {
    const [q, v, last] = [pair(2, 1), pair(3, 2), pair(1, 3)];
    const config = {
      rank_pattern: { value: 3, '^vit.encoder.layer.1.*.query': 1 },
      alpha_pattern: { 'attention.value': 10 },
    };
    const got = await updates(
      folder(config, { [module(0, 'query')]: q, [module(0, 'value')]: v, [module(1, 'query')]: last }),
      ['base.blocks.0.attn.qkv.q', 'base.blocks.0.attn.qkv.v', 'base.blocks.1.attn.qkv.q'],
    );
    expectClose(got.get('base.blocks.0.attn.qkv.q')!, product(q[0].data, q[1].data, 2, 3));
    expectClose(got.get('base.blocks.0.attn.qkv.v')!, product(v[0].data, v[1].data, 3, 10 / 3));
    expectClose(got.get('base.blocks.1.attn.qkv.q')!, product(last[0].data, last[1].data, 1, 6));
  });

  describe('of a layer that the folder has in parts', () => {
    const QKV = 'base.blocks.0.attn.qkv';
    const of = (pairs: readonly (readonly [string, [Tensor, Tensor]])[], config = {}) =>
      folder(config, Object.fromEntries(pairs.map(([part, p]) => [module(0, part), p])));
    const [A] = pair(2, 1);
    const parts = ['query', 'key', 'value'].map((part, i) => [part, [A, pair(2, 10 * i)[1]]] as const) as (readonly [
      string,
      [Tensor, Tensor],
    ])[];

    test('is the parts’ rows in the order of the layer’s, whatever the folder’s order, each by its scale', async () => {
      const got = await updates(of(parts.toReversed(), { alpha_pattern: { key: 3 } }), [QKV], 3 * DIM);
      const expected = parts.flatMap(([part, [a, b]]) => product(a.data, b.data, 2, part === 'key' ? 1.5 : 3));
      expectClose(got.get(QKV)!, expected);
    });

    test('is each part’s own where the parts are wanted', async () => {
      const apart = parts.map(([part], i) => [part, pair(2, 7 * i + 1)] as const);
      const sites = ['q', 'k', 'v'].map((p) => `${QKV}.${p}`);
      const got = await updates(of(apart), sites);
      for (const [i, [, [a, b]]] of apart.entries()) expectClose(got.get(sites[i]!)!, product(a.data, b.data, 2, 3));
    });

    test.each([
      ['each has an A of its own', of(parts.map(([part], i) => [part, pair(2, i)] as const))],
      ['no other part of it', of(parts.slice(0, 2))],
      ['no other part of it', of(parts.slice(2))],
      ['their ranks differ', of([...parts.slice(0, 2), ['value', pair(3, 1)]], { rank_pattern: { value: 3 } })],
    ])('is refused where it is none: %s', async (why, where) => {
      const refused = updates(where, [QKV], 3 * DIM);
      await expect(refused).rejects.toMatchObject({ diagnostics: [{ code: 'ESP0523' }] });
      await expect(refused).rejects.toThrow(why);
      await expect(refused).rejects.toThrow(/query|value/);
    });
  });

  test('is found under the names that transformers 5 and older versions of peft write', async () => {
    const q = pair(2, 1);
    const got = await updates(folder({ rank_pattern: { q_proj: 2 } }, { 'vit.layers.0.attention.q_proj': q }), [
      'base.blocks.0.attn.qkv.q',
    ]);
    expectClose(got.get('base.blocks.0.attn.qkv.q')!, product(q[0].data, q[1].data, 2, 3));
    const old = memoryFolder('old', {
      'adapter_config.json': '{"peft_type":"LORA","r":2}',
      'adapter_model.safetensors': encodeSafetensors(
        new Map([
          [`base_model.model.${module(0, 'query')}.lora_A.default.weight`, storeTensor(q[0])],
          [`base_model.model.${module(0, 'query')}.lora_B.default.weight`, storeTensor(q[1])],
        ]),
      ),
    });
    const c = await openCheckpoint(old);
    expect([...c.peft!.pairs.keys()]).toEqual([module(0, 'query')]);
    expect(c.facts.options).toEqual({ rank: 2, alpha: 8, rslora: false });
  });
});

test('a pair that is there under two names is refused', async () => {
  const twice = folder({}, { 'vit.layers.0.attention.q_proj': pair(2, 1), [module(0, 'query')]: pair(2, 2) });
  await expect(updates(twice, ['base.blocks.0.attn.qkv.q'])).rejects.toThrow(
    /ESP0503.*is there twice, under other names/,
  );
});

describe('saved modules', () => {
  const tune: SourceLike = { location: 'lora', kind: 'tune', params: ['head.fc.weight', 'head.fc.bias'], layouts: {} };
  const adapter: SourceLike = {
    location: 'lora',
    kind: 'adapter',
    params: ['base.blocks.0.attn.qkv.q@mine.A', 'base.blocks.0.attn.qkv.q@mine.B'],
    adapters: [
      {
        site: 'base.blocks.0.attn.qkv.q',
        params: { A: 'base.blocks.0.attn.qkv.q@mine.A', B: 'base.blocks.0.attn.qkv.q@mine.B' },
      },
    ],
    layouts: {},
  };
  const types = new Map<string, TensorType>([
    ['head.fc.weight', { dtype: 'f32', shape: [3, DIM] }],
    ['head.fc.bias', { dtype: 'f32', shape: [3] }],
    [adapter.params[0]!, { dtype: 'f32', shape: [2, DIM] }],
    [adapter.params[1]!, { dtype: 'f32', shape: [DIM, 2] }],
  ]);
  const bias: Tensor = { type: { dtype: 'f32', shape: [3] }, data: Float32Array.of(1, 2, 3) };
  const where = () =>
    folder(
      { modules_to_save: ['classifier'] },
      { [module(0, 'query')]: pair(2, 1) },
      { 'classifier.weight': filled([3, DIM], 9), 'classifier.bias': bias },
    );

  test('are the head that is tuned', async () => {
    const loaded = await loadSources([adapter, tune], await openCheckpoint(where()), { types, names: NAMES });
    expect(loaded.get('head.fc.bias')).toEqual(bias);
    expect(loaded.get('head.fc.weight')!.data).toEqual(filled([3, DIM], 9).data);
  });

  test('that nobody takes are unexpected, not lost', async () => {
    await expect(loadSources([adapter], await openCheckpoint(where()), { types, names: NAMES })).rejects.toThrow(
      /ESP0510[\s\S]*unexpected \(2\)[\s\S]*classifier\.bias/,
    );
  });

  test('that are wanted and not there are missing', async () => {
    const bare = folder({}, { [module(0, 'query')]: pair(2, 1) });
    await expect(loadSources([adapter, tune], await openCheckpoint(bare), { types, names: NAMES })).rejects.toThrow(
      /missing \(2\)[\s\S]*head\.fc\.weight \[3, 4\]/,
    );
  });

  test('a module that the spec does not adapt, and one that the model does not have', async () => {
    const two = folder({}, { [module(0, 'query')]: pair(2, 1), [module(1, 'query')]: pair(2, 2) });
    await expect(loadSources([adapter], await openCheckpoint(two), { types, names: NAMES })).rejects.toThrow(
      /unexpected \(2\):\n\s+base_model\.model\.vit\.encoder\.layer\.1\.attention\.attention\.query\.lora_A\.weight/,
    );
    // The half that is on another encoder is left out where the spec says so; what is on this one is still unexpected.
    const both = folder({}, { [module(0, 'query')]: pair(2, 1), 'text_model.layers.0.q_proj': pair(2, 2) });
    await expect(loadSources([adapter], await openCheckpoint(both), { types, names: NAMES })).rejects.toThrow(
      /ESP0514[\s\S]*text_model\.layers\.0\.q_proj/,
    );
    const waivers = new Waivers(['text_model.*']);
    const context = { types, names: NAMES, waivers };
    expect([...(await loadSources([adapter], await openCheckpoint(both), context)).keys()]).toEqual(adapter.params);
    expect(waivers.results()).toMatchObject([{ tensors: ['text_model.layers.0.q_proj'] }]);
    // Nothing of what is wanted: what there is is named as the file names it.
    const other = folder({}, { [module(1, 'query')]: pair(2, 2) });
    const { message } = await loadSources([adapter], await openCheckpoint(other), { types, names: NAMES }).then(
      () => new Error('nothing was thrown'),
      (error: Error) => error,
    );
    expect(message).toContain('layer.1.attention.attention.query.lora_A.weight');
    expect(message).not.toContain('@?');
    const none = folder({}, { 'swin.layers.0.query': pair(2, 1) });
    await expect(loadSources([adapter], await openCheckpoint(none), { types, names: NAMES })).rejects.toThrow(
      /ESP0514.*\n.*swin\.layers\.0\.query/,
    );
  });
});

describe('magnitudes', () => {
  const q = module(0, 'query');
  const dora = (name: string, m: Tensor, config: object = { use_dora: true }) =>
    folder(config, { [q]: pair(2, 1) }, { [`${q}.${name}`]: m });
  const m: Tensor = { type: { dtype: 'f32', shape: [DIM] }, data: Float32Array.from({ length: DIM }, (_, i) => i + 1) };

  test.each(['', '.weight', '.default', '.default.weight'])('are read as lora_magnitude_vector%s', async (end) => {
    const c = await openCheckpoint(dora(`lora_magnitude_vector${end}`, m));
    expect(c.facts.options).toEqual({ rank: 2, alpha: 6 });
    const site = 'base.blocks.0.attn.qkv.q';
    const own = { A: `${site}@any.A`, B: `${site}@any.B`, m: `${site}@any.m` };
    const types = new Map<string, TensorType>([
      [own.A, { dtype: 'f32', shape: [2, DIM] }],
      [own.B, { dtype: 'f32', shape: [DIM, 2] }],
      [own.m, { dtype: 'f32', shape: [DIM] }],
    ]);
    const source: SourceLike = {
      location: 'lora',
      kind: 'adapter',
      params: Object.values(own),
      adapters: [{ site, params: own }],
      layouts: {},
    };
    const loaded = await loadSources([source], c, { types, names: NAMES });
    expect([...loaded.get(own.m)!.data]).toEqual([1, 2, 3, 4]);
  });

  test('have their scale by the rank, whatever the folder divides by', async () => {
    const c = await openCheckpoint(dora('lora_magnitude_vector.weight', m, { use_dora: true, use_rslora: true }));
    const { rank, alpha } = c.facts.options as { rank: number; alpha: number };
    expect(alpha / rank).toBeCloseTo(6 / Math.SQRT2, 12);
    expect(c.facts.options).not.toHaveProperty('rslora');
  });

  test('are there when the configuration says so, one for each row', async () => {
    await expect(openCheckpoint(dora('lora_magnitude_vector.weight', m, {}))).rejects.toThrow(/a magnitude.*is false/);
    const long: Tensor = { type: { dtype: 'f32', shape: [DIM + 1] }, data: new Float32Array(DIM + 1) };
    await expect(openCheckpoint(dora('lora_magnitude_vector.weight', long))).rejects.toThrow(/not one of each row/);
  });
});

const REAL = 'examples/fashion/adapters/lora-mnist';
test('the folder that peft wrote for the demo', async () => {
  const c = await openCheckpointAt(REAL);
  expect(c.warnings).toEqual([]);
  expect(c.facts.options).toEqual({ rank: 8, alpha: 16, rslora: false });
  expect([...c.peft!.pairs.keys()].sort()).toEqual(
    // As transformers 5 calls them in memory.
    [0, 1, 2, 3].flatMap((i) => ['q_proj', 'v_proj'].map((part) => `vit.layers.${i}.attention.${part}`)),
  );
  expect([...c.peft!.saved.keys()].sort()).toEqual(['classifier.bias', 'classifier.weight']);
  await c.close();
});
