/** What an image may be: decoded bytes, or anything a page can draw. */
import { InputError } from './errors.js';

/** Decoded 8-bit pixels, row by row: 4 bytes a pixel (RGBA), 3 (RGB) or 1 (gray), told apart by their number. */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** Alpha is dropped, as Pillow's `convert('RGB')` does, not blended onto a background. */
export type ImageInput = RawImage | ImageData | CanvasImageSource;

export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
}

/** Throws InputError (ESP0708) if the number of bytes fits no kind of pixel, or there are no pixels. */
export function pixelsOf(image: ImageInput): Pixels {
  const { data, width, height } = 'data' in image ? image : draw(image);
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
  if (channels === 4) return new Uint8Array(rows.buffer as ArrayBuffer, rows.byteOffset, rows.length);
  const rgba = new Uint8Array(width * (to - from) * 4);
  for (let i = 0, o = 0; o < rgba.length; i += channels, o += 4) {
    rgba[o] = rows[i]!;
    rgba[o + 1] = rows[channels === 1 ? i : i + 1]!;
    rgba[o + 2] = rows[channels === 1 ? i : i + 2]!;
  }
  return rgba;
}

function draw(source: CanvasImageSource): ImageData {
  const size = source as unknown as Readonly<Record<string, number>>;
  // An <img> or <video> has its own size beside the one it is shown at.
  const width = size.naturalWidth ?? size.videoWidth ?? size.displayWidth ?? size.width ?? 0;
  const height = size.naturalHeight ?? size.videoHeight ?? size.displayHeight ?? size.height ?? 0;
  if (!(width > 0 && height > 0)) throw new InputError('the image has no pixels (not loaded yet?)');
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new InputError('this browser gives no 2d canvas to read the image with');
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}
