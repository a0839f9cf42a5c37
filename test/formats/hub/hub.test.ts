import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseHubName } from '../../../src/formats/huggingface/name.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { refusal } from '../../refusal.js';
import { COMMIT, gitSha1, LATER, sha256 } from './server.js';

import {
  asked,
  at,
  cache,
  environment,
  find,
  hub,
  MODEL,
  options,
  partials,
  refused,
  scratch,
  shards,
  WEIGHTS,
} from './setup.js';

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
