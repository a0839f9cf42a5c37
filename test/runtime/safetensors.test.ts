/** What a weight file may not say, two of each kind: every check has files that only it refuses, so that one that is taken out is noticed. */
import { describe, expect, test } from 'vitest';
import { ProgramFileError } from '../../runtime/errors.js';
import { captureImage } from '../../runtime/images/image.js';
import { bytesFile } from '../../runtime/program/files.js';
import { readSafetensors } from '../../runtime/program/safetensors.js';

/** A file with this header and so many bytes behind it; `claimed` instead of the header's length. */
function file(header: string | Uint8Array, data = 0, claimed?: number): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(claimed ?? text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (change: object = {}): string =>
  JSON.stringify({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...change } });

const read = (bytes: Uint8Array) => readSafetensors('w', bytesFile(bytes));

test('a right file is read: places in the file, the metadata left out, a tensor up to its last byte', async () => {
  const header = JSON.stringify({
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    b: { dtype: 'U8', shape: [0], data_offsets: [8, 8] },
  });
  const at = 8 + header.length;
  expect([...(await read(file(header, 8)))]).toEqual([
    ['a', { dtype: 'F32', shape: [2], start: at, end: at + 8 }],
    ['b', { dtype: 'U8', shape: [0], start: at + 8, end: at + 8 }],
  ]);
  expect((await read(file('{}'))).size).toBe(0);
});

describe('refuses', () => {
  test.each<[string, Uint8Array[], RegExp]>([
    [
      'files that are too short',
      [new Uint8Array(0), new Uint8Array(7)],
      /has [07] bytes; a safetensors file has at least 8/,
    ],
    [
      'headers longer than the file',
      [file('{}', 0, 3), file('{}', 100, 103)],
      /its header claims (3|103) bytes, the file has/,
    ],
    [
      'headers longer than any',
      [file('{}', 0, 2 ** 33), file('{}', 0, 2 ** 52)],
      /its header claims (8589934592|4503599627370496) bytes/,
    ],
    [
      'headers that are no JSON',
      [file('{"a":'), file(Uint8Array.of(0x22, 0xff, 0xfe, 0x22))],
      /its header is not JSON/,
    ],
    ['headers that are no object', [file('null'), file('7')], /its header is no object/],
    ['entries that are nothing', [file('{"a":null}', 8), file('{"a":{}}', 8)], /the entry of `a` is malformed/],
    [
      'element types that are no name',
      [file(entry({ dtype: 7 }), 8), file(entry({ dtype: null }), 8)],
      /the entry of `a` is malformed/,
    ],
    [
      'shapes that are none',
      [file(entry({ shape: 2 }), 8), file(entry({ shape: [2, -1] }), 8), file(entry({ shape: [0.5, 1] }), 8)],
      /the entry of `a` is malformed/,
    ],
    [
      'offsets that are no pair of counts',
      [
        file(entry({ data_offsets: [0, 4, 8] }), 8),
        file(entry({ data_offsets: [-1, 8] }), 8),
        file(entry({ data_offsets: { 0: 0, 1: 8, length: 2 } }), 8),
      ],
      /the entry of `a` is malformed/,
    ],
    [
      'tensors past the end, or backwards',
      [file(entry({ data_offsets: [0, 9] }), 8), file(entry({ data_offsets: [8, 4] }), 8)],
      /`a` lies past the end of the file/,
    ],
  ])('%s', async (_name, files, message) => {
    expect(files.length).toBeGreaterThan(1);
    for (const bytes of files) {
      const refused = await read(bytes).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(ProgramFileError);
      expect((refused as Error).message).toMatch(message);
    }
  });
});

describe('an image without pixels is refused', () => {
  test.each([
    [0, 4],
    [4, 0],
    [-2, -2],
    [1.5, 2],
    [2, 1.5],
    [Number.NaN, 1],
  ])('%d by %d', (width, height) => {
    const data = new Uint8Array(Math.max(4, Math.abs(width * height) * 4 || 4));
    expect(() => captureImage({ data, width, height })).toThrow(/the image has no pixels|cannot have/);
    if (!(width > 0 && height > 0 && Number.isInteger(width * height)))
      expect(() => captureImage({ data, width, height })).toThrow(/the image has no pixels/);
  });

  test('but one of one pixel is taken, as sRGB', () => {
    expect(captureImage({ data: new Uint8Array(4), width: 1, height: 1 })).toMatchObject({ channels: 4 });
    const tagged = { data: new Uint8ClampedArray(4), width: 1, height: 1, colorSpace: 'srgb' };
    expect(captureImage(tagged as never)).toMatchObject({ channels: 4 });
    expect(() => captureImage({ ...tagged, colorSpace: 'display-p3' } as never)).toThrow(/is in display-p3/);
  });
});
