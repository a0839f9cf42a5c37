/** Serves a folder to this machine alone, under a policy that lets a page load nothing from elsewhere. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, resolve, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.peft': 'text/plain; charset=utf-8',
  '.wgsl': 'text/plain; charset=utf-8',
};

/** Serves until the process ends, and prints the address. Where that cannot be done, it says why and ends the process with 1. */
export function serveFolder(folder: string, port: number): void {
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
  server.listen(port, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/   (Ctrl-C ends it)`);
  });
}
