/**
 * Pictures as PNG files whose bytes are the same on every machine. Encoders that look for repetitions find others with other versions and other
 * processors; here pixels are written as differences from their neighbours (PNG's filter 4, Paeth), and coded by how often each byte is there alone.
 */
import { constants, deflateSync } from 'node:zlib';
import type { Rgb } from './compose.js';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PAETH = 4;

/** A picture of 8 bits a channel, RGB, as a PNG file. */
export function encodePng({ data, width, height }: Rgb): Uint8Array {
  const row = 3 * width;
  const filtered = new Uint8Array((row + 1) * height);
  for (let y = 0; y < height; y++) {
    const start = y * (row + 1);
    filtered[start] = PAETH;
    for (let i = 0; i < row; i++) {
      const left = i >= 3 ? data[y * row + i - 3]! : 0;
      const above = y > 0 ? data[(y - 1) * row + i]! : 0;
      const corner = i >= 3 && y > 0 ? data[(y - 1) * row + i - 3]! : 0;
      filtered[start + 1 + i] = data[y * row + i]! - paeth(left, above, corner);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  // 8 bits; RGB; deflate; the five filters; not interlaced.
  header.set([8, 2, 0, 0, 0], 8);
  const pixels = deflateSync(filtered, { strategy: constants.Z_HUFFMAN_ONLY });
  return Buffer.concat([
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** Of three neighbours, the one that is nearest to left + above - corner (PNG, section 9.4). */
function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** The CRC-32 of PNG and zip (node:zlib has one from Node 22.2 on). */
function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}
