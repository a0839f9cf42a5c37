/** Programs with `colour(managed)`: what `run` decodes, what sessions refuse, and pages, which give the bits of Node or say why not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { bundleRuntime } from '../../scripts/build-runtime.mjs';
import { predictImages } from '../../src/api/node/programs.js';
import { datasetOfImages } from '../../src/data/arrays.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { launchChromium, runPage } from '../browser.js';
import { managedPictures, pillowPictures, withoutAlpha } from '../bytes.js';
import { copyProgram } from './program.js';

const pictures = managedPictures().filter(({ width, height }) => width === 20 && height === 12);
const named = (name: string) => pictures.find((p) => p.name === name)!;
const [width, height] = [20, 12];
const NORMAL: PreprocessStep = { step: 'normalize', mean: [0], std: [1 / 255] };
const MANAGED: readonly PreprocessStep[] = [{ step: 'colour', rule: 'managed' }, NORMAL];

const colors = (pixels: ArrayLike<number>): number[] => {
  const count = width * height;
  return Array.from({ length: 3 * count }, (_, i) => Math.round(pixels[(i % 3) * count + Math.floor(i / 3)]!));
};

describe('in Node', () => {
  let gpu: OpenDevice;
  let folder: string;
  beforeAll(async () => {
    gpu = await openDevice({ features: [] });
    folder = await mkdtemp(join(tmpdir(), 'espalier-colour-'));
  });
  afterAll(async () => {
    gpu.release();
    await rm(folder, { recursive: true });
  });
  const session = (steps: readonly PreprocessStep[]) =>
    load(copyProgram(steps, 3, height, width), { device: gpu.device });

  test('`run` decodes by the program’s rule, and names what cannot be converted', async () => {
    const [good, bad] = [join(folder, 'good.jpg'), join(folder, 'bad.png')];
    await writeFile(good, named('press.jpg').file);
    await writeFile(bad, pillowPictures().find((p) => p.name === 'gamma.png')!.file);
    for (const [steps, colour] of [
      [MANAGED, 'managed'],
      [[NORMAL], 'raw'],
    ] as const) {
      const program = await session(steps);
      const wanted = Array.from(withoutAlpha((await decodeImage(good, good, colour)).data));
      for await (const { outputs } of predictImages(program, [good]))
        expect(colors(outputs.pixels!.values)).toEqual(wanted);
      if (colour === 'managed') {
        const skipped: string[] = [];
        const skip = ({ path, diagnostics }: { path: string; diagnostics: readonly { code: string }[] }) =>
          skipped.push(`${path} ${diagnostics[0]!.code}`);
        for await (const _ of predictImages(program, [bad], { skip })) expect.unreachable();
        expect(skipped).toEqual([`${bad} ESP1142`]);
      }
      program.dispose();
    }
  });

  test('pixels that were decoded by the other rule are refused, and those of no file are taken', async () => {
    const { file } = named('display-p3.png');
    const [raw, converted] = [await decodeImage(file), await decodeImage(file, 'p3', 'managed')];
    const [managed, plain] = [await session(MANAGED), await session([NORMAL])];
    await expect(managed.run({ image: raw })).rejects.toMatchObject({
      code: 'ESP1143',
      message: /profile was ignored/,
    });
    await expect(plain.run({ image: converted })).rejects.toMatchObject({
      code: 'ESP1143',
      message: /profile was applied.*lacks/,
    });
    const { data } = raw;
    for (const one of [managed, plain]) {
      const { outputs } = await one.run({ image: { data, width, height } });
      expect(colors(outputs.pixels!)).toEqual(Array.from(withoutAlpha(data)));
      one.dispose();
    }
    // In memory as well, where a program comes later than the pictures.
    const { pictures: store } = datasetOfImages([raw, converted], { kind: 'class', labels: ['a', 'b'] }).train;
    await expect(store.read(0, 'managed')).rejects.toThrow(/ESP1143: image 0/);
    expect((await store.read(1, 'managed')).data).toEqual(converted.data);
    await expect(store.read(1)).rejects.toThrow(/ESP1143: image 1/);
  });
});

describe('in a page', () => {
  let browser: Browser;
  let results: Record<string, { blob: number[] | string; element: number[] | string }>;
  /** What a page shows and converts: no TIFF and no CMYK. */
  const shown = pictures.filter(({ name }) => /\.(png|jpg|webp)$/.test(name));
  const more: Record<string, Uint8Array> = {};
  beforeAll(async () => {
    const runtime = await bundleRuntime();
    browser = await launchChromium();
    const p3 = named('p3.webp').file;
    const broken = p3.slice();
    broken.set([9], Buffer.from(p3).indexOf('ICCP') + 16);
    more['broken.webp'] = broken;
    more['code-points.png'] = await recolored('cICP', [12, 13, 0, 1]);
    more['gamma.png'] = await recolored('gAMA', [0, 1, 0x86, 0xa0]);
    const { program, files } = copyProgram(MANAGED, 3, height, width);
    const names = [...shown.map(({ name }) => name), ...Object.keys(more)];
    const script = `
      import { InputError, load } from '/runtime.js';
      const count = ${width * height};
      const colors = ({ outputs: { pixels } }) => Array.from({ length: 3 * count }, (_, i) => Math.round(pixels[(i % 3) * count + Math.floor(i / 3)]));
      const said = (error) => { if (error instanceof InputError) return error.code + ' ' + error.message; throw error; };
      globalThis.result = (async () => {
        const session = await load('/program/');
        const run = (image) => session.run({ image }).then(colors, said);
        const results = {};
        for (const name of ${JSON.stringify(names)}) {
          const element = new Image();
          element.src = '/pictures/' + name;
          await element.decode();
          results[name] = { blob: await run(await (await fetch('/pictures/' + name)).blob()), element: await run(element) };
        }
        const canvas = new OffscreenCanvas(${width}, ${height});
        const context = canvas.getContext('2d');
        context.fillStyle = 'rgb(10 20 30)';
        context.fillRect(0, 0, ${width}, ${height});
        results.canvas = { blob: await run(canvas), element: [] };
        return results;
      })();`;
    results = (await runPage(browser, {
      files: {
        ...Object.fromEntries([...files].map(([name, bytes]) => [`/program/${name}`, bytes])),
        '/program/program.json': JSON.stringify(program),
        ...Object.fromEntries(shown.map(({ name, file }) => [`/pictures/${name}`, file])),
        ...Object.fromEntries(Object.entries(more).map(([name, file]) => [`/pictures/${name}`, file])),
        '/runtime.js': runtime,
        '/page.js': script,
      },
    })) as typeof results;
  });
  afterAll(() => browser.close());

  async function recolored(name: string, data: readonly number[]): Promise<Uint8Array> {
    const png = await sharp(Buffer.alloc(width * height * 3, 99), { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer();
    const chunk = Buffer.alloc(12 + data.length);
    chunk.writeUInt32BE(data.length);
    chunk.write(name, 4, 'latin1');
    chunk.set(data, 8);
    return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
  }

  test.each(shown)('$name has the bits of Node', async ({ name, file }) => {
    const { blob, element } = results[name]!;
    if (/^(press|no-profile-cmyk)/.test(name)) {
      expect([blob, element]).toEqual(Array(2).fill(expect.stringMatching(/^ESP0708 .*CMYK JPEG/)));
      return;
    }
    const node = Array.from(withoutAlpha((await decodeImage(file, name, 'managed')).data));
    expect(blob).toEqual(node);
    if (name.endsWith('-16.png')) expect(element).toMatch('16 bits a channel');
    else expect(element).toEqual(node);
  });

  test.each([
    ['broken.webp', /^ESP1142 its color profile is of version 9/],
    ['code-points.png', /^ESP1142 its colors are said by code points/],
    ['gamma.png', /^ESP1142 its colors are said by a gamma/],
  ] as const)('%s is refused, as in Node', async (name, words) => {
    expect(results[name]!.blob).toMatch(words);
    expect(results[name]!.element).toMatch(words);
    await expect(decodeImage(more[name]!, name, 'managed')).rejects.toThrow('ESP1142');
  });

  test('what it has drawn is in sRGB', () =>
    expect(results.canvas!.blob).toEqual(Array.from({ length: 3 * width * height }, (_, i) => [10, 20, 30][i % 3])));
});
