/** What data may not be: for each check one that only this check refuses (`npm run checks`). What has a place in a text is shown there. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { makeLoader } from '../../src/data/loader.js';
import { type DataSpec, openDatasets } from '../../src/data/node/open.js';
import { limited, withValidation } from '../../src/data/splits.js';
import type { Augment, LoaderOptions } from '../../src/data/types.js';
import { render } from '../../src/diagnostics/render.js';
import { type Diagnostic, EspalierError } from '../../src/diagnostics/types.js';
import { encodeSafetensors, type StoredTensor } from '../../src/formats/tensors/safetensors.js';
import { scratch } from '../api/support.js';
import { expectGolden } from '../golden.js';
import { counted, inMemory, SMALL, writeTree } from './support.js';

const folder = scratch();
let next = 0;
type Tree = Parameters<typeof writeTree>[1];
const tree = (files: Tree) => writeTree(join(folder, String(next++)), files);

async function refusal(work: () => unknown): Promise<readonly Diagnostic[]> {
  try {
    await work();
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics;
    throw error;
  }
  return [];
}
const refused = async (work: () => unknown, code: string, words: string | RegExp): Promise<void> => {
  const [first] = await refusal(work);
  const said = `${first?.code} ${first?.message} ${first?.help.join(' ')}`;
  if (typeof words === 'string') expect(said).toContain(words);
  else expect(said).toMatch(words);
  expect(first?.code).toBe(code);
};

const list = (text: string): Tree => ({ 'list.csv': text, 'a.png': 1, 'b.png': 2 });
const vtab = (train: string): Tree => ({ 'train800.txt': train, 'a.png': 1 });

describe('data that cannot be opened', () => {
  test.each<[string, Tree, Partial<DataSpec> & { file?: string }, string, string | RegExp]>([
    ['nothing there', {}, { file: 'flowers' }, 'ESP0501', 'there is no such file or folder'],
    ['an empty folder', { '.keep': '' }, {}, 'ESP0531', 'holds no folder for each class'],
    ['classes without images', { 'x/.keep': '', 'y/.keep': '' }, {}, 'ESP0531', 'no images in them'],
    ['images in no class', { 'a.png': 1 }, {}, 'ESP0531', 'no folder for each class'],
    ['a file of another kind', { 'a.txt': 'x' }, { file: 'a.txt' }, 'ESP1001', 'a.txt is a file of another kind'],
    [
      'a format that is not there',
      { 'x/a.png': 1 },
      { format: 'idx' },
      'ESP1001',
      'no files of the format `idx`, but x',
    ],
    [
      'a file in another format',
      list('file,label\na.png,1'),
      { file: 'list.csv', format: 'idx' },
      'ESP1001',
      'format `idx`',
    ],
    [
      'lists of a file',
      { 'a.txt': 'x' },
      { file: 'a.txt', lists: { train: 'a.txt' } },
      'ESP1001',
      '`lists` are files of a folder',
    ],
    ['one class', { 'train/x/a.png': 1, 'test/x/b.png': 2 }, {}, 'ESP1002', 'are of one class, x: there is nothing'],
    ['one class of several', { 'train/x/a.png': 1 }, { classes: ['x', 'y'] }, 'ESP1002', 'one class, x'],
    [
      'a class that the head lacks',
      { 'x/a.png': 1, 'z/b.png': 2 },
      { classes: ['x', 'y'] },
      'ESP0921',
      'sub-folders that are no class of the model: z Its classes are: x, y.',
    ],
    [
      'folders called as numbers',
      { '0/a.png': 1, '1/b.png': 2 },
      { classes: ['x', 'y'] },
      'ESP0921',
      'no class of the model: 0, 1',
    ],
    [
      'more classes than the head has',
      vtab('a.png 10\n'),
      { classes: 10 },
      'ESP0921',
      'labels that are no class of the model: 10 It has 10 classes: labels are 0 to 9.',
    ],
    [
      'a label of two classes',
      list('file,label\na.png,x\n'),
      { file: 'list.csv', classes: ['x', 'x'] },
      'ESP0926',
      /the label x of .* could be any of the classes 0, 1/,
    ],
    [
      'nothing to train on',
      list('file,label,split\na.png,x,test\n'),
      { file: 'list.csv' },
      'ESP1014',
      'only a split test',
    ],
    ['an empty table', list('file,label\n'), { file: 'list.csv' }, 'ESP1014', /has no items to train on *$/],
    [
      'a picture in two splits',
      list('file,label,split\na.png,x,train\nb.png,y,train\n./a.png,x,val\n'),
      { file: 'list.csv' },
      'ESP1012',
      /\.\/a\.png is in train and in val/,
    ],
    [
      'no column of paths',
      list('name,label\na.png,x\n'),
      { file: 'list.csv' },
      'ESP1013',
      'no column of paths Its columns are: name, label.',
    ],
    ['no column of labels', list('file,kind\na.png,x\n'), { file: 'list.csv' }, 'ESP1013', 'no column of labels'],
    [
      'a column asked for',
      list('file,label\na.png,x\n'),
      { file: 'list.csv', columns: { label: 'kind' } },
      'ESP1013',
      'no column `kind`',
    ],
    [
      'a column of numbers',
      list('file,x\na.png,1\n'),
      { file: 'list.csv', columns: { numbers: ['x', 'y'] } },
      'ESP1013',
      'no column `y`',
    ],
    [
      'a column of splits',
      list('file,label\na.png,x\n'),
      { file: 'list.csv', columns: { split: 'part' } },
      'ESP1013',
      'no column `part`',
    ],
    ['an empty file', list(''), { file: 'list.csv' }, 'ESP1008', 'no line of column names'],
    [
      'a list whose images are elsewhere',
      vtab('images/a.png 0\n'),
      {},
      'ESP0501',
      'images/a.png: there is no such file',
    ],
    [
      'a list that is not there',
      vtab('a.png 0\n'),
      { lists: { train: 'train800.txt', test: 'test1.txt' } },
      'ESP0501',
      'test1.txt',
    ],
    ['JSON that is none', { 'train.json': '{' }, {}, 'ESP1008', 'it is not JSON'],
    ['a list of another kind', { 'train.json': '[1]' }, {}, 'ESP1008', 'not a map from paths to classes'],
    [
      'a class that is none',
      { 'train.json': '{"a.png": 1.5}', 'a.png': 1 },
      {},
      'ESP1008',
      'a.png has 1.5, which is no class',
    ],
  ])('%s', async (_, files, { file, ...spec }, code, words) => {
    const path = await tree(files);
    await refused(() => openDatasets({ path: file === undefined ? path : join(path, file), ...spec }), code, words);
  });
});

describe('lines, where they stand', () => {
  test.each<[string, string, string, Partial<DataSpec>]>([
    ['without-label', 'list.csv', 'file,label\na.png,x\nb.png,\n"c\nd.png",""\ne.png,y\n', {}],
    ['without-path', 'list.csv', '\uFEFFfile,label\n\u00e9.png,x\n,y\n', {}],
    ['another-number-of-values', 'list.csv', 'file,label\na.png,x\nb.png,y,z\n', {}],
    ['quote-that-does-not-end', 'list.csv', 'file,label\n"a.png,x\nb.png,y\n', {}],
    ['no-split', 'list.csv', 'file,label,split\na.png,x,train\nb.png,y,trial\n', {}],
    ['no-number', 'list.csv', 'file,x\na.png,1\nb.png,far\nc.png,\n', { columns: { numbers: ['x'] } }],
    ['no-class', 'list.csv', 'file,label\na.png,x\nb.png,lily\n', { classes: ['x', 'y'] }],
    ['no-json', 'metadata.jsonl', '{"file_name": "a.png", "label": "x"}\n{"file_name": \n', {}],
    ['no-object', 'metadata.jsonl', '{"file_name": "a.png", "label": "x"}\n[7]\n', {}],
    ['no-number-of-a-class', 'train800.txt', 'a.png 1\nb.png rose\n', {}],
  ])('%s', async (name, file, text, spec) => {
    const path = await tree({ [file]: text, 'a.png': 1 });
    const diagnostics = await refusal(() =>
      openDatasets({ path: file === 'train800.txt' ? path : join(path, file), ...spec }),
    );
    const shown = render(diagnostics, { texts: (at) => readFileSync(at, 'utf8'), color: false });
    expectGolden(`${name}.txt`, shown.replaceAll(path, '/data').replaceAll(relative(process.cwd(), path), '/data'));
  });
});

describe('arrays', () => {
  const u8 = (...shape: number[]): StoredTensor => ({
    dtype: 'U8',
    shape,
    data: new Uint8Array(shape.reduce((a, b) => a * b, 1)),
  });
  const i32 = (...shape: number[]): StoredTensor => ({ ...u8(...shape, 4), dtype: 'I32', shape });
  const f32 = (...shape: number[]): StoredTensor => ({ ...u8(...shape, 4), dtype: 'F32', shape });
  const idx = (...shape: number[]): Uint8Array => {
    const sizes = shape.flatMap((n) => [0, 0, 0, n]);
    return Uint8Array.from([
      0,
      0,
      8,
      shape.length,
      ...sizes,
      ...new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0),
    ]);
  };
  const file = (tensors: Record<string, StoredTensor>, metadata = {}) =>
    encodeSafetensors(new Map(Object.entries(tensors)), metadata);

  test.each<[string, Record<string, StoredTensor>, Record<string, string>, string | RegExp]>([
    ['fewer labels than pictures', { images: u8(3, 2, 2), labels: u8(2) }, {}, 'there are 3 pictures and 2 labels'],
    ['one picture', { images: u8(2, 2), labels: u8(2) }, {}, 'an array [2, 2] is no list of pictures'],
    ['two channels', { images: u8(2, 2, 4, 4), labels: u8(2) }, {}, 'have 2 channels of 4 x 4'],
    ['no height', { images: u8(2, 3, 0, 4), labels: u8(2) }, {}, 'have 3 channels of 0 x 4'],
    [
      'whole numbers that are no pixels',
      { images: i32(2, 2, 2), labels: u8(2) },
      {},
      '`images` is I32, neither U8 nor floats',
    ],
    ['labels in three dimensions', { images: u8(2, 2, 2), labels: u8(2, 1, 1) }, {}, 'neither [n] nor [n, width]'],
    ['no labels', { images: u8(2, 2, 2), classes: u8(2) }, {}, 'no tensor `labels`, but classes, images'],
    [
      'classes that are no list',
      { images: u8(2, 2, 2), labels: u8(2) },
      { classes: 'cat, dog' },
      'no JSON list of names: cat, dog',
    ],
    ['classes that are no names', { images: u8(2, 2, 2), labels: u8(2) }, { classes: '[1]' }, 'no JSON list of names'],
    [
      'splits of two kinds',
      { 'train.images': u8(1, 2, 2), 'train.labels': u8(1), 'val.images': u8(1, 2, 2), 'val.labels': f32(1) },
      {},
      'of another kind than those of the other splits',
    ],
    [
      'splits of two widths',
      { 'train.images': u8(1, 2, 2), 'train.labels': f32(1, 2), 'val.images': u8(1, 2, 2), 'val.labels': f32(1, 3) },
      {},
      'of another kind',
    ],
    [
      'pixels beside floats',
      { 'train.images': u8(1, 2, 2), 'train.labels': u8(1), 'val.images': f32(1, 2, 2), 'val.labels': u8(1) },
      {},
      'F32, and other splits pixels',
    ],
  ])('%s', async (_, tensors, metadata, words) => {
    const path = await tree({ 'x.safetensors': file(tensors, metadata) });
    await refused(() => openDatasets({ path: join(path, 'x.safetensors') }), 'ESP1006', words);
  });

  test('in memory: another number of elements, or of labels', async () => {
    const learnt = { kind: 'class', labels: [0, 1] } as const;
    const images = { name: 'pictures', shape: [2, 2, 2], data: new Uint8Array(7) };
    await refused(() => datasetOfArrays(images, learnt), 'ESP1006', 'has 8 elements, and 7 were given');
    const more = { ...images, data: new Uint8Array(8) };
    await refused(() => datasetOfArrays(more, { ...learnt, labels: [0, 1, 1] }), 'ESP1006', '2 pictures and 3 labels');
  });

  test('IDX: labels that are pictures, damaged compression', async () => {
    const images = { 'train-images-idx3-ubyte': idx(2, 1, 1) };
    const wide = await tree({ ...images, 'train-labels-idx1-ubyte': idx(2, 1) });
    await refused(() => openDatasets({ path: wide }), 'ESP1006', 'labels are a list, and this is');
    const torn = await tree({ ...images, 'train-labels-idx1-ubyte.gz': Uint8Array.of(0x1f, 0x8b, 8, 0, 1) });
    await refused(() => openDatasets({ path: torn }), 'ESP0501', 'train-labels-idx1-ubyte.gz');
    await refused(
      () => tree(images).then((path) => openDatasets({ path })),
      'ESP0501',
      'train-labels-idx1-ubyte.gz: there is no such file',
    );
  });
});

test('a class that has nothing to train on is a warning', async () => {
  const path = await tree({ 'train/x/a.png': 1, 'train/y/b.png': 2, 'test/z/c.png': 3 });
  const told: Diagnostic[] = [];
  await openDatasets({ path }, { warn: (d) => told.push(d) });
  await openDatasets({ path: join(path, 'train'), classes: ['x', 'y', 'v', 'w'] }, { warn: (d) => told.push(d) });
  expect(told.map((d) => `${d.severity} ${d.code} ${d.message.replace(path, '')}`)).toEqual([
    'warning ESP1003  has nothing to train on of the class z',
    'warning ESP1003 /train has nothing to train on of the classes v, w',
  ]);
});

describe('a loader’s options', () => {
  const options = (more: Partial<LoaderOptions>) => () => makeLoader(counted(8, 2), { ...SMALL, ...more });
  const augment = (more: Augment) => options({ augment: more });

  test.each<[string, () => unknown, string, string]>([
    [
      'a batch larger than the data',
      options({ size: 9 }),
      'ESP1005',
      'a batch of 9 is larger than numbers, which has 8 items Give a batch of at most 8.',
    ],
    ['no batch', options({ size: 0 }), 'ESP1009', '`size` of the data cannot be 0 It is a whole number above 0.'],
    ['half a batch', options({ size: 1.5 }), 'ESP1009', '`size`'],
    [
      'a seed below 0',
      options({ seed: -1 }),
      'ESP1009',
      '`seed` of the data cannot be -1 It is a whole number from 0 to 4294967295.',
    ],
    ['a seed of 33 bits', options({ seed: 2 ** 32 }), 'ESP1009', '`seed`'],
    ['a seed that is no number', options({ seed: Number.NaN }), 'ESP1009', 'cannot be NaN'],
    ['half a batch ahead', options({ ahead: 0.5 }), 'ESP1009', '`ahead`'],
    ['memory below 0', options({ memory: -1 }), 'ESP1009', '`memory`'],
    [
      'a share above 1',
      options({ corrupt: 1.1 }),
      'ESP1009',
      '`corrupt` of the data cannot be 1.1 It is a number from 0 to 1.',
    ],
    ['a probability above 1', augment({ flip: 2 }), 'ESP1009', '`flip`'],
    ['one of the other flip', augment({ flipVertical: -0.1 }), 'ESP1009', '`flipVertical`'],
    ['a share of mixed batches', augment({ mixShare: 2 }), 'ESP1009', '`mixShare`'],
    ['a share of boxes', augment({ cutmixShare: 2 }), 'ESP1009', '`cutmixShare`'],
    [
      'a mixture below 0',
      augment({ mixup: -1 }),
      'ESP1009',
      '`mixup` of the data cannot be -1 It is a number from 0 on.',
    ],
    ['a box below 0', augment({ cutmix: -1 }), 'ESP1009', '`cutmix`'],
    [
      'an area of more than all',
      augment({ crop: { scale: [0.5, 1.5] } }),
      'ESP1009',
      '`crop.scale` of the data cannot be 1.5',
    ],
    [
      'no area',
      augment({ crop: { scale: [0, 1] } }),
      'ESP1009',
      '`crop.scale` of the data cannot be 0 It is a number above 0 to 1.',
    ],
    [
      'areas the wrong way round',
      augment({ crop: { scale: [1, 0.5] } }),
      'ESP1009',
      'cannot be [1, 0.5] It is the smaller number first.',
    ],
    ['a shape of no width', augment({ crop: { ratio: [0, 1] } }), 'ESP1009', '`crop.ratio`'],
    ['a magnitude above 10', augment({ randAugment: { magnitude: 11 } }), 'ESP1009', '`randAugment.magnitude`'],
    ['a deviation below 0', augment({ randAugment: { deviation: -1 } }), 'ESP1009', '`randAugment.deviation`'],
    ['no operation', augment({ randAugment: { count: 0 } }), 'ESP1009', '`randAugment.count`'],
    [
      'a probability of operations',
      augment({ randAugment: { probability: 2 } }),
      'ESP1009',
      '`randAugment.probability`',
    ],
  ])('%s', (_, work, code, words) => refused(work, code, words));

  test('evaluation may have a batch larger than the data', () => {
    expect(makeLoader(counted(8, 2), { ...SMALL, size: 100, order: 'listed' }).perEpoch).toBe(1);
  });

  test('balanced, where items are of several classes, or of none', async () => {
    const pixels = new Uint8Array(32);
    const options: LoaderOptions = { ...SMALL, order: 'balanced' };
    const several = inMemory(pixels, [8, 2, 2], { kind: 'classes', labels: Array.from({ length: 8 }, () => ['a']) });
    await refused(
      () => makeLoader(several, options),
      'ESP1010',
      'balanced sampling takes items of one class each, and those of numbers have several labels',
    );
    const numbers = inMemory(pixels, [8, 2, 2], { kind: 'numbers', labels: [1, 2, 3, 4, 5, 6, 7, 8] });
    await refused(() => makeLoader(numbers, options), 'ESP1010', 'have numbers');
  });

  test('floats, which are what the model takes, and cannot be cropped', async () => {
    const data = inMemory(new Float32Array(8), [2, 2, 2], { kind: 'class', labels: [0, 1] });
    const options: LoaderOptions = { ...SMALL, size: 2 };
    await refused(() => makeLoader(data, { ...options, augment: { crop: {} } }), 'ESP1009', /`crop` .* arrays are f32/);
    await refused(() => makeLoader(data, { ...options, augment: { randAugment: {} } }), 'ESP1009', '`randAugment`');
    const input = { channels: 3, height: 2, width: 2 };
    await refused(
      () => makeLoader(data, { ...options, input }),
      'ESP1006',
      'each has 4 numbers where the model takes 3 x 2 x 2',
    );
  });
});

describe('splits', () => {
  test.each<[string, () => unknown, string]>([
    ['no share', () => withValidation({ train: counted(8, 2) }, 0, 1), '0 of the items were asked for'],
    ['all', () => withValidation({ train: counted(8, 2) }, 1, 1), '1 of the items were asked for'],
    ['one item of each class', () => withValidation({ train: counted(3, 3) }, 0.5, 1), 'no class has two items'],
    ['no item', () => limited(counted(8, 2), 0, 1), '0 items were asked for'],
    ['half an item', () => limited(counted(8, 2), 1.5, 1), '1.5 items were asked for'],
  ])('%s', (_, work, words) => refused(work, 'ESP1011', words));
});
