/** The package's entry for pages: nothing of Node's in its bundle, nothing that a strict policy forbids; and its host, which fetches what specs name. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundled, bundledInParts } from '../../scripts/build-runtime.mjs';
import { analyse, browserHost, compile, EspalierError, type Spec } from '../../src/api/browser/index.js';
import { compile as compileInNode } from '../../src/api/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FASHION = join(ROOT, 'examples/fashion');
const TEXT = readFileSync(join(FASHION, 'alore.peft'), 'utf8');

describe('the bundle', () => {
  let text: string;
  beforeAll(async () => {
    text = await bundled('src/api/browser/index.ts');
  });

  const zipped = (parts: readonly string[]) =>
    parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0) / 1024;

  it('is made for browsers, of at most 560 KB gzipped', () => {
    expect(zipped([text])).toBeLessThanOrEqual(560);
  });

  it('loads at most 465 KB of it at first: patterns of adapter folders and the import of ONNX come when they are needed', async () => {
    const { first, later } = await bundledInParts('src/api/browser/index.ts');
    expect(zipped(first.map((part) => part.text))).toBeLessThanOrEqual(465);
    expect(zipped(later.map((part) => part.text))).toBeGreaterThan(70);
  });

  // Under a policy that forbids `eval` it runs in test/train/browser-train.test.ts.
  it('makes no functions of text, has no wasm and nothing to import', () => {
    expect(text).not.toMatch(/new Function\b|WebAssembly/);
    expect(text).not.toMatch(/(^|[;\n])import\s*["'{*\w]/);
  });
});

describe('the host', () => {
  let server: Server;
  let address: string;
  const asked: string[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      const path = request.url!;
      asked.push(path);
      const [, kind, ...rest] = path.split('/');
      if (kind === 'broken') return void response.writeHead(503).end();
      // As a server of a single page does, whatever is asked for.
      if (kind === 'single')
        return void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html>');
      try {
        if (kind !== 'fashion') throw new Error('not there');
        response.end(readFileSync(join(FASHION, ...rest)));
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((closed) => server.close(closed)));

  const spec: Spec = { text: TEXT, path: 'alore.peft' };
  const failure = (base: string): Promise<string> =>
    compile(spec, { host: browserHost({ base }), golden: false }).then(
      () => 'nothing',
      (error: unknown) => (error instanceof EspalierError ? error.message : `untyped: ${error}`),
    );

  it('fetches a folder and a file, and what is compiled from them is what Node compiles from disk', async () => {
    const options = { golden: false } as const;
    const there = await compile(spec, { host: browserHost({ base: `${address}/fashion/` }), ...options });
    const here = await compileInNode(join(FASHION, 'alore.peft'), options);
    expect([...there.files.keys()]).toEqual([...here.files.keys()]);
    for (const [name, content] of here.files)
      expect(Buffer.from(there.files.get(name)!).equals(Buffer.from(content)), name).toBe(true);
    expect(asked).toContain('/fashion/vit-fashion/model.safetensors');
    expect(asked).toContain('/fashion/adapters/alore-mnist.safetensors');
  });

  it('takes what it is given before it fetches, other specs among it', async () => {
    const files = {
      'own.peft': 'optimizer own(lr: float) { forward(w, g, rate) { w - rate * g } }',
      'sub/a.peft': 'no spec',
    };
    const host = browserHost({ base: `${address}/fashion/`, files });
    const use = (path: string): Spec => ({
      text: TEXT.replace('use std', `use std\nuse "${path}"`),
      path: 'alore.peft',
    });
    expect((await analyse(use('./own.peft'), { host })).value).toBeDefined();
    const before = asked.length;
    const { diagnostics } = await analyse(use('./absent.peft'), { host });
    expect(diagnostics.filter((d) => d.severity === 'error').map((d) => d.code)).toEqual(['ESP0212']);
    expect(asked.slice(before)).not.toContain('/fashion/absent.peft');
    expect(host.readText('sub/a.peft')).toBe('no spec');
  });

  it.each([
    ['nothing there', 'absent/', /ESP0506: .*\/absent\/vit-fashion .*neither config\.json nor adapter_config\.json/],
    ['a page in place of every file', 'single/', /ESP0506: .*\/single\/vit-fashion/],
    ['a server that fails', 'broken/', /ESP0501: .*config\.json: the server answered 503/],
  ])('says what is wrong: %s', async (_, folder, message) => {
    expect(await failure(`${address}/${folder}`)).toMatch(message);
  });

  it('says what is wrong: no server', async () => {
    expect(await failure('http://127.0.0.1:1/models/')).toMatch(/ESP0501: .*it cannot be fetched/);
  });

  it('says that there is no GPU where there is none', async () => {
    const host = browserHost({ base: address });
    await expect(host.openGpu!()).rejects.toMatchObject({ code: 'ESP0701' });
    await expect(host.deviceLimits()).rejects.not.toBeInstanceOf(EspalierError);
  });
});
