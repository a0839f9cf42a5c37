/** Images of the local machine as 8-bit RGBA, whatever they were: sharp decodes, and everything odd about a file ends here. */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { ColourError, toSrgb } from '../../../runtime/images/colour/convert.js';
import { embeddedProfile } from '../../../runtime/images/colour/embedded.js';
import type { Colour } from '../../../runtime/images/colour/rule.js';
import { opaqueGif } from '../../../runtime/images/gif.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { bmpSize, decodeBmp, isBmp } from '../bmp.js';
import { pictureFormat } from '../picture-formats.js';
import { readAll } from '../tensors/bytes.js';
import type { RgbaImage } from '../types.js';
import { cannotRead, isDescriptor, openFile, readWhole } from './files.js';

/** What is an image by its name. Those that are not read are here too: in a folder they are refused by name, not passed over. */
const EXTENSIONS = new Set(
  (
    '.png .apng .jpg .jpeg .jpe .jfif .webp .gif .tif .tiff .avif .svg ' +
    '.bmp .heic .heif .jp2 .jxl .ico .ppm .pgm .pbm .pnm .tga .psd .dng .cr2 .nef .arw .hdr .exr'
  ).split(' '),
);

/** Pictures beyond this are not decoded: 100 million pixels are 400 MB of RGBA. */
const MAX_PIXELS = 100_000_000;
/** That many, stored plainly with 16 bits a channel, and some more. */
const MAX_BYTES = 2 ** 30;

/**
 * Decodes a file or bytes, to the bits that Pillow's `convert('RGB')` gives, which models are trained on: numbers are the file's, so that no color
 * profile is applied; CMYK becomes RGB by Pillow's formula; 16 bits become 8, palettes are looked up, gray is repeated. Alpha is kept, opaque where
 * there was none; the camera's orientation is applied; of an animation the first frame is taken.
 *
 * With `managed` colors, a picture that has a profile is then converted by it to sRGB, as Pillow's `ImageCms.profileToProfile` does it by the perceptual
 * intent (a level apart at most; of CMYK by tables see `runtime/images/colour`); one that has none stays what it is. Either way the result says what
 * became of a profile.
 * @param colour as a program's `preprocess` says it; default `raw`
 * @throws EspalierError ESP0530 (not an image, empty, cut off), ESP0532 (too large), ESP0501 (cannot be read), ESP1142 (a profile that cannot be applied)
 */
export async function decodeImage(
  source: string | Uint8Array,
  name = typeof source === 'string' ? source : 'image',
  colour: Colour = 'raw',
): Promise<RgbaImage> {
  const bytes = typeof source === 'string' ? await readImage(source) : source;
  const refuse = (reason: string): EspalierError => new EspalierError([diagnostic('ESP0530', { file: name, reason })]);
  if (bytes.byteLength === 0) throw refuse('it is empty');
  const managed = colour === 'managed';
  const original = bytes as Uint8Array<ArrayBuffer>;
  if (isBmp(bytes)) {
    if (managed) await colours(name, () => embeddedProfile(original));
    return bitmap(bytes, name, refuse);
  }
  const file = opaqueGif(original);
  const open = () => sharp(file, { failOn: 'truncated', limitInputPixels: false, animated: false, ignoreIcc: true });
  let size: { width: number; height: number; space: string; icc?: Uint8Array | undefined };
  try {
    size = await open().metadata();
  } catch (error) {
    throw refuse(undecoded(bytes, error));
  }
  const { space, icc } = size;
  requireFits(name, size);
  const profile = managed ? await colours(name, () => embeddedProfile(original, icc)) : undefined;
  let image: RgbaImage;
  try {
    const upright = open().rotate();
    const shown =
      space === 'cmyk'
        ? upright.removeAlpha().pipelineColourspace('cmyk').toColourspace('cmyk')
        : upright.toColourspace('srgb').ensureAlpha();
    const { data, info } = await shown.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const decoded = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    image = { data: decoded, width: info.width, height: info.height };
  } catch (error) {
    throw refuse(undecoded(bytes, error));
  }
  if (profile) await colours(name, () => toSrgb(profile, SPACES.get(space) ?? 'rgb', image.data));
  else if (space === 'cmyk') rgbFromCmyk(image.data);
  if (managed) return profile ? { ...image, profile: 'applied' } : image;
  return icc ? { ...image, profile: 'ignored' } : image;
}

/** What pictures are by libvips' names; all others are RGB. */
const SPACES: ReadonlyMap<string, 'gray' | 'cmyk'> = new Map([
  ['b-w', 'gray'],
  ['grey16', 'gray'],
  ['cmyk', 'cmyk'],
]);

/** @throws EspalierError ESP1142, where `work` finds colors that cannot be converted */
async function colours<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ColourError)) throw error;
    throw new EspalierError([diagnostic('ESP1142', { message: `${file}: ${error.message}`, help: error.help })]);
  }
}

/** @throws EspalierError ESP0532 */
function requireFits(file: string, { width, height }: { readonly width: number; readonly height: number }): void {
  if (width * height <= MAX_PIXELS) return;
  throw new EspalierError([diagnostic('ESP0532', { file, width, height, limit: MAX_PIXELS })]);
}

function bitmap(bytes: Uint8Array, name: string, refuse: (reason: string) => EspalierError): RgbaImage {
  try {
    requireFits(name, bmpSize(bytes));
    return decodeBmp(bytes);
  } catch (error) {
    throw error instanceof EspalierError ? error : refuse((error as Error).message);
  }
}

/** Sides of the picture in a file as `decodeImage` gives it, by its header alone; undefined where there is none that can be read. */
export async function imageSize(
  path: string,
): Promise<{ readonly width: number; readonly height: number } | undefined> {
  try {
    const { autoOrient } = await sharp(path, { limitInputPixels: false }).metadata();
    return autoOrient;
  } catch {
    const file = await readImage(path).catch(() => undefined);
    try {
      return file && isBmp(file) ? bmpSize(file) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @throws EspalierError ESP0501 */
async function readImage(path: string): Promise<Uint8Array> {
  const tooLarge = () => cannotRead(path, new Error(`it has more than ${MAX_BYTES} bytes`));
  if (isDescriptor(path)) {
    const bytes = readWhole(path, MAX_BYTES);
    if (!bytes) throw tooLarge();
    return bytes;
  }
  const file = await openFile(path);
  if (file.size > MAX_BYTES) throw tooLarge();
  return readAll(file);
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

/** Why it is not decoded: its format, where that is one that is not read; else what libvips says. */
function undecoded(bytes: Uint8Array, error: unknown): string {
  const format = pictureFormat(bytes);
  return format ? `it is ${format}, which Espalier does not decode: convert it to PNG` : plain(error);
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

/**
 * Hears what cannot be read of a folder, while all else in it is found: sub-folders, and links that lead nowhere. May throw to end the search.
 */
export type Unreadable = (path: string, error: EspalierError) => void;
const refuse: Unreadable = (_, error) => {
  throw error;
};

interface Entries {
  readonly files: string[];
  readonly folders: string[];
}

/** Names of a folder's images and sub-folders, in order; links are what they lead to. @throws EspalierError ESP0501 */
async function entriesOf(folder: string, unreadable: Unreadable): Promise<Entries> {
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw cannotRead(folder, error);
  }
  const found: Entries = { files: [], folders: [] };
  for (const entry of entries.sort((a, b) => byName(a.name, b.name))) {
    if (entry.name.startsWith('.')) continue;
    const extension = extname(entry.name).toLowerCase();
    const isImage = EXTENSIONS.has(extension);
    const path = join(folder, entry.name);
    const kind = entry.isSymbolicLink() ? await stat(path).catch((error: unknown) => cannotRead(path, error)) : entry;
    if (kind instanceof EspalierError) {
      // It may have been an image, or the folder of a class, but is no file of another kind.
      if (isImage || extension === '') unreadable(path, kind);
    } else if (kind.isDirectory()) found.folders.push(entry.name);
    else if (isImage) found.files.push(entry.name);
  }
  return found;
}

/** Images directly in a folder and in the folders below it, in the order of their names. @throws EspalierError ESP0531, ESP0501 */
export async function listImages(folder: string, unreadable: Unreadable = refuse): Promise<string[]> {
  const found = await imagesBelow(folder, unreadable);
  if (found.length === 0) throw new EspalierError([diagnostic('ESP0531', { folder, why: 'holds no images' })]);
  return found;
}

/**
 * Paths of the images in a folder and below it, folder by folder; empty if there are none. A folder that several links lead to is looked at once, so that
 * links in a circle end.
 */
async function imagesBelow(folder: string, unreadable: Unreadable, seen = new Set<string>()): Promise<string[]> {
  const here = await realpath(folder).catch(() => folder);
  if (seen.has(here)) return [];
  seen.add(here);
  const { files, folders } = await entriesOf(folder, unreadable);
  const found = files.map((file) => join(folder, file));
  for (const sub of folders)
    for (const path of await imagesOfSub(join(folder, sub), unreadable, seen)) found.push(path);
  return found;
}

/** The same for a folder that another one is more than. */
async function imagesOfSub(folder: string, unreadable: Unreadable, seen: Set<string>): Promise<string[]> {
  try {
    return await imagesBelow(folder, unreadable, seen);
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    unreadable(folder, error);
    return [];
  }
}

/**
 * Images of a folder with a folder for each class; what lies deeper belongs to the class as well.
 * @throws EspalierError ESP0531, ESP0501
 */
export async function listLabelledImages(folder: string, unreadable: Unreadable = refuse): Promise<LabelledImage[]> {
  const { files, folders } = await entriesOf(folder, unreadable);
  if (folders.length === 0) {
    const why = files.length > 0 ? 'holds images but no folder for each class' : 'holds no folder for each class';
    throw new EspalierError([diagnostic('ESP0531', { folder, why })]);
  }
  if (files.length > 0) {
    const why = `holds images that are in no class's folder: ${files.slice(0, 5).join(', ')}${files.length > 5 ? ', ...' : ''}`;
    throw new EspalierError([diagnostic('ESP0531', { folder, why })]);
  }
  const whole = await realpath(folder);
  const found: LabelledImage[] = [];
  for (const label of folders) {
    const images = await imagesOfSub(join(folder, label), unreadable, new Set([whole]));
    for (const path of images) found.push({ path, label });
  }
  if (found.length === 0)
    throw new EspalierError([diagnostic('ESP0531', { folder, why: 'has folders for classes, but no images in them' })]);
  return found;
}
