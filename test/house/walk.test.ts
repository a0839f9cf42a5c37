/** The walk of one weight in ARCHITECTURE.md: every station is where it says, and a weight goes through it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readSafetensors } from '../../runtime/program/safetensors.js';
import { compile } from '../../src/api/index.js';
import { memoryHost } from '../fuzz/host.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
const stations = [...text.matchAll(/^\| (\d+) \| `([\w/.-]+)`: `(\w+)` \| (.+) \|$/gm)].map(([, n, file, name]) => ({
  n: Number(n),
  file: file!,
  name: name!,
}));

test('every station is where the walk says, forward only', () => {
  expect(stations.length).toBeGreaterThan(15);
  expect(stations.map((s) => s.n)).toEqual(stations.map((_, i) => i + 1));
  for (const { file, name } of stations) {
    const source = readFileSync(join(root, file), 'utf8');
    expect(source, `${file}: ${name}`).toMatch(
      new RegExp(`^(export )?(async )?(function|const|class) ${name}\\b`, 'm'),
    );
  }
  // No place twice.
  expect(new Set(stations.map(({ file, name }) => `${file} ${name}`)).size).toBe(stations.length);
});

test('a weight goes through it', async () => {
  const spec = `use std
variant tiny = vit_auto(image: 8, patch: 4, channels: 1, dim: 32, depth: 1, heads: 2)
model M {
  base = tiny()
  adapt base.blocks[*].mlp.fc1 with lora(rank: 2)
}
`;
  const name = 'base.blocks.0.mlp.fc1.weight';
  const compiled = await compile({ text: spec, path: 'spec.peft' }, { host: memoryHost(), golden: false });
  const { module } = compiled.elaborated;
  expect(module.params.get(name)).toMatchObject({ role: 'frozen', type: { dtype: 'f32', shape: [128, 32] } });
  const [prepared] = [...compiled.module.params.values()].filter(
    (p) => p.role === 'prepared' && p.name.startsWith(name),
  );
  expect(prepared?.type.shape).toEqual([128, 32]);
  const entry = compiled.program.weights.find((w) => w.parameter === prepared!.name)!;
  expect(entry).toMatchObject({ layout: expect.stringMatching(/^tiles:/), start: 'file' });
  const bytes = compiled.files.get('weights.safetensors') as Uint8Array;
  const read = async (from: number, to: number) => bytes.slice(from, to) as Uint8Array<ArrayBuffer>;
  const places = await readSafetensors('weights', { size: bytes.length, read });
  const place = places.get(entry.name)!;
  expect(place.end - place.start).toBe(entry.bytes);
  // The weight itself is read by nothing any more.
  expect(compiled.program.weights.some((w) => w.parameter === name)).toBe(false);
});
