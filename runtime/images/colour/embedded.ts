/** The color profile inside a picture's file, and other words that a file has on what its numbers mean. */
import { ColourError } from '../../errors.js';
import { asciiAt, jpegComponents, jpegSegments, pngChunks } from '../containers.js';

/** More than the largest profiles that there are, and little enough to be unpacked. */
const MOST = 2 ** 24;

/**
 * The ICC profile of a JPEG, PNG or WebP; `found` of any other file, which is what its decoder has found there. Undefined where there is none: the picture
 * is in sRGB (CMYK and gray are what they are). Throws ColourError where it is damaged, or the file says in another way than by a profile that its
 * colors are not sRGB's: then they cannot be converted, and are not passed for sRGB.
 */
export async function embeddedProfile(
  file: Uint8Array<ArrayBuffer>,
  found?: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (asciiAt(file, 0, 3) === '\xff\xd8\xff') return jpegProfile(file);
  if (asciiAt(file, 1, 3) === 'PNG') return pngProfile(file);
  if (asciiAt(file, 0, 4) === 'RIFF' && asciiAt(file, 8, 4) === 'WEBP') return webpProfile(file);
  if (asciiAt(file, 0, 2) === 'BM') return bitmapProfile(file);
  if (!found && asciiAt(file, 4, 4) === 'ftyp') requireSrgbBox(file);
  return found;
}

/** Whether a JPEG or PNG is gray, by its header. */
export function isGray(file: Uint8Array<ArrayBuffer>): boolean {
  if (asciiAt(file, 1, 3) === 'PNG') return file[25] === 0 || file[25] === 4;
  return asciiAt(file, 0, 3) === '\xff\xd8\xff' && jpegComponents(file) === 1;
}

const damaged = (): never => {
  throw new ColourError('its color profile is damaged');
};

/** Parts in segments APP2, numbered, since a segment holds 64 KB at most. */
function jpegProfile(file: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  const parts = new Map<number, Uint8Array>();
  let count: number | undefined;
  for (const { marker, data } of jpegSegments(file)) {
    if (marker !== 0xe2 || asciiAt(data, 0, 12) !== 'ICC_PROFILE\0') continue;
    const [number, of] = [data[12] ?? 0, data[13] ?? 0];
    if ((count !== undefined && of !== count) || parts.has(number)) return damaged();
    count = of;
    parts.set(number, data.subarray(14));
  }
  if (count === undefined) return undefined;
  const ordered = Array.from({ length: count }, (_, i) => parts.get(i + 1));
  if (count === 0 || parts.size !== count || ordered.includes(undefined))
    throw new ColourError('parts of its color profile are missing');
  const whole = new Uint8Array(ordered.reduce((sum, part) => sum + part!.length, 0));
  let at = 0;
  for (const part of ordered) {
    whole.set(part!, at);
    at += part!.length;
  }
  return whole;
}

async function pngProfile(file: Uint8Array<ArrayBuffer>): Promise<Uint8Array | undefined> {
  const chunks = new Map([...pngChunks(file)].reverse().map(({ name, data }) => [name, data]));
  const [points, packed] = [chunks.get('cICP'), chunks.get('iCCP')];
  // What stands in cICP goes before all else: primaries of BT.709, sRGB's transfer, RGB, full range.
  if (points) {
    if (points[0] !== 1 || points[1] !== 13 || points[2] !== 0 || points[3] !== 1)
      throw new ColourError('its colors are said by code points (the chunk cICP), and not by a color profile');
    return undefined;
  }
  if (packed) {
    const end = packed.indexOf(0);
    if (end < 1 || packed[end + 1] !== 0) return damaged();
    return unpacked(packed.subarray(end + 2));
  }
  if (chunks.has('sRGB')) return undefined;
  const [gamma, primaries] = [numbersOf(chunks.get('gAMA')), numbersOf(chunks.get('cHRM'))];
  const near = (values: readonly number[], wanted: readonly number[], off: number) =>
    wanted.every((w, i) => Math.abs((values[i] ?? Number.NaN) - w) <= off);
  if (gamma && !near(gamma, [45455], 500))
    throw new ColourError('its colors are said by a gamma (the chunk gAMA), and not by a color profile');
  if (primaries && !near(primaries, [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000], 100))
    throw new ColourError('its colors are said by primaries (the chunk cHRM), and not by a color profile');
  return undefined;
}

function numbersOf(data: Uint8Array<ArrayBuffer> | undefined): number[] | undefined {
  if (!data) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: Math.floor(data.length / 4) }, (_, i) => view.getUint32(4 * i));
}

async function unpacked(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.length;
      if (size > MOST) {
        await reader.cancel();
        return damaged();
      }
      parts.push(part.value);
    }
  } catch {
    return damaged();
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function webpProfile(file: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 12; at + 8 <= file.length; ) {
    const size = view.getUint32(at + 4, true);
    if (asciiAt(file, at, 4) === 'ICCP') {
      if (at + 8 + size > file.length) return damaged();
      return file.subarray(at + 8, at + 8 + size);
    }
    at += 8 + size + (size % 2);
  }
  return undefined;
}

/** In the largest of its headers a bitmap may have a profile, or name a file that is one. */
function bitmapProfile(file: Uint8Array): undefined {
  const kind = file[14] === 124 ? asciiAt(file, 70, 4) : '';
  if (kind === 'DEBM' || kind === 'KNIL') throw new ColourError('it is a BMP with a color profile, which is not read');
}

/** AVIF may say primaries and transfer in a box `colr` in place of a profile; 2 is "not said". */
function requireSrgbBox(file: Uint8Array): void {
  // Boxes with what is said of a picture come before its pixels, and are small.
  const at = asciiAt(file, 0, Math.min(file.length, 8192)).indexOf('colrnclx');
  if (at < 0 || at + 12 > file.length) return;
  const [primaries, transfer] = [8, 10].map((k) => file[at + k]! * 256 + file[at + k + 1]!) as [number, number];
  // Transfers of BT.709 and BT.601 stand for sRGB in practice.
  if (![1, 2].includes(primaries) || ![1, 2, 6, 13].includes(transfer))
    throw new ColourError('its colors are said by code points (the box colr), and not by a color profile');
}
