import { describe, expect, test } from 'vitest';
import { makeLoader } from '../../../src/data/loader.js';
import { readMat } from '../../../src/data/node/points/mat.js';
import { all } from '../support.js';

import { coco, jpg, json, mat, opened, picture, png, pointsOf, type Tree } from './opened.js';

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
