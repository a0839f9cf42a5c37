/** Pictures in a page: the bits that Pillow and Node give, or refused by name; and as they were when `run` was called. */
import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Program } from '../../runtime/program/program.js';
import { bundleRuntime } from '../../scripts/build-runtime.mjs';
import { decodeImage } from '../../src/formats/node/images.js';
import { launchChromium, runPage } from '../browser.js';
import { pillowPictures, withoutAlpha } from '../bytes.js';
import { copyProgram } from './program.js';

let browser: Browser;
let runtime: string;
beforeAll(async () => {
  runtime = await bundleRuntime();
  browser = await launchChromium();
});
afterAll(() => browser.close());

const [first] = pillowPictures();
const { width, height } = first!;

/** What a page's `body` gives; it has `run(image)`, which gives an image's colors as a list or the error's message, and `paint(...)`. */
async function inPage(
  body: string,
  files: Readonly<Record<string, Uint8Array>> = {},
  size = { width, height },
): Promise<unknown> {
  const { program, files: folder } = copyProgram(
    [{ step: 'normalize', mean: [0], std: [1 / 255] }],
    3,
    size.height,
    size.width,
  );
  const script = `
    import { InputError, load } from '/runtime.js';
    const count = ${size.width * size.height};
    const colors = ({ outputs: { pixels } }) => Array.from({ length: 3 * count }, (_, i) => Math.round(pixels[(i % 3) * count + Math.floor(i / 3)]));
    const said = (error) => { if (error instanceof InputError) return error.message; throw error; };
    const run = (image) => session.run({ image }).then(colors, said);
    const fetched = async (path) => (await fetch(path)).blob();
    const shown = async (path) => { const img = new Image(); img.src = path; await img.decode(); return img; };
    const paint = (canvas, style) => {
      const context = canvas.getContext('2d');
      context.clearRect(0, 0, ${size.width}, ${size.height});
      context.fillStyle = style;
      context.fillRect(0, 0, ${size.width}, ${size.height});
      return canvas;
    };
    const session = await load('/program/');
    globalThis.result = (async () => { ${body} })();`;
  return runPage(browser, { files: { ...site(program, folder), ...files, '/page.js': script } });
}

const site = (program: Program, files: ReadonlyMap<string, string | Uint8Array>) => ({
  ...Object.fromEntries([...files].map(([name, bytes]) => [`/program/${name}`, bytes])),
  '/program/program.json': JSON.stringify(program),
  '/runtime.js': runtime,
});

describe('a file', () => {
  /** What a page decodes in its own way. Everything else has Pillow's bits. */
  const refused: Readonly<Record<string, RegExp>> = {
    'cmyk.jpg': /CMYK JPEG/,
    'cmyk-plain.jpg': /CMYK JPEG/,
    'cmyk-camera.jpg': /CMYK JPEG/,
    '555.bmp': /BMP of 16 bits/,
    '565.bmp': /BMP of 16 bits/,
    'runs-8.bmp': /run-length coded BMP/,
    'runs-4.bmp': /run-length coded BMP/,
    'poster.png': /animation with another first picture/,
    'camera.webp': /EXIF/,
  };
  let results: Record<string, { blob: number[] | string; element: number[] | string }>;
  beforeAll(async () => {
    const pictures = pillowPictures();
    results = (await inPage(
      `const results = {};
      for (const name of ${JSON.stringify(pictures.map((p) => p.name))}) {
        const path = '/pictures/' + name;
        const element = await shown(path).then(run, () => 'the page does not show it');
        results[name] = { blob: await run(await fetched(path)), element };
      }
      return results;`,
      Object.fromEntries(pictures.map(({ name, file }) => [`/pictures/${name}`, file])),
    )) as typeof results;
  });

  test.each(pillowPictures())('$name', ({ name, rgb }) => {
    const { blob, element } = results[name]!;
    const pillow = Array.from(rgb);
    if (name.endsWith('.tif')) expect(blob).toMatch(/no PNG, JPEG, WebP, GIF or BMP/);
    else if (refused[name]) expect(blob).toMatch(refused[name]);
    else expect(blob).toEqual(pillow);
    if (name.endsWith('.tif')) expect(element).toBe('the page does not show it');
    else if (name === 'transparent.gif') expect(element).toMatch(/GIF of the <img> has transparent pixels/);
    else if (refused[name]) expect(element).toMatch(refused[name]);
    else if (name.endsWith('-16.png')) expect(element).toMatch('16 bits a channel');
    else expect(element).toEqual(pillow);
  });
});

test('formats that pages decode otherwise are refused by their content, whatever their type says', async () => {
  const bare = sharp(Buffer.from(first!.rgb), { raw: { width, height, channels: 3 } });
  const files = {
    '/a.avif': await bare.clone().avif().toBuffer(),
    '/a.svg': Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"/>`),
    '/a.jp2': Buffer.from('\0\0\0\fjP  not looked at'),
  };
  const refusals = (await inPage(
    `const results = [];
    for (const path of ${JSON.stringify(Object.keys(files))}) {
      results.push(await run(new Blob([await (await fetched(path)).arrayBuffer()], { type: 'image/png' })));
    }
    results.push(await run(await shown('/a.avif')), await run(new Blob([])));
    return results;`,
    files,
  )) as string[];
  expect(refusals).toEqual(
    Array(5).fill(expect.stringMatching(/no PNG, JPEG, WebP, GIF or BMP: a page decodes it otherwise than Node/)),
  );
});

test('what is cut off or not loaded is refused', async () => {
  const png = pillowPictures().find(({ name }) => name === 'rgba.png')!.file;
  const jpeg = pillowPictures().find(({ name }) => name === '444.jpg')!.file;
  const files = {
    '/1.png': png.subarray(0, png.length / 2),
    '/2.jpg': jpeg.subarray(0, jpeg.length / 2),
  };
  for (const file of Object.values(files)) await expect(decodeImage(file)).rejects.toThrow('ESP0530');
  const refusals = await inPage(
    `const results = [];
    for (const path of ${JSON.stringify(Object.keys(files))}) results.push(await run(await fetched(path)));
    results.push(await run(new Image()), await run(document.createElement('video')), await run(new OffscreenCanvas(0, 0)));
    return results;`,
    files,
  );
  expect(refusals).toEqual(
    ['Blob', 'Blob', 'HTMLImageElement', 'HTMLVideoElement', 'OffscreenCanvas'].map((kind) =>
      expect.stringContaining(`the page gives no pixels of the ${kind}: `),
    ),
  );
});

test.each([
  { width: 4099, height: 2 },
  { width: 2, height: 4099 },
])('pictures larger than what is read at a time: %j', async (size) => {
  const data = Uint8Array.from({ length: size.width * size.height * 4 }, (_, i) => (i * 2654435761) >>> 24);
  const png = await sharp(data, { raw: { ...size, channels: 4 } })
    .png()
    .toBuffer();
  const colors = await inPage(`return run(await fetched('/wide.png'));`, { '/wide.png': png }, size);
  expect(colors).toEqual(Array.from(withoutAlpha(data)));
});

describe('what the page has drawn', () => {
  test('is taken as it is when it is opaque', async () => {
    const rgba = Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
    const results = (await inPage(
      `const data = new ImageData(Uint8ClampedArray.from(${JSON.stringify(rgba)}), ${width}, ${height});
      const canvas = Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} });
      canvas.getContext('2d').putImageData(data, 0, 0);
      const offscreen = new OffscreenCanvas(${width}, ${height});
      offscreen.getContext('2d').putImageData(data, 0, 0);
      const frame = new VideoFrame(data.data, { format: 'RGBA', codedWidth: ${width}, codedHeight: ${height}, timestamp: 0 });
      const results = [];
      for (const image of [data, canvas, offscreen, await createImageBitmap(data), frame]) results.push(await run(image));
      frame.close();
      return results;`,
    )) as number[][];
    expect(results).toHaveLength(5);
    for (const colors of results) expect(colors).toEqual(rgba.filter((_, i) => i % 4 !== 3));
  });

  test('is refused where it is transparent; its ImageData is not', async () => {
    const results = (await inPage(
      `const canvas = paint(new OffscreenCanvas(${width}, ${height}), 'rgb(200 100 50 / 0.5)');
      const data = new ImageData(${width}, ${height});
      data.data.set([200, 100, 50, 0]);
      const bitmap = await createImageBitmap(data, { premultiplyAlpha: 'none' });
      return [await run(canvas), await run(bitmap), await run(data)];`,
    )) as [string, string, number[]];
    expect(results[0]).toMatch(/^the OffscreenCanvas has transparent pixels/);
    expect(results[1]).toMatch(/^the ImageBitmap has transparent pixels/);
    expect(results[2].slice(0, 4)).toEqual([200, 100, 50, 0]);
  });

  test('is refused where nothing can be read of it', async () => {
    const svg = `return run(document.createElementNS('http://www.w3.org/2000/svg', 'image'));`;
    expect(await inPage(svg)).toBe('SVGImageElement is no image');
  });
});

test('a picture is what it was when `run` was called', async () => {
  const results = (await inPage(
    `const canvas = paint(new OffscreenCanvas(${width}, ${height}), 'rgb(1 2 3)');
    const element = paint(Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} }), 'rgb(1 2 3)');
    const bitmap = await createImageBitmap(canvas);
    const frame = new VideoFrame(canvas, { timestamp: 0 });
    const data = canvas.getContext('2d').getImageData(0, 0, ${width}, ${height});
    const img = await shown('/before.png');
    const busy = [run(canvas), run(canvas)];
    const answers = [canvas, element, bitmap, frame, data, img].map(run);
    paint(canvas, 'rgb(99 99 99)');
    paint(element, 'rgb(99 99 99)');
    bitmap.close();
    frame.close();
    data.data.fill(99);
    img.src = '/after.png';
    await Promise.all(busy);
    return Promise.all(answers);`,
    Object.fromEntries(
      await Promise.all(
        [
          { r: 1, g: 2, b: 3 },
          { r: 99, g: 99, b: 99 },
        ].map(async (background, i) => [
          ['/before.png', '/after.png'][i],
          await sharp({ create: { width, height, channels: 3, background } })
            .png()
            .toBuffer(),
        ]),
      ),
    ),
  )) as number[][];
  expect(results).toHaveLength(6);
  for (const colors of results)
    expect(colors).toEqual(Array.from({ length: 3 * width * height }, (_, i) => (i % 3) + 1));
});

test('a video’s frame is the one that it showed', async () => {
  const [before, after] = (await inPage(
    `const canvas = paint(Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} }), 'rgb(20 40 60)');
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = canvas.captureStream();
    await video.play();
    const before = run(video);
    const next = new Promise((shown) => video.requestVideoFrameCallback(shown));
    paint(canvas, 'rgb(200 180 160)');
    await next;
    return Promise.all([before, run(video)]);`,
  )) as number[][];
  const off = (colors: number[], want: number[]) => Math.max(...colors.map((v, i) => Math.abs(v - want[i % 3]!)));
  expect(off(before!, [20, 40, 60])).toBeLessThan(8);
  expect(off(after!, [200, 180, 160])).toBeLessThan(8);
});
