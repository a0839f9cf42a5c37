/**
 * A page in headless Chromium with WebGPU on SwiftShader, served under `Content-Security-Policy: default-src 'self'`. The browser is the one
 * that npm `@sparticuz/chromium` carries, with its libraries, so nothing has to be installed; ESPALIER_CHROMIUM names another.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve, sep } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { carrier, unpack } from '../runtime/node/unpack.js';

export interface Site {
  /** Files by path, such as `/page.js`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Folders on disk by path prefix, such as `/program/`. */
  readonly folders?: Readonly<Record<string, string>>;
}

export interface OpenPage {
  readonly page: Page;
  /** What the console and uncaught exceptions said, violations of the policy among them. */
  readonly errors: readonly string[];
  /** Paths that were asked for. */
  readonly requests: readonly string[];
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wgsl': 'text/plain',
};

export async function launchChromium(): Promise<Browser> {
  const own = process.env.ESPALIER_CHROMIUM;
  const from = await carrier();
  if (!own && !from) throw new Error('@sparticuz/chromium is not installed; ESPALIER_CHROMIUM can name a Chromium');
  const folder =
    own || !from ? '' : await unpack(from, 'chromium', ['chromium.br', 'swiftshader.tar.br', 'al2023.tar.br']);
  return chromium.launch({
    executablePath: own ?? join(folder, 'chromium'),
    env: {
      ...process.env,
      ...(own ? {} : { LD_LIBRARY_PATH: `${join(folder, 'lib')}:${folder}` }),
      VK_ICD_FILENAMES: '',
    },
    args: [
      '--no-sandbox',
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--enable-unsafe-swiftshader',
      '--ignore-gpu-blocklist',
      '--enable-features=Vulkan',
    ],
  });
}

/** Serves a site, opens its `/`, and closes both after `use`. */
export async function withPage<T>(browser: Browser, site: Site, use: (open: OpenPage) => Promise<T>): Promise<T> {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    const asked = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const path = asked === '/' ? '/index.html' : asked;
    requests.push(path);
    response.setHeader('Content-Security-Policy', "default-src 'self'");
    const body = await find(site, path);
    if (body === undefined) response.statusCode = 404;
    response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
    response.end(body ?? 'not found');
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return await withAddress(browser, address, (page, errors) => use({ page, errors, requests }));
  } finally {
    await new Promise((closed) => server.close(closed));
  }
}

/** Opens an address, and closes the page after `use`. */
async function withAddress<T>(
  browser: Browser,
  address: string,
  use: (page: Page, errors: readonly string[]) => Promise<T>,
): Promise<T> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    // A missing favicon or a missing file is in `requests`; everything else that is an error counts.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) errors.push(message.text());
  });
  try {
    await page.goto(address);
    return await use(page, errors);
  } finally {
    await page.close();
  }
}

/**
 * Runs `/page.js`, a module that sets `globalThis.result` to something that JSON can hold (or to a rejected promise), and gives that.
 * Throws what the page threw, and what it reported to the console.
 */
export function runPage(browser: Browser, site: Site): Promise<unknown> {
  const html = '<!doctype html><title>test</title><script type="module" src="/page.js"></script>';
  return withPage(browser, { ...site, files: { '/index.html': html, ...site.files } }, ({ page, errors }) =>
    resultOf(page, errors),
  );
}

/** What the page at an address sets `globalThis.result` to, as `runPage`. */
export function runAddress(browser: Browser, address: string): Promise<unknown> {
  return withAddress(browser, address, resultOf);
}

async function resultOf(page: Page, errors: readonly string[]): Promise<unknown> {
  // The policy forbids what Playwright's own polling would do in the page, so this polls from outside.
  for (const end = Date.now() + 90_000; !(await page.evaluate(() => 'result' in globalThis)); ) {
    if (errors.length > 0 || Date.now() > end) throw new Error(errors.join('\n') || 'the page set no result in time');
    await new Promise((wait) => setTimeout(wait, 20));
  }
  const result = await page.evaluate(() => (globalThis as unknown as { result: Promise<unknown> }).result);
  if (errors.length > 0) throw new Error(errors.join('\n'));
  return result;
}

async function find(site: Site, path: string): Promise<string | Uint8Array | undefined> {
  const file = site.files?.[path];
  if (file !== undefined) return file;
  for (const [prefix, folder] of Object.entries(site.folders ?? {})) {
    if (!path.startsWith(prefix)) continue;
    const target = resolve(folder, path.slice(prefix.length));
    if (!target.startsWith(resolve(folder) + sep)) continue;
    return readFile(target).catch(() => undefined);
  }
  return undefined;
}
