/** What an image may be, and taking it when `run` is called: what happens to it afterwards changes no result. */
import { copied, kindOf } from '../bytes.js';
import { InputError } from '../errors.js';
import type { Colour } from './colour/rule.js';
import { capturePicture, type Picture, type PictureSource } from './picture.js';

/** Decoded 8-bit pixels, row by row: 4 bytes a pixel (RGBA), 3 (RGB) or 1 (gray), told apart by their number. */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** What became of the color profile of the file that they are of, as `decodeImage` says it. Must be what the program asks for. */
  readonly profile?: 'ignored' | 'applied' | undefined;
}

/** Alpha is dropped, as Pillow's `convert('RGB')` does, not blended onto a background. */
export type ImageInput = RawImage | ImageData | PictureSource;

export interface Pixels {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly profile?: RawImage['profile'];
}

/**
 * A copy of an image, or, of what only the page can read, a picture that is read when its turn comes. Throws InputError (ESP0708) if the number
 * of bytes fits no kind of pixel, there are no pixels, or it is no image.
 */
export function captureImage(image: ImageInput): Pixels | Picture {
  const { data, width, height, colorSpace, profile } = (image ?? {}) as Partial<ImageData & RawImage>;
  if (data === undefined) return capturePicture(image as PictureSource);
  const kind = kindOf(data);
  if (kind !== 'Uint8Array' && kind !== 'Uint8ClampedArray') {
    throw new InputError(
      `an image's \`data\` is 8-bit pixels, given ${kind}`,
      'give a Uint8Array or Uint8ClampedArray',
    );
  }
  if (colorSpace !== undefined && colorSpace !== 'srgb') {
    throw new InputError(
      `the ImageData is in ${colorSpace}, programs take srgb`,
      "use `getImageData(..., { colorSpace: 'srgb' })`",
    );
  }
  const pixels = pixelsOf(copied(data), width ?? 0, height ?? 0);
  return profile === undefined ? pixels : { ...pixels, profile };
}

/** Throws InputError (ESP1143) where pixels were decoded by another rule than the program's. What is a picture still is decoded by it. */
export function requireColour(image: Pixels | Picture, colour: Colour): void {
  const profile = 'data' in image ? image.profile : undefined;
  if (profile === undefined || profile === (colour === 'managed' ? 'applied' : 'ignored')) return;
  throw new InputError(
    `the image's color profile was ${profile} when it was decoded, and \`preprocess\` ${colour === 'managed' ? 'has' : 'lacks'} \`colour(managed)\``,
    `decode it with \`decodeImage(path, path, '${colour}')\``,
    'ESP1143',
  );
}

function pixelsOf(data: Uint8Array<ArrayBuffer>, width: number, height: number): Pixels {
  const whole = Number.isSafeInteger(width) && Number.isSafeInteger(height) && width > 0 && height > 0;
  if (!whole) throw new InputError(`the image has no pixels (${width}x${height})`);
  const channels = data.length / (width * height);
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new InputError(
      `an image of ${width}x${height} cannot have ${data.length} bytes`,
      'give 8-bit RGBA (4 bytes a pixel), RGB (3) or gray (1)',
    );
  }
  return { data, width, height, channels };
}

/** Rows [from, to) as RGBA, in whole words for the queue. */
export function rgbaRows({ data, width, channels }: Pixels, from: number, to: number): Uint8Array<ArrayBuffer> {
  const rows = data.subarray(from * width * channels, to * width * channels);
  if (channels === 4) return rows;
  const rgba = new Uint8Array(width * (to - from) * 4);
  for (let i = 0, o = 0; o < rgba.length; i += channels, o += 4) {
    rgba[o] = rows[i]!;
    rgba[o + 1] = rows[channels === 1 ? i : i + 1]!;
    rgba[o + 2] = rows[channels === 1 ? i : i + 2]!;
  }
  return rgba;
}
