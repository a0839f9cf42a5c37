/**
 * Protobuf messages by tables: a table says of each field of a message its number and its form, and is what both reading and writing go by. The
 * library knows the wire; bytes are not copied, and what is read is bounded: in depth, and in how many parts a file may be made of.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Bytes in order, none of them copied. */
export type Pieces = readonly Uint8Array[];

export const sizeOfPieces = (pieces: Pieces): number => pieces.reduce((n, piece) => n + piece.byteLength, 0);

/** A field of a message: absent, or T. */
export interface Field<T> {
  readonly number: number;
  /** It can stand several times, and is a list. */
  readonly repeated?: boolean;
  /** The value after what stands at the reader, `before` being what it was. */
  read(reader: BinaryReader, wire: WireType, before: T | undefined, reading: Reading): T;
  write(value: T): Pieces;
}

/** What is known of a kind of message. */
export interface Message<T> {
  readonly byNumber: ReadonlyMap<number, readonly [name: keyof T & string, field: Field<unknown>]>;
}

/** A message by its fields. */
export function fields<T>(table: { readonly [K in keyof T]-?: Field<NonNullable<T[K]>> }): Message<T> {
  const all = Object.entries(table) as [keyof T & string, Field<unknown>][];
  all.sort(([, a], [, b]) => a.number - b.number);
  return { byNumber: new Map(all.map((entry) => [entry[1].number, entry])) };
}

/** Why a message cannot be read, and on the way to which of its fields: `graph.node[3].attribute[0]`. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly path: string;
  readonly reason: string;
  constructor(path: string, reason: string) {
    super(path === '' ? reason : `${path}: ${reason}`);
    this.path = path;
    this.reason = reason;
  }
}

/** What is left of the bounds of one file. */
interface Reading {
  readonly depth: number;
  readonly parts: { left: number };
}

/** More than any model has, and little enough for the memory that each takes: what is small in a file can be large in memory. */
const MOST_PARTS = 1 << 22;
/** As protobuf's own readers have it. */
const MOST_DEPTH = 100;

/** @throws WireError */
export function decode<T>(message: Message<T>, bytes: Uint8Array): T {
  return decodeIn(message, bytes, { depth: 0, parts: { left: MOST_PARTS } });
}

function decodeIn<T>(message: Message<T>, bytes: Uint8Array, reading: Reading): T {
  if (reading.depth > MOST_DEPTH) throw new WireError('', `messages lie in one another more than ${MOST_DEPTH} deep`);
  count(reading, 1);
  const reader = new BinaryReader(bytes);
  const out: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    let at = '';
    try {
      const [number, wire] = reader.tag();
      const found = message.byNumber.get(number);
      if (found === undefined) {
        reader.skip(wire, number);
        continue;
      }
      const [name, field] = found;
      const before = out[name];
      at = field.repeated ? `${name}[${(before as unknown[] | undefined)?.length ?? 0}]` : name;
      out[name] = field.read(reader, wire, before, reading);
      inBounds(reader);
    } catch (error) {
      throw inField(at, error);
    }
  }
  return out as T;
}

/** A reader may step beyond its end. */
function inBounds(reader: BinaryReader): void {
  if (reader.pos > reader.len) throw new Error('premature EOF');
}

/** @param at the field, or nothing where it is not known */
function inField(at: string, error: unknown): WireError {
  if (!(error instanceof WireError))
    return new WireError(at, `the bytes are no protobuf (${(error as Error).message})`);
  return new WireError([at, error.path].filter((part) => part !== '').join('.'), error.reason);
}

function count(reading: Reading, parts: number): void {
  reading.parts.left -= parts;
  if (reading.parts.left < 0)
    throw new WireError('', `it is made of more than ${MOST_PARTS.toLocaleString('en')} parts`);
}

/** The fields that the value has, in the order of their numbers. */
export function encode<T>(message: Message<T>, value: T): Pieces {
  return [...message.byNumber.values()].flatMap(([name, field]) =>
    value[name] === undefined ? [] : field.write(value[name]),
  );
}

// ---- Forms of fields ------------------------------------------------------------------------------------------------

function expect(wire: WireType, wanted: WireType): void {
  if (wire !== wanted) throw new WireError('', `wire type ${wire} stands where ${wanted} is wanted`);
}

const written = (make: (writer: BinaryWriter) => BinaryWriter): Pieces => [make(new BinaryWriter()).finish()];

interface Scalar {
  readonly wire: WireType;
  read(reader: BinaryReader): number;
  write(writer: BinaryWriter, value: number): BinaryWriter;
}

/** Whole numbers of 64 bits as doubles: exact up to 2^53, beyond it the nearest; so the largest one, which says "to the end", comes as 2^63. */
const INT: Scalar = {
  wire: WireType.Varint,
  read: (reader) => Number(reader.int64()),
  write: (writer, value) => writer.int64(value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value)),
};
const FLOAT: Scalar = {
  wire: WireType.Bit32,
  read: (reader) => reader.float(),
  write: (writer, value) => writer.float(value),
};

const one = (number: number, scalar: Scalar): Field<number> => ({
  number,
  read(reader, wire) {
    expect(wire, scalar.wire);
    return scalar.read(reader);
  },
  write: (value) => written((writer) => scalar.write(writer.tag(number, scalar.wire), value)),
});

/** A list, packed or not. */
const several = (number: number, scalar: Scalar): Field<readonly number[]> => ({
  number,
  read(reader, wire, before, reading) {
    const list = (before ?? []) as number[];
    if (wire === WireType.LengthDelimited) {
      const inside = new BinaryReader(reader.bytes());
      while (inside.pos < inside.len) {
        count(reading, 1);
        list.push(scalar.read(inside));
      }
      inBounds(inside);
      return list;
    }
    expect(wire, scalar.wire);
    count(reading, 1);
    list.push(scalar.read(reader));
    return list;
  },
  write: (values) =>
    values.flatMap((value) => written((writer) => scalar.write(writer.tag(number, scalar.wire), value))),
});

export const int = (number: number) => one(number, INT);
export const ints = (number: number) => several(number, INT);
export const float = (number: number) => one(number, FLOAT);
export const floats = (number: number) => several(number, FLOAT);

/** A length and so many bytes. */
const delimited = (number: number, pieces: Pieces): Pieces => [
  ...written((writer) => writer.tag(number, WireType.LengthDelimited).uint32(sizeOfPieces(pieces))),
  ...pieces,
];

interface Delimited<T> {
  read(reader: BinaryReader, reading: Reading): T;
  write(value: T): Pieces;
}

const TEXT: Delimited<string> = {
  read: (reader) => reader.string(true),
  write: (value) => [new TextEncoder().encode(value)],
};
/** A view of the file. */
const BYTES: Delimited<Uint8Array> = { read: (reader) => reader.bytes(), write: (value) => [value] };
const nested = <T>(of: () => Message<T>): Delimited<T> => ({
  read: (reader, { depth, parts }) => decodeIn(of(), reader.bytes(), { depth: depth + 1, parts }),
  write: (value) => encode(of(), value),
});

const single = <T>(number: number, form: Delimited<T>, once: boolean): Field<T> => ({
  number,
  read(reader, wire, before, reading) {
    expect(wire, WireType.LengthDelimited);
    if (once && before !== undefined) throw new WireError('', 'it stands twice');
    return form.read(reader, reading);
  },
  write: (value) => delimited(number, form.write(value)),
});
const list = <T>(number: number, form: Delimited<T>): Field<readonly T[]> => ({
  number,
  repeated: true,
  read(reader, wire, before, reading) {
    expect(wire, WireType.LengthDelimited);
    count(reading, 1);
    const all = (before ?? []) as T[];
    all.push(form.read(reader, reading));
    return all;
  },
  write: (values) => values.flatMap((value) => delimited(number, form.write(value))),
});

export const text = (number: number) => single(number, TEXT, false);
export const texts = (number: number) => list(number, TEXT);
export const bytes = (number: number) => single(number, BYTES, false);
export const manyBytes = (number: number) => list(number, BYTES);
export const message = <T>(number: number, of: () => Message<T>) => single(number, nested(of), true);
export const messages = <T>(number: number, of: () => Message<T>) => list(number, nested(of));

/** Numbers that stay bytes of the file until somebody wants them: there may be millions, and few files have any. */
export interface Packed {
  readonly bytes: Pieces;
}

/** A list of numbers of one wire type: where they are in the file. */
export const packed = (number: number, of: WireType.Varint | WireType.Bit32 | WireType.Bit64): Field<Packed> => ({
  number,
  read(reader, wire, before, reading) {
    count(reading, 1);
    const parts = (before?.bytes ?? []) as Uint8Array[];
    if (wire === WireType.LengthDelimited) parts.push(reader.bytes());
    else {
      expect(wire, of);
      parts.push(reader.skip(wire));
    }
    return { bytes: parts };
  },
  write: ({ bytes }) => delimited(number, bytes),
});

/** A whole number has no more bytes. */
const LONGEST = 10;

/** How many numbers the bytes are; undefined if they end inside of one, or are none. */
export function packedLength({ bytes }: Packed, width: 4 | 8 | 'varint'): number | undefined {
  let numbers = 0;
  for (const piece of bytes) {
    if (width !== 'varint') {
      if (piece.length % width !== 0) return undefined;
      numbers += piece.length / width;
      continue;
    }
    // The last byte of each is the one that says that none follows.
    let length = 0;
    for (const byte of piece) {
      length++;
      if (length > LONGEST) return undefined;
      if (byte >= 0x80) continue;
      numbers++;
      length = 0;
    }
    if (length > 0) return undefined;
  }
  return numbers;
}

/** The numbers one by one, as `read` takes each from the reader; how many there are was found before. */
export function eachPacked({ bytes }: Packed, read: (reader: BinaryReader) => void): void {
  for (const piece of bytes) {
    const reader = new BinaryReader(piece);
    while (reader.pos < reader.len) read(reader);
  }
}
