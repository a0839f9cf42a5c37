/** The parts of JPEG and PNG files that stand before the pixels. What is cut off or damaged ends the list; decoders say so. */

export interface Segment {
  readonly marker: number;
  /** After the length. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Segments of a JPEG up to its pixels. */
export function* jpegSegments(file: Uint8Array<ArrayBuffer>): Generator<Segment> {
  for (let at = 2; at + 3 < file.length; ) {
    const marker = file[at + 1]!;
    // Decoders pass over what stands between segments, and over any number of fill bytes.
    if (file[at] !== 0xff || marker === 0xff || marker === 0) at++;
    else if (marker === 0xda) return;
    else {
      const end = at + 2 + file[at + 2]! * 256 + file[at + 3]!;
      yield { marker, data: file.subarray(at + 4, end) };
      at = Math.max(end, at + 2);
    }
  }
}

/** Components of a JPEG's pixels, from the frame's header; 0 if there is none. */
export function jpegComponents(file: Uint8Array<ArrayBuffer>): number {
  for (const { marker, data } of jpegSegments(file)) {
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) return data[5] ?? 0;
  }
  return 0;
}

export interface Chunk {
  readonly name: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Chunks of a PNG up to its pixels, of which the first is the last that is given. */
export function* pngChunks(file: Uint8Array<ArrayBuffer>): Generator<Chunk> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 8; at + 8 <= file.length; ) {
    const end = at + 8 + view.getUint32(at);
    const name = asciiAt(file, at + 4, 4);
    yield { name, data: file.subarray(at + 8, end) };
    if (name === 'IDAT') return;
    at = end + 4;
  }
}

export const asciiAt = (file: Uint8Array, at: number, length: number): string =>
  String.fromCharCode(...file.subarray(at, at + length));
