/** ViT under the names of transformers 4 and 5, with their prefix and without: read as the same weights, written back as they were called. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { merge } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host, infer, readTensors } from '../api/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';

const FOLDER = join(FIXTURES, 'vit-grey');

/** What transformers 5 calls in memory what its folders call as before. */
const FIVE: readonly (readonly [RegExp, string])[] = [
  [/^vit\.encoder\.layer\.(\d+)\.attention\.attention\.(q)uery\./, 'vit.layers.$1.attention.$2_proj.'],
  [/^vit\.encoder\.layer\.(\d+)\.attention\.attention\.(k)ey\./, 'vit.layers.$1.attention.$2_proj.'],
  [/^vit\.encoder\.layer\.(\d+)\.attention\.attention\.(v)alue\./, 'vit.layers.$1.attention.$2_proj.'],
  [/^vit\.encoder\.layer\.(\d+)\.attention\.output\.dense\./, 'vit.layers.$1.attention.o_proj.'],
  [/^vit\.encoder\.layer\.(\d+)\.intermediate\.dense\./, 'vit.layers.$1.mlp.fc1.'],
  [/^vit\.encoder\.layer\.(\d+)\.output\.dense\./, 'vit.layers.$1.mlp.fc2.'],
  [/^vit\.encoder\.layer\.(\d+)\.(layernorm_\w+)\./, 'vit.layers.$1.$2.'],
];
const five = (name: string): string => FIVE.reduce((n, [from, to]) => n.replace(from, to), name);
const bare = (name: string): string => name.replace(/^vit\./, '');

test.each<[string, (name: string) => string]>([
  ['transformers 4', (n) => n],
  ['transformers 5', five],
  ['a bare model of 4', bare],
  ['a bare model of 5', (n) => bare(five(n))],
])('%s', async (_, rename) => {
  const saved = await openCheckpointAt(FOLDER);
  const tensors = new Map<string, ReturnType<typeof storeTensor>>();
  for (const [name, entry] of saved.store.tensors) tensors.set(rename(name), storeTensor(await entry.read()));
  await saved.close();
  expect([...tensors.keys()].filter((n) => saved.store.tensors.has(n)).length === tensors.size).toBe(
    _ === 'transformers 4',
  );
  const folder = memoryFolder('f', {
    'config.json': readFileSync(join(FOLDER, 'config.json')),
    'model.safetensors': encodeSafetensors(tensors),
  });
  const own = { ...host, openCheckpoint: () => openCheckpoint(folder) };
  const spec = {
    text: 'use std\nmodel M {\n  base = vit_auto() from "f"\n  head = classify(base)\n}\n',
    path: 's.peft',
  };

  const analysis = await analyseModel(spec, { host: own });
  const { get } = await loadParameters(analysis);
  const reference = await readTensors(join(FOLDER, 'reference.safetensors'));
  const want = reference.get('logits64')!;
  const found = infer(analysis.elaborated.module, reference.get('pixels')!, get);
  expect(maxDifference(tensor(want.type.shape, found), want)).toBeLessThan(1e-5);

  const adapted = { ...spec, text: spec.text.replace('\n}', '\n  adapt base.blocks[0].mlp.fc1 with ssf()\n}') };
  const { files, changed } = await merge(adapted, { host: own });
  expect(changed.toSorted()).toEqual(
    ['weight', 'bias'].map((p) => rename(`vit.encoder.layer.0.intermediate.dense.${p}`)).sort(),
  );
  const after = await openCheckpoint(
    memoryFolder(
      'm',
      Object.fromEntries([...files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c as Uint8Array[]) : c])),
    ),
  );
  expect([...after.store.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
});
