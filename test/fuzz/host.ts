/** The compiler's host for fuzzing: the checkpoints of the tests and of the example, in memory, found by the last part of a path. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from '../../src/api/host.js';
import { diagnostic } from '../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { type ByteSource, type Folder, memorySource } from '../../src/formats/tensors/bytes.js';
import { memoryFolder } from '../folders.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export type Files = Readonly<Record<string, Uint8Array>>;

/** The files of a folder of the repository. */
export function filesOf(folder: string): Files {
  const at = join(ROOT, folder);
  return Object.fromEntries(readdirSync(at).map((name) => [name, new Uint8Array(readFileSync(join(at, name)))]));
}

const PLACES = [
  'test/fixtures/vit-grey',
  'test/fixtures/vit-odd',
  'test/fixtures/vit-shards',
  'examples/fashion/vit-fashion',
  'examples/fashion/adapters/lora-mnist',
  'examples/fashion/adapters/karst-mnist.safetensors',
  'examples/fashion/adapters/alore-mnist.safetensors',
];

const lastOf = (path: string): string => path.split('/').at(-1)!;

const checkpoints = new Map<string, ByteSource | Folder>(
  PLACES.map((place) => {
    const name = lastOf(place);
    const folder = statSync(join(ROOT, place)).isDirectory();
    return [name, folder ? memoryFolder(name, filesOf(place)) : memorySource(name, readFileSync(join(ROOT, place)))];
  }),
);

/** Names that a `from` can open. */
export const LOCATIONS: readonly string[] = [...checkpoints.keys()].map((name) => `./${name}`);

/** @param own what the case itself brings, by name: specs for `use`, and a folder for `from "./own"` */
export function memoryHost(texts: Readonly<Record<string, string>> = {}, own?: ByteSource | Folder): Host {
  return {
    readText: (path) => (Object.hasOwn(texts, lastOf(path)) ? texts[lastOf(path)] : undefined),
    resolve: (_from, location) => location,
    async openCheckpoint(path) {
      const found = own && lastOf(path) === 'own' ? own : checkpoints.get(lastOf(path));
      if (!found) throw new EspalierError([diagnostic('ESP0501', { path, reason: 'there is no such file or folder' })]);
      return openCheckpoint(found);
    },
    deviceLimits: async () => ({ maxStorageBufferBindingSize: 2 ** 27, maxBufferSize: 2 ** 28 }),
  };
}
