/**
 * Where the entries of a ZIP archive lie, so that they can be read by range. Only what `torch.save` writes: stored entries, in one piece, of any size
 * (ZIP64). Nothing is ever inflated, so no archive grows beyond its own size. Format: APPNOTE.TXT 6.3.10 of PKWARE, 4.3.6 to 4.5.3.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { ByteSource } from '../tensors/bytes.js';

export interface ZipEntry {
  /** Bytes. */
  readonly size: number;
  /** Offset of its first byte in the archive. @throws EspalierError ESP1280 when the archive says otherwise there */
  place(): Promise<number>;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** A directory larger than this lists more than any model has. */
const MAX_DIRECTORY = 64 << 20;
/** The size of an end record, and the longest comment behind it. */
const END_BYTES = 22;
const MAX_COMMENT = 0xffff;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What is wrong with a file that `torch.save` may have written. */
export function torchError(file: string, problem: string): EspalierError {
  return new EspalierError([diagnostic('ESP1280', { file, problem })]);
}

/** The entries by name. @throws EspalierError ESP1280 for an archive that is cut off, split, encrypted or compressed */
export async function openZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const wrong = (problem: string) => torchError(source.name, problem);
  const { count, offset, size } = await directoryOf(source);
  if (size > MAX_DIRECTORY) throw wrong(`its directory claims ${size.toLocaleString('en')} bytes`);
  if (offset + size > source.size) throw wrong('its directory lies outside of it: it was cut off');
  const bytes = await source.read(offset, size);
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== CENTRAL) throw wrong(`entry ${i} of its directory is damaged`);
    const lengths = [28, 30, 32].map((field) => view.getUint16(at + field, true)) as [number, number, number];
    const [nameLength, extraLength, commentLength] = lengths;
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > size) throw wrong(`entry ${i} of its directory is damaged`);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if ((view.getUint16(at + 8, true) & 1) !== 0) throw wrong(`"${name}" is encrypted`);
    const method = view.getUint16(at + 10, true);
    if (method !== 0) throw wrong(`"${name}" is compressed, which torch.save never does`);
    const wide = wideSizes(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength), {
      size: view.getUint32(at + 24, true),
      stored: view.getUint32(at + 20, true),
      local: view.getUint32(at + 42, true),
    });
    if (wide?.size !== wide?.stored || !wide || wide.local + 30 + wide.size > source.size)
      throw wrong(`"${name}" lies outside of the file, or has two sizes`);
    if (entries.has(name)) throw wrong(`"${name}" is there twice`);
    entries.set(name, { size: wide.size, place: () => placeOf(source, name, wide) });
    at = next;
  }
  return entries;
}

interface Sizes {
  readonly size: number;
  readonly stored: number;
  readonly local: number;
}

/** The sizes with those of a ZIP64 field where 32 bits did not hold them; undefined where it is needed and missing. */
function wideSizes(extra: Uint8Array, sizes: Sizes): Sizes | undefined {
  const order = ['size', 'stored', 'local'] as const;
  const missing = order.filter((field) => sizes[field] === 0xffffffff);
  if (missing.length === 0) return sizes;
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    if (at + 4 + 8 * missing.length > extra.length) return undefined;
    const found = missing.map((field, i) => [field, Number(view.getBigUint64(at + 4 + 8 * i, true))] as const);
    return { ...sizes, ...Object.fromEntries(found) };
  }
  return undefined;
}

async function directoryOf(source: ByteSource): Promise<{ count: number; offset: number; size: number }> {
  const length = Math.min(source.size, END_BYTES + MAX_COMMENT);
  const start = source.size - length;
  const tail = viewOf(await source.read(start, length));
  let at = length - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) throw torchError(source.name, 'it is a ZIP archive without its end: it was cut off');
  const end = {
    count: tail.getUint16(at + 10, true),
    size: tail.getUint32(at + 12, true),
    offset: tail.getUint32(at + 16, true),
  };
  if (end.count !== 0xffff && end.size !== 0xffffffff && end.offset !== 0xffffffff) return end;
  const locator = at - 20;
  if (locator < 0 || tail.getUint32(locator, true) !== END64_LOCATOR) return end;
  const place = Number(tail.getBigUint64(locator + 8, true));
  if (place + 56 > source.size) throw torchError(source.name, 'its directory lies outside of it: it was cut off');
  const wide = viewOf(await source.read(place, 56));
  if (wide.getUint32(0, true) !== END64) throw torchError(source.name, 'the end of its directory is damaged');
  const field = (offset: number) => Number(wide.getBigUint64(offset, true));
  return { count: field(32), size: field(40), offset: field(48) };
}

/** The local header may be longer than the directory says: torch aligns data with it. */
async function placeOf(source: ByteSource, name: string, { local, size }: Sizes): Promise<number> {
  const header = viewOf(await source.read(local, 30));
  const start = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL || start + size > source.size)
    throw torchError(source.name, `"${name}" is not where the directory says`);
  return start;
}
