/**
 * MATLAB's level 5 MAT-files (versions 5 to 7 of its `save`), as far as arrays, cells and structs go: "MAT-File Format", MathWorks. Numbers become f64. All
 * else (text, sparse arrays, objects) is passed over by its size. Every length is checked, since files come from anywhere.
 */
import { inflateSync } from 'node:zlib';

export type MatValue =
  | { readonly kind: 'numbers'; readonly dims: readonly number[]; readonly values: Float64Array }
  | { readonly kind: 'cell'; readonly items: readonly MatValue[] }
  /** Of an array of structs, one after another. */
  | { readonly kind: 'struct'; readonly items: readonly ReadonlyMap<string, MatValue>[] }
  | { readonly kind: 'other' };

/** What is wrong with a file; whoever knows its name says it. */
export class MatError extends Error {}

const HEADER = 128;
/** What a compressed variable may become. */
const MOST_BYTES = 256 << 20;
const MOST_DEPTH = 16;

const TYPE = { int8: 1, uint8: 2, int32: 5, uint32: 6, matrix: 14, compressed: 15 } as const;
const CLASS = { cell: 1, struct: 2, double: 6, uint64: 15 } as const;

type Read = (view: DataView, at: number, little: boolean) => number;
/** Numbers by the type that they are stored as: bytes of each, and how one is read. */
const NUMBERS: Readonly<Record<number, readonly [bytes: number, read: Read]>> = {
  1: [1, (v, at) => v.getInt8(at)],
  2: [1, (v, at) => v.getUint8(at)],
  3: [2, (v, at, little) => v.getInt16(at, little)],
  4: [2, (v, at, little) => v.getUint16(at, little)],
  5: [4, (v, at, little) => v.getInt32(at, little)],
  6: [4, (v, at, little) => v.getUint32(at, little)],
  7: [4, (v, at, little) => v.getFloat32(at, little)],
  9: [8, (v, at, little) => v.getFloat64(at, little)],
  12: [8, (v, at, little) => Number(v.getBigInt64(at, little))],
  13: [8, (v, at, little) => Number(v.getBigUint64(at, little))],
};

/** The variables of a file, by name. @throws MatError */
export function readMat(bytes: Uint8Array): Map<string, MatValue> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER) throw new MatError('it is too short to be a MAT-file');
  const mark = view.getUint16(126, true);
  if (mark !== 0x4d49 && mark !== 0x494d) throw new MatError('it is no MAT-file of level 5');
  const little = mark === 0x4d49;
  const version = view.getUint16(124, little);
  if (version === 0x0200) throw new MatError('it is a MAT-file of version 7.3, which is HDF5: save it with `-v7`');
  if (version !== 0x0100) throw new MatError(`it is a MAT-file of an unknown version (${version})`);
  const found = new Map<string, MatValue>();
  readVariables(new Elements(view, HEADER, bytes.length, little), found, 0);
  return found;
}

function readVariables(elements: Elements, found: Map<string, MatValue>, depth: number): void {
  while (!elements.done) {
    const { type, part } = elements.next();
    if (type === TYPE.compressed) {
      if (depth > 0) throw new MatError('a compressed variable is in another');
      const plain = inflated(part.bytes());
      const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
      readVariables(new Elements(view, 0, plain.length, part.little), found, depth + 1);
    } else if (type === TYPE.matrix) {
      const { name, value } = matrix(part, 0);
      found.set(name, value);
    }
  }
}

function inflated(bytes: Uint8Array): Uint8Array {
  try {
    return inflateSync(bytes, { maxOutputLength: MOST_BYTES });
  } catch {
    throw new MatError('a compressed variable is damaged');
  }
}

/** Elements one after another, each with its type and its bytes. */
class Elements {
  private readonly view: DataView;
  private at: number;
  private readonly end: number;
  readonly little: boolean;

  constructor(view: DataView, from: number, end: number, little: boolean) {
    this.view = view;
    this.at = from;
    this.end = end;
    this.little = little;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.view.buffer, this.view.byteOffset + this.at, this.end - this.at);
  }

  next(): { readonly type: number; readonly part: Elements } {
    const word = this.word(this.at);
    // Of at most four bytes, tag and data are eight together.
    const small = word >>> 16 !== 0;
    const type = small ? word & 0xffff : word;
    const length = small ? word >>> 16 : this.word(this.at + 4);
    const from = this.at + (small ? 4 : 8);
    if (from + length > this.end || (small && length > 4)) throw new MatError('it is cut off');
    const part = new Elements(this.view, from, from + length, this.little);
    const padded = type === TYPE.compressed ? length : Math.ceil(length / 8) * 8;
    this.at = small ? this.at + 8 : Math.min(this.end, from + padded);
    return { type, part };
  }

  /** The next element, which is of one of these types. */
  expect(what: string, ...types: readonly number[]): Elements {
    if (this.done) throw new MatError(`a variable has no ${what}`);
    const { type, part } = this.next();
    if (!types.includes(type)) throw new MatError(`a variable has no ${what}`);
    return part;
  }

  /** All of it as numbers of a type. */
  numbers(type: number): Float64Array {
    const known = NUMBERS[type];
    if (!known) throw new MatError(`numbers are stored as an unknown type (${type})`);
    const [size, read] = known;
    const count = Math.floor((this.end - this.at) / size);
    return Float64Array.from({ length: count }, (_, i) => read(this.view, this.at + i * size, this.little));
  }

  text(): string {
    return Buffer.from(this.bytes()).toString('latin1');
  }

  private word(at: number): number {
    if (at + 4 > this.end) throw new MatError('it is cut off');
    return this.view.getUint32(at, this.little);
  }
}

function matrix(part: Elements, depth: number): { readonly name: string; readonly value: MatValue } {
  if (depth > MOST_DEPTH) throw new MatError('its variables are nested too deeply');
  // An empty place of a cell or a struct.
  if (part.done) return { name: '', value: { kind: 'numbers', dims: [0, 0], values: new Float64Array(0) } };
  const flags = part.expect('flags', TYPE.uint32).numbers(TYPE.uint32)[0] ?? 0;
  const dims = [...part.expect('sizes', TYPE.int32).numbers(TYPE.int32)];
  const name = part.expect('name', TYPE.int8, TYPE.uint8).text();
  const count = dims.reduce((product, size) => product * size, 1);
  if (dims.length < 2 || dims.some((size) => size < 0))
    throw new MatError(`\`${name}\` has the size [${dims.join(', ')}]`);
  const kind = flags & 0xff;
  const items = (): MatValue => matrix(part.expect('value', TYPE.matrix), depth + 1).value;
  if (kind === CLASS.cell) return { name, value: { kind: 'cell', items: times(count, items) } };
  if (kind === CLASS.struct) {
    const length = part.expect('names of fields', TYPE.int32).numbers(TYPE.int32)[0] ?? 0;
    const names = part.expect('names of fields', TYPE.int8, TYPE.uint8).text();
    if (length < 1) throw new MatError(`\`${name}\` has fields without names`);
    const fields = Array.from({ length: Math.floor(names.length / length) }, (_, i) =>
      names.slice(i * length, (i + 1) * length).replace(/\0.*$/s, ''),
    );
    if (fields.length === 0) return { name, value: { kind: 'struct', items: [] } };
    const one = () => new Map(fields.map((field) => [field, items()]));
    return { name, value: { kind: 'struct', items: times(count, one) } };
  }
  if (kind < CLASS.double || kind > CLASS.uint64) return { name, value: { kind: 'other' } };
  const { type, part: real } = part.done ? { type: 9, part } : part.next();
  const values = real.numbers(type);
  if (values.length !== count)
    throw new MatError(`\`${name}\` has ${values.length} numbers, and its size is [${dims.join(', ')}]`);
  return { name, value: { kind: 'numbers', dims, values } };
}

/** As many as the file has room for: each takes eight bytes at least, so that a wrong size ends with the file. */
function times<T>(count: number, one: () => T): T[] {
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(one());
  return list;
}
