/** Which files a page decodes to the same bits as Node. Looked up in their bytes: the type that a server names may be wrong. */
import { InputError } from '../errors.js';
import { asciiAt, jpegComponents, pngChunks } from './containers.js';
import { opaqueGif } from './gif.js';

/** A file to decode, and the bytes that it is of. */
export interface SameBits {
  readonly blob: Blob;
  readonly file: Uint8Array<ArrayBuffer>;
}

/**
 * What a page has to decode for the bits that Node gives of a file: the file itself, but of a GIF one in which nothing is transparent. Throws InputError
 * (ESP0708), for a Blob or an `<img>` of it, that says what the file is, if pages decode it in ways of their own, or not at all.
 */
export async function withSameBits(blob: Blob, kind: string): Promise<SameBits> {
  const file = new Uint8Array(await blob.arrayBuffer());
  const text = (at: number, length: number) => asciiAt(file, at, length);
  const refuse = (what: string) =>
    new InputError(`${what}: a page decodes it otherwise than Node`, 'give its pixels, or convert it to PNG');
  if (text(0, 3) === '\xff\xd8\xff') {
    if (jpegComponents(file) === 4) throw refuse('the picture is a CMYK JPEG');
  } else if (text(1, 3) === 'PNG') {
    if (kind === 'HTMLImageElement' && file[24] === 16)
      throw new InputError(
        'the picture of the <img> has 16 bits a channel, which pages round',
        'give its file as a Blob',
      );
    const chunks = Array.from(pngChunks(file), ({ name }) => name);
    // The picture that others see is then no frame of the animation, which is all that pages show.
    if (chunks.includes('acTL') && !chunks.includes('fcTL'))
      throw refuse('the PNG is an animation with another first picture');
  } else if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') {
    // Pages pass over a camera's orientation, which is in its EXIF data.
    if (text(12, 4) === 'VP8X' && (file[20]! & 8) !== 0) throw refuse('the WebP has EXIF data');
  } else if (text(0, 4) === 'GIF8') {
    const opaque = opaqueGif(file);
    if (opaque === file) return { blob, file };
    if (kind === 'HTMLImageElement')
      throw new InputError(
        'the GIF of the <img> has transparent pixels, which pages make black',
        'give its file as a Blob',
      );
    return { blob: new Blob([opaque]), file };
  } else if (text(0, 2) === 'BM') {
    // Its bits a pixel, where the header is Windows' and not OS/2's: browsers and Pillow widen 5 bits in ways of their own.
    if (file[14] !== 12 && file[28] === 16) throw refuse('the picture is a BMP of 16 bits');
    // What no run reaches is transparent in a page, and color 0 in Pillow.
    if (file[14] !== 12 && (file[30] === 1 || file[30] === 2)) throw refuse('the picture is a run-length coded BMP');
  } else throw refuse('the picture is no PNG, JPEG, WebP, GIF or BMP');
  return { blob, file };
}
