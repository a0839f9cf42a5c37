/** GIF files as Pillow and PIL-based processors read them: what is transparent has the color that it has in the palette. */

/** The last of the GIF87a or GIF89a header and the screen's description. */
const SCREEN = 13;

/**
 * The file with nothing transparent in its first picture. Decoders make transparent pixels black, of which Pillow's `convert('RGB')` gives the color of
 * the palette. @returns the same bytes where there is nothing to change, and where it is no GIF or a damaged one, which decoders refuse themselves
 */
export function opaqueGif(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const isGif = file.length > SCREEN && String.fromCharCode(...file.subarray(0, 4)) === 'GIF8';
  if (!isGif) return file;
  const palette = (flags: number): number => ((flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1));
  // Extensions stand before the picture that they are of.
  for (let at = SCREEN + palette(file[10]!); file[at] === 0x21; ) {
    if (file[at + 1] === 0xf9 && (file[at + 3]! & 1) === 1) {
      const copy = new Uint8Array(file);
      copy[at + 3]! &= 0xfe;
      return copy;
    }
    at += 2;
    // Parts of a known length, the last of which is empty.
    for (; at < file.length && file[at] !== 0; at += file[at]! + 1);
    at++;
  }
  return file;
}
