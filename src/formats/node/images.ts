/** Images of the local machine as 8-bit RGBA, whatever they were: sharp decodes, and everything odd about a file ends here. */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { RgbaImage } from '../types.js';

/** What is an image by its name. Those that are not read are here too: in a folder they are refused by name, not passed over. */
const EXTENSIONS = new Set(
  (
    '.png .apng .jpg .jpeg .jpe .jfif .webp .gif .tif .tiff .avif .svg ' +
    '.bmp .heic .heif .jp2 .jxl .ico .ppm .pgm .pbm .pnm .tga .psd .dng .cr2 .nef .arw .hdr .exr'
  ).split(' '),
);

/** Pictures beyond this are not decoded: 100 million pixels are 400 MB of RGBA. */
const MAX_PIXELS = 100_000_000;

/**
 * Decodes a file or bytes, to the bits that Pillow's `convert('RGB')` gives, which models are trained on: numbers are the file's, so that no color
 * profile is applied; CMYK becomes RGB by Pillow's formula; 16 bits become 8, palettes are looked up, gray is repeated. Alpha is kept, opaque where
 * there was none; the camera's orientation is applied; of an animation the first frame is taken.
 * @throws EspalierError ESP0530 (not an image, empty, cut off), ESP0532 (too large), ESP0501 (cannot be read)
 */
export async function decodeImage(
  source: string | Uint8Array,
  name = typeof source === 'string' ? source : 'image',
): Promise<RgbaImage> {
  let bytes: Uint8Array;
  try {
    bytes = typeof source === 'string' ? await readFile(source) : source;
  } catch (error) {
    const code = (error as { code?: string }).code;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : String(code ?? error);
    throw new EspalierError([diagnostic('ESP0501', { path: name, reason })]);
  }
  const refuse = (reason: string): EspalierError => new EspalierError([diagnostic('ESP0530', { file: name, reason })]);
  if (bytes.byteLength === 0) throw refuse('it is empty');
  const open = () => sharp(bytes, { failOn: 'truncated', limitInputPixels: false, animated: false, ignoreIcc: true });
  let size: { width: number; height: number; space: string };
  try {
    size = await open().metadata();
  } catch (error) {
    throw refuse(plain(error));
  }
  const { width, height, space } = size;
  if (width * height > MAX_PIXELS) {
    throw new EspalierError([diagnostic('ESP0532', { file: name, width, height, limit: MAX_PIXELS })]);
  }
  try {
    const upright = open().rotate();
    const shown =
      space === 'cmyk'
        ? upright.removeAlpha().pipelineColourspace('cmyk').toColourspace('cmyk')
        : upright.toColourspace('srgb').ensureAlpha();
    const { data, info } = await shown.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const decoded = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (space === 'cmyk') rgbFromCmyk(decoded);
    return { data: decoded, width: info.width, height: info.height };
  } catch (error) {
    throw refuse(plain(error));
  }
}

/** CMYK to opaque RGBA, in place, as Pillow does it: 255 - k, less its product with each ink. */
function rgbFromCmyk(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i += 4) {
    const white = 255 - pixels[i + 3]!;
    for (let c = i; c < i + 3; c++) {
      const ink = pixels[c]! * white + 128;
      pixels[c] = white - (((ink >> 8) + ink) >> 8);
    }
    pixels[i + 3] = 255;
  }
}

/** libvips' message without its prefixes and later lines. */
function plain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/unsupported image format/i.test(message)) return 'it is in no image format that is known';
  const damaged = /corrupt header/i.test(message) ? 'its header is damaged' : 'it is damaged';
  const detail = message
    .replace(/^Input (buffer|file) (has corrupt header:)?/i, '')
    .trim()
    .split('\n')[0]!
    .replace(/^(\w+: )+/, '');
  return detail === '' ? damaged : `${damaged} (${detail})`;
}

export interface LabelledImage {
  readonly path: string;
  /** Name of its class's folder. */
  readonly label: string;
}

const byName = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

async function entriesOf(folder: string): Promise<{ files: string[]; folders: string[] }> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const visible = entries.filter((e) => !e.name.startsWith('.'));
    return {
      files: visible
        .filter((e) => !e.isDirectory() && EXTENSIONS.has(extname(e.name).toLowerCase()))
        .map((e) => e.name)
        .sort(byName),
      folders: visible
        .filter((e) => e.isDirectory())
        .map((e) => e.name)
        .sort(byName),
    };
  } catch (error) {
    const code = (error as { code?: string }).code;
    const reason =
      code === 'ENOENT'
        ? 'there is no such folder'
        : code === 'ENOTDIR'
          ? 'it is a file, not a folder'
          : String(code ?? error);
    throw new EspalierError([diagnostic('ESP0501', { path: folder, reason })]);
  }
}

/** Images directly in a folder and in the folders below it, in the order of their names. @throws EspalierError ESP0531, ESP0501 */
export async function listImages(folder: string): Promise<string[]> {
  const found = await imagesBelow(folder);
  if (found.length === 0) throw new EspalierError([diagnostic('ESP0531', { folder, why: 'holds no images' })]);
  return found;
}

/** Paths of the images in a folder and below it, folder by folder; empty if there are none. */
async function imagesBelow(folder: string): Promise<string[]> {
  const { files, folders } = await entriesOf(folder);
  const found = files.map((file) => join(folder, file));
  for (const sub of folders) found.push(...(await imagesBelow(join(folder, sub))));
  return found;
}

/**
 * Images of a folder with a folder for each class; what lies deeper belongs to the class as well.
 * @throws EspalierError ESP0531, ESP0501
 */
export async function listLabelledImages(folder: string): Promise<LabelledImage[]> {
  const { files, folders } = await entriesOf(folder);
  if (folders.length === 0) {
    const why = files.length > 0 ? 'holds images but no folder for each class' : 'holds no folder for each class';
    throw new EspalierError([diagnostic('ESP0531', { folder, why })]);
  }
  if (files.length > 0) {
    const why = `holds images that are in no class's folder: ${files.slice(0, 5).join(', ')}${files.length > 5 ? ', ...' : ''}`;
    throw new EspalierError([diagnostic('ESP0531', { folder, why })]);
  }
  const found: LabelledImage[] = [];
  for (const label of folders) {
    for (const path of await imagesBelow(join(folder, label))) found.push({ path, label });
  }
  if (found.length === 0)
    throw new EspalierError([diagnostic('ESP0531', { folder, why: 'has folders for classes, but no images in them' })]);
  return found;
}
