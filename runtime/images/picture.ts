/**
 * Pictures that a page decodes or draws, read without a loss: on the GPU, since a 2d canvas multiplies colors by alpha. Files are decoded as
 * Node and Pillow decode them (without the browser's color management, the camera's orientation applied), bit for bit; what a page would decode
 * otherwise is refused.
 */
import { kindOf } from '../bytes.js';
import { guarded } from '../device.js';
import { InputError } from '../errors.js';
import { toSrgb } from './colour/convert.js';
import { embeddedProfile, isGray } from './colour/embedded.js';
import type { Colour } from './colour/rule.js';
import { withSameBits } from './picture-file.js';

/** A file (Blob) and an image element are the file's own pixels. The others are pixels that the page made, which have to be opaque. */
export type PictureSource =
  | Blob
  | HTMLImageElement
  | ImageBitmap
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame;

interface Decoded {
  readonly bitmap: ImageBitmap;
  /** Bytes of the file that the pixels are of. */
  readonly file?: Uint8Array<ArrayBuffer>;
}

/** A picture as it was when it was captured. */
export interface Picture {
  readonly kind: string;
  /** Whether its pixels are a file's, so that what alpha hides is kept. */
  readonly isFile: boolean;
  readonly decoded: () => Promise<Decoded>;
}

/** The pixels as they are in the file or on the canvas. */
const AS_IS: ImageBitmapOptions = { premultiplyAlpha: 'none', colorSpaceConversion: 'none' };
const DRAWN = ['ImageBitmap', 'HTMLCanvasElement', 'OffscreenCanvas', 'HTMLVideoElement', 'VideoFrame'];
/** Read at a time, in each direction; every device has textures of 8192. */
const TILE = 4096;

/** Throws InputError (ESP0708) for what is no picture, and where nothing decodes pictures (Node). */
export function capturePicture(source: PictureSource): Picture {
  const kind = kindOf(source);
  const file = kind === 'Blob' || kind === 'File';
  if (!file && kind !== 'HTMLImageElement' && !DRAWN.includes(kind)) {
    throw new InputError(
      `${kind} is no image`,
      'give { data, width, height }, ImageData, a Blob, <img>, canvas, ImageBitmap, <video> or VideoFrame',
    );
  }
  if (typeof createImageBitmap === 'undefined') {
    throw new InputError(
      `nothing here decodes a ${kind}`,
      'give { data, width, height }; in Node, `decodeImage` of `espalier` makes it',
    );
  }
  // A file cannot change, and many files decoded at once would fill the memory.
  if (file) return { kind, isFile: true, decoded: () => decode(source as Blob) };
  const bitmap = createImageBitmap(source, AS_IS);
  // Whoever reads it meets its failure; nobody may, if an earlier picture fails.
  bitmap.catch(() => {});
  if (kind !== 'HTMLImageElement') return { kind, isFile: false, decoded: async () => ({ bitmap: await bitmap }) };
  const { currentSrc } = source as HTMLImageElement;
  return {
    kind,
    isFile: true,
    async decoded() {
      const shown = await bitmap;
      const { file } = await withSameBits(await fileOf(currentSrc), kind);
      return { bitmap: shown, file };
    },
  };
}

async function decode(source: Blob): Promise<Decoded> {
  const { blob, file } = await withSameBits(source, 'Blob');
  return { bitmap: await createImageBitmap(blob, AS_IS), file };
}

/**
 * RGBA, row by row. With `managed` colors a file's are converted by its profile, in the arithmetic of Node; what the page has drawn is in sRGB already.
 * Throws InputError (ESP0708) for what a page reads otherwise than Node, and what it cannot read, and ColourError (ESP1142).
 */
export async function readPicture(
  device: GPUDevice,
  { kind, isFile, decoded }: Picture,
  colour: Colour,
): Promise<{ data: Uint8Array<ArrayBuffer>; width: number; height: number }> {
  const { bitmap: source, file } = await decoded().catch((error: Error) => {
    if (error instanceof InputError) throw error;
    throw new InputError(`the page gives no pixels of the ${kind}: ${error.message}`, 'is it loaded, and whole?');
  });
  try {
    const { width, height } = source;
    const data = await readBitmap(device, source, kind);
    if (!isFile && data.some((alpha, i) => i % 4 === 3 && alpha !== 255)) {
      throw new InputError(
        `the ${kind} has transparent pixels, and a page may have changed their colors`,
        'give the file as a Blob, or ImageData, or draw it onto an opaque background',
      );
    }
    if (file && colour === 'managed') {
      const profile = await embeddedProfile(file);
      if (profile) toSrgb(profile, isGray(file) ? 'gray' : 'rgb', data);
    }
    return { data, width, height };
  } finally {
    source.close();
  }
}

async function readBitmap(device: GPUDevice, source: ImageBitmap, kind: string): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = source;
  const data = new Uint8Array(width * height * 4);
  const [w, h] = [Math.min(width, TILE), Math.min(height, TILE)];
  const bytesPerRow = Math.ceil(w / 64) * 256;
  const { texture, buffer } = await guarded(device, 'while reading a picture', () => ({
    texture: device.createTexture({
      size: [w, h],
      format: 'rgba8unorm',
      usage: GPUTextureUsage.COPY_DST | GPUTextureUsage.COPY_SRC | GPUTextureUsage.RENDER_ATTACHMENT,
    }),
    buffer: device.createBuffer({ size: bytesPerRow * h, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ }),
  }));
  try {
    for (let y = 0; y < height; y += h) {
      for (let x = 0; x < width; x += w) {
        const size = [Math.min(w, width - x), Math.min(h, height - y)] as const;
        await guarded(device, 'while reading a picture', () => {
          try {
            device.queue.copyExternalImageToTexture(
              { source, origin: [x, y] },
              { texture, premultipliedAlpha: false },
              size,
            );
          } catch (error) {
            const help = 'give the file as a Blob; a picture of another site has to be loaded with `crossorigin`';
            throw new InputError(`the page cannot read the ${kind}: ${(error as Error).message}`, help);
          }
          const encoder = device.createCommandEncoder();
          encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, size);
          device.queue.submit([encoder.finish()]);
        });
        await buffer.mapAsync(GPUMapMode.READ);
        const rows = new Uint8Array(buffer.getMappedRange());
        for (let row = 0; row < size[1]; row++) {
          const from = row * bytesPerRow;
          data.set(rows.subarray(from, from + size[0] * 4), ((y + row) * width + x) * 4);
        }
        buffer.unmap();
      }
    }
    return data;
  } finally {
    texture.destroy();
    buffer.destroy();
  }
}

/** The file behind an image element, from the page's cache: what it is decides whether its pixels are Node's. */
async function fileOf(address: string): Promise<Blob> {
  try {
    const response = await fetch(address, { cache: 'force-cache' });
    if (response.ok) return await response.blob();
  } catch {}
  throw new InputError(`the file of the <img> cannot be read (${address.slice(0, 100)})`, 'give it as a Blob');
}
