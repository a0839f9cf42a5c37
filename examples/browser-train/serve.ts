/** `npm run demo:browser-train`: builds the page into out/browser-train, serves it to this machine alone, and prints its address. `-- --port 8000` chooses one. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildSite } from './site.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.peft': 'text/plain; charset=utf-8',
};

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
const folder = fileURLToPath(new URL('../../out/browser-train', import.meta.url));
await buildSite(folder);

const server = createServer(async (request, response) => {
  let path: string | undefined;
  try {
    path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
  } catch {
    // No address at all.
  }
  const file = path === undefined ? folder : resolve(folder, `.${path === '/' ? '/index.html' : path}`);
  const body = file.startsWith(folder + sep) ? await readFile(file).catch(() => undefined) : undefined;
  response.writeHead(body ? 200 : 404, {
    'Content-Type': body ? (TYPES[extname(file)] ?? 'application/octet-stream') : 'text/plain',
    'Content-Security-Policy': "default-src 'self'",
    'Cache-Control': 'no-cache',
  });
  response.end(body ?? 'not found');
});
server.on('error', (error) => {
  console.error(`cannot serve: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/   (Ctrl-C ends it)`);
});
