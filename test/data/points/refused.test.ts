/** What is wrong with files of annotations, and how it is said. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { DataSpec } from '../../../src/data/node/open.js';
import { EspalierError } from '../../../src/diagnostics/types.js';

import { jpg, json, mat, opened, png, type Tree } from './opened.js';

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
