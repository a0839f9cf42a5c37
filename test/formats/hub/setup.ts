import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { locate } from '../../../src/formats/node/hub/resolve.js';
import type { HubOptions } from '../../../src/formats/node/hub/settings.js';
import { type Hub, openHub } from './server.js';

export const SHARDS = new URL('../../fixtures/vit-shards/', import.meta.url);
export const shards = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, SHARDS)))]));
export const WEIGHTS = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) % 251);
export const MODEL = {
  'config.json': '{"model_type": "vit"}',
  'preprocessor_config.json': '{}',
  'model.safetensors': WEIGHTS,
};

export function scratch(): string {
  return mkdtempSync(join(all, 'test-'));
}
const all = mkdtempSync(join(tmpdir(), 'espalier-hub-'));
afterAll(() => rmSync(all, { recursive: true, force: true }));

export let hub: Hub;
export let cache: string;
export let environment: Record<string, string>;
export const at = (...parts: string[]) => join(cache, 'models--org--model', ...parts);
export const options = (more: HubOptions = {}): HubOptions => ({ environment, pause: 1, ...more });
export const find = (name = 'hf:org/model', more: HubOptions = {}) => locate(name, options(more));
/** What it is refused with. */
export const refused = async (name?: string, more?: HubOptions): Promise<string[]> => {
  try {
    await find(name, more);
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics.map((d) => `${d.code} ${d.message}`);
    throw error;
  }
  return [];
};
export const asked = (file: string) => hub.seen.filter((s) => s.path.replace(/\?.*/, '').endsWith(`/${file}`));
export const partials = () => readdirSync(at('blobs')).filter((name) => name.endsWith('.incomplete'));

beforeEach(async () => {
  hub = await openHub(MODEL);
  cache = join(scratch(), 'hub');
  environment = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_TOKEN: 'hf_secret', HF_HOME: scratch() };
});
afterEach(() => hub.close());

/** Answers in place of the server where the place is this one. */
export const failing = (host: 'hub' | 'cdn', status: number, code?: string, times = Number.POSITIVE_INFINITY) => {
  let left = times;
  hub.fault = (seen, response) => {
    if (seen.host !== host || left-- <= 0) return false;
    response.writeHead(status, code ? { 'x-error-code': code } : {}).end();
    return true;
  };
};
