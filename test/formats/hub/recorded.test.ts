/** Which commit a program and a run used of a repository that a spec names, and what a page says of such a name. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { analyseModel, commitsOf } from '../../../src/api/analyse.js';
import { browserHost } from '../../../src/api/browser/host.js';
import { compile } from '../../../src/api/compile.js';
import type { Host } from '../../../src/api/host.js';
import { nodeHost } from '../../../src/api/node/host.js';
import { runSpec } from '../../../src/api/node/run-folder.js';
import { encodeAdapter } from '../../../src/formats/adapters/adapter.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import { COMMIT, type Hub, LATER, openHub } from './server.js';

const SHARDS = new URL('../../fixtures/vit-shards/', import.meta.url);
const FILES = [
  'config.json',
  'preprocessor_config.json',
  'model.safetensors.index.json',
  'model-00001-of-00002.safetensors',
  'model-00002-of-00002.safetensors',
];
const TEXT = 'use std\nmodel Tiny {\n  base = vit_auto() from "hf:org/model"\n  head = classify(base)\n}\n';
const spec = { text: TEXT, path: 'tiny.peft' };

let hub: Hub;
let host: Host;
const folder = mkdtempSync(join(tmpdir(), 'espalier-recorded-'));
beforeAll(async () => {
  hub = await openHub(Object.fromEntries(FILES.map((f) => [f, new Uint8Array(readFileSync(new URL(f, SHARDS)))])));
  host = nodeHost({ environment: { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: folder, HF_HOME: folder }, pause: 1 });
});
afterAll(async () => {
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

test('a program says which commit its weights are of, and a recorded commit is taken whatever the branch has become', async () => {
  const { program } = await compile(spec, { host, golden: false });
  expect(program.sources).toEqual([{ location: 'hf:org/model', commit: COMMIT }]);
  hub.refs.set('main', LATER);
  expect(commitsOf(await analyseModel(spec, { host }))).toEqual({ 'hf:org/model': LATER });
  const commits = { 'hf:org/model': COMMIT };
  expect(commitsOf(await analyseModel(spec, { host, commits }))).toEqual(commits);
});

test('a run is read with the commits that it recorded', async () => {
  const commits = { 'hf:org/model': COMMIT };
  const facts = { format: 'espalier.run', version: 1, spec: 'tiny.peft', model: 'Tiny', set: {}, commits };
  const data = { kind: 'class', classes: ['a', 'b'] };
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...facts, data }));
  writeFileSync(join(folder, 'spec.peft'), TEXT);
  writeFileSync(join(folder, 'adapter.safetensors'), encodeAdapter(new Map([['head.fc.bias', tensor([2], [1, 2])]])));
  expect((await runSpec(folder)).commits).toEqual(commits);
});

test('a page says that it has no cache', async () => {
  const page = browserHost({ base: 'https://here.example/' });
  expect(page.resolve('a.peft', 'hf:org/model')).toBe('hf:org/model');
  await expect(page.openCheckpoint('hf:org/model')).rejects.toMatchObject({ diagnostics: [{ code: 'ESP1303' }] });
});
