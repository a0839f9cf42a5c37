/** Repositories of Hugging Face by name: the cache as its own libraries have it, what is fetched, what goes wrong on the way. No network: a server of this test. */
import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { parseHubName } from '../../../src/formats/huggingface/name.js';
import { locate } from '../../../src/formats/node/hub/resolve.js';
import type { HubOptions } from '../../../src/formats/node/hub/settings.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { refusal } from '../../refusal.js';
import { COMMIT, gitSha1, type Hub, LATER, listen, openHub, send, sha256 } from './server.js';

const SHARDS = new URL('../../fixtures/vit-shards/', import.meta.url);
const shards = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, SHARDS)))]));
const WEIGHTS = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);
const MODEL = {
  'config.json': '{"model_type": "vit"}',
  'preprocessor_config.json': '{}',
  'model.safetensors': WEIGHTS,
};

function scratch(): string {
  return mkdtempSync(join(all, 'test-'));
}
const all = mkdtempSync(join(tmpdir(), 'espalier-hub-'));
afterAll(() => rmSync(all, { recursive: true, force: true }));

let hub: Hub;
let cache: string;
let environment: Record<string, string>;
const at = (...parts: string[]) => join(cache, 'models--org--model', ...parts);
const options = (more: HubOptions = {}): HubOptions => ({ environment, pause: 1, ...more });
const find = (name = 'hf:org/model', more: HubOptions = {}) => locate(name, options(more));
/** What it is refused with. */
const refused = async (name?: string, more?: HubOptions): Promise<string[]> => {
  try {
    await find(name, more);
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics.map((d) => `${d.code} ${d.message}`);
    throw error;
  }
  return [];
};
const asked = (file: string) => hub.seen.filter((s) => s.path.replace(/\?.*/, '').endsWith(`/${file}`));
const partials = () => readdirSync(at('blobs')).filter((name) => name.endsWith('.incomplete'));

beforeEach(async () => {
  hub = await openHub(MODEL);
  cache = join(scratch(), 'hub');
  environment = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: 'hf_secret', HF_HOME: scratch() };
});
afterEach(() => hub.close());

describe('a name', () => {
  test('says repository, revision and place', () => {
    expect(parseHubName('hf:google/vit')).toEqual({ repository: 'google/vit', revision: 'main', path: '' });
    expect(parseHubName('hf://a-b/c.d_e@refs/pr/1')).toEqual({
      repository: 'a-b/c.d_e',
      revision: 'refs/pr/1',
      path: '',
    });
    expect(parseHubName('hf:a/b/onnx/model.onnx@v1')).toEqual({
      repository: 'a/b',
      revision: 'v1',
      path: 'onnx/model.onnx',
    });
  });

  test.each([
    ['hf:vit', 'a name has two parts'],
    ['hf:a/..', '".." is not a name'],
    ['hf:a/b--c', '"b--c" is not a name'],
    ['hf:a/b@', '"" is not the name of a branch'],
    ['hf:a/b@../x', '"../x" is not the name of a branch'],
    ['hf:a/b@-x', '"-x" is not the name of a branch'],
    ['hf:a/b/../../c', '"../../c" is not a path'],
    ['hf:a/b/c//d', '"c//d" is not a path'],
  ])('%s is none', (name, why) => {
    expect(refusal(() => parseHubName(name))[0]).toContain(`ESP1297 \`${name}\` leads to nothing: ${why}`);
  });

  test('a path is left as it is', async () => {
    expect(await find('./here/hf:x')).toEqual({ path: './here/hf:x', warnings: [] });
  });
});

describe('fetching', () => {
  test('puts what is read into the layout of Python, links and all, and opens it', async () => {
    hub.files = new Map(
      Object.entries({
        ...shards(
          'config.json',
          'preprocessor_config.json',
          'model.safetensors.index.json',
          'model-00001-of-00002.safetensors',
          'model-00002-of-00002.safetensors',
        ),
        'README.md': Buffer.from('# A model'),
        'pytorch_model.bin': WEIGHTS,
        'flax_model.msgpack': WEIGHTS,
      }),
    );
    const heard: [string, number | undefined][] = [];
    const { path, hub: origin } = await find('hf:org/model', { progress: (what, share) => heard.push([what, share]) });
    expect(origin).toEqual({ repository: 'org/model', revision: 'main', path: '', commit: COMMIT });
    expect(path).toBe(at('snapshots', COMMIT));
    expect(readFileSync(at('refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(path).sort()).toEqual([...hub.files.keys()].filter((f) => !/README|\.bin|flax/.test(f)).sort());
    for (const file of readdirSync(path)) {
      const bytes = hub.files.get(file)!;
      const hash = bytes.byteLength > 200 ? sha256(bytes) : gitSha1(bytes);
      expect(readlinkSync(join(path, file))).toBe(join('..', '..', 'blobs', hash));
      expect(new Uint8Array(readFileSync(at('blobs', hash)))).toEqual(new Uint8Array(bytes));
    }
    expect(partials()).toEqual([]);
    expect(heard.some(([what]) => what === 'asking for hf:org/model@main')).toBe(true);
    expect(heard.findLast(([what]) => what.includes('model-00002'))?.[1]).toBe(1);

    const opened = await openCheckpointAt('hf:org/model', options({ offline: true }));
    expect(opened.kind).toBe('huggingface');
    expect(opened.hub?.commit).toBe(COMMIT);
    expect(opened.store.tensors.size).toBeGreaterThan(10);
    await opened.close();
  });

  test('tells the endpoint who asks, and nobody else', async () => {
    await find();
    expect(asked('model.safetensors').map((s) => [s.host, s.method, s.authorization])).toEqual([
      ['hub', 'HEAD', 'Bearer hf_secret'],
      ['cdn', 'GET', undefined],
    ]);
  });

  test('takes the token of the file that logging in leaves', async () => {
    delete environment.HF_TOKEN;
    writeFileSync(join(environment.HF_HOME!, 'token'), 'hf_filed\n');
    await find();
    expect(hub.seen[0]?.authorization).toBe('Bearer hf_filed');
    hub.seen.length = 0;
    environment.HF_HUB_DISABLE_IMPLICIT_TOKEN = '1';
    await find();
    expect(hub.seen[0]?.authorization).toBeUndefined();
  });

  test('an adapter folder is its two files', async () => {
    hub.files = new Map(
      Object.entries({
        'adapter_config.json': Buffer.from('{}'),
        'adapter_model.safetensors': WEIGHTS,
        'config.json': Buffer.from('{}'),
        'training_args.bin': WEIGHTS,
      }),
    );
    const { path } = await find();
    expect(readdirSync(path).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  });

  test('a folder of a repository, and a file of one', async () => {
    for (const [name, file] of Object.entries(MODEL)) hub.files.set(`vision/${name}`, Buffer.from(file));
    const { path } = await find('hf:org/model/vision');
    expect(path).toBe(at('snapshots', COMMIT, 'vision'));
    expect(readdirSync(path)).toHaveLength(3);
    const one = await find(`hf:org/model/model.safetensors@${COMMIT}`);
    expect(new Uint8Array(readFileSync(one.path))).toEqual(WEIGHTS);
    expect(readdirSync(at('snapshots', COMMIT)).sort()).toEqual(['model.safetensors', 'vision']);
    expect(await refused('hf:org/model/absent')).toEqual([
      'ESP1297 `hf:org/model/absent@main` leads to nothing: the repository has no "absent"',
    ]);
  });

  test('what has no weights that are read is refused by what it has', async () => {
    hub.files.delete('model.safetensors');
    hub.files.set('tf_model.h5', WEIGHTS);
    expect((await refused())[0]).toMatch(/^ESP0506 hf:org\/model@main is not .* it has a config.json, but no weights/);
    hub.files.set('open_clip.safetensors', WEIGHTS);
    hub.files.delete('config.json');
    expect((await refused())[0]).toMatch(
      /neither config.json nor adapter_config.json; name the file itself: hf:org\/model\/open_clip.safetensors@main$/,
    );
  });

  test('names of files that lead elsewhere are passed over', async () => {
    hub.files.set('../../outside.safetensors', WEIGHTS);
    hub.files.set('config.json', Buffer.from('{}'));
    hub.files.delete('model.safetensors');
    hub.files.set(
      'model.safetensors.index.json',
      Buffer.from('{"weight_map": {"a": "../../outside.safetensors", "b": "gone.safetensors"}}'),
    );
    const { path } = await find();
    expect(readdirSync(path)).not.toContain('outside.safetensors');
    expect(asked('outside.safetensors')).toEqual([]);
  });
});

describe('what is asked again', () => {
  test('a commit never, a branch by one request, whose move is followed', async () => {
    await find(`hf:org/model@${COMMIT}`);
    hub.seen.length = 0;
    await find(`hf:org/model@${COMMIT}`);
    expect(hub.seen).toEqual([]);
    await find();
    expect(hub.seen.map((s) => s.path)).toEqual(['/api/models/org/model/revision/main']);

    hub.refs.set('main', LATER);
    hub.files.set('config.json', Buffer.from('{"model_type": "vit", "later": 1}'));
    const { hub: origin, path } = await find();
    expect(origin?.commit).toBe(LATER);
    expect(readFileSync(join(path, 'config.json'), 'utf8')).toContain('later');
    expect(readFileSync(at('refs', 'main'), 'utf8')).toBe(LATER);
    // The weights are the same: one blob, no second download.
    expect(asked('model.safetensors').filter((s) => s.method === 'GET')).toEqual([]);
  });

  test('that a repository has no preprocessor_config.json is remembered', async () => {
    hub.files.delete('preprocessor_config.json');
    await find(`hf:org/model@${COMMIT}`);
    hub.seen.length = 0;
    await find(`hf:org/model@${COMMIT}`);
    expect(hub.seen).toEqual([]);
  });

  test('tags and branches with slashes', async () => {
    hub.refs.set('refs/pr/1', LATER);
    expect((await find('hf:org/model@refs/pr/1')).hub?.commit).toBe(LATER);
    expect(readFileSync(at('refs', 'refs/pr/1'), 'utf8')).toBe(LATER);
  });
});

describe('without a server', () => {
  test.each([[{ offline: true }], [{ environment: { HF_HUB_OFFLINE: '1' } }]])(
    '%j: the cache, or a message',
    async (more) => {
      const set = { ...more, environment: { ...environment, ...('environment' in more ? more.environment : {}) } };
      expect(await refused('hf:org/model', set)).toEqual([
        `ESP1298 \`hf:org/model@main\` is not in the cache (${cache}), and it was said that no server is asked`,
      ]);
      expect(hub.seen).toEqual([]);
      await find();
      hub.seen.length = 0;
      expect((await find('hf:org/model', set)).hub?.commit).toBe(COMMIT);
      expect(hub.seen).toEqual([]);
      rmSync(at('snapshots', COMMIT, 'model.safetensors'));
      expect((await refused('hf:org/model', set))[0]).toContain('is only partly in the cache');
    },
  );

  test('one that does not answer: the commit of the cache, said', async () => {
    await find();
    await hub.close();
    const { hub: origin, warnings } = await find();
    expect(origin?.commit).toBe(COMMIT);
    expect(warnings.map((w) => [w.code, w.severity])).toEqual([['ESP1299', 'warning']]);
    expect(warnings[0]?.message).toContain('it refuses the connection');
    expect((await refused('hf:org/other'))[0]).toMatch(
      /^ESP1301 hf:org\/other@main .* cannot be fetched: it refuses the connection/,
    );
  });

  test('where the cache is', async () => {
    const home = scratch();
    await find('hf:org/model', { environment: { HF_ENDPOINT: hub.endpoint, HF_HOME: home } });
    await find('hf:org/model', { environment: { HF_ENDPOINT: hub.endpoint, XDG_CACHE_HOME: home } });
    for (const folder of ['hub', 'huggingface/hub'])
      expect(readdirSync(join(home, folder))).toEqual(['models--org--model']);
  });
});

/** Answers in place of the server where the place is this one. */
const failing = (host: 'hub' | 'cdn', status: number, code?: string, times = Number.POSITIVE_INFINITY) => {
  let left = times;
  hub.fault = (seen, response) => {
    if (seen.host !== host || left-- <= 0) return false;
    response.writeHead(status, code ? { 'x-error-code': code } : {}).end();
    return true;
  };
};

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
