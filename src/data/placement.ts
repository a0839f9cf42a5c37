/**
 * Where points of a picture come to lie in a sample of it. All that is done to pictures of which points are known moves pixels along the axes, so that a
 * placement is two lines; it is plain data, which threads hand over with their pixels.
 */
import type { Box, Plan } from '../../runtime/images/resample.js';

/** One axis: a place x of the picture lies at `scale` x + `shift` of the sample's `length` pixels, counted from the other end where it is mirrored. */
export interface Axis {
  readonly scale: number;
  readonly shift: number;
  readonly length: number;
  readonly mirrored: boolean;
}

/** In pixels; the centre of the first pixel is 0.5. */
export interface Placement {
  readonly x: Axis;
  readonly y: Axis;
}

const straight = (length: number): Axis => ({ scale: 1, shift: 0, length, mirrored: false });

/** Of a picture as it is. */
export const asItIs = (width: number, height: number): Placement => ({ x: straight(width), y: straight(height) });

/** Of a part of a picture. */
export function partPlacement({ x, y, width, height }: Box): Placement {
  return { x: { ...straight(width), shift: -x }, y: { ...straight(height), shift: -y } };
}

/** Of a part of a picture that is resized. */
export function resizedPart(from: Box, width: number, height: number): Placement {
  const axis = (at: number, size: number, length: number): Axis => {
    const scale = length / size;
    return { scale, shift: -at * scale, length, mirrored: false };
  };
  return { x: axis(from.x, from.width, width), y: axis(from.y, from.height, height) };
}

/** Of the resizes and crops of a plan. */
export function plannedPlacement({ stages, window }: Plan): Placement {
  let [x, y] = [
    { scale: 1, shift: 0 },
    { scale: 1, shift: 0 },
  ];
  for (const { from, width, height, keep } of stages) {
    const [across, down] = [width / from.width, height / from.height];
    x = { scale: x.scale * across, shift: (x.shift - from.x) * across - keep.x };
    y = { scale: y.scale * down, shift: (y.shift - from.y) * down - keep.y };
  }
  return {
    x: { scale: x.scale, shift: x.shift - window.x, length: window.width, mirrored: false },
    y: { scale: y.scale, shift: y.shift - window.y, length: window.height, mirrored: false },
  };
}

/** The same of a sample that is so many times as wide and as high. */
export function stretched({ x, y }: Placement, across: number, down: number): Placement {
  const axis = ({ scale, shift, length, mirrored: turned }: Axis, by: number): Axis => ({
    scale: scale * by,
    shift: shift * by,
    length: length * by,
    mirrored: turned,
  });
  return { x: axis(x, across), y: axis(y, down) };
}

/** The same of a mirror image: left to right, upside down. */
export function mirrored({ x, y }: Placement, across: boolean, down: boolean): Placement {
  return {
    x: { ...x, mirrored: x.mirrored !== across },
    y: { ...y, mirrored: y.mirrored !== down },
  };
}

/** The largest number below another, of those that matter here: what lies on the far border belongs to the last pixel. */
const below = (length: number): number => length * (1 - Number.EPSILON);

function along(value: number, { scale, shift, length, mirrored: turned }: Axis): number | undefined {
  const at = scale * value + shift;
  // Parts that touch share no point: the far border is another part's. A mirror image has the points that the picture has.
  if (!(at >= 0 && at < length)) return undefined;
  return turned ? Math.min(below(length), length - at) : at;
}

/**
 * The points of a picture that lie in a sample of it, in pixels of the sample.
 * @param points x, y pairs in pixels of the picture
 */
export function placedPoints(points: Float32Array, { x, y }: Placement): Float64Array {
  const found: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const [across, down] = [along(points[i]!, x), along(points[i + 1]!, y)];
    if (across !== undefined && down !== undefined) found.push(across, down);
  }
  return Float64Array.from(found);
}
