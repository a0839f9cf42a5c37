/** The bundle in a page: small, allowed under default-src 'self', and the same numbers as in Node. */
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../runtime/node/index.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { bundleRuntime } from '../../scripts/build-runtime.mjs';
import { launchChromium, runPage, type Site } from '../browser.js';
import { copyProgram, expected, scaleWgsl, type Tiny, tinyProgram } from './program.js';

let browser: Browser;
let runtime: string;
beforeAll(async () => {
  runtime = await bundleRuntime();
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** A site that holds the bundle, a program's folder and a page. */
function site({ program, files }: Tiny, page: string): Site {
  const folder = Object.fromEntries([...files].map(([name, bytes]) => [`/program/${name}`, bytes]));
  return {
    files: { ...folder, '/program/program.json': JSON.stringify(program), '/runtime.js': runtime, '/page.js': page },
  };
}

describe('the bundle', () => {
  test('is at most 40 KB gzipped', () => {
    expect(gzipSync(runtime, { level: 9 }).length).toBeLessThanOrEqual(40 * 1024);
  });

  test('has no eval, no wasm and nothing to import', () => {
    expect(runtime).not.toMatch(/\beval\b|new Function|WebAssembly/);
    expect(runtime).not.toMatch(/(^|[;\n])import\s*["'{*\w]/);
  });
});

describe('in a page', () => {
  test('loads, checks and runs a program', async () => {
    const x = [0.5, -1, 2, 3, -4, 5, 6, -7, 8, 9, 10, 11];
    const page = `
      import { isSupported, load } from '/runtime.js';
      globalThis.result = (async () => {
        const progress = [];
        const session = await load('/program', { onProgress: (p) => progress.push(p.loaded) });
        const { outputs, classes } = await session.run({ tensors: { x: Float32Array.from(${JSON.stringify(x)}) } });
        session.dispose();
        return { supported: isSupported(), values: [...outputs.logits], label: classes[0].label, last: progress.at(-1) };
      })();`;
    const tiny = tinyProgram({ samples: 8, labels: ['ant', 'bee', 'cat', 'dog'] });
    expect(await runPage(browser, site(tiny, page))).toEqual({
      supported: true,
      values: Array.from(expected(x)),
      label: 'cat',
      last: 32,
    });
  });

  test('picks variants by what the adapter says of itself', async () => {
    const page = `
      import { load } from '/runtime.js';
      globalThis.result = (async () => {
        const adapter = await navigator.gpu.requestAdapter();
        const session = await load('/program', { adapter });
        const variant = session.variants[0].variant;
        session.dispose();
        const { subgroupMinSize, subgroupMaxSize } = adapter.info;
        const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
        return { variant, subgroupMinSize, subgroupMaxSize, maxStorageBufferBindingSize, maxBufferSize,
          subgroups: adapter.features.has('subgroups') };
      })();`;
    const variants = [4, 8].map((size) => ({
      name: `size${size}`,
      requires: { features: ['subgroups'], subgroupSize: size },
      file: `size${size}.wgsl`,
      rank: size,
    }));
    const tiny = tinyProgram({ variants, files: { 'size4.wgsl': scaleWgsl(), 'size8.wgsl': scaleWgsl('+ 1.0') } });
    const facts = (await runPage(browser, site(tiny, page))) as Record<string, number | string | boolean>;
    expect(facts).toMatchObject({ variant: 'size4', subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 4 });
    expect(facts.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 << 20);
    expect(facts.maxBufferSize).toBeGreaterThanOrEqual(256 << 20);
  });

  test('catches a broken kernel by the golden input', async () => {
    const page = `
      import { GoldenMismatchError, load } from '/runtime.js';
      globalThis.result = load('/program').then(() => 'loaded', (e) => [e instanceof GoldenMismatchError, e.name, e.code]);`;
    const tiny = tinyProgram({ files: { 'scale.wgsl': scaleWgsl('+ 0.01') } });
    expect(await runPage(browser, site(tiny, page))).toEqual([true, 'GoldenMismatchError', 'ESP0706']);
  });

  test('says which file is missing', async () => {
    const page = `
      import { load } from '/runtime.js';
      globalThis.result = load('/elsewhere/').then(() => 'loaded', (e) => [e.code, e.message]);`;
    expect(await runPage(browser, site(tinyProgram(), page))).toEqual([
      'ESP0707',
      expect.stringMatching(/^program\.json: is missing \(http.*404\)/),
    ]);
  });

  test('prepares canvases, bitmaps and raw pixels as Node does', async () => {
    const steps: PreprocessStep[] = [
      { step: 'resize', size: 9, filter: 'bicubic' },
      { step: 'crop', size: [8, 8] },
      { step: 'normalize', mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
    ];
    const tiny = copyProgram(steps, 3, 8, 8);
    const [width, height] = [23, 17];
    const data = Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) % 256));
    const session = await load(tiny);
    const here = Array.from((await session.run({ image: { data, width, height } })).outputs.pixels!);
    session.dispose();
    const page = `
      import { load } from '/runtime.js';
      globalThis.result = (async () => {
        const session = await load('/program/');
        const image = new ImageData(Uint8ClampedArray.from(${JSON.stringify(Array.from(data))}), ${width}, ${height});
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [${width}, ${height}];
        canvas.getContext('2d').putImageData(image, 0, 0);
        const images = [image, canvas, await createImageBitmap(image)];
        const results = await session.run({ images });
        session.dispose();
        return results.map((r) => [...r.outputs.pixels]);
      })();`;
    const there = (await runPage(browser, site(tiny, page))) as number[][];
    expect(there).toHaveLength(3);
    for (const values of there) {
      expect(Math.max(...values.map((v, i) => Math.abs(v - here[i]!)))).toBeLessThan(1e-5);
    }
  });
});
