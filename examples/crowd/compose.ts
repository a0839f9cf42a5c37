/**
 * A scene: things on a ground that is seen from above and ahead, so that what is lower in the picture is nearer: larger, fewer on the same area, and in
 * front of what is behind it. Everything is drawn by counter (src/data/draws.ts): a scene is a function of its seed, its split and its number.
 */
import type { Draws } from '../../src/data/draws.js';
import type { Cutout, Ground, Kind, Material } from './cutouts.js';

export interface SceneOptions {
  /** Side of the picture, in pixels. */
  readonly size: number;
  /** The least and most things that are put into a scene. */
  readonly things: readonly [number, number];
  /** What is counted. */
  readonly count: readonly Kind[];
  /** What is there too and is not counted. */
  readonly others: readonly Kind[];
  /** The most of these in a scene. */
  readonly distractors: number;
  /** The longer side of the nearest things, at the lower border, in pixels: the least and most that a scene draws it from. */
  readonly near: readonly [number, number];
  /** The size of the farthest things, at the upper border, as a share of that of the nearest: likewise. 1 is no perspective. */
  readonly far: readonly [number, number];
  /** The most that a thing is rotated to either side, in degrees. */
  readonly rotation: number;
  /** The least distance between centres, as a share of the mean of both sizes; where there is no such place, things lie nearer. */
  readonly apart: number;
  /** The least share of a thing that has to be seen for it to be counted. */
  readonly visible: number;
}

/** 8-bit RGB. */
export interface Rgb {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface Scene extends Rgb {
  /** Centres of the things that are counted, in pixels from the top left corner; the middle of the first pixel is (0.5, 0.5). */
  readonly points: readonly (readonly [number, number])[];
}

/** A thing in its place. */
interface Placed {
  readonly cutout: Cutout;
  readonly counted: boolean;
  readonly x: number;
  readonly y: number;
  /** Pixels of the scene for one of the cut-out. */
  readonly scale: number;
  readonly angle: number;
  /** A factor for each channel. */
  readonly colour: readonly [number, number, number];
}

/** How a picture of a thing covers pixels: rows and columns of the scene from (left, top), some of which may lie outside of it. */
interface Cover {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** In [0, 1]. */
  readonly alpha: Float32Array;
}

/** How often a place is looked for that is far enough from the others. */
const TRIES = 60;
/** Sizes differ from what the place in the picture says by at most this share. */
const SIZES = 0.12;
/** How far centres stay from the border, in sizes. */
const MARGIN = 0.4;
/** Ground of which the mean is below this is dark: ink on it is light. */
const DARK = 125;
/** A shadow: how dark, and where it falls, in sizes. */
const SHADOW = { dark: 0.35, right: 0.06, down: 0.08 };

/** A scene of these draws. */
export function composeScene(material: Material, options: SceneOptions, draws: Draws): Scene {
  const { size } = options;
  const near = draws.uniform(...options.near);
  const far = near * draws.uniform(...options.far);
  const sizeAt = (y: number): number => far + ((near - far) * y) / size;
  const picture = groundOf(material.grounds[draws.whole(material.grounds.length)]!, sizeAt, size, draws);
  const isDark = mean(picture) < DARK;
  const shine = lightOf(size, draws);
  const placed = placedThings(material, options, { sizeAt, isDark }, draws);
  const covers = placed.map((thing) => paint(picture, size, thing));
  for (let i = 0; i < picture.length; i++) picture[i]! *= shine(Math.floor(i / 3));
  const points: [number, number][] = [];
  const shown = seen(covers, size);
  for (const [i, { counted, x, y }] of placed.entries())
    if (counted && shown[i]! >= options.visible) points.push([hundredths(x), hundredths(y)]);
  return {
    data: Uint8Array.from(picture, (v) => Math.min(255, Math.max(0, Math.round(v)))),
    width: size,
    height: size,
    points,
  };
}

const hundredths = (x: number): number => Math.round(100 * x) / 100;

function mean(values: Float32Array): number {
  let sum = 0;
  for (const v of values) sum += v;
  return sum / values.length;
}

/** The ground as one sees it who looks ahead over it: farther rows show more of it. Grey pictures get a tint. RGB, in [0, 255]. */
function groundOf(ground: Ground, sizeAt: (y: number) => number, size: number, draws: Draws): Float32Array {
  const { picture, from, to } = ground;
  const across = (to - from) * draws.uniform(0.75, 1) - 1;
  const along = Math.min(picture.height - 1, across * draws.uniform(1, 1.4));
  const left = from + draws.uniform(0, to - from - 1 - across);
  const top = draws.uniform(0, picture.height - 1 - along);
  const mirrored = draws.chance(0.5);
  const brightness = draws.uniform(0.65, 1.15);
  const tint = [0, 1, 2].map(() => brightness * draws.uniform(0.85, 1.1));
  // What a pixel shows of the ground is as long as things there are small: 1 / size across, and the sum of that along.
  const depth = (y: number): number => (sizeAt(size) === sizeAt(0) ? 1 - y / size : 1 / sizeAt(y) - 1 / sizeAt(size));
  const result = new Float32Array(3 * size * size);
  for (let y = 0; y < size; y++) {
    const v = top + along * (1 - depth(y + 0.5) / depth(0));
    const width = (across * sizeAt(0)) / sizeAt(y + 0.5);
    for (let x = 0; x < size; x++) {
      const u = (x + 0.5) / size - 0.5;
      const at = bilinear(picture, left + across / 2 + (mirrored ? -u : u) * width, v);
      for (let c = 0; c < 3; c++) result[3 * (y * size + x) + c] = at[c]! * tint[c]!;
    }
  }
  return result;
}

/** Between the middles of four pixels, (0, 0) being the middle of the first; beyond the border it goes on as there. [r, g, b, a], with alpha applied. */
function bilinear({ data, width, height }: { data: Uint8Array; width: number; height: number }, x: number, y: number) {
  const [cx, cy] = [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  const [x0, y0] = [Math.floor(cx), Math.floor(cy)];
  const [x1, y1] = [Math.min(width - 1, x0 + 1), Math.min(height - 1, y0 + 1)];
  const [fx, fy] = [cx - x0, cy - y0];
  const sum = [0, 0, 0, 0];
  for (const [px, py, weight] of [
    [x0, y0, (1 - fx) * (1 - fy)],
    [x1, y0, fx * (1 - fy)],
    [x0, y1, (1 - fx) * fy],
    [x1, y1, fx * fy],
  ] as const) {
    const o = 4 * (py * width + px);
    const alpha = (weight * data[o + 3]!) / 255;
    for (let c = 0; c < 3; c++) sum[c]! += alpha * data[o + c]!;
    sum[3]! += alpha;
  }
  return sum as [number, number, number, number];
}

/** All things of a scene, the farthest first. */
function placedThings(
  { things }: Material,
  options: SceneOptions,
  { sizeAt, isDark }: { sizeAt: (y: number) => number; isDark: boolean },
  draws: Draws,
): Placed[] {
  const { size, apart, rotation, count, others, distractors } = options;
  const [least, most] = options.things;
  const counted = least + draws.whole(most - least + 1);
  const besides = others.length > 0 ? draws.whole(distractors + 1) : 0;
  const places: { x: number; y: number; extent: number }[] = [];
  const result: Placed[] = [];
  for (let i = 0; i < counted + besides; i++) {
    const kinds = i < counted ? count : others;
    const kind = things[kinds[draws.whole(kinds.length)]!];
    const cutout = kind.cutout(draws.whole(kind.count));
    let place = placeOf(size, sizeAt, draws);
    for (let tries = 1; tries < TRIES && places.some((p) => nearer(place, p, apart)); tries++)
      place = placeOf(size, sizeAt, draws);
    places.push(place);
    result.push({
      cutout,
      counted: i < counted,
      x: place.x,
      y: place.y,
      scale: place.extent / Math.max(cutout.width, cutout.height),
      angle: (draws.uniform(-rotation, rotation) * Math.PI) / 180,
      colour: colourOf(cutout, isDark, draws),
    });
  }
  return result.sort((a, b) => a.y - b.y);
}

/** As many on each part of the ground would be 1 / size³ in the picture; scenes would be empty below. By 1 / size² they are as dense as they are large. */
function placeOf(size: number, sizeAt: (y: number) => number, draws: Draws): { x: number; y: number; extent: number } {
  for (;;) {
    const y = draws.uniform(0, size);
    const base = sizeAt(y);
    const extent = base * draws.uniform(1 - SIZES, 1 + SIZES);
    const x = draws.uniform(MARGIN * extent, size - MARGIN * extent);
    const inside = y >= MARGIN * extent && y <= size - MARGIN * extent;
    if (draws.chance((sizeAt(0) / base) ** 2) && inside) return { x, y, extent };
  }
}

function nearer(
  a: { x: number; y: number; extent: number },
  b: { x: number; y: number; extent: number },
  apart: number,
): boolean {
  return Math.hypot(a.x - b.x, a.y - b.y) < (apart * (a.extent + b.extent)) / 2;
}

/** Ink is light on dark ground and dark on light ground; cloth has any colour. */
function colourOf({ paint }: Cutout, isDark: boolean, draws: Draws): [number, number, number] {
  const brightness = draws.uniform(0.8, 1.1);
  if (paint === 'none') return [brightness, brightness, brightness];
  const mixed = [0, 1, 2].map(() => draws.uniform());
  const factors = mixed.map((m) => {
    if (paint === 'grey') return brightness * (0.55 + 0.55 * m);
    return isDark ? 0.75 + 0.25 * m : 0.28 * m;
  });
  return factors as [number, number, number];
}

/** Draws a thing and its shadow into a picture, and says what it covers. */
function paint(picture: Float32Array, size: number, thing: Placed): Cover {
  const { cutout, x, y, scale, angle, colour } = thing;
  const reach = (scale * Math.hypot(cutout.width, cutout.height)) / 2 + 1;
  const [left, top] = [Math.floor(x - reach), Math.floor(y - reach)];
  const [width, height] = [Math.ceil(x + reach) - left, Math.ceil(y + reach) - top];
  const pixels = new Float32Array(4 * width * height);
  const alpha = new Float32Array(width * height);
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  // As many places in a pixel as it has of the cut-out's, so that nothing of it is passed over.
  const parts = Math.max(2, Math.ceil(1 / scale));
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const o = row * width + column;
      for (let part = 0; part < parts * parts; part++) {
        const dx = left + column + ((part % parts) + 0.5) / parts - x;
        const dy = top + row + (Math.floor(part / parts) + 0.5) / parts - y;
        const u = cos * dx + sin * dy + cutout.width / 2 - 0.5;
        const v = cos * dy - sin * dx + cutout.height / 2 - 0.5;
        if (u < -0.5 || v < -0.5 || u > cutout.width - 0.5 || v > cutout.height - 0.5) continue;
        const at = bilinear(cutout, u, v);
        for (let c = 0; c < 4; c++) pixels[4 * o + c]! += at[c]! / (parts * parts);
      }
      alpha[o] = pixels[4 * o + 3]!;
    }
  const extent = scale * Math.max(cutout.width, cutout.height);
  const [right, down] = [Math.round(SHADOW.right * extent), Math.round(SHADOW.down * extent)];
  const each = (dx: number, dy: number, draw: (at: number, o: number) => void): void => {
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const [px, py] = [left + column + dx, top + row + dy];
        if (px >= 0 && py >= 0 && px < size && py < size) draw(3 * (py * size + px), row * width + column);
      }
  };
  each(right, down, (at, o) => {
    for (let c = 0; c < 3; c++) picture[at + c]! *= 1 - SHADOW.dark * alpha[o]!;
  });
  each(0, 0, (at, o) => {
    for (let c = 0; c < 3; c++) picture[at + c] = picture[at + c]! * (1 - alpha[o]!) + pixels[4 * o + c]! * colour[c]!;
  });
  return { left, top, width, height, alpha };
}

/** The share of each thing that is seen: not behind others, nor outside of the picture. @param covers the farthest first */
function seen(covers: readonly Cover[], size: number): number[] {
  const through = new Float32Array(size * size).fill(1);
  const shares: number[] = [];
  for (const { left, top, width, alpha } of covers.toReversed()) {
    let [whole, shown] = [0, 0];
    for (let o = 0; o < alpha.length; o++) {
      const covered = alpha[o]!;
      whole += covered;
      const [x, y] = [left + (o % width), top + Math.floor(o / width)];
      if (covered === 0 || x < 0 || y < 0 || x >= size || y >= size) continue;
      shown += covered * through[y * size + x]!;
      through[y * size + x]! *= 1 - covered;
    }
    shares.unshift(whole > 0 ? shown / whole : 0);
  }
  return shares;
}

/** Light that comes from one side, and more or less of it: a factor for each pixel. */
function lightOf(size: number, draws: Draws): (pixel: number) => number {
  const gain = draws.uniform(0.85, 1.1);
  const [sideways, down] = [draws.uniform(-0.2, 0.2), draws.uniform(-0.2, 0.2)];
  return (pixel) =>
    gain * (1 + sideways * ((pixel % size) / size - 0.5) + down * (Math.floor(pixel / size) / size - 0.5));
}
