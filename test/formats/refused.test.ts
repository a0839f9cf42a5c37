/** What a file or folder from elsewhere may not be: for each check one that only this check refuses (`npm run checks`). */
import { mkdirSync, openSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readMasks } from '../../src/formats/adapters/masks.js';
import { openPeft } from '../../src/formats/adapters/peft.js';
import { loadSources, nonFinite, openCheckpoint } from '../../src/formats/checkpoint.js';
import { exportCheckpoint } from '../../src/formats/export.js';
import { openHuggingFace } from '../../src/formats/huggingface/huggingface.js';
import { readJsonObject } from '../../src/formats/huggingface/json.js';
import { openFile, openFolder, readWhole } from '../../src/formats/node/files.js';
import { decodeImage, listImages, listLabelledImages } from '../../src/formats/node/images.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { type ByteSource, type Folder, memorySource } from '../../src/formats/tensors/bytes.js';
import { readIdx } from '../../src/formats/tensors/idx.js';
import { encodeSafetensors, readHeader, type StoredType } from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import type { SourceLike } from '../../src/formats/types.js';
import type { TensorType } from '../../src/ir/types.js';
import { scratch } from '../api/support.js';
import { memoryFolder } from '../folders.js';
import { fileOf, floats, meaning } from './support.js';

const folder = scratch();
const put = (name: string, content: string | Uint8Array, size?: number): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  // A file may be said to be long without holding anything.
  if (size !== undefined) truncateSync(path, size);
  return path;
};
/** A source that says it is so long, which nobody may read. */
const claims = (size: number, first: Uint8Array = new Uint8Array(8)): ByteSource => ({
  name: 'long',
  size,
  read: async (offset, length) => {
    if (offset + length <= first.length) return first.subarray(offset, offset + length);
    throw new Error(`${length} bytes are read of what should be refused`);
  },
});
const length = (n: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(n)).buffer);

const refused = async (work: () => unknown, code: string, words: string): Promise<void> => {
  const error = await Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (e: Error) => e,
    );
  expect(error?.message.split('\n')[0]).toContain(`${code}: `);
  expect(error?.message).toContain(words);
};

test.each([100_000_001, 2 ** 40])('safetensors: a header of %d bytes, as long as the file is', (bytes) =>
  refused(() => readHeader(claims(bytes + 8, length(bytes))), 'ESP0502', 'the format allows 100,000,000'),
);

test.each([23, 100])('safetensors: a header of %d bytes in a file of 30', (bytes) =>
  refused(() => readHeader(claims(30, length(bytes))), 'ESP0502', `claims ${bytes} bytes, but the file has 30`),
);

test.each<StoredType>(['F8_E4M3', 'F8_E5M2', 'C64'])('a tensor of %s has no meaning here', async (dtype) => {
  const bytes = dtype === 'C64' ? 8 : 1;
  const file = encodeSafetensors(new Map([['w', { dtype, shape: [1], data: new Uint8Array(bytes) }]]));
  const { tensors } = await openSafetensors(memorySource('w.safetensors', file));
  await refused(() => tensors.get('w')!.read(), 'ESP0504', dtype);
});

test.each([2n ** 31n, -(2n ** 31n) - 1n, 2n ** 62n])(
  'an integer of 64 bits that does not fit 32: %d',
  async (value) => {
    const data = new Uint8Array(BigInt64Array.of(value).buffer);
    const file = encodeSafetensors(new Map([['w', { dtype: 'I64', shape: [1], data }]]));
    const { tensors } = await openSafetensors(memorySource('w.safetensors', file));
    await refused(() => tensors.get('w')!.read(), 'ESP0505', 'w');
  },
);

describe('JSON beside weights', () => {
  test.each<[string, ByteSource, string]>([
    ['of 65 MiB', claims(65 << 20), 'which no configuration is'],
    ['that is cut', memorySource('c', new TextEncoder().encode('{"a":')), 'is not JSON'],
    ['that is not UTF-8', memorySource('c', Uint8Array.of(0x22, 0xff, 0x22)), 'is not JSON'],
    ['that is a list', memorySource('c', new TextEncoder().encode('[]')), 'is not a JSON object'],
    ['that is null', memorySource('c', new TextEncoder().encode('null')), 'is not a JSON object'],
  ])('%s', (_, source, words) => refused(() => readJsonObject(source), 'ESP0507', words));
});

describe('a folder of transformers', () => {
  const hf = (config: object, more: Record<string, string | Uint8Array> = {}): Folder =>
    memoryFolder('f', {
      'config.json': JSON.stringify({ model_type: 'vit', ...config }),
      'model.safetensors': fileOf({ 'embeddings.cls_token': floats([1]) }),
      ...more,
    });
  const index = (map: object): Folder =>
    memoryFolder('f', {
      'config.json': '{"model_type":"vit"}',
      'model.safetensors.index.json': JSON.stringify({ weight_map: map }),
      'a.safetensors': fileOf({ x: floats([1]) }),
    });
  const grey = { 'preprocessor_config.json': JSON.stringify({ do_resize: false }) };
  const read = async (folder: Folder) => meaning(await openCheckpoint(folder), 'classify(base, classes: 2)');

  test.each<[string, string, string, () => unknown]>([
    ['without config.json', 'ESP0506', 'no config.json', () => openHuggingFace(memoryFolder('f', {}))],
    ['of nothing', 'ESP0506', 'neither config.json nor', () => openCheckpoint(memoryFolder('f', {}))],
    [
      'of weights alone',
      'ESP0506',
      'name the file itself (a.safetensors)',
      () => openCheckpoint(memoryFolder('f', { 'a.safetensors': '' })),
    ],
    [
      'without weights',
      'ESP0506',
      'f',
      () => openCheckpoint(memoryFolder('f', { 'config.json': '{"model_type":"vit"}' })),
    ],
    ['of BERT', 'ESP0508', 'bert', () => read(hf({ model_type: 'bert' }))],
    ['of nameless models', 'ESP0508', 'of type ""', () => read(hf({ model_type: null }))],
    ['with another activation', 'ESP0509', 'hidden_act = "mish"', () => read(hf({ hidden_act: 'mish' }))],
    ['for oblong images', 'ESP0509', 'image_size = [224,192]', () => read(hf({ image_size: [224, 192] }))],
    [
      'for images of two channels',
      'ESP0507',
      'a model of 2 channels takes no images',
      () => read(hf({ num_channels: 2 }, grey)),
    ],
    [
      'for images of four channels',
      'ESP0507',
      'a model of 4 channels takes no images',
      () => read(hf({ num_channels: 4 }, grey)),
    ],
    ['in shards by number', 'ESP0507', '"x" is not mapped to a file', () => openCheckpoint(index({ x: 3 }))],
    [
      'in shards elsewhere',
      'ESP0507',
      'is not the name of a file',
      () => openCheckpoint(index({ x: 'a/../a.safetensors' })),
    ],
  ])('%s', (_, code, words, work) => refused(work, code, words));
});

describe('a folder of peft', () => {
  const pair = (module: string, rank = 2, more = '') => ({
    [`base_model.model.${module}.lora_A${more}.weight`]: floats([rank, 4]),
    [`base_model.model.${module}.lora_B${more}.weight`]: floats([4, rank]),
  });
  const peft = (config: object, tensors: Record<string, ReturnType<typeof floats>>): Folder =>
    memoryFolder('f', {
      'adapter_config.json': JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 2, ...config }),
      'adapter_model.safetensors': fileOf(tensors),
    });
  const many = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`(a|b){500}x${i}`, 2]));
  const saved = {
    'base_model.model.classifier.weight': floats([1]),
    'base_model.model.classifier.modules_to_save.weight': floats([1]),
  };

  test.each<[string, string, string, () => unknown]>([
    ['without its configuration', 'ESP0506', 'no adapter_config.json', () => openPeft(memoryFolder('f', {}))],
    [
      'of a head that is there twice',
      'ESP0503',
      'classifier',
      () => openCheckpoint(peft({}, { ...pair('a'), ...saved })),
    ],
    [
      'of a pair that is there twice',
      'ESP0503',
      'lora_A',
      () => openCheckpoint(peft({}, { ...pair('a'), ...pair('a', 2, '.default') })),
    ],
    [
      'of patterns beyond counting',
      'ESP0512',
      'too large',
      () => openCheckpoint(peft({ rank_pattern: many }, pair('a'.repeat(2000)))),
    ],
    [
      'of a pattern and a name in Greek',
      'ESP0512',
      'not ASCII',
      () => openCheckpoint(peft({ rank_pattern: { '.*\\d': 2 } }, pair('α1'))),
    ],
    ['of no type', 'ESP0507', 'has no peft_type', () => openCheckpoint(peft({ peft_type: null }, pair('a')))],
  ])('%s', (_, code, words, work) => refused(work, code, words));

  test.each([{ new_field: 1 }, { new_field: 'a', other: [1] }])(
    'with fields that nobody knows is pointed out: %j',
    async (fields) => {
      const { warnings } = await openCheckpoint(peft(fields, pair('a')));
      expect(warnings.map((d) => [d.code, d.severity])).toEqual([['ESP0513', 'warning']]);
      for (const field of Object.keys(fields)) expect(warnings[0]!.message).toContain(field);
    },
  );
});

describe('what a model takes of a file', () => {
  const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
  const source = (params: string[], kind: SourceLike['kind'] = 'backbone'): SourceLike => ({
    location: 'w',
    kind,
    params,
    layouts: kind === 'backbone' ? { theirs: params.map((param) => ({ param, tensor: param.slice(5) })) } : {},
  });
  const file = (...names: string[]) =>
    openCheckpoint(memorySource('w', fileOf(Object.fromEntries(names.map((name) => [name, floats([2])])))));
  const types = (...names: string[]): Map<string, TensorType> => new Map(names.map((name) => [name, f32(2)]));
  const load = async (names: string[], wanted: string[], typed = wanted) =>
    loadSources([source(wanted)], await file(...names), { types: types(...typed) });

  test.each<[string, string, string, () => unknown]>([
    ['without a type', 'ESP0500', 'base.a has no type', () => load(['a', 'b'], ['base.a', 'base.b'], ['base.b'])],
    ['without types', 'ESP0500', 'base.a has no type', () => load(['a'], ['base.a'], [])],
    ['that it lacks', 'ESP0510', 'missing', () => load(['a'], ['base.a', 'base.b'])],
    ['that it has besides', 'ESP0510', 'unexpected', () => load(['a', 'c'], ['base.a'])],
    ['when it has others alone', 'ESP0511', 'none of the 1 tensors', () => load(['x'], ['base.a'])],
    ['when it has nothing', 'ESP0511', 'none of the 2 tensors', () => load([], ['base.a', 'base.b'])],
  ])('%s', (_, code, words, work) => refused(work, code, words));

  test.each([[['swin.q']], [['swin.q', 'swin.k']]])('modules that it does not have: %j', async (modules) => {
    const tensors = modules.flatMap((m) => [
      [`base_model.model.${m}.lora_A.weight`, floats([2, 4])] as const,
      [`base_model.model.${m}.lora_B.weight`, floats([4, 2])] as const,
    ]);
    const peft = memoryFolder('f', {
      'adapter_config.json': '{"peft_type":"LORA","r":2,"lora_alpha":2}',
      'adapter_model.safetensors': fileOf(Object.fromEntries(tensors)),
    });
    const sites = new Map([['vit.q', { site: 'base.q' }]]);
    const checkpoint = await openCheckpoint(peft);
    const adapter = source(['base.q@l.A', 'base.q@l.B'], 'adapter');
    const all = { types: types('base.q@l.A', 'base.q@l.B'), sites };
    for (const m of modules) await refused(() => loadSources([adapter], checkpoint, all), 'ESP0514', m);
  });

  test.each([['base.extra'], ['head.fc.weight']])('%s, for which it has no place', async (name) => {
    const base = await file('a');
    const params = new Map([
      ['base.a', floats([2])],
      [name, floats([2])],
    ]);
    const options = { params, layout: [{ param: 'base.a', tensor: 'a' }], layoutName: 'theirs', base };
    await refused(() => exportCheckpoint(options), 'ESP0519', `${name} [2]`);
  });

  test.each([[[Number.NaN, 1]], [[Number.POSITIVE_INFINITY, Number.NaN]]])('%j', (values) => {
    const odd = { type: f32(2), data: Float32Array.from(values) };
    const found = nonFinite('w', new Map([['a', odd]]));
    const count = values.filter((v) => !Number.isFinite(v)).length;
    expect(found.map((d) => `${d.code} ${d.message}`)).toEqual([
      expect.stringMatching(`^ESP0518 [^]*a: ${count} of 2`),
    ]);
  });
});

describe('a file of masks', () => {
  const masks = (metadata: Record<string, string>, tensors: Record<string, ReturnType<typeof floats>>) => async () =>
    readMasks(await openSafetensors(memorySource('m', fileOf(tensors, metadata))));
  const mark = { format: 'espalier.mask', version: '1' };
  test.each<[string, string, () => unknown]>([
    ['that does not say so', '"format"', masks({}, { 'w#mask': floats([2]) })],
    ['of a later version', 'version "1"', masks({ ...mark, version: '2' }, { 'w#mask': floats([2]) })],
    ['without a version', 'version "1"', masks({ format: mark.format }, { 'w#mask': floats([2]) })],
    ['of another name', 'not named after a weight', masks(mark, { w: floats([2]) })],
    ['of twos', 'holds 2', masks(mark, { 'w#mask': floats([3]) })],
  ])('%s', (_, words, work) => refused(work, 'ESP0516', words));
});

test.each<[string, number[], string]>([
  ['three bytes', [0, 0, 8], 'only 3 bytes'],
  ['a compressed file', [0x1f, 0x8b, 8, 0], 'compressed (gzip)'],
  ['another start', [1, 0, 8, 0], 'two zero bytes'],
  ['floats', [0, 0, 13, 0], 'type is 13'],
  ['sizes that end early', [0, 0, 8, 2, 0, 0, 0, 1], 'inside its list of sizes'],
  ['a byte too few', [0, 0, 8, 1, 0, 0, 0, 2, 7], '[2] needs 2 bytes, but 1 follow'],
  ['a byte too many', [0, 0, 8, 1, 0, 0, 0, 1, 7, 7], '[1] needs 1 bytes, but 2 follow'],
])('an IDX file of %s', (_, bytes, words) =>
  refused(() => readIdx(memorySource('i', Uint8Array.from(bytes))), 'ESP0517', words),
);

describe('on disk', () => {
  const file = () => put('file', 'text');
  const inside = (name: string) => {
    mkdirSync(join(folder, name, 'cats'), { recursive: true });
    return join(folder, name);
  };
  test.each<[string, string, string, () => unknown]>([
    ['a file that is not there', 'ESP0501', 'nowhere', () => openFile(join(folder, 'nowhere'))],
    ['a file below a file', 'ESP0501', 'part of the path is a file', () => openFile(join(file(), 'below'))],
    ['a folder as a file', 'ESP0501', 'folder', () => openFile(folder)],
    ['a folder, read whole', 'ESP0501', 'folder', () => readWhole(folder, 10)],
    ['nothing, read whole', 'ESP0501', 'nowhere', () => readWhole(join(folder, 'nowhere'), 10)],
    ['a folder that is none', 'ESP0501', 'nowhere', () => openFolder(join(folder, 'nowhere')).list()],
    [
      'a checkpoint that is not there',
      'ESP0501',
      'no such file or folder',
      () => openCheckpointAt(join(folder, 'nowhere')),
    ],
    [
      'an image beyond any',
      'ESP0501',
      'more than 1073741824 bytes',
      () => decodeImage(put('large.png', '', 2 ** 30 + 1)),
    ],
    [
      'the same, handed over',
      'ESP0501',
      'more than 1073741824 bytes',
      () => decodeImage(`/dev/fd/${openSync(put('handed.png', '', 2 ** 30 + 1), 'r')}`),
    ],
    ['an image of no bytes', 'ESP0530', 'it is empty', () => decodeImage(put('empty.png', ''))],
    ['an image of text', 'ESP0530', 'text.png', () => decodeImage(put('text.png', 'not a picture'))],
    ['images of a folder that is none', 'ESP0501', 'nowhere', () => listImages(join(folder, 'nowhere'))],
    ['a folder without images', 'ESP0531', 'holds no images', () => listImages(inside('bare'))],
    ['classes without images', 'ESP0531', 'no images in them', () => listLabelledImages(inside('classes'))],
    [
      'images without classes',
      'ESP0531',
      'no folder for each class',
      () => {
        mkdirSync(join(folder, 'flat'), { recursive: true });
        put('flat/a.png', 'x');
        return listLabelledImages(join(folder, 'flat'));
      },
    ],
    [
      'an image beside the classes',
      'ESP0531',
      "no class's folder: a.png",
      () => {
        inside('mixed');
        put('mixed/a.png', 'x');
        return listLabelledImages(join(folder, 'mixed'));
      },
    ],
    [
      'a link that leads in a circle',
      'ESP0501',
      'its links lead in a circle',
      () => {
        const path = join(folder, 'circle');
        rmSync(path, { force: true });
        symlinkSync('circle', path);
        return openCheckpointAt(path);
      },
    ],
  ])('%s', (_, code, words, work) => refused(work, code, words));
});
