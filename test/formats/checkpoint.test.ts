/** Checkpoints: how every tensor of one is accounted for, on the way in and on the way out. */
import { describe, expect, test } from 'vitest';
import type { EspalierError } from '../../src/diagnostics/types.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { encodeMasks, readMasks } from '../../src/formats/adapters/masks.js';
import { loadSources, nonFinite, openCheckpoint } from '../../src/formats/checkpoint.js';
import { exportCheckpoint } from '../../src/formats/export.js';
import { openFolder } from '../../src/formats/node/files.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors, type StoredType } from '../../src/formats/tensors/safetensors.js';
import type { NamedTensor, SourceLike } from '../../src/formats/types.js';
import { Waivers } from '../../src/formats/waivers.js';
import type { Tensor, TensorType } from '../../src/ir/types.js';
import { memoryFolder } from '../folders.js';
import { fileOf, floats } from './support.js';

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
  optional: ['pooler.*'],
};
const GOOD = {
  'q.weight': floats([2, 3], 0),
  'k.weight': floats([2, 3], 6),
  'v.weight': floats([2, 3], 12),
  'dense.weight': floats([2, 3], 50),
};
const load = async (tensors: Record<string, Tensor>, sources = [SOURCE], types = TYPES, waivers?: Waivers) =>
  loadSources(sources, await openCheckpoint(memorySource('w.safetensors', fileOf(tensors))), {
    types,
    ...(waivers ? { waivers } : {}),
  });

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

  test('what nobody wants is waived by the names of the file, and what a pattern matched is known', async () => {
    const waivers = new Waivers(['extra.*', 'mask_token', 'dense.*', 'pool*', 'misspelt']);
    const tensors = { ...GOOD, mask_token: floats([1]), 'extra.bias': floats([4]), 'pooler.weight': floats([1]) };
    const params = await load(tensors, [SOURCE], TYPES, waivers);
    expect(params.get('base.fc.weight')!.data[0]).toBe(50);
    expect(waivers.results()).toEqual([
      { pattern: 'extra.*', tensors: ['extra.bias'], others: [] },
      { pattern: 'mask_token', tensors: ['mask_token'], others: [] },
      { pattern: 'dense.*', tensors: [], others: ['dense.weight'] },
      { pattern: 'pool*', tensors: [], others: ['pooler.weight'] },
      { pattern: 'misspelt', tensors: [], others: [] },
    ]);
    await expect(load(tensors, [SOURCE], TYPES, new Waivers(['mask']))).rejects.toThrow(
      /unexpected \(2\):\n\s+extra\.bias \[4\]\n\s+mask_token \[1\]/,
    );
  });

  test('a tensor without elements holds nothing that anybody could want', async () => {
    const params = await load({ ...GOOD, register_tokens: floats([1, 0, 3]) });
    expect([...params.keys()].sort()).toEqual(['base.fc.weight', 'base.qkv.weight']);
  });

  test('messages about unexpected tensors say how they are waived, in as few patterns as match them', async () => {
    const help = async (...names: string[]) => {
      const extra = Object.fromEntries(names.map((n) => [n, floats([1])]));
      const { diagnostics } = await load({ ...GOOD, ...extra }).then(
        () => ({ diagnostics: [] }),
        (e: EspalierError) => e,
      );
      return diagnostics.flatMap((d) => d.help.map((h) => /`(ignore .*?)`/.exec(h)?.[1]));
    };
    expect(await help('mask_token')).toEqual(['ignore "mask_token"']);
    expect(await help('a.w', 'b.w', 'c.w')).toEqual(['ignore "a.w", "b.w", "c.w"']);
    expect(await help('mask', 'decoder.x.1.w', 'decoder.x.2.w', 'decoder.x.2.b')).toEqual([
      'ignore "decoder.x.*", "mask"',
    ]);
    expect(await help('a.w', 'b.w', 'd', 'd.w')).toEqual(['ignore "a.w", "b.w", "d*"']);
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
  test('keeps what the metadata of the file say', async () => {
    const bytes = fileOf({ w: floats([2]) }, { format: 'np', trained_by: 'somebody' });
    const base = await openCheckpoint(memorySource('base.safetensors', bytes));
    const layout = [{ param: 'w', tensor: 'w' }];
    const { files } = await exportCheckpoint({ params: new Map([['w', floats([2])]]), layout, layoutName: 'l', base });
    const written = Buffer.concat(files.get('model.safetensors') as Uint8Array[]);
    const again = await openCheckpoint(memorySource('again.safetensors', new Uint8Array(written)));
    expect(again.store.metadata).toEqual({ format: 'pt', trained_by: 'somebody', writer: 'espalier' });
  });

  test('is the inverse of loading: same names, shapes, dtypes and bytes', async () => {
    const base = await openCheckpoint(openFolder('test/fixtures/vit-odd'));
    const names = [...base.store.tensors].map(([tensor]) => ({ param: `our.${tensor}`, tensor }));
    const params = new Map<string, Tensor>();
    for (const { param, tensor } of names) params.set(param, await base.store.tensors.get(tensor)!.read());
    const { files } = await exportCheckpoint({
      params,
      layout: names,
      layoutName: 'huggingface',
      base,
      labels: ['a', 'b'],
      fields: [
        { field: 'id2label', classes: 'names' },
        { field: 'label2id', classes: 'places' },
        { field: 'architectures', value: ['Other'] },
        { field: 'initializer_range' },
      ],
    });
    expect([...files.keys()]).toEqual(['model.safetensors', 'config.json', 'preprocessor_config.json']);
    const folder = Object.fromEntries([...files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c) : c]));
    const again = await openCheckpoint(memoryFolder('again', folder));
    const { initializer_range: _, ...kept } = base.facts.config!.json;
    expect(again.facts.config!.json).toEqual({
      ...kept,
      id2label: { 0: 'a', 1: 'b' },
      label2id: { a: 0, b: 1 },
      architectures: ['Other'],
    });
    expect(again.facts.processor!.json).toEqual(base.facts.processor!.json);
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
    const { files } = await exportCheckpoint({ ...options, params });
    const again = await openCheckpoint(
      memorySource('w', Buffer.concat(files.get('model.safetensors') as Uint8Array[])),
    );
    for (const [name, t] of Object.entries({ ...GOOD, 'pooler.weight': floats([2], 7) })) {
      expect((await again.store.tensors.get(name)!.read()).data).toEqual(t.data);
    }
    const more = new Map(params).set('base.qkv.bias', floats([6]));
    await expect(exportCheckpoint({ ...options, params: more })).rejects.toThrow(/ESP0519.*base\.qkv\.bias \[6\]/s);
  });

  test('what the model does not have is copied to the byte, 64-bit numbers and dtypes that are not read included', async () => {
    const stranger = (dtype: StoredType, bytes: number[]) => ({ dtype, shape: [1], data: Uint8Array.from(bytes) });
    const strange = new Map([
      ['position_ids', stranger('I64', [0, 0, 0, 0, 1, 0, 0, 0])],
      ['scale', stranger('F8_E4M3', [77])],
      ['exact', stranger('F64', [1, 2, 3, 4, 5, 6, 7, 8])],
    ]);
    const base = await openCheckpoint(memorySource('w', encodeSafetensors(strange)));
    const { files } = await exportCheckpoint({ params: new Map(), layout: [], layoutName: 'theirs', base });
    const again = await openCheckpoint(
      memorySource('w', Buffer.concat(files.get('model.safetensors') as Uint8Array[])),
    );
    for (const [name, { dtype, data }] of strange) {
      const entry = again.store.tensors.get(name)!;
      expect([entry.dtype, [...(await entry.bytes!())]]).toEqual([dtype, [...data]]);
    }
  });

  test.each([
    ['F16', 65504, 65520],
    ['BF16', 3.38e38, 3.4e38],
  ] as const)('a value that %s would make infinite is refused', async (dtype, fits, tooLarge) => {
    const of = (value: number): Tensor => ({ type: { dtype: 'f32', shape: [1] }, data: Float32Array.of(value) });
    const base = await openCheckpoint(
      memorySource('w', encodeSafetensors(new Map([['w', storeTensor(of(1), dtype)]]))),
    );
    const to = (value: number) =>
      exportCheckpoint({
        params: new Map([['base.w', of(value)]]),
        layout: [{ param: 'base.w', tensor: 'w' }],
        layoutName: 'theirs',
        base,
      });
    const written = Buffer.concat((await to(fits)).files.get('model.safetensors') as Uint8Array[]);
    const { data } = await (await openCheckpoint(memorySource('w', written))).store.tensors.get('w')!.read();
    expect(Number.isFinite(data[0])).toBe(true);
    await expect(to(tooLarge)).rejects.toThrow(new RegExp(`ESP0919.*which ${dtype} cannot hold.*base\\.w`));
  });
});
