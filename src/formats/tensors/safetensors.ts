/**
 * The safetensors format: 8 bytes of length, a JSON header, tensors end to end. Reading trusts nothing: memory is asked for only as far as
 * the file itself reaches, and a header that does not account for every byte is refused. Tensors are read one at a time, by range.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { type ByteSource, joinBytes } from './bytes.js';

/** Who wrote a file, in its metadata: `writer`. */
export const WRITER = 'espalier';

/** Bytes of one element, for the dtypes whose elements are whole bytes. */
export const ELEMENT_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
  C64: 8,
} as const;

export type StoredType = keyof typeof ELEMENT_BYTES;

export interface TensorInfo {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  /** Offset in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** In the order of their places in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit. */
const MAX_HEADER = 100_000_000;

/**
 * Reads and checks the header: reads 8 bytes and then no more than the file holds.
 * @throws EspalierError ESP0502 for the file, ESP0503 for one of its tensors.
 */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0502', { file: source.name, problem })]);
  if (source.size < 8) throw wrong(`it has only ${source.size} bytes`);
  const first = await source.read(0, 8);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(source.size - 8)) {
    throw wrong(
      `its header claims ${length.toLocaleString('en')} bytes, but the file has ${source.size.toLocaleString('en')}`,
    );
  }
  if (length > BigInt(MAX_HEADER))
    throw wrong(`its header claims ${length.toLocaleString('en')} bytes; the format allows 100,000,000`);
  const start = 8 + Number(length);
  const text = decodeText(await source.read(8, Number(length)));
  const json = text === undefined ? undefined : parseJson(text);
  if (text === undefined || json === undefined) throw wrong('its header is not JSON');
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw wrong('its header is not a JSON object');

  if (pairsWritten(text) !== pairsOf(json)) throw wrong('its header names something twice');

  const infos: [string, TensorInfo][] = [];
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name !== '__metadata__') {
      infos.push([name, tensorInfo(source, name, value, start)]);
      continue;
    }
    // Python's library writes null for no metadata, and reads it as none.
    if (value === null) continue;
    if (!isStringRecord(value)) throw wrong('its metadata are not a map from strings to strings');
    metadata = value;
  }
  infos.sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start;
  let before = 'the header';
  for (const [name, info] of infos) {
    if (info.offset < end) throw wrong(`tensors "${before}" and "${name}" overlap`);
    if (info.offset > end)
      throw wrong(`between "${before}" and "${name}" are ${info.offset - end} bytes that belong to no tensor`);
    end = info.offset + info.bytes;
    before = name;
  }
  if (end < source.size) throw wrong(`after the last tensor are ${source.size - end} bytes that belong to no tensor`);
  return { tensors: new Map(infos), metadata };
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How many `key: value` a JSON text has, those of the same key included: the colons outside of its strings. */
function pairsWritten(text: string): number {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === ':') pairs++;
    else if (text[i] === '"') for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
  }
  return pairs;
}

/** How many of them were kept: of two with the same key, JSON.parse keeps the last, and no reader says which it takes. */
function pairsOf(json: unknown): number {
  if (typeof json !== 'object' || json === null) return 0;
  let pairs = 0;
  // A header is as deep as somebody made it, so there is a stack of our own.
  const stack: object[] = [json];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const inside = Object.values(at) as unknown[];
    if (!Array.isArray(at)) pairs += inside.length;
    for (const value of inside) if (typeof value === 'object' && value !== null) stack.push(value);
  }
  return pairs;
}

function isStringRecord(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((v) => typeof v === 'string');
}

const isCount = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

function tensorInfo(source: ByteSource, name: string, value: unknown, start: number): TensorInfo {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0503', { file: source.name, tensor: name, problem })]);
  if (typeof value !== 'object' || value === null) throw wrong('is not described by an object');
  const { dtype, shape, data_offsets: range } = value as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (typeof dtype !== 'string') throw wrong('has no dtype');
  if (!Object.hasOwn(ELEMENT_BYTES, dtype)) {
    throw new EspalierError([diagnostic('ESP0504', { file: source.name, tensor: name, dtype })]);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw wrong('has a shape that is not a list of counts');
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isCount)) throw wrong('has no range of bytes');
  const [begin, end] = range as [number, number];
  const width = ELEMENT_BYTES[dtype as StoredType];
  const size = shape.reduce<number>((a, b) => a * b, 1);
  if (!Number.isSafeInteger(size * width)) throw wrong(`has the impossible shape [${shape.join(', ')}]`);
  if (end < begin) throw wrong(`ends (${end}) before it begins (${begin})`);
  if (end - begin !== size * width) {
    throw wrong(`has ${end - begin} bytes, but ${dtype} [${shape.join(', ')}] needs ${size * width}`);
  }
  if (start + end > source.size) {
    throw wrong(
      `ends at byte ${(start + end).toLocaleString('en')}, but the file has ${source.size.toLocaleString('en')}: it was cut off`,
    );
  }
  return { dtype: dtype as StoredType, shape, offset: start + begin, bytes: end - begin };
}

/** A tensor as it lies in a file. */
export interface StoredTensor {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  /** Row-major, little endian. */
  readonly data: Uint8Array;
}

/** What a file says of a tensor in front of its bytes. */
type Declared = Pick<StoredTensor, 'dtype' | 'shape'>;

/** The front of a file (the header, padded so that the tensors start at a multiple of 8), and where each tensor lies behind it, in order. */
interface Layout {
  readonly front: readonly Uint8Array[];
  readonly places: readonly { readonly name: string; readonly begin: number; readonly end: number }[];
}

/** Tensors lie in descending order of element size, then by name, which keeps each aligned. */
function layoutOf(tensors: ReadonlyMap<string, Declared>, metadata: Readonly<Record<string, string>>): Layout {
  const ordered = [...tensors].sort(
    ([a, x], [b, y]) => ELEMENT_BYTES[y.dtype] - ELEMENT_BYTES[x.dtype] || (a < b ? -1 : a > b ? 1 : 0),
  );
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let end = 0;
  const places = ordered.map(([name, t]) => {
    const begin = end;
    end += sizeOf(t.shape) * ELEMENT_BYTES[t.dtype];
    header.push([name, { dtype: t.dtype, shape: t.shape, data_offsets: [begin, end] }]);
    return { name, begin, end };
  });
  let text = JSON.stringify(Object.fromEntries(header));
  let json = new TextEncoder().encode(text);
  if (json.length % 8 !== 0) {
    text += ' '.repeat(8 - (json.length % 8));
    json = new TextEncoder().encode(text);
  }
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  return { front: [length, json], places };
}

/**
 * The pieces of a safetensors file, in order, none of them copied: the header and the data of each tensor.
 * @throws RangeError when a tensor's bytes are not what its dtype and shape need (a defect of the caller).
 */
export function safetensorsPieces(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const { front, places } = layoutOf(tensors, metadata);
  const data = places.map(({ name, begin, end }) => {
    const t = tensors.get(name)!;
    if (end - begin === t.data.byteLength) return t.data;
    throw new RangeError(
      `${name}: ${t.dtype} [${t.shape.join(', ')}] needs ${end - begin} bytes, not ${t.data.byteLength}`,
    );
  });
  return [...front, ...data];
}

/** What stands in front of the tensors, for whoever writes their bytes behind it: in descending order of element size, then by name. */
export const safetensorsFront = (
  tensors: ReadonlyMap<string, Declared>,
  metadata: Readonly<Record<string, string>>,
): readonly Uint8Array[] => layoutOf(tensors, metadata).front;

/** A whole safetensors file in memory. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return joinBytes(safetensorsPieces(tensors, metadata));
}

/** A file whose tensors are still to be written: all of its bytes, and of each tensor those that are its own. */
export function reserveSafetensors(
  tensors: ReadonlyMap<string, Declared>,
  metadata: Readonly<Record<string, string>> = {},
): { readonly file: Uint8Array; readonly places: ReadonlyMap<string, Uint8Array> } {
  const { front, places } = layoutOf(tensors, metadata);
  const start = front.reduce((n, piece) => n + piece.byteLength, 0);
  const file = new Uint8Array(start + (places.at(-1)?.end ?? 0));
  let at = 0;
  for (const piece of front) {
    file.set(piece, at);
    at += piece.byteLength;
  }
  return { file, places: new Map(places.map((p) => [p.name, file.subarray(start + p.begin, start + p.end)])) };
}
