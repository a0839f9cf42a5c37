/** What goes wrong on the way to a repository: no access, a bad connection, a full disk, processes that are killed, proxies. No network: a server of this test. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { listen, send, sha256 } from './server.js';

import { at, cache, environment, failing, find, hub, partials, refused, WEIGHTS } from './setup.js';

describe('no access', () => {
  test.each([
    [
      401,
      'RepoNotFound',
      'ESP1300 `hf:org/model@main` is not given to whoever asks: the token is not valid, or has no access to it',
    ],
    [
      403,
      'GatedRepo',
      'ESP1300 `hf:org/model@main` is gated: its authors give it to those who asked for access, which this token has not got',
    ],
    [403, 'Forbidden', 'ESP1300 `hf:org/model@main` is not given to whoever asks: the token is not valid'],
    [404, 'RepoNotFound', 'ESP1297 `hf:org/model@main` leads to nothing: http://127.0.0.1'],
    [
      404,
      'RevisionNotFound',
      'ESP1297 `hf:org/model@main` leads to nothing: org/model has no branch, tag or commit "main"',
    ],
    [418, '', 'ESP1301 hf:org/model@main cannot be fetched: the server answered 418'],
  ])('%i %s', async (status, code, message) => {
    failing('hub', status, code);
    const found = await refused();
    expect(found[0]).toContain(message);
    expect(JSON.stringify(found)).not.toContain('hf_secret');
  });

  test('without a token it is said that there is none', async () => {
    delete environment.HF_TOKEN;
    failing('hub', 401, 'RepoNotFound');
    expect((await refused())[0]).toContain('it is private or does not exist, and there is no token here');
    failing('hub', 403, 'GatedRepo');
    expect((await refused())[0]).toContain('there is no token here to tell who asks');
  });

  test('what is in the cache is as good as before', async () => {
    await find();
    failing('hub', 401, 'RepoNotFound');
    expect((await find()).warnings.map((w) => w.code)).toEqual(['ESP1299']);
    failing('hub', 404, 'RepoNotFound');
    expect((await refused())[0]).toContain('ESP1297');
  });

  test.each([
    ['HF_ENDPOINT', 'huggingface', 'HF_ENDPOINT = huggingface is no address'],
    ['HF_TOKEN', 'hf_söcret', 'the token (HF_TOKEN, or the file of it) holds characters that no token has'],
    ['HTTP_PROXY', 'not a proxy', 'HTTPS_PROXY or HTTP_PROXY is not the address of a proxy'],
  ])('%s = %s', async (name, value, message) => {
    environment[name] = value;
    const [found] = await refused();
    expect(found).toContain('ESP1301');
    expect(found).toContain(message);
    expect(found).not.toContain('söcret');
  });
});

describe('a bad way', () => {
  test('a server that fails now and then is asked again', async () => {
    failing('hub', 503, undefined, 2);
    await find();
    failing('hub', 429, undefined, 2);
    await find();
    failing('hub', 500);
    rmSync(cache, { recursive: true });
    expect((await refused())[0]).toContain('the server answered 500');
  });

  test('redirects without an end, to nowhere, answers that are none', async () => {
    const answering = (status: number, headers: Record<string, string>, body = '') => {
      hub.fault = (_, response) => {
        response.writeHead(status, headers).end(body);
        return true;
      };
    };
    answering(302, { location: '/again' });
    expect((await refused())[0]).toContain('its redirects lead on and on');
    answering(302, { location: 'ftp://there/' });
    expect((await refused())[0]).toContain('it redirects to ftp:');
    answering(200, {}, '<html>');
    expect((await refused())[0]).toContain('it does not answer as Hugging Face does');
    answering(200, {}, '{"sha": "main", "siblings": []}');
    expect((await refused())[0]).toContain('it does not answer as Hugging Face does');
    hub.fault = ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200, { etag: '"../../evil"' }).end();
      return method === 'HEAD';
    };
    expect((await refused())[0]).toContain('it gives no hash of the file');
  });

  /** Cuts a connection when so many bytes are in the partial file: what a client has got and not yet written would be lost. */
  const cutAfter = (bytes: number, response: ServerResponse) => {
    const timer = setInterval(() => {
      if (!partials().some((name) => statSync(at('blobs', name)).size === bytes)) return;
      clearInterval(timer);
      response.destroy();
    }, 2);
  };
  /** Cuts each answer with the weights off after so many bytes; `times` of them. */
  const cutting = (bytes: number, times = Number.POSITIVE_INFINITY) => {
    let left = times;
    hub.fault = (seen, response) => {
      if (seen.host !== 'cdn' || left-- <= 0) return false;
      const from = Number(/\d+/.exec(seen.range ?? '0')?.[0]);
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': WEIGHTS.byteLength - from,
        ...(from > 0 ? { 'content-range': `bytes ${from}-${WEIGHTS.byteLength - 1}/${WEIGHTS.byteLength}` } : {}),
      });
      response.write(WEIGHTS.subarray(from, from + bytes), () => cutAfter(from + bytes, response));
      return true;
    };
  };
  const ranges = () => hub.seen.filter((s) => s.host === 'cdn').map((s) => s.range);

  test('a connection that is cut is gone on from where it was', async () => {
    cutting(2000, 2);
    const { path } = await find();
    expect(ranges()).toEqual([undefined, 'bytes=2000-', 'bytes=4000-']);
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(WEIGHTS);
  });

  test('one that stays cut leaves what came, and the next command goes on with it', async () => {
    let first = true;
    hub.fault = (seen, response) => {
      if (seen.host !== 'cdn') return false;
      if (first)
        response
          .writeHead(200, { 'content-length': 5000 })
          .write(WEIGHTS.subarray(0, 1234), () => cutAfter(1234, response));
      else response.destroy();
      first = false;
      return true;
    };
    expect((await refused())[0]).toMatch(
      /^ESP1301 hf:org\/model@main: model.safetensors cannot be fetched: the connection was cut/,
    );
    expect(partials()).toHaveLength(1);
    expect(statSync(at('blobs', partials()[0]!)).size).toBe(1234);
    hub.fault = undefined;
    hub.seen.length = 0;
    const { path } = await find();
    expect(ranges()).toEqual(['bytes=1234-']);
    expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(WEIGHTS);
    expect(partials()).toEqual([]);
  });

  const ended = spawnSync('true').pid;
  /** A partial file as a process leaves it that is not there any more. */
  const leave = (bytes: Uint8Array | string): string => {
    mkdirSync(at('blobs'), { recursive: true });
    const own = partialOf(ended);
    if (typeof bytes === 'string') symlinkSync(bytes, own);
    else writeFileSync(own, bytes);
    return own;
  };
  let machine = '';
  const partialOf = (pid: number) => at('blobs', `${sha256(WEIGHTS)}.${machine}-${pid}-00c0ffee.incomplete`);
  beforeEach(async () => {
    // How this machine is called in such names, as a download leaves it.
    hub.fault = ({ host }, response) => {
      if (host === 'cdn') response.destroy();
      return host === 'cdn';
    };
    await refused();
    [, machine = ''] = /\.([0-9a-f]{8})-0-/.exec(partials()[0]!) ?? [];
    rmSync(cache, { recursive: true });
    hub.fault = undefined;
    hub.seen.length = 0;
  });

  test('what a killed process left is gone on with; damaged, too long, or where a server gives no parts, it begins anew', async () => {
    leave(WEIGHTS.subarray(0, 3000));
    await find();
    expect(ranges()).toEqual(['bytes=3000-']);

    const again = async () => {
      rmSync(at('snapshots'), { recursive: true });
      rmSync(at('blobs', sha256(WEIGHTS)));
      hub.seen.length = 0;
      const { path } = await find();
      expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(WEIGHTS);
      expect(partials()).toEqual([]);
    };
    leave(new Uint8Array(3000));
    await again();
    expect(ranges()).toEqual(['bytes=3000-', undefined]);
    leave(new Uint8Array(9000));
    await again();
    expect(ranges()).toEqual([undefined]);
    leave(WEIGHTS);
    await again();
    expect(ranges()).toEqual([]);
    leave(WEIGHTS.subarray(0, 3000));
    hub.fault = ({ host }, response) => {
      if (host === 'cdn') send(WEIGHTS, { headers: {}, method: 'GET' }, response);
      return host === 'cdn';
    };
    await again();
    leave(WEIGHTS.subarray(0, 3000));
    let once = true;
    hub.fault = ({ host }, response) => {
      if (host !== 'cdn' || !once) return false;
      once = false;
      response.writeHead(416).end();
      return true;
    };
    await again();
    expect(ranges()).toEqual(['bytes=3000-', undefined]);
  });

  test('a full disk is said, and what came stays', async () => {
    leave('/dev/full');
    expect((await refused())[0]).toMatch(/^ESP0520 .*no space is left on the device/);
    expect(partials()).toHaveLength(1);
  });

  test('a file that is larger than the disk is refused before it is fetched', async () => {
    hub.fault = ({ host, path }, response) => {
      if (host !== 'hub' || !path.endsWith('model.safetensors')) return false;
      response
        .writeHead(302, {
          location: `${hub.endpoint}/x`,
          'x-linked-etag': `"${sha256(WEIGHTS)}"`,
          'x-linked-size': '9000000000000000',
        })
        .end();
      return true;
    };
    expect((await refused())[0]).toMatch(/^ESP0520 .*it takes 9000000000.0 MB more, and .* are free/);
  });

  test('other bytes than were announced are thrown away', async () => {
    hub.fault = ({ host }, response) => {
      if (host === 'cdn') send(new Uint8Array(5000), { headers: {}, method: 'GET' }, response);
      return host === 'cdn';
    };
    expect((await refused())[0]).toMatch(
      /^ESP1302 `hf:org\/model@main`: what came of model.safetensors is not the file: its SHA-256 is .* \(5000 bytes\), announced was /,
    );
    expect(partials()).toEqual([]);
    expect(readdirSync(at('blobs'))).not.toContain(sha256(WEIGHTS));
    rmSync(cache, { recursive: true });
    hub.fault = ({ method, path }, response) => {
      const small = method === 'GET' && path.endsWith('/config.json');
      if (small) response.end('{"model_type": "vIt"}');
      return small;
    };
    expect((await refused())[0]).toContain('what came of config.json is not the file: its SHA-1 is');
  });

  test('a process that fetches it is waited for; one that hangs is not', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    onTestFinished(() => void other.kill());
    mkdirSync(at('blobs'), { recursive: true });
    const theirs = partialOf(other.pid!);
    writeFileSync(theirs, WEIGHTS.subarray(0, 10));
    const mine = find();
    let waits = 0;
    await find('hf:org/model', {
      progress: (what) => {
        if (!what.includes('another process') || ++waits !== 3) return;
        writeFileSync(at('blobs', sha256(WEIGHTS)), WEIGHTS);
        rmSync(theirs);
      },
    });
    await mine;
    expect(waits).toBeGreaterThanOrEqual(3);
    expect(ranges()).toEqual([]);
  });

  test('several at once end with one whole file', async () => {
    const found = await Promise.all([find(), find(), find()]);
    for (const { path } of found)
      expect(new Uint8Array(readFileSync(join(path, 'model.safetensors')))).toEqual(WEIGHTS);
    expect(partials()).toEqual([]);
  });

  test('a process that is interrupted leaves what the next one goes on with', async () => {
    const half = new Promise<void>((done) => {
      hub.fault = ({ host }, response) => {
        if (host === 'cdn')
          response.writeHead(200, { 'content-length': 5000 }).write(WEIGHTS.subarray(0, 2500), () => done());
        return host === 'cdn';
      };
    });
    const module = new URL('../../../src/formats/node/hub/resolve.ts', import.meta.url).href;
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        `const { locate } = await import('${module}'); await locate('hf:org/model')`,
      ],
      { env: { ...process.env, ...environment }, stdio: 'ignore' },
    );
    await half;
    await expect.poll(() => partials().map((name) => statSync(at('blobs', name)).size)).toEqual([2500]);
    const ended = new Promise((done) => child.on('exit', (_, signal) => done(signal)));
    child.kill('SIGINT');
    expect(await ended).toBe('SIGINT');
    hub.fault = undefined;
    hub.seen.length = 0;
    await find();
    expect(ranges()).toEqual(['bytes=2500-']);
  });
});

describe('a proxy', () => {
  test('is asked, but for hosts of NO_PROXY', async () => {
    const hosts: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket, head) => {
      hosts.push(request.url!);
      const [host, port] = request.url!.split(':');
      const way = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        way.write(head);
        way.pipe(socket).pipe(way);
      });
      for (const s of [way, socket]) s.on('error', () => {});
    });
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
    onTestFinished(() => void proxy.close());
    const address = proxy.address() as { port: number };
    environment.HTTP_PROXY = `http://127.0.0.1:${address.port}`;
    await find();
    expect(new Set(hosts).size).toBe(2);
    expect(hosts).toContain(new URL(hub.endpoint).host);
    hosts.length = 0;
    await find('hf:org/model', { environment: { ...environment, NO_PROXY: 'a.org, .0.0.1' } });
    expect(hosts).toEqual([]);
    await find('hf:org/model', { environment: { ...environment, NO_PROXY: 'a.org,7.0.0.1' } });
    expect(hosts).toEqual([new URL(hub.endpoint).host]);
    hosts.length = 0;
    await find('hf:org/model', { environment: { ...environment, NO_PROXY: '*' } });
    expect(hosts).toEqual([]);
  });

  test('that refuses is said', async () => {
    const proxy = await listen((_, response) => response.writeHead(407).end());
    onTestFinished(() => proxy.close());
    proxy.server.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    environment.HTTP_PROXY = proxy.address;
    expect((await refused())[0]).toMatch(/^ESP1301 .*the proxy refuses the connection/);
  });
});
