/** Messages of pictures as files. */
import { entry } from '../define.js';

export const IMAGE_FILES = {
  ESP0530: entry<{ file: string; reason: string }>({
    title: 'Not an image that can be read',
    message: (a) => `${a.file} cannot be read as an image: ${a.reason}`,
    help: () => ['Espalier reads PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF and SVG files.'],
    explain: `The file is empty, cut off, or not an image, whatever its name says. Pictures of any depth and colour space are converted to 8-bit
RGBA; the first frame of an animation is taken; the camera's orientation is applied.

HEIC (of iPhones), JPEG 2000, JPEG XL and other formats are named and not decoded: convert them to PNG, which loses nothing. On an iPhone "Most
Compatible" under Settings, Camera, Formats makes JPEG.`,
  }),

  ESP0531: entry<{ folder: string; why: string }>({
    title: 'A folder without images',
    message: (a) => `${a.folder} ${a.why}`,
    explain: `\`run\` takes images, or folders with images. \`eval\` takes a folder in which each class has a folder of its own, named as the
class:

    test/
      cat/  1.jpg  2.jpg
      dog/  7.jpg`,
  }),

  ESP0532: entry<{ file: string; width: number; height: number; limit: number }>({
    title: 'An image is too large',
    message: (a) => `${a.file} has ${a.width} x ${a.height} pixels, more than the ${a.limit} that are decoded`,
    explain: `A small file can claim an enormous picture. Pictures beyond the limit are not decoded; make the picture smaller first.`,
  }),
};
