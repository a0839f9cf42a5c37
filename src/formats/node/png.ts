/** Pixels as PNG files. */
import sharp from 'sharp';
import type { RgbaImage } from '../types.js';

/** 8-bit RGBA as a PNG file. */
export async function encodePng({ data, width, height }: RgbaImage): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
}
