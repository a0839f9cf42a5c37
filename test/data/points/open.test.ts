/** Readers of points: each layout as its data set has it, and what is wrong with files of annotations. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { makeLoader } from '../../../src/data/loader.js';
import { type DataSpec, openDatasets } from '../../../src/data/node/open.js';
import { readMat } from '../../../src/data/node/points/mat.js';
import type { Dataset } from '../../../src/data/types.js';
import { type Diagnostic, EspalierError } from '../../../src/diagnostics/types.js';
import { scratch } from '../../api/support.js';
import { all, writeTree } from '../support.js';

const folder = scratch();
let next = 0;
type Tree = Parameters<typeof writeTree>[1];
const mat = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../fixtures/mat/${name}.mat`, import.meta.url)));
const picture = async (width: number, height: number, format: 'png' | 'jpeg' = 'png'): Promise<Uint8Array> =>
  sharp({ create: { width, height, channels: 3, background: 'black' } })
    .toFormat(format)
    .toBuffer();
const [png, jpg] = [await picture(8, 6), await picture(8, 6, 'jpeg')];

/** Data at a path below a new folder with these files, and what was said. */
async function opened(files: Tree, spec: Partial<DataSpec> & { at?: string } = {}) {
  const { at = '', ...rest } = spec;
  const root = await writeTree(join(folder, String(next++)), files);
  const said: Diagnostic[] = [];
  const sets = await openDatasets({ path: join(root, at), kind: 'points', ...rest }, { warn: (d) => said.push(d) });
  return { ...sets, said, root };
}

const pointsOf = (set: Dataset | undefined): Record<string, number[]> | undefined => {
  if (!set) return undefined;
  const { targets, ids } = set;
  if (targets.kind !== 'points') throw new Error(targets.kind);
  return Object.fromEntries(ids.map((id, i) => [id, [...targets.points[i]!]]));
};

describe('ShanghaiTech', () => {
  test('a part: annotations beside pictures, counted from 1 there and from 0.5 here', async () => {
    const {
      train,
      val,
      test: held,
    } = await opened({
      'train_data/images/IMG_1.jpg': jpg,
      'train_data/images/IMG_2.jpg': jpg,
      'train_data/images/IMG_10.jpg': jpg,
      'train_data/ground-truth/GT_IMG_1.mat': mat('compressed'),
      'train_data/ground-truth/GT_IMG_2.mat': mat('empty'),
      'train_data/ground-truth/GT_IMG_10.mat': mat('singles'),
      'test_data/images/IMG_1.jpg': jpg,
      'test_data/ground_truth/GT_IMG_1.mat': mat('plain'),
    });
    const heads = [0.5, 0.5, 7.5, 5.5, 2.75, 4.25];
    expect(pointsOf(train)).toEqual({
      'train_data/images/IMG_1.jpg': heads,
      'train_data/images/IMG_2.jpg': [],
      'train_data/images/IMG_10.jpg': [2, 2.5],
    });
    expect(val).toBeUndefined();
    expect(pointsOf(held)).toEqual({ 'test_data/images/IMG_1.jpg': heads });
  });

  test('its folders by themselves', async () => {
    const files = { 'images/a.png': await picture(300, 200), 'ground-truth/GT_a.mat': mat('integers') };
    expect(pointsOf((await opened(files)).train)).toEqual({ 'images/a.png': [1.5, 2.5, 199.5, 99.5] });
  });

  test('big endian, and what is left out of a file', () => {
    // Nothing but a 1 x 2 array of the doubles 1 and 2, as a machine of the other order writes it.
    const bytes = new Uint8Array(128 + 8 + 64);
    const view = new DataView(bytes.buffer);
    view.setUint16(124, 0x0100);
    view.setUint16(126, 0x4d49);
    for (const [i, word] of [14, 64, 6, 8, 6, 0, 5, 8, 1, 2].entries()) view.setUint32(128 + 4 * i, word);
    view.setUint32(168, (1 << 16) | 1);
    bytes[172] = 'x'.charCodeAt(0);
    view.setUint32(176, 9);
    view.setUint32(180, 16);
    view.setFloat64(184, 1);
    view.setFloat64(192, 2);
    expect(readMat(bytes)).toEqual(new Map([['x', { kind: 'numbers', dims: [1, 2], values: Float64Array.of(1, 2) }]]));
    expect(readMat(mat('plain')).get('note')).toEqual({ kind: 'other' });
  });

  test('a file cut off anywhere is refused, and nothing else happens', () => {
    const wrong = /^(it is|a variable|a compressed|`|numbers are)/;
    for (const name of ['plain', 'compressed']) {
      const whole = mat(name);
      let refused = 0;
      for (let length = 0; length < whole.length; length++) {
        try {
          readMat(whole.subarray(0, length));
        } catch (error) {
          expect((error as Error).message).toMatch(wrong);
          refused++;
        }
      }
      // A file that ends between two variables is one with fewer of them.
      expect(refused).toBeGreaterThan(whole.length - 8);
    }
  });

  test('a file with a byte changed is read or refused', () => {
    const whole = mat('plain');
    for (let at = 124; at < whole.length; at++)
      for (const to of [0, 1, 0x7f, 0xff]) {
        const bytes = whole.slice();
        bytes[at] = to;
        try {
          readMat(bytes);
        } catch (error) {
          expect((error as Error).constructor.name).toBe('MatError');
        }
      }
  });
});

describe('CARPK and PUCPR+', () => {
  const files: Tree = {
    'Images/a.png': png,
    'Images/b.jpg': jpg,
    'Annotations/a.txt': '0 0 4 2 1\n2 2 8 6 1\n\n',
    'Annotations/b.txt': '',
    'ImageSets/train.txt': 'a\n',
    'ImageSets/test.txt': 'b\r\n',
  };
  const expected = [{ 'Images/a.png': [2, 1, 5, 4] }, { 'Images/b.jpg': [] }];
  test('centres of boxes', async () => {
    const { train, test: held } = await opened(files);
    expect([pointsOf(train), pointsOf(held)]).toEqual(expected);
  });
  test('in a folder `data`, as they are handed on', async () => {
    const below = Object.fromEntries(Object.entries(files).map(([name, content]) => [`data/${name}`, content]));
    const { train, test: held } = await opened(below, { format: 'carpk' });
    expect([pointsOf(train), pointsOf(held)]).toEqual(expected);
  });
});

const coco = (names: readonly string[], annotations: readonly unknown[]) =>
  JSON.stringify({ images: names.map((file_name, id) => ({ id, file_name })), annotations });

describe('COCO', () => {
  const boxes = [
    { image_id: 0, bbox: [1, 2, 4, 2], iscrowd: 0, category_id: 1 },
    { image_id: 0, bbox: [0, 0, 2, 2], category_id: 2 },
    { image_id: 0, bbox: [0, 0, 8, 6], iscrowd: 1 },
  ];
  test('centres of boxes without crowds; pictures in the folder that the file is called after', async () => {
    const { train, val } = await opened({
      'annotations/instances_train2017.json': coco(['a.png', 'b.png'], boxes),
      'annotations/instances_val2017.json': coco(['c.png'], boxes.slice(0, 1)),
      'train2017/a.png': png,
      'train2017/b.png': png,
      'images/val2017/c.png': png,
    });
    expect(pointsOf(train)).toEqual({ 'a.png': [3, 3, 1, 1], 'b.png': [] });
    expect(pointsOf(val)).toEqual({ 'c.png': [3, 3] });
  });
  test('in folders of splits, and as a file', async () => {
    const files = { 'train/_annotations.coco.json': coco(['a.png'], boxes), 'train/a.png': png };
    expect(pointsOf((await opened(files)).train)).toEqual({ 'a.png': [3, 3, 1, 1] });
    const { train } = await opened(files, { at: 'train/_annotations.coco.json' });
    expect(pointsOf(train)).toEqual({ 'a.png': [3, 3, 1, 1] });
  });
});

const json = (images: unknown) => JSON.stringify({ images });

describe('JSON and CSV', () => {
  test('a file, with splits as a field', async () => {
    const {
      train,
      val,
      test: held,
    } = await opened({
      'points.json': json([
        {
          file: 'a.png',
          points: [
            [1, 2],
            [3.5, 4],
          ],
        },
        { file: 'b.png', points: [], split: 'val' },
        { file: 'c.png', points: [[0, 0]], split: 'test' },
      ]),
      'images/a.png': png,
      'images/b.png': png,
      'images/c.png': png,
    });
    expect([train, val, held].map(pointsOf)).toEqual([
      { 'a.png': [1, 2, 3.5, 4] },
      { 'b.png': [] },
      { 'c.png': [0, 0] },
    ]);
  });
  test('files of splits', async () => {
    const one = (file: string) => json([{ file, points: [[1, 2]] }]);
    const files = { 'train.json': one('a.png'), 'val.json': one('b.png'), 'a.png': png, 'b.png': png };
    const { train, val, test: held } = await opened(files);
    expect([train, val, held].map(pointsOf)).toEqual([{ 'a.png': [1, 2] }, { 'b.png': [1, 2] }, undefined]);
  });
  test('lines of points, of pictures without any too', async () => {
    const { train, test: held } = await opened({
      'points.csv': 'image,x,y,split\na.png,1,2,train\nb.png,,,train\na.png,3,4,train\nc.png,5,5.5,test\n',
      'a.png': png,
      'b.png': png,
      'c.png': png,
    });
    expect([train, held].map(pointsOf)).toEqual([{ 'a.png': [1, 2, 3, 4], 'b.png': [] }, { 'c.png': [5, 5.5] }]);
  });
  test('the format that is asked for, of two', async () => {
    const files = {
      'points.csv': 'image,x,y\na.png,1,2\n',
      'points.json': json([{ file: 'a.png', points: [[3, 4]] }]),
      'a.png': png,
    };
    expect(pointsOf((await opened(files)).train)).toEqual({ 'a.png': [3, 4] });
    expect(pointsOf((await opened(files, { format: 'csv' })).train)).toEqual({ 'a.png': [1, 2] });
    const { train } = await opened(files, { at: 'points.csv' });
    expect(pointsOf(train)).toEqual({ 'a.png': [1, 2] });
  });
  test('batches of them', async () => {
    const { train } = await opened({ 'points.json': json([{ file: 'a.png', points: [[7.9, 5.9]] }]), 'a.png': png });
    const density = { width: 8, height: 6, sigma: 1, kernel: 1 };
    const options = { size: 1, seed: 1, preprocess: [], input: { channels: 3, width: 8, height: 6 }, density };
    const [batch] = await all(makeLoader(train, options));
    expect(batch!.targets).toMatchObject({ values: Float32Array.from({ length: 48 }, (_, i) => (i === 47 ? 1 : 0)) });
  });
});

describe('points outside of their picture', () => {
  const inside = Array.from({ length: 20 }, (_, i) => [i % 8, i % 6]);
  test('are left out and named; those at the border are moved onto it', async () => {
    const { train, said } = await opened({
      'points.json': json([
        { file: 'a.png', points: [...inside, [8.5, 3]] },
        {
          file: 'b.png',
          points: [
            [9, 1],
            [8, 6],
            [-0.5, -0.9],
          ],
        },
      ]),
      'a.png': png,
      'b.png': png,
    });
    expect(said.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringMatching(/^ESP1026 .*: 1 of 24 points lie outside of their picture \(b.png: 1\); they are left out/),
    ]);
    const [x, y, ...rest] = pointsOf(train)!['b.png']!;
    expect([Math.floor(x!), Math.floor(y!), ...rest]).toEqual([7, 5, 0, 0]);
    expect(pointsOf(train)!['a.png']!.length).toBe(42);
  });
  test('of pictures that cannot be read are not known', async () => {
    const { train, said } = await opened({
      'points.json': json([{ file: 'a.png', points: [[1000, 1]] }]),
      'a.png': 'no picture',
    });
    expect([pointsOf(train), said]).toEqual([{ 'a.png': [1000, 1] }, []]);
  });
});

describe('refused', () => {
  const part = (truth: Uint8Array): Tree => ({ 'images/a.jpg': jpg, 'ground-truth/GT_a.mat': truth });
  const changed = (from: Uint8Array, at: number, ...bytes: number[]) => {
    const copy = from.slice();
    copy.set(bytes, at);
    return copy;
  };
  const boxes = (text: string): Tree => ({
    'Images/a.png': png,
    'Annotations/a.txt': text,
    'ImageSets/train.txt': 'a\n',
  });
  const list = (text: string): Tree => ({ 'points.csv': text, 'a.png': png });
  const file = (text: string): Tree => ({ 'points.json': text, 'a.png': png });
  const of = (annotations: unknown): Tree =>
    file(JSON.stringify({ images: [{ id: 1, file_name: 'a.png' }], annotations }));
  test.each<[string, Tree, Partial<DataSpec> & { at?: string }, string, RegExp, string?]>([
    [
      'a file that is not there',
      { 'images/a.jpg': jpg, 'ground-truth/x': 'x' },
      {},
      'ESP1024',
      /GT_a.mat: it is not there, and has the annotations of a.jpg/,
    ],
    ['a short file', part(new Uint8Array(20)), {}, 'ESP1024', /too short/],
    ['another version', part(mat('level4')), {}, 'ESP1024', /too short to be a MAT-file/],
    ['no mark', part(changed(mat('plain'), 126, 0, 0)), {}, 'ESP1024', /no MAT-file of level 5/],
    ['HDF5', part(changed(mat('plain'), 124, 0, 2)), {}, 'ESP1024', /version 7.3, which is HDF5.*-v7/],
    ['an unknown version', part(changed(mat('plain'), 124, 9, 9)), {}, 'ESP1024', /unknown version \(2313\)/],
    [
      'a damaged variable',
      part(changed(mat('compressed'), 140, 255, 255, 255)),
      {},
      'ESP1024',
      /compressed variable is damaged/,
    ],
    ['a file cut off', part(mat('plain').slice(0, 300)), {}, 'ESP1024', /GT_a.mat: it is cut off/],
    ['another variable', part(mat('other')), {}, 'ESP1024', /no variable `image_info`, but density/],
    ['no location', part(mat('without')), {}, 'ESP1024', /`image_info` has no `location`/],
    ['three columns', part(mat('triples')), {}, 'ESP1024', /`location` is \[2, 3\], not \[n, 2\]/],
    [
      'no lists',
      { ...boxes(''), 'ImageSets/train.txt': 'a\n', 'Annotations/a.txt': '1 2 3\n' },
      {},
      'ESP1024',
      /a line is no box/,
      '1 2 3',
    ],
    [
      'a word in a box',
      boxes('0 0 1 1 1\n0 x 1 1 1\n'),
      {},
      'ESP1024',
      /a.txt: a line is no box `x1 y1 x2 y2 class`/,
      '0 x 1 1 1',
    ],
    ['a box the wrong way round', boxes('4 0 1 1 1\n'), {}, 'ESP1024', /a box ends before it begins/, '4 0 1 1 1'],
    [
      'a list without splits',
      { 'Images/a.png': png, 'Annotations/a.txt': '', 'ImageSets/x.txt': '' },
      {},
      'ESP1024',
      /none of train.txt, val.txt and test.txt/,
    ],
    [
      'a listed picture without boxes',
      { ...boxes('0 0 1 1 1\n'), 'ImageSets/train.txt': 'a\nb\n' },
      {},
      'ESP1024',
      /b has no annotations/,
      'b',
    ],
    [
      'a listed picture that is not there',
      { ...boxes('0 0 1 1 1\n'), 'Annotations/b.txt': '', 'ImageSets/train.txt': 'a\nb\n' },
      {},
      'ESP1025',
      /pictures that are not there: .*b.png/,
      'b',
    ],
    ['no JSON', file('{\n"images": [\n}'), {}, 'ESP1024', /points.json: it is not JSON/, '}'],
    ['JSON that ends', file('{"images": ['), {}, 'ESP1024', /it is not JSON/, '{"images": ['],
    ['no list of pictures', file('[]'), {}, 'ESP1024', /no list `images`/],
    ['a picture without a name', file('{"images": [{"points": []}]}'), {}, 'ESP1024', /images\[0\] has no `file`/],
    [
      'a picture without points',
      file('{"images": [\n{"file": "a.png"}\n]}'),
      {},
      'ESP1024',
      /images\[0\] has no list `points`/,
      '{"file": "a.png"}',
    ],
    [
      'a point that is none',
      file('{"images": [{"file": "a.png", "points": [[1, 2], [3]]}]}'),
      {},
      'ESP1024',
      /points\[1\] of images\[0\] is no pair/,
    ],
    [
      'a split that is none',
      file('{"images": [{"file": "a.png", "points": [], "split": 3}]}'),
      {},
      'ESP1024',
      /`split` is 3, and is train, val or test/,
    ],
    [
      'a picture that is not there',
      file('{"images": [{"file": "b.png", "points": []}]}'),
      {},
      'ESP1025',
      /not there: .*b.png/,
    ],
    [
      'a box of another picture',
      of([{ image_id: 2, bbox: [0, 0, 1, 1] }]),
      {},
      'ESP1024',
      /annotations\[0\] is of the picture 2/,
    ],
    ['a box of three numbers', of([{ image_id: 1, bbox: [0, 0, 1] }]), {}, 'ESP1024', /annotations\[0\] has no `bbox`/],
    ['a box of no width', of([{ image_id: 1, bbox: [0, 0, -1, 1] }]), {}, 'ESP1024', /annotations\[0\] has no `bbox`/],
    [
      'a picture without number',
      file('{"images": [{"file_name": "a.png"}], "annotations": []}'),
      {},
      'ESP1024',
      /images\[0\] has no `id`/,
    ],
    ['no column', list('image,x\na.png,1\n'), {}, 'ESP1024', /no column `y`, but image, x/],
    [
      'half a point',
      list('image,x,y\na.png,1,2\na.png,3,\n'),
      {},
      'ESP1024',
      /the point \(3, \) of a.png is no pair/,
      'a.png,3,',
    ],
    ['a line without a path', list('image,x,y\n,1,2\n'), {}, 'ESP1024', /no path in `image`/, ',1,2'],
    ['another split', list('image,x,y,split\na.png,1,2,some\n'), {}, 'ESP1024', /`split` is "some"/, 'a.png,1,2,some'],
    ['a quote that does not end', list('image,x,y\n"a.png,1,2\n'), {}, 'ESP1008', /quoted/],
    [
      'most outside',
      file(
        json([
          {
            file: 'a.png',
            points: [
              [1, 1],
              [20, 1],
            ],
          },
        ]),
      ),
      {},
      'ESP1027',
      /1 of 2 points lie outside .*a.png: 1.*more than 10%/,
    ],
    [
      'a few more than a tenth',
      file(json([{ file: 'a.png', points: [...Array.from({ length: 8 }, () => [1, 1]), [1, 7.5]] }])),
      {},
      'ESP1027',
      /1 of 9/,
    ],
    [
      'no points at all',
      file(json([{ file: 'a.png', points: [] }])),
      {},
      'ESP1022',
      /no picture that is trained on has a point/,
    ],
    [
      'too many points',
      file(json([{ file: 'a.png', points: Array.from({ length: 100_001 }, () => [1, 1]) }])),
      {},
      'ESP1023',
      /a.png has 100001 points/,
    ],
    [
      'only a test split',
      file(json([{ file: 'a.png', points: [[1, 1]], split: 'test' }])),
      {},
      'ESP1014',
      /only a split test/,
    ],
    ['a folder of something else', { 'x/a.png': png }, {}, 'ESP1028', /holds no points .*: it has x/],
    ['an empty folder', { 'x/.keep': '' }, { at: 'x' }, 'ESP1028', /holds no points that/],
    ['another file', { 'a.txt': 'x' }, { at: 'a.txt' }, 'ESP1028', /a.txt is of another kind/],
    [
      'another format',
      file(json([])),
      { format: 'coco' },
      'ESP1028',
      /in the format `coco`: it is of the format `json`/,
    ],
    ['nothing', {}, { at: 'x' }, 'ESP0501', /no such file/],
  ])('%s', async (_, files, spec, code, words, shown) => {
    const error = await opened(files, spec).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EspalierError);
    const [first] = (error as EspalierError).diagnostics;
    expect(`${first!.code} ${first!.message}`).toMatch(words);
    expect(first!.code).toBe(code);
    if (shown === undefined) return;
    const { file: at, start, end } = first!.primary!.span;
    expect(readFileSync(at, 'utf8').slice(start, end)).toBe(shown);
  });
});
