/** A server that answers as Hugging Face's does, on this machine: an endpoint, and another host that large files are redirected to. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex');

export interface Seen {
  readonly host: 'hub' | 'cdn';
  readonly method: string;
  readonly path: string;
  readonly range?: string;
  readonly authorization?: string;
}

/** Answers in place of the server, or leaves it to the server (false). */
export type Fault = (seen: Seen, response: ServerResponse) => boolean;

export interface Hub {
  readonly endpoint: string;
  /** Files of `org/model`, by name; those of more than 200 bytes are large ones. */
  files: Map<string, Uint8Array>;
  /** Branches and tags. */
  readonly refs: Map<string, string>;
  readonly seen: Seen[];
  fault: Fault | undefined;
  close(): Promise<void>;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';
export const LATER = 'fedcba9876543210fedcba9876543210fedcba98';

export async function openHub(files: Readonly<Record<string, Uint8Array | string>>): Promise<Hub> {
  const seen: Seen[] = [];
  const cdn = await listen((request, response) => {
    if (!note('cdn', request, response)) bytesOf(hub, request, response);
  });
  const main = await listen((request, response) => {
    if (!note('hub', request, response)) answer(hub, request, response, cdn.address);
  });
  const hub: Hub = {
    endpoint: main.address,
    files: new Map(
      Object.entries(files).map(([name, file]) => [name, typeof file === 'string' ? Buffer.from(file) : file]),
    ),
    refs: new Map([['main', COMMIT]]),
    seen,
    fault: undefined,
    close: async () => {
      await Promise.all([main.close(), cdn.close()]);
    },
  };
  function note(host: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): boolean {
    const { range, authorization } = request.headers;
    const one: Seen = {
      host,
      method: request.method!,
      path: decodeURIComponent(request.url!),
      ...(range ? { range } : {}),
      ...(authorization ? { authorization } : {}),
    };
    seen.push(one);
    return hub.fault?.(one, response) ?? false;
  }
  return hub;
}

/** A server of this test, on a port that the system picks. */
export async function listen(
  listener: RequestListener,
): Promise<{ readonly server: Server; readonly address: string; close(): Promise<void> }> {
  const server = createServer(listener);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    server,
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => done());
      }),
  };
}

const refuse = (response: ServerResponse, status: number, code: string): void => {
  response.writeHead(status, { 'x-error-code': code }).end();
};

function answer(hub: Hub, request: IncomingMessage, response: ServerResponse, cdn: string): void {
  const path = decodeURIComponent(request.url!);
  const [, asked] = /^\/api\/models\/org\/model\/revision\/(.+)$/.exec(path) ?? [];
  if (asked !== undefined) {
    const sha = hub.refs.get(asked) ?? (/^[0-9a-f]{40}$/.test(asked) ? asked : undefined);
    if (!sha) {
      refuse(response, 404, 'RevisionNotFound');
      return;
    }
    const siblings = [...hub.files.keys()].map((rfilename) => ({ rfilename }));
    response.end(JSON.stringify({ id: 'org/model', sha, siblings }));
    return;
  }
  const [, commit, file] = /^\/org\/model\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? [];
  const bytes = hub.files.get(file ?? '');
  if (file === undefined || !bytes) {
    refuse(response, file === undefined ? 401 : 404, file === undefined ? 'RepoNotFound' : 'EntryNotFound');
    return;
  }
  response.setHeader('x-repo-commit', hub.refs.get(commit!) ?? commit!);
  if (bytes.byteLength <= 200) {
    response.setHeader('etag', `"${gitSha1(bytes)}"`);
    send(bytes, request, response);
    return;
  }
  response.writeHead(302, {
    location: `${cdn}/${file}?signature=abc`,
    'x-linked-etag': `"${sha256(bytes)}"`,
    'x-linked-size': String(bytes.byteLength),
  });
  response.end();
}

function bytesOf(hub: Hub, request: IncomingMessage, response: ServerResponse): void {
  const bytes = hub.files.get(decodeURIComponent(request.url!.slice(1).replace(/\?.*/, '')));
  if (bytes) send(bytes, request, response);
  else response.writeHead(404).end();
}

/** A file, from where the request asks for it. */
export function send(
  bytes: Uint8Array,
  request: Pick<IncomingMessage, 'headers' | 'method'>,
  response: ServerResponse,
): void {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(from ?? 0);
  if (start >= bytes.byteLength && start > 0) {
    response.writeHead(416, { 'content-range': `bytes */${bytes.byteLength}` }).end();
    return;
  }
  const part = bytes.subarray(start);
  response.writeHead(from === undefined ? 200 : 206, {
    'content-length': part.byteLength,
    ...(from === undefined ? {} : { 'content-range': `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}` }),
  });
  response.end(request.method === 'HEAD' ? undefined : part);
}
