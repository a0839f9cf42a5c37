/**
 * The arithmetic of resizing and cropping, to the bit as Pillow and torchvision do it; no GPU in this file.
 *
 * Pillow resizes 8-bit images in two passes, horizontal then vertical, each with integer weights of 22 fractional bits (computed in double
 * precision, support widened when shrinking, which is its antialiasing) and an 8-bit result in between (libImaging/Resample.c; Pillow 13 begins
 * with the vertical pass where it reckons that to be faster, which moves single values by one or two: here the order never changes). Its NEAREST
 * picks one source pixel by adding steps up in double precision (Geometry.c, ImagingScaleAffine). Both are the same thing here: for each
 * output pixel a first source pixel and a list of weights. The operator `resize` (src/ir/ops/reference) is another thing: real numbers, borders that
 * collect what lies outside as PyTorch has it, and derivatives. Whole numbers of 22 bits and 8-bit results between two passes are this file's point.
 */
import { InputError } from '../errors.js';
import type { PreprocessStep } from '../program/program.js';

export type Filter = 'nearest' | 'bilinear' | 'bicubic';

/** Fractional bits of a weight. */
const PRECISION = 22;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Weights of some output pixels along one axis. */
export interface Taps {
  /** A row of 1 + `most` for each output pixel: its first source pixel and its weights, the last of which may be zeros past the source. */
  readonly table: Int32Array<ArrayBuffer>;
  readonly most: number;
  /** Source pixels that are read at all, half open. */
  readonly from: number;
  readonly to: number;
}

/** Weights for output pixels [first, first + count) when `input` pixels become `output`. */
export function taps(input: number, output: number, filter: Filter, first = 0, count = output): Taps {
  const rows: number[][] = [];
  const scale = input / output;
  if (filter === 'nearest') {
    // Steps are added, not multiplied, since that is what Pillow rounds.
    let at = scale * 0.5;
    for (let i = 0; i < first + count; i++, at += scale) {
      if (i >= first) rows.push([Math.min(input - 1, Math.trunc(at)), 1 << PRECISION]);
    }
  } else {
    const widened = Math.max(scale, 1);
    const support = (filter === 'bicubic' ? 2 : 1) * widened;
    const shape = filter === 'bicubic' ? cubic : triangle;
    for (let i = 0; i < count; i++) {
      const center = (first + i + 0.5) * scale;
      const start = Math.max(0, Math.trunc(center - support + 0.5));
      const end = Math.min(input, Math.trunc(center + support + 0.5));
      const list = Array.from({ length: end - start }, (_, k) => shape((k + start - center + 0.5) * (1 / widened)));
      const sum = list.reduce((a, b) => a + b, 0);
      rows.push([start, ...list.map((w) => fixed(sum === 0 ? w : w / sum))]);
    }
  }
  const length = rows.reduce((most, row) => Math.max(most, row.length), 1);
  const table = new Int32Array(count * length);
  let from = input;
  let to = 0;
  for (const [i, row] of rows.entries()) {
    table.set(row, i * length);
    from = Math.min(from, row[0]!);
    to = Math.max(to, row[0]! + row.length - 1);
  }
  return { table, most: length - 1, from, to };
}

function fixed(weight: number): number {
  return Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION));
}

function triangle(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}

/** Pillow's bicubic, a = -0.5. */
function cubic(signed: number): number {
  const a = -0.5;
  const x = Math.abs(signed);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

type Size = Extract<PreprocessStep, { step: 'resize' }>['size'];

/**
 * torchvision's size for `resize(size)`: the shorter side becomes `size`, the longer is truncated; a pair is [height, width]. SAM's for a `longest`
 * side: both are scaled and rounded.
 */
export function resizedSize(width: number, height: number, size: Size): [width: number, height: number] {
  if (typeof size === 'object' && 'longest' in size) {
    const scale = size.longest / Math.max(width, height);
    const scaled = (length: number): number => Math.max(1, Math.trunc(length * scale + 0.5));
    return [scaled(width), scaled(height)];
  }
  if (typeof size !== 'number') return [size[1], size[0]];
  const long = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [size, long] : [long, size];
}

/**
 * Where a centre crop of `size` pixels begins along an axis of `length`; negative where the image is smaller and is filled up with zeros.
 *
 * `down` is transformers' `(length - size) // 2` (image_transforms.center_crop; `int((h - crop) / 2.0)` of its torchvision backend is the same, but of an
 * image that is smaller by an odd number: there that backend has the smaller half before it, and this the larger, as the PIL backend). `even` is
 * torchvision's `CenterCrop`, which timm uses: `round` of Python takes halves to even, and the smaller half of what is filled up comes first. They
 * differ by one pixel where length - size is 3 modulo 4, or odd and negative.
 */
export function centerCrop(length: number, size: number, rounding: 'down' | 'even' = 'down'): number {
  const half = (length - size) / 2;
  const down = Math.floor(half);
  if (rounding === 'down' || half === down) return down;
  return half < 0 ? down + 1 : down + (down % 2);
}

/** One resize, of a part of an image (which may reach past it: zeros) and of the result only what is needed. */
export interface ResizeStage {
  readonly from: Box;
  readonly width: number;
  readonly height: number;
  readonly filter: Filter;
  /** Turns to luma before resizing. */
  readonly gray: boolean;
  /** Part of the result that later steps read. */
  readonly keep: Box;
}

export interface Plan {
  readonly stages: readonly ResizeStage[];
  /** What the last image becomes the program's input by: a part of it, zeros outside. */
  readonly window: Box;
  /** Sides of the result: the window lies at its top left, normalized, and all else is 0. */
  readonly width: number;
  readonly height: number;
  readonly gray: boolean;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What the steps do to an image of one size. Throws InputError (ESP0708) for an image without pixels and for steps in an order that means nothing. */
export function planSteps(steps: readonly PreprocessStep[], width: number, height: number): Plan {
  if (!(width > 0 && height > 0)) throw new InputError(`the image has no pixels (${width}x${height})`);
  const stages: ResizeStage[] = [];
  let window: Box = { x: 0, y: 0, width, height };
  let gray = false;
  let normal: { mean: readonly number[]; std: readonly number[] } | undefined;
  let padded: { readonly width: number; readonly height: number } | undefined;
  for (const step of steps) {
    // Done when a picture is decoded.
    if (step.step === 'colour') continue;
    if (normal && (padded || step.step !== 'pad'))
      throw new InputError(
        `preprocess: \`${step.step}\` after \`normalize\``,
        'put `normalize` last, or only `pad` after it',
      );
    if (step.step === 'normalize') normal = step;
    else if (step.step === 'grayscale') gray = true;
    else if (step.step === 'crop') {
      const [h, w] = step.size;
      refuseToRegrow(window, w, h, stages.at(-1)?.keep ?? { x: 0, y: 0, width, height }, 'crop');
      const [x, y] = [centerCrop(window.width, w, step.rounding), centerCrop(window.height, h, step.rounding)];
      window = { x: window.x + x, y: window.y + y, width: w, height: h };
    } else if (step.step === 'pad') {
      const [h, w] = step.size;
      if (window.width > w || window.height > h) {
        throw new InputError(
          `preprocess: a ${window.width}x${window.height} image does not fit into the ${w}x${h} of \`pad\``,
          'resize it first, by its longest side',
        );
      }
      if (normal) padded = { width: w, height: h };
      else {
        refuseToRegrow(window, w, h, stages.at(-1)?.keep ?? { x: 0, y: 0, width, height }, 'pad');
        window = { ...window, width: w, height: h };
      }
    } else {
      const [w, h] = resizedSize(window.width, window.height, step.size);
      if (w === window.width && h === window.height) continue;
      const whole = { x: 0, y: 0, width: w, height: h };
      stages.push({ from: window, width: w, height: h, filter: step.filter, gray, keep: whole });
      window = whole;
      gray = false;
    }
  }
  const last = stages.at(-1);
  if (last) {
    const keep = intersect(window, last.keep);
    stages[stages.length - 1] = { ...last, keep };
    window = { ...window, x: window.x - keep.x, y: window.y - keep.y };
  }
  const { width: w, height: h } = padded ?? window;
  return { stages, window, width: w, height: h, gray, mean: normal?.mean ?? [0], std: normal?.std ?? [1] };
}

/** A step that makes the window of an image larger must not bring pixels back that an earlier crop cut off, where it has to give zeros. */
function refuseToRegrow(window: Box, width: number, height: number, image: Box, step: string): void {
  if (!regrows(window.x, window.width, width, image.width) && !regrows(window.y, window.height, height, image.height))
    return;
  throw new InputError(
    `preprocess: a ${step} to ${height}x${width} after ${step === 'crop' ? 'one' : 'a crop'} to ${window.height}x${window.width}`,
    `leave the larger ${step} out, or put it first`,
  );
}

function regrows(at: number, now: number, size: number, image: number): boolean {
  return size > now && (at > 0 || at + now < image);
}

/** The part of a box that lies in another; one pixel at least, since nothing smaller can be resized to. */
function intersect(a: Box, b: Box): Box {
  const axis = (at: number, size: number, low: number, room: number): [number, number] => {
    const start = Math.min(Math.max(at, low), low + room - 1);
    return [start, Math.max(1, Math.min(at + size, low + room) - start)];
  };
  const [x, width] = axis(a.x, a.width, b.x, b.width);
  const [y, height] = axis(a.y, a.height, b.y, b.height);
  return { x, y, width, height };
}
