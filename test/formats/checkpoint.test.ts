/** Checkpoints: what a folder says of itself, and how every tensor of it is accounted for. */
import { describe, expect, test } from 'vitest';
import { encodeAdapter } from '../../src/formats/adapter.js';
import { memoryFolder, memorySource } from '../../src/formats/bytes.js';
import { loadSources, nonFinite, type OpenCheckpoint, openCheckpoint } from '../../src/formats/checkpoint.js';
import { storeTensor } from '../../src/formats/elements.js';
import { exportCheckpoint } from '../../src/formats/export.js';
import { canonicalNames } from '../../src/formats/huggingface.js';
import { encodeMasks, readMasks } from '../../src/formats/masks.js';
import { openFolder } from '../../src/formats/node/files.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { encodeSafetensors } from '../../src/formats/safetensors.js';
import type { NamedTensor, SourceLike } from '../../src/formats/types.js';
import type { Tensor, TensorType } from '../../src/ir/types.js';

const floats = (shape: number[], from = 0): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { type: { dtype: 'f32', shape }, data: Float32Array.from({ length: size }, (_, i) => from + i) };
};
const fileOf = (tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array =>
  encodeSafetensors(new Map(Object.entries(tensors).map(([n, t]) => [n, storeTensor(t)])), metadata);

describe('a Hugging Face folder', () => {
  test('tells the backbone’s options, the labels and the preprocessing', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-odd');
    expect(c.kind).toBe('huggingface');
    expect(c.warnings).toEqual([]);
    expect(c.facts).toEqual({
      options: {
        image: 30,
        patch: 6,
        channels: 3,
        dim: 36,
        depth: 3,
        heads: 2,
        hidden: 100,
        eps: 1e-12,
        qkv_bias: true,
      },
      labels: ['class 0', 'class 1', 'class 2', 'class 3', 'class 4', 'class 5', 'class 6'],
      preprocess: [
        { step: 'resize', size: 34, filter: 'bilinear' },
        { step: 'crop', size: [30, 30] },
        { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      ],
    });
    expect(c.store.tensors.get('vit.layernorm.weight')).toMatchObject({ dtype: 'BF16', shape: [36] });
    await c.close();
  });

  test('that is grey, without qkv biases', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-grey');
    expect(c.facts.options).toMatchObject({ channels: 1, qkv_bias: false, eps: 1e-6 });
    expect(c.facts.preprocess).toEqual([
      { step: 'grayscale' },
      { step: 'resize', size: [20, 20], filter: 'bilinear' },
      { step: 'normalize', mean: [0.1307], std: [0.3081] },
    ]);
    expect(c.store.tensors.has('vit.encoder.layer.0.attention.attention.query.bias')).toBe(false);
    await c.close();
  });

  test('in shards is one', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-shards');
    expect(c.store.tensors.size).toBe(2 * 16 + 8);
    const t = await c.store.tensors.get('classifier.weight')!.read();
    expect(t.type).toEqual({ dtype: 'f32', shape: [5, 32] });
    await c.close();
  });

  test.each([
    ['an index that leads out of the folder', { 'x.weight': '../a.safetensors' }, 'not the name of a file'],
    ['an index of a shard that is not there', { 'x.weight': 'b.safetensors' }, 'which is not there'],
    ['an index of a tensor that is not there', { y: 'a.safetensors' }, 'which it does not'],
    ['an index that leaves a tensor out', {}, ''],
    ['an index that leaves one of two out', { x: 'a.safetensors' }, 'does not list "z"'],
  ])('%s', async (_, map, words) => {
    const folder = memoryFolder('f', {
      'config.json': '{"model_type":"vit"}',
      'model.safetensors.index.json': JSON.stringify({ weight_map: map }),
      'a.safetensors': fileOf({ x: floats([1]), z: floats([1]) }),
    });
    if (words === '') expect((await openCheckpoint(folder)).store.tensors.size).toBe(0);
    else await expect(openCheckpoint(folder)).rejects.toThrow(new RegExp(`ESP0507.*${words}`));
  });

  const openWith = (config: object, preprocessor?: object, labels = true): Promise<OpenCheckpoint> =>
    openCheckpoint(
      memoryFolder('f', {
        'config.json': JSON.stringify({ model_type: 'vit', ...config }),
        ...(preprocessor ? { 'preprocessor_config.json': JSON.stringify(preprocessor) } : {}),
        'model.safetensors': fileOf(
          labels ? { 'classifier.weight': floats([2, 2]) } : { 'embeddings.cls_token': floats([1]) },
        ),
      }),
    );

  test('what config.json leaves out is what transformers takes', async () => {
    const c = await openWith({});
    expect(c.facts.options).toMatchObject({
      image: 224,
      patch: 16,
      dim: 768,
      depth: 12,
      heads: 12,
      hidden: 3072,
      qkv_bias: true,
    });
    expect(c.facts.labels).toBeUndefined();
    expect(c.facts.preprocess).toBeUndefined();
  });

  test('labels are sorted by number, and belong to a head', async () => {
    const id2label = { 10: 'k', 2: 'c', 0: 'a', 1: 'b', 3: 'd', 4: 'e', 5: 'f', 6: 'g', 7: 'h', 8: 'i', 9: 'j' };
    expect((await openWith({ id2label })).facts.labels?.join('')).toBe('abcdefghijk');
    expect((await openWith({ id2label }, undefined, false)).facts.labels).toBeUndefined();
  });

  test.each([
    [{ hidden_size: '768' }, 'ESP0507', 'hidden_size = "768" is not a positive whole number'],
    [{ num_hidden_layers: 0 }, 'ESP0507', 'num_hidden_layers'],
    [{ hidden_act: 'relu' }, 'ESP0509', 'hidden_act'],
    [{ image_size: [224, 112] }, 'ESP0509', 'not a square'],
    [{ model_type: 'swin' }, 'ESP0508', 'swin'],
    [{ id2label: { 0: 'a', 2: 'c' } }, 'ESP0507', 'no name for class 1'],
  ])('config %j', async (config, code, words) => {
    await expect(openWith(config)).rejects.toThrow(code);
    await expect(openWith(config)).rejects.toThrow(words);
  });

  test.each([
    [{ size: 224 }, { step: 'resize', size: [224, 224], filter: 'bilinear' }],
    [
      { size: 224, image_processor_type: 'CLIPImageProcessor' },
      { step: 'resize', size: 224, filter: 'bilinear' },
    ],
    [
      { size: 224, default_to_square: false },
      { step: 'resize', size: 224, filter: 'bilinear' },
    ],
    [
      { size: { shortest_edge: 256 }, resample: 3 },
      { step: 'resize', size: 256, filter: 'bicubic' },
    ],
    [
      { size: { height: 20, width: 30 }, resample: 0 },
      { step: 'resize', size: [20, 30], filter: 'nearest' },
    ],
  ])('size %j', async (preprocessor, step) => {
    expect((await openWith({}, preprocessor)).facts.preprocess?.[0]).toEqual(step);
  });

  test.each([
    [{ rescale_factor: 1 / 255 }, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]],
    [{ do_normalize: false }, [0, 0, 0], [1, 1, 1]],
    [{ rescale_factor: 2 / 255, image_mean: [1, 1, 1], image_std: [4, 4, 4] }, [0.5, 0.5, 0.5], [2, 2, 2]],
    [
      { do_rescale: false, image_mean: [127.5, 127.5, 127.5], image_std: [51, 51, 51] },
      [0.5, 0.5, 0.5],
      [0.2, 0.2, 0.2],
    ],
  ])('normalisation %j is one step over x/255', async (preprocessor, mean, std) => {
    const steps = (await openWith({}, { do_resize: false, ...preprocessor })).facts.preprocess;
    expect(steps).toEqual([{ step: 'normalize', mean, std }]);
  });

  test.each([
    [{ resample: 1 }, 'resample = 1'],
    [{ do_pad: true }, 'do_pad = true is a step that Espalier does not have'],
    [{ crop_pct: 0.9 }, 'crop_pct'],
    [{ size: { longest_edge: 300 } }, 'size = {"longest_edge":300}'],
    [{ size: 224, image_processor_type: 'PvtImageProcessor' }, 'PvtImageProcessor'],
  ])('preprocessing %j is refused, not ignored', async (preprocessor, words) => {
    await expect(openWith({}, preprocessor)).rejects.toThrow('ESP0509');
    await expect(openWith({}, preprocessor)).rejects.toThrow(words);
  });

  test('fields that nobody knows are reported', async () => {
    const c = await openWith({}, { some_new_thing: 3, do_other: false });
    expect(c.warnings.map((w) => [w.code, w.severity, w.message])).toEqual([
      [
        'ESP0513',
        'warning',
        'f/preprocessor_config.json has fields that Espalier does not know and ignores: some_new_thing',
      ],
    ]);
  });

  test('one spelling for the names of transformers 4, 5 and a bare ViTModel', () => {
    expect(canonicalNames('vit.layers.3.attention.q_proj.weight')).toBe(
      'vit.encoder.layer.3.attention.attention.query.weight',
    );
    expect(canonicalNames('layers.0.mlp.fc2')).toBe('vit.encoder.layer.0.output.dense');
    expect(canonicalNames('encoder.layer.0.output.dense.bias')).toBe('vit.encoder.layer.0.output.dense.bias');
    expect(canonicalNames('classifier.bias')).toBe('classifier.bias');
  });
});

describe('what is no checkpoint', () => {
  test.each([
    ['a pickle', { 'config.json': '{"model_type":"vit"}', 'pytorch_model.bin': 'x' }, 'pickle'],
    ['nothing', {}, 'neither config.json nor adapter_config.json'],
    ['a folder of weights', { 'w.safetensors': 'x' }, 'name the file itself'],
    ['broken JSON', { 'config.json': '{' }, 'not JSON'],
  ])('%s', async (_, files, words) => {
    await expect(openCheckpoint(memoryFolder('f', files as unknown as Record<string, string>))).rejects.toThrow(words);
  });

  test('what torch.save wrote', async () => {
    const zip = Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0);
    await expect(openCheckpoint(memorySource('m.pt', zip))).rejects.toThrow(/ESP0506.*pickle/);
  });

  test('a path that leads nowhere', async () => {
    await expect(openCheckpointAt('test/none')).rejects.toThrow('ESP0501');
  });
});

/** Names of a fused qkv and of a plain layer, as a variant gives them. */
const LAYOUT: NamedTensor[] = [
  { param: 'base.qkv.weight', tensor: 'q.weight', rows: [0, 2] },
  { param: 'base.qkv.weight', tensor: 'k.weight', rows: [2, 4] },
  { param: 'base.qkv.weight', tensor: 'v.weight', rows: [4, 6] },
  { param: 'base.fc.weight', tensor: 'dense.weight' },
];
const TYPES = new Map<string, TensorType>([
  ['base.qkv.weight', { dtype: 'f32', shape: [6, 3] }],
  ['base.fc.weight', { dtype: 'f32', shape: [2, 3] }],
]);
const SOURCE: SourceLike = {
  location: 'w',
  kind: 'backbone',
  params: [...TYPES.keys()],
  layouts: { espalier: [...TYPES.keys()].map((p) => ({ param: p, tensor: p })), theirs: LAYOUT },
  optional: ['pooler.'],
};
const GOOD = {
  'q.weight': floats([2, 3], 0),
  'k.weight': floats([2, 3], 6),
  'v.weight': floats([2, 3], 12),
  'dense.weight': floats([2, 3], 50),
};
const load = async (tensors: Record<string, Tensor>, sources = [SOURCE], types = TYPES) =>
  loadSources(sources, await openCheckpoint(memorySource('w.safetensors', fileOf(tensors))), { types });

describe('loading', () => {
  test('puts row ranges together and takes the layout that fits', async () => {
    const params = await load(GOOD);
    expect([...params.get('base.qkv.weight')!.data]).toEqual([...floats([6, 3]).data]);
    expect(params.get('base.fc.weight')!.data[0]).toBe(50);
    const own = await load({ 'base.qkv.weight': floats([6, 3]), 'base.fc.weight': floats([2, 3]) });
    expect([...own.keys()].sort()).toEqual(['base.fc.weight', 'base.qkv.weight']);
  });

  test('half precision comes as f32', async () => {
    const bytes = encodeSafetensors(
      new Map(Object.entries(GOOD).map(([n, t]) => [n, storeTensor(t, n === 'q.weight' ? 'F16' : 'BF16')])),
    );
    const params = await loadSources([SOURCE], await openCheckpoint(memorySource('w', bytes)), { types: TYPES });
    expect(params.get('base.qkv.weight')!.data).toBeInstanceOf(Float32Array);
    expect([...params.get('base.qkv.weight')!.data]).toEqual([...floats([6, 3]).data]);
  });

  test('lists everything that does not fit in one error', async () => {
    const { 'k.weight': _, ...rest } = GOOD;
    const error = load({
      ...rest,
      'dense.weight': floats([3, 3]),
      'key.weight': floats([2, 3]),
      'pooler.weight': floats([1]),
      'extra.bias': floats([4]),
    });
    await expect(error).rejects.toThrowErrorMatchingInlineSnapshot(`
      [EspalierError: ESP0510: w.safetensors does not fit the model (read with its theirs names)
        missing (1):
          k.weight [2, 3], nearest: key.weight
        of another shape (1):
          dense.weight is [3, 3], the model has [2, 3], for base.fc.weight
        unexpected (2):
          extra.bias [4]
          key.weight [2, 3]]
    `);
  });

  test('another kind of number is misshapen too', async () => {
    const ints: Tensor = { type: { dtype: 'i32', shape: [2, 3] }, data: new Int32Array(6) };
    await expect(load({ ...GOOD, 'dense.weight': ints })).rejects.toThrow(
      'dense.weight is stored as I32, the model has f32',
    );
  });

  test('a file of something else altogether', async () => {
    await expect(load({ something: floats([1]) })).rejects.toThrow(
      /ESP0511.*holds none of the \d tensors.*it has something/,
    );
  });

  test('a layout that forgets a parameter or rows of one', async () => {
    const short = { ...SOURCE, layouts: { theirs: LAYOUT.slice(0, 2) } };
    const { 'v.weight': _, 'dense.weight': __, ...rest } = GOOD;
    await expect(load(rest, [short])).rejects.toThrow(
      /rows of base\.qkv\.weight \(the layout names 4 of them\)[\s\S]*base\.fc\.weight \(the layout has no name/,
    );
  });

  test('a tensor that one source takes is not unexpected to another of the same file', async () => {
    const half = (params: string[], kind: SourceLike['kind']): SourceLike => ({
      location: 'a',
      kind,
      params,
      layouts: {},
    });
    const types = new Map(TYPES)
      .set('base.qkv@lora.A', { dtype: 'f32', shape: [1, 3] })
      .set('head.fc.bias', { dtype: 'f32', shape: [2] });
    const sources = [half(['base.qkv@lora.A'], 'adapter'), half(['head.fc.bias'], 'tune')];
    const params = new Map([
      ['base.qkv@lora.A', floats([1, 3])],
      ['head.fc.bias', floats([2])],
    ]);
    const c = await openCheckpoint(memorySource('a', encodeAdapter(params, ['cat', 'dog'])));
    expect(c.kind).toBe('adapter');
    expect(c.facts.labels).toEqual(['cat', 'dog']);
    expect((await loadSources(sources, c, { types })).size).toBe(2);
    await expect(loadSources(sources.slice(0, 1), c, { types })).rejects.toThrow(
      /unexpected \(1\):\n\s+head\.fc\.bias/,
    );
  });

  test('NaN and infinity are found', () => {
    const bad = floats([2, 2]);
    bad.data[1] = Number.NaN;
    bad.data[2] = Number.NEGATIVE_INFINITY;
    expect(
      nonFinite(
        'w',
        new Map([
          ['a', bad],
          ['b', floats([2])],
        ]),
      ).map((d) => d.message),
    ).toEqual(['w holds NaN or infinite values:\n    a: 2 of 4 elements']);
    expect(nonFinite('w', new Map([['b', floats([2])]]))).toEqual([]);
  });
});

describe('adapter and mask files', () => {
  const meta = (metadata: Record<string, string>) =>
    openCheckpoint(memorySource('a', fileOf({ w: floats([1]) }, { format: 'espalier.adapter', ...metadata })));

  test.each([
    [{}, 'version is not given'],
    [{ version: '2' }, 'version is "2"'],
    [{ version: '1', labels: '[' }, 'labels are not JSON'],
    [{ version: '1', labels: '[1]' }, 'not a list of strings'],
  ])('metadata %j', async (metadata, words) => {
    await expect(meta(metadata as Record<string, string>)).rejects.toThrow(new RegExp(`ESP0515.*${words}`));
  });

  test('masks come back as f32, and hold nothing but zeros and ones', async () => {
    const mask: Tensor = { type: { dtype: 'f32', shape: [2, 2] }, data: Float32Array.of(1, 0, 0, 1) };
    const c = await openCheckpoint(
      memorySource('m', encodeMasks(new Map([['base.fc.weight#mask', mask]]), { sparsity: '0.5' })),
    );
    expect(c.kind).toBe('mask');
    expect(c.store.metadata.sparsity).toBe('0.5');
    expect(c.store.tensors.get('base.fc.weight#mask')!.dtype).toBe('BOOL');
    expect(await readMasks(c.store)).toEqual(new Map([['base.fc.weight#mask', mask]]));
    const mark = { format: 'espalier.mask', version: '1' };
    for (const [tensors, words] of [
      [{ 'w#mask': floats([3]) }, 'holds 2'],
      [{ w: floats([1]) }, 'not named after a weight'],
    ] as const) {
      const bad = await openCheckpoint(memorySource('m', fileOf(tensors as Record<string, Tensor>, mark)));
      await expect(readMasks(bad.store)).rejects.toThrow(new RegExp(`ESP0516.*${words}`));
    }
    await expect(
      readMasks((await openCheckpoint(memorySource('m', fileOf({ w: floats([1]) })))).store),
    ).rejects.toThrow('ESP0516');
  });
});

describe('exporting', () => {
  test('is the inverse of loading: same names, shapes, dtypes and bytes', async () => {
    const base = await openCheckpoint(openFolder('test/fixtures/vit-odd'));
    const names = [...base.store.tensors].map(([tensor]) => ({ param: `our.${tensor}`, tensor }));
    const params = new Map<string, Tensor>();
    for (const { param, tensor } of names) params.set(param, await base.store.tensors.get(tensor)!.read());
    const files = await exportCheckpoint({
      params,
      layout: names,
      layoutName: 'huggingface',
      base,
      labels: ['a', 'b'],
    });
    expect([...files.keys()]).toEqual(['model.safetensors', 'config.json', 'preprocessor_config.json']);
    const folder = Object.fromEntries([...files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c) : c]));
    const again = await openCheckpoint(memoryFolder('again', folder));
    expect(again.facts).toEqual({ ...base.facts, labels: ['a', 'b'] });
    for (const [name, entry] of base.store.tensors) {
      const other = again.store.tensors.get(name)!;
      expect([other.dtype, other.shape]).toEqual([entry.dtype, entry.shape]);
      expect((await other.read()).data).toEqual((await entry.read()).data);
    }
    await base.close();
  });

  test('splits rows, copies what the model does not have, and has a place for everything', async () => {
    const base = await openCheckpoint(memorySource('w', fileOf({ ...GOOD, 'pooler.weight': floats([2], 7) })));
    const params = await loadSources([SOURCE], base, { types: TYPES });
    const options = { layout: LAYOUT, layoutName: 'theirs', base };
    const files = await exportCheckpoint({ ...options, params });
    const again = await openCheckpoint(
      memorySource('w', Buffer.concat(files.get('model.safetensors') as Uint8Array[])),
    );
    for (const [name, t] of Object.entries({ ...GOOD, 'pooler.weight': floats([2], 7) })) {
      expect((await again.store.tensors.get(name)!.read()).data).toEqual(t.data);
    }
    const more = new Map(params).set('base.qkv.bias', floats([6]));
    await expect(exportCheckpoint({ ...options, params: more })).rejects.toThrow(/ESP0519.*base\.qkv\.bias \[6\]/s);
  });
});
