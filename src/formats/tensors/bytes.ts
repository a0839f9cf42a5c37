/** Where bytes come from: a file, a response, a buffer; and folders of them. No file system here. */

/** Something with a known length that can be read by range. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, in memory of their own or shared.
   * @throws RangeError when the range is not inside the source.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * A file that this one names by a path from its own folder, in that folder or one below it; undefined when there is none.
   * @throws EspalierError ESP0501, also for one that is elsewhere by way of links
   */
  beside?(location: string): Promise<ByteSource | undefined>;
  /** Releases what is held open; further reads fail. */
  close?(): Promise<void>;
}

/** A folder: names of the files directly in it, opened one at a time. */
export interface Folder {
  readonly name: string;
  list(): Promise<readonly string[]>;
  /** Undefined when there is no such file. */
  open(file: string): Promise<ByteSource | undefined>;
}

/** Throws RangeError unless `offset` and `length` are a range inside `size` bytes. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (!valid || offset + length > size) {
    throw new RangeError(`bytes ${offset}..${offset + length} of ${name} are outside its ${size}`);
  }
}

/** Bytes that are in memory; what is read shares them. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.length,
    read: async (offset, length) => {
      checkRange(name, bytes.length, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** The whole source. */
export function readAll(source: ByteSource): Promise<Uint8Array> {
  return source.read(0, source.size);
}

/** Pieces one behind the other, in memory of their own. */
export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((n, piece) => n + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}
