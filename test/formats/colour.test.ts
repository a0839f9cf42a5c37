/** Colors by profiles, as Pillow's ImageCms has them (test/reference/colour.py made the pictures): within a level, or refused by name. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toSrgb } from '../../runtime/images/colour/convert.js';
import { preparedImages } from '../../src/api/node/images.js';
import { openDatasets } from '../../src/data/node/open.js';
import { openLoader } from '../../src/data/node/threads.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { managedPictures, pillowPictures, withoutAlpha } from '../bytes.js';
import { all } from '../data/support.js';

const pictures = managedPictures();
const named = (name: string) => pictures.find((p) => p.name === name)!;
/** As it stands in a file of Pillow's. */
async function profileOf({ name, file }: { name: string; file: Uint8Array }): Promise<Uint8Array> {
  const { icc } = await sharp(file).metadata();
  if (!icc) throw new Error(`${name} has no profile`);
  return icc;
}
const most = (a: Uint8Array, b: Uint8Array) => Math.max(...Array.from(a, (v, i) => Math.abs(v - b[i]!)));

describe('a picture with a profile', () => {
  test.each(pictures)('$name has the colors that Pillow converts to', async ({ name, file, rgb, profile, ...size }) => {
    const image = await decodeImage(file, name, 'managed');
    expect([image.width, image.height]).toEqual([size.width, size.height]);
    expect(image.data).toHaveLength((rgb.length / 3) * 4);
    expect(most(withoutAlpha(image.data), rgb)).toBeLessThanOrEqual(profile ? 1 : 0);
    expect(image.profile).toBe(profile ? 'applied' : undefined);
    // Without being asked, nothing is converted.
    const raw = await decodeImage(file, name);
    expect(raw.profile).toBe(profile ? 'ignored' : undefined);
    if (profile && profile !== 'srgb') expect(most(withoutAlpha(raw.data), rgb)).toBeGreaterThan(5);
    else expect(withoutAlpha(raw.data)).toEqual(rgb);
  });

  test('keeps its alpha, and CMYK is opaque', async () => {
    const alpha = async (name: string, colour: 'raw' | 'managed') =>
      (await decodeImage(named(name).file, name, colour)).data.filter((_, i) => i % 4 === 3);
    for (const name of ['p3-alpha.png', 'gray-alpha.png', 'p3-alpha-16.png']) {
      const kept = await alpha(name, 'managed');
      expect(kept).toEqual(await alpha(name, 'raw'));
      expect(new Set(kept).size).toBeGreaterThan(2);
    }
    expect(new Set(await alpha('press.jpg', 'managed'))).toEqual(new Set([255]));
  });

  test('goes through training, in threads or not, and calibration', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-colour-'));
    try {
      const path = join(folder, 'one.png');
      await writeFile(path, named('display-p3.png').file);
      await writeFile(join(folder, 'two.png'), named('adobe.png').file);
      await writeFile(join(folder, 'train.csv'), 'image,label\none.png,a\ntwo.png,b\n');
      const { width, height } = named('display-p3.png');
      const input = { channels: 3, height, width };
      const wanted = (await decodeImage(path, path, 'managed')).data;
      const bytes = (values: Float32Array) =>
        Uint8Array.from({ length: width * height * 3 }, (_, i) =>
          Math.round(values[(i % 3) * width * height + Math.floor(i / 3)]! * 255),
        );
      const managed = { step: 'colour', rule: 'managed' } as const;
      const { train } = await openDatasets({ path: folder, format: 'csv' });
      for (const threads of [0, 1]) {
        const options = { size: 2, seed: 1, preprocess: [managed], input, threads, order: 'listed' } as const;
        const [batch] = await all(openLoader(train, options));
        const one = train.ids.indexOf('one.png');
        expect(bytes(batch!.images.slice(one * 3 * width * height)), `${threads} threads`).toEqual(
          withoutAlpha(wanted),
        );
      }
      for await (const image of preparedImages(folder, { most: 1, preprocess: [managed], input }))
        expect(bytes(image)).toEqual(withoutAlpha(wanted));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('is refused, and never passed for sRGB', () => {
  const managed = (file: Uint8Array, name = 'cat') => decodeImage(file, name, 'managed');
  /** A file whose profile is changed, which its container does not know of: a WebP. */
  const webp = named('p3.webp').file;
  const at = Buffer.from(webp).indexOf('ICCP') + 8;
  const changed = (place: number, ...bytes: number[]) => {
    const file = webp.slice();
    file.set(bytes, at + place);
    return file;
  };
  const ascii = (text: string) => [...Buffer.from(text)];

  test.each<[string, RegExp, Uint8Array]>([
    ['what is no profile', /is no ICC profile/, changed(36, ...ascii('none'))],
    ['a profile that is cut off', /is cut off/, changed(0, 0, 1, 0, 0)],
    ['one of a version to come', /is of version 5/, changed(8, 5)],
    ['one of no picture', /is of the class "link"/, changed(12, ...ascii('link'))],
    ['one of another color space', /is for the color space "HSV"/, changed(16, ...ascii('HSV '))],
    ['one that leads elsewhere', /leads to neither XYZ nor CIELAB/, changed(20, ...ascii('Luv '))],
    ['one of more tags than it holds', /table of tags does not fit/, changed(128, 0, 0, 1, 0)],
    ['one with a tag outside of it', /its tag "desc" does not fit/, changed(136, 0, 1, 0, 0)],
    ['one with a tag twice', /its tag "desc" does not fit/, changed(144, ...ascii('desc'))],
    ['one of floating point elements', /floating point elements/, changed(132, ...ascii('D2B0'))],
    ['one without a matrix', /has neither tables nor curves and a matrix/, changed(156, ...ascii('none'))],
    ['one of CMYK for RGB', /has neither|is for CMYK, and the picture is RGB/, changed(16, ...ascii('CMYK'))],
  ])('%s', async (_, words, file) => {
    await expect(managed(file)).rejects.toThrow(/^ESP1142: cat: /);
    await expect(managed(file)).rejects.toThrow(words);
    // By the default rule it is a picture like others.
    expect(withoutAlpha((await decodeImage(file)).data)).toEqual(withoutAlpha((await decodeImage(webp)).data));
  });

  test('one for another kind of picture', async () => {
    const inks = await profileOf(named('press.tif'));
    const [gray, p3] = await Promise.all([profileOf(named('gray.png')), profileOf(named('p3.tif'))]);
    const pixels = () => new Uint8Array(16).fill(100);
    expect(() => toSrgb(inks, 'rgb', pixels())).toThrow(/is for CMYK, and the picture is RGB/);
    expect(() => toSrgb(inks, 'gray', pixels())).toThrow(/is for CMYK, and the picture is gray/);
    expect(() => toSrgb(gray, 'rgb', pixels())).toThrow(/is for gray, and the picture is RGB/);
    expect(() => toSrgb(p3, 'cmyk', pixels())).toThrow(/is for RGB, and the picture is CMYK/);
  });

  test('any profile that ends early', async () => {
    for (const name of ['display-p3.png', 'scanner.png', 'stages.png', 'press-4.tif', 'press.tif', 'gray-lab.png']) {
      const { profile } = named(name);
      const whole = Uint8Array.from(await profileOf(named(name)));
      const space = profile!.startsWith('press') ? 'cmyk' : profile!.startsWith('gray') ? 'gray' : 'rgb';
      for (let length = 0; length < whole.length; length += 1 + Math.floor(whole.length / 41)) {
        const cut = whole.slice(0, length);
        expect(() => toSrgb(cut, space, new Uint8Array(4)), `${name} of ${length}`).toThrow(/profile/);
        // And where it says that it is whole.
        if (length < 132) continue;
        new DataView(cut.buffer).setUint32(0, length);
        expect(() => toSrgb(cut, space, new Uint8Array(4)), `${name} of ${length}`).toThrow(/profile/);
      }
    }
  });

  const png = pillowPictures().find(({ name }) => name === 'rgb.png')!.file;
  const chunk = (name: string, data: Uint8Array) => {
    const bytes = new Uint8Array(12 + data.length);
    new DataView(bytes.buffer).setUint32(0, data.length);
    bytes.set(ascii(name), 4);
    bytes.set(data, 8);
    // Decoders that look at its checksum pass over it, which changes nothing here.
    return bytes;
  };
  const withChunk = (...chunks: Uint8Array[]) => Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
  const numbers = (...values: number[]) => {
    const bytes = new Uint8Array(4 * values.length);
    for (const [i, v] of values.entries()) new DataView(bytes.buffer).setUint32(4 * i, v);
    return bytes;
  };

  test.each<[string, RegExp, Uint8Array]>([
    ['a PNG of code points', /the chunk cICP/, pillowPictures().find((p) => p.name === 'display-p3.png')!.file],
    ['a PNG of a gamma', /the chunk gAMA/, pillowPictures().find((p) => p.name === 'gamma.png')!.file],
    [
      'a PNG of primaries',
      /the chunk cHRM/,
      withChunk(chunk('cHRM', numbers(31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))),
    ],
    [
      'a PNG whose profile is not packed',
      /profile is damaged/,
      withChunk(chunk('iCCP', Uint8Array.from(ascii('p\0\0not packed')))),
    ],
    [
      'a PNG whose profile has no end of a name',
      /profile is damaged/,
      withChunk(chunk('iCCP', Uint8Array.from(ascii('p')))),
    ],
  ])('%s', async (_, words, file) => {
    await expect(managed(file)).rejects.toThrow(words);
    await expect(managed(file)).rejects.toThrow('ESP1142');
  });

  test('but no PNG that says sRGB in another way', async () => {
    const wanted = (await decodeImage(png)).data;
    const primaries = chunk('cHRM', numbers(31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000));
    for (const chunks of [
      [chunk('gAMA', numbers(45455)), primaries],
      [chunk('sRGB', Uint8Array.of(0)), chunk('gAMA', numbers(100000))],
      [chunk('cICP', Uint8Array.of(1, 13, 0, 1))],
    ])
      expect((await managed(withChunk(...chunks))).data).toEqual(wanted);
  });

  test('a JPEG with parts of a profile', async () => {
    const jpeg = named('p3.jpg').file;
    const place = Buffer.from(jpeg).indexOf('ICC_PROFILE') + 12;
    const numbered = (number: number, count: number) => {
      const file = jpeg.slice();
      file.set([number, count], place);
      return file;
    };
    await expect(managed(numbered(1, 2))).rejects.toThrow(/ESP1142.*parts of its color profile are missing/);
    await expect(managed(numbered(2, 1))).rejects.toThrow(/parts of its color profile are missing/);
    await expect(managed(numbered(1, 0))).rejects.toThrow(/parts of its color profile are missing/);
  });

  test('a BMP with a profile', async () => {
    const { file } = pillowPictures().find(({ name }) => name === 'rgb.bmp')!;
    const pixels = new DataView(file.buffer, file.byteOffset).getUint32(10, true);
    const header = new Uint8Array(14 + 124);
    header.set(file.subarray(0, 54));
    new DataView(header.buffer).setUint32(10, header.length, true);
    new DataView(header.buffer).setUint32(14, 124, true);
    const bmp = (kind: string) => {
      header.set(ascii(kind), 70);
      return Buffer.concat([header, file.subarray(pixels)]);
    };
    await expect(managed(bmp('DEBM'))).rejects.toThrow(/ESP1142.*BMP with a color profile/);
    expect((await managed(bmp('BGRs'))).data).toEqual((await decodeImage(file)).data);
  });

  test('an AVIF of code points, if they are none of sRGB', async () => {
    const avif = Buffer.from(named('no-profile.avif').file);
    const place = avif.indexOf('colrnclx');
    expect(place).toBeGreaterThan(0);
    expect((await managed(avif)).data).toEqual((await decodeImage(avif)).data);
    avif[place + 9] = 12;
    await expect(managed(avif)).rejects.toThrow(/ESP1142.*the box colr/);
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-colour-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a message names the file', async () => {
  const path = join(folder, 'cat.png');
  await writeFile(path, pillowPictures().find((p) => p.name === 'gamma.png')!.file);
  await expect(decodeImage(path, path, 'managed')).rejects.toThrow(`ESP1142: ${path}: its colors are said by a gamma`);
});
