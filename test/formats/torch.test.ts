/** Files of `torch.save`, made by PyTorch (test/reference/make_torch.py), and files that want something else than to be read. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyse } from '../../src/api/analyse.js';
import { nodeHost } from '../../src/api/node/host.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { withoutPrefixes } from '../../src/formats/prefixes.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { memoryFolder } from '../folders.js';
import { fileOf, floats } from './support.js';

const read = (name: string) => new Uint8Array(readFileSync(`test/fixtures/torch/${name}`));
const open = (bytes: Uint8Array, name = 'm.pth') => openCheckpoint(memorySource(name, bytes));

describe('a state dict', () => {
  test.each(['zip.pth', 'legacy.pth'])('%s: every type, views, parameters', async (file) => {
    const { kind, store, warnings } = await open(read(file));
    const expected = await openSafetensors(memorySource('e', read('expected.safetensors')));
    expect(kind).toBe('torch');
    expect(warnings).toEqual([]);
    expect([...store.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort());
    for (const [name, entry] of expected.tensors) {
      const ours = store.tensors.get(name)!;
      expect([name, ours.dtype, ours.shape]).toEqual([name, entry.dtype, entry.shape]);
      expect([name, ...(await ours.bytes!())]).toEqual([name, ...(await entry.bytes!())]);
      expect(await ours.read()).toEqual(await entry.read());
    }
  });

  test('below a name: the averaged weights, and what was not read', async () => {
    const { store, warnings } = await open(read('wrapped.pth'));
    const expected = await openSafetensors(memorySource('e', read('expected.safetensors')));
    expect((await store.tensors.get('w')!.read()).data).toEqual((await expected.tensors.get('f32')!.read()).data);
    expect(warnings.map((w) => [w.code, w.severity, w.message])).toEqual([
      ['ESP1282', 'note', 'm.pth: the weights are those below `model_ema`; epoch, model, optimizer are not read'],
    ]);
  });

  test('only what is asked for is read of the file', async () => {
    const bytes = read('zip.pth');
    let most = 0;
    const source = memorySource('m.pth', bytes);
    const { store } = await openCheckpoint({
      ...source,
      read: (offset, length) => {
        if (offset > 0) most = Math.max(most, length);
        return source.read(offset, length);
      },
    });
    most = 0;
    await store.tensors.get('part')!.read();
    // Rows 2 to 4, columns 1 to 5 of 8: from element 17 to element 37.
    expect(most).toBe(4 * 21);
  });

  test('in a Hugging Face folder, alone and in shards', async () => {
    const config = { 'config.json': '{"model_type":"vit"}' };
    const alone = await openCheckpoint(memoryFolder('f', { ...config, 'pytorch_model.bin': read('zip.pth') }));
    expect(alone.store.tensors.get('f32')!.shape).toEqual([3, 4]);
    const index = JSON.stringify({ weight_map: { w: 'a.bin' } });
    const files = { ...config, 'pytorch_model.bin.index.json': index, 'a.bin': read('wrapped.pth') };
    const shards = await openCheckpoint(memoryFolder('f', files));
    expect([...shards.store.tensors.keys()]).toEqual(['w']);
    expect(shards.warnings.map((w) => w.code)).toEqual(['ESP1282']);
    const out = { ...files, 'pytorch_model.bin.index.json': JSON.stringify({ weight_map: { w: '../a.bin' } }) };
    await expect(openCheckpoint(memoryFolder('f', out))).rejects.toThrow(
      /ESP0507.*not the name of a file of the folder/,
    );
  });
});

describe('what wants to run', () => {
  test.each([
    ['system', 'posix.system'],
    ['eval', '__builtin__.eval'],
    ['nested', '__builtin__.exec'],
    ['getattr', '__builtin__.getattr'],
    ['load', 'torch.storage._load_from_bytes'],
    ['class', '_io.BytesIO'],
  ])('%s is named', async (file, name) => {
    await expect(open(read(`evil-${file}.pth`))).rejects.toThrow(
      `ESP1281: m.pth asks Python for ${name}, and only tensors are read from such a file`,
    );
  });
});

const text = (s: string) => [...new TextEncoder().encode(s)];
const int = (n: number) => [0x8a, 8, ...new Uint8Array(new BigInt64Array([BigInt(n)]).buffer)];
const word = (n: number) => [...new Uint8Array(new Uint32Array([n]).buffer)];
const str = (s: string) => [0x58, ...word(s.length), ...text(s)];
const name = (module: string, of: string) => [0x63, ...text(`${module}\n${of}\n`)];
const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
const storage = (size: number, key = '0') => [
  ...tuple(str('storage'), name('torch', 'FloatStorage'), str(key), str('cpu'), int(size)),
  0x51,
];
const tensor = (from: number[], offset: number, shape: number[], strides: number[]) => [
  ...name('torch._utils', '_rebuild_tensor_v2'),
  ...tuple(from, int(offset), tuple(...shape.map(int)), tuple(...strides.map(int)), [0x89], [0x7d]),
  0x52,
];
/** `{"w": value}` */
const dict = (value: number[]) => [0x80, 2, 0x7d, ...str('w'), ...value, 0x73, 0x2e];

interface Odd {
  readonly method?: number;
  readonly flags?: number;
  readonly inflated?: number;
}

/** A ZIP archive of entries that are stored as they are, whatever it says of them. */
function zip(entries: readonly (readonly [string, readonly number[], Odd?])[]): Uint8Array {
  const out: number[] = [];
  const directory: number[] = [];
  for (const [entry, data, { method = 0, flags = 0, inflated = data.length } = {}] of entries) {
    const half = (n: number) => word(n).slice(0, 2);
    const common = [...half(flags), ...half(method), ...word(0), ...word(0), ...word(data.length), ...word(inflated)];
    const local = word(out.length);
    out.push(...text('PK'), 3, 4, ...half(20), ...common, ...half(entry.length), 0, 0, ...text(entry), ...data);
    directory.push(...text('PK'), 1, 2, ...half(20), ...half(20), ...common, ...half(entry.length));
    directory.push(...Array.from({ length: 12 }, () => 0), ...local, ...text(entry));
  }
  const count = word(entries.length).slice(0, 2);
  const end = [...text('PK'), 5, 6, 0, 0, 0, 0, ...count, ...count, ...word(directory.length), ...word(out.length)];
  return Uint8Array.from([...out, ...directory, ...end, 0, 0]);
}

const archive = (pickle: readonly number[], bytes = 16, odd: Odd = {}) =>
  zip([
    ['a/data.pkl', pickle, odd],
    ['a/data/0', Array.from({ length: bytes }, () => 0)],
  ]);

describe('what claims more than it has', () => {
  const good = dict(tensor(storage(4), 0, [2, 2], [2, 1]));
  test('the case from which the others depart', async () => {
    const { store } = await open(archive(good));
    expect((await store.tensors.get('w')!.read()).type.shape).toEqual([2, 2]);
  });

  test.each<[string, Uint8Array, string]>([
    ['elements', archive(dict(tensor(storage(4), 0, [2, 3], [3, 1]))), 'claims a tensor [2, 3] in a storage of 4'],
    ['an offset', archive(dict(tensor(storage(4), 3, [2], [1]))), 'claims a tensor [2] in a storage of 4 elements'],
    ['one element often', archive(dict(tensor(storage(4), 0, [2 ** 40], [0]))), 'claims a tensor [1099511627776]'],
    ['a negative stride', archive(dict(tensor(storage(4), 3, [2], [-1]))), 'by something else than a storage'],
    ['more axes than strides', archive(dict(tensor(storage(4), 0, [2, 2], [1]))), 'by something else than a storage'],
    ['a string', archive([0x80, 2, 0x58, ...word(0xfffffff0), 0x61, 0x2e]), 'its pickle ends in the middle'],
    ['no tensor', archive([0x80, 2, 0x7d, 0x2e]), 'no dictionary of tensors'],
    ['no dictionary', archive([0x80, 2, 0x4b, 1, 0x2e]), 'something else than a dictionary'],
    ['an empty stack', archive([0x80, 2, 0x2e]), 'takes from an empty stack'],
    ['an empty memory', archive([0x80, 2, 0x68, 7, 0x2e]), 'recalls place 7'],
    ['an instruction that copies', archive([0x80, 2, 0x7d, 0x32, 0x2e]), 'has the instruction 0x32'],
    ['a call of no function', archive(dict([...storage(4), 0x29, 0x52])), 'that is no function'],
    ['attributes of a tensor', archive(dict([...tensor(storage(4), 0, [4], [1]), 0x7d, 0x62])), 'sets attributes of'],
    ['a key without a value', archive([0x80, 2, 0x7d, 0x28, ...str('w'), 0x75, 0x2e]), 'a key without a value'],
    ['a storage of another kind', archive(dict([...tuple(str('module')), 0x51])), 'that is no storage'],
    [
      'a parameter of no tensor',
      archive(dict([...name('torch._utils', '_rebuild_parameter'), ...tuple([0x7d]), 0x52])),
      'a parameter by something else',
    ],
    ['no data.pkl', zip([['a/b', []]]), 'without a data.pkl'],
    [
      'an entry twice',
      zip([
        ['a/data.pkl', good],
        ['a/data.pkl', good],
      ]),
      'is there twice',
    ],
    ['a bomb', archive(good, 16, { method: 8, inflated: 2 ** 31 }), 'is compressed, which torch.save never does'],
    ['an encrypted entry', archive(good, 16, { flags: 1 }), 'is encrypted'],
    ['two sizes', archive(good, 16, { inflated: good.length + 1 }), 'has two sizes'],
    [
      'big endian',
      zip([
        ['a/data.pkl', good],
        ['a/byteorder', text('big')],
      ]),
      'big endian',
    ],
    ['another pickle', Uint8Array.from(good), 'that torch.save did not write'],
  ])('%s', async (_, bytes, words) => {
    const error = await open(bytes).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(EspalierError);
    expect((error as EspalierError).message).toContain('ESP1280');
    expect((error as EspalierError).message).toContain(words);
  });

  test('a storage of another length is seen when it is read', async () => {
    const { store } = await open(archive(good, 12));
    await expect(store.tensors.get('w')!.read()).rejects.toThrow('has 12 bytes, and its pickle says 16');
    const { store: none } = await open(zip([['a/data.pkl', good]]));
    await expect(none.tensors.get('w')!.read()).rejects.toThrow('has no bytes');
  });

  test('lists of lists of lists take no more memory than they are long', async () => {
    // Each list holds the one before it twice: 2^60 elements, if anything counted them.
    const deep = Array.from({ length: 60 }, (_, i) => [0x5d, 0x28, 0x68, i, 0x68, i, 0x65, 0x71, i + 1]).flat();
    const pickle = [0x80, 2, 0x5d, 0x71, 0, ...deep, 0x2e];
    await expect(open(archive(pickle))).rejects.toThrow('something else than a dictionary');
  });

  test.each(['zip.pth', 'legacy.pth'])('%s, cut off anywhere', async (file) => {
    const bytes = read(file);
    for (let length = 4; length < bytes.length; length += 7) {
      const error = await open(bytes.subarray(0, length)).then(
        () => undefined,
        (e: unknown) => e,
      );
      expect([length, error]).toEqual([length, expect.any(EspalierError)]);
      expect((error as EspalierError).message).toContain('ESP1280');
    }
  });
});

describe('prefixes of all tensors', () => {
  const names = [{ param: 'w', tensor: 'blocks.0.w' }];
  const sources = [{ location: 'm', kind: 'backbone', params: ['w'], layouts: { timm: names } }] as const;
  const of = async (tensor: string) => {
    const checkpoint = await open(fileOf({ [tensor]: floats([2]) }), 'm.safetensors');
    const { checkpoint: bare, note } = withoutPrefixes(checkpoint, sources);
    return { names: [...bare.store.tensors].map(([n, e]) => [n, e.original]), note: note?.message };
  };

  test.each(['module.', 'model.', '_orig_mod.', 'module._orig_mod.model.'])('%s', async (prefix) => {
    expect(await of(`${prefix}blocks.0.w`)).toEqual({
      names: [['blocks.0.w', `${prefix}blocks.0.w`]],
      note: `m.safetensors: the names of its tensors are read without \`${prefix}\`, which stands in front of each`,
    });
  });

  test('none that is part of the names, or helps nothing', async () => {
    expect(await of('blocks.0.w')).toEqual({ names: [['blocks.0.w', undefined]], note: undefined });
    expect(await of('model.other')).toEqual({ names: [['model.other', undefined]], note: undefined });
  });

  test('a spec reads a file without them, and says so', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'torch-')), 'w.safetensors');
    writeFileSync(path, fileOf({ 'module.vit.embeddings.cls_token': floats([1, 1, 8]) }));
    const base = `vit_auto(image: 8, patch: 4, dim: 8, depth: 1, heads: 2) from "${path}"`;
    const text = `use std\nmodel M {\n  base = ${base}\n  head = classify(base, classes: 3)\n}\n`;
    const { value, diagnostics } = await analyse({ text, path: 'm.peft' }, { host: nodeHost() });
    expect(diagnostics.map((d) => d.code)).toEqual(['ESP1283']);
    expect([...value!.checkpoints.get(path)!.store.tensors.keys()]).toEqual(['vit.embeddings.cls_token']);
  });
});
