/**
 * A compiled folder in the builds that pages are made with: imported from a page's sources, in a Worker, and as static files of `public/`. Each is
 * built and opened in headless Chromium, under `default-src 'self'` where it is built, and gives the numbers that it gives in Node.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import * as esbuild from 'esbuild';
import type { Browser } from 'playwright-core';
import { createServer, type InlineConfig, build as viteBuild } from 'vite7';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webpack from 'webpack';
import { relativeError } from '../../src/api/golden/rows.js';
import { random } from '../api/support.js';
import { launchChromium, runAddress, runPage } from '../browser.js';
import { compileTo, scratch, withProgram } from '../e2e/support.js';

const folder = scratch();
const program = join(folder, 'program');
const pixels = Float32Array.from(random('pixels', [1, 3, 24, 24]).data);
let here: ArrayLike<number>;
let browser: Browser;

beforeAll(async () => {
  const base = join(process.cwd(), 'test/fixtures/vit-shards');
  const text = `use std\nmodel M {\n  base = vit_auto() from "${base}"\n  head = classify(base, pool: cls)\n}\n`;
  await compileTo(program, { text, path: join(folder, 'spec.peft') }, { batch: [1] });
  here = await withProgram(program, async (session) => (await session.run({ tensors: { pixels } })).outputs.logits!);
  browser = await launchChromium();
});
afterAll(() => browser?.close());

/** Gives the logits, by a module's `load`. */
const RUN = `
export async function run(load, options) {
  const session = await load(options);
  const { outputs, classes } = await session.run({ tensors: { pixels: Float32Array.from(${JSON.stringify([...pixels])}) } });
  session.dispose();
  return { logits: [...outputs.logits], label: classes[0].label };
}`;
const IMPORTED = `
import { load } from './program/index.js';
import { run } from './run.js';`;
/** Pages: modules by path below `src`. Each has \`main.js\`. */
const PAGES = {
  imported: { 'main.js': `${IMPORTED} globalThis.result = run(load);` },
  worker: {
    'main.js': `
      const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
      globalThis.result = new Promise((done, fail) => {
        worker.onmessage = ({ data }) => (data.error ? fail(new Error(data.error)) : done(data));
        worker.onerror = (event) => fail(new Error(event.message ?? 'the worker did not load'));
      });`,
    'worker.js': `${IMPORTED} run(load).then(postMessage, (error) => postMessage({ error: String(error) }));`,
  },
  public: {
    'main.js': `
      import { run } from './run.js';
      const address = new URL('digits/index.js', document.baseURI).href;
      globalThis.result = import(/* webpackIgnore: true */ /* @vite-ignore */ address).then(({ load }) => run(load));`,
  },
  'told where its files are': {
    'main.js': `${IMPORTED} globalThis.result = run(load, { from: new URL('digits/', document.baseURI) });`,
  },
} as const;
type Page = keyof typeof PAGES;

const HTML = (script: string) => `<!doctype html><title>test</title><script type="module" src="${script}"></script>`;

/** A page's sources in a folder of its own; the compiled folder is among them, or in `public`. */
function sources(page: Page, bundler: string): string {
  const root = join(folder, `${bundler} ${page}`.replaceAll(' ', '-'));
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  };
  write('package.json', '{ "type": "module" }');
  write('index.html', HTML('./src/main.js'));
  write('src/run.js', RUN);
  for (const [name, text] of Object.entries(PAGES[page])) write(`src/${name}`, text);
  if (page !== 'public') cpSync(program, join(root, 'src/program'), { recursive: true });
  if (page === 'public' || page === 'told where its files are')
    cpSync(program, join(root, 'public/digits'), { recursive: true });
  return root;
}

function expectSame(result: unknown): void {
  const { logits, label } = result as { logits: number[]; label: string };
  expect(relativeError(here, logits)).toBeLessThan(1e-5);
  expect(label).toBe(`class ${logits.indexOf(Math.max(...logits))}`);
}

/** Vite's client has to know the port before the server listens. */
async function freePort(): Promise<number> {
  const server = createNetServer();
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

const namesIn = (path: string): string[] => readdirSync(path, { recursive: true }).map(String);

describe('Vite 7', () => {
  const config = (root: string): InlineConfig => ({
    root,
    configFile: false,
    logLevel: 'silent',
    cacheDir: join(root, '.cache'),
  });

  test.each(['imported', 'worker', 'public'] as const)('dev server, %s', async (page) => {
    const server = await createServer({
      ...config(sources(page, 'vite-dev')),
      server: { port: await freePort(), strictPort: true, host: '127.0.0.1' },
    });
    try {
      await server.listen();
      expectSame(await runAddress(browser, server.resolvedUrls!.local[0]!));
    } finally {
      await server.close();
    }
  });

  test.each(['imported', 'worker', 'public'] as const)('build, %s', async (page) => {
    const root = sources(page, 'vite');
    await viteBuild(config(root));
    const html = readFileSync(join(root, 'dist/index.html'));
    expectSame(await runPage(browser, { files: { '/index.html': html }, folders: { '/': join(root, 'dist') } }));
    if (page === 'public') return;
    // What is small is written into the module, which the policy would not let it fetch; the weights are not.
    const names = namesIn(join(root, 'dist'));
    expect(names.filter((name) => /weights.*\.safetensors$/.test(name))).toHaveLength(1);
    const inlined = (name: string) => /["'`]data:[^,"'`]*,/.test(readFileSync(join(root, 'dist', name), 'utf8'));
    expect(names.filter((name) => name.endsWith('.js')).some(inlined)).toBe(true);
  });

  test('build for a folder of a site', async () => {
    const root = sources('imported', 'vite-base');
    await viteBuild({ ...config(root), base: '/below/', build: { assetsInlineLimit: 0 } });
    const page = readFileSync(join(root, 'dist/index.html'));
    expectSame(await runPage(browser, { files: { '/index.html': page }, folders: { '/below/': join(root, 'dist') } }));
  });
});

describe('webpack', () => {
  test.each(['imported', 'worker', 'public'] as const)('build, %s', async (page) => {
    const root = sources(page, 'webpack');
    const stats = await promisify(
      webpack as (options: webpack.Configuration, done: (error: Error | null, stats?: webpack.Stats) => void) => void,
    )({
      context: root,
      mode: 'production',
      entry: './src/main.js',
      output: { path: join(root, 'dist'), filename: 'main.js' },
      performance: false,
    });
    expect(stats!.toJson({ all: false, errors: true, warnings: true })).toMatchObject({ errors: [], warnings: [] });
    const folders = { '/digits/': join(root, 'public/digits'), '/': join(root, 'dist') };
    expectSame(await runPage(browser, { files: { '/index.html': HTML('/main.js') }, folders }));
  });
});

describe('esbuild', () => {
  /** It leaves the addresses of files as they are: below the bundle. */
  async function bundle(page: Page, options: esbuild.BuildOptions, name = 'esbuild'): Promise<string> {
    const root = sources(page, `${name}-${options.format}`);
    const { warnings } = await esbuild.build({
      absWorkingDir: root,
      entryPoints: ['src/main.js', ...(page === 'worker' ? ['src/worker.js'] : [])],
      outdir: 'dist',
      bundle: true,
      minify: true,
      logLevel: 'silent',
      ...options,
    });
    expect(warnings.filter(({ id }) => id !== 'empty-import-meta')).toEqual([]);
    return root;
  }

  test.each(['imported', 'worker'] as const)('build, %s, its files copied to where the bundle is', async (page) => {
    const root = await bundle(page, { format: 'esm' });
    for (const name of readdirSync(program).filter((name) => /\.(json|wgsl|safetensors)$/.test(name))) {
      cpSync(join(program, name), join(root, 'dist', name));
    }
    expectSame(
      await runPage(browser, { files: { '/index.html': HTML('/main.js') }, folders: { '/': join(root, 'dist') } }),
    );
  });

  test.each([
    ['public', 'esm'],
    ['told where its files are', 'esm'],
    ['told where its files are', 'iife'],
  ] as const)('build, %s, %s', async (page, format) => {
    const root = await bundle(page, { format });
    const folders = { '/digits/': join(root, 'public/digits'), '/': join(root, 'dist') };
    expectSame(await runPage(browser, { files: { '/index.html': HTML('/main.js') }, folders }));
  });

  test('build without its files names the one that is missing', async () => {
    const root = await bundle('imported', { format: 'esm' }, 'esbuild-without');
    const failed = runPage(browser, {
      files: { '/index.html': HTML('/main.js') },
      folders: { '/': join(root, 'dist') },
    });
    await expect(failed).rejects.toThrow(/program\.json: is missing \(.*\/program\.json: HTTP 404\)/);
  });
});

test('in Node', async () => {
  const { load } = (await import(join(program, 'index.js'))) as {
    load(options: object): Promise<{ run(input: object): Promise<unknown>; dispose(): void }>;
  };
  const { openDevice } = await import('../../runtime/node/index.js');
  const { device, release } = await openDevice();
  const session = await load({ device });
  const { outputs, classes } = (await session.run({ tensors: { pixels } })) as {
    outputs: { logits: Float32Array };
    classes: { label: string }[];
  };
  session.dispose();
  release();
  expectSame({ logits: [...outputs.logits], label: classes[0]!.label });
});
