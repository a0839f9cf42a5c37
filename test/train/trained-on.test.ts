/** What a run says of the base that it trained on: in its adapter file, in a folder and in memory, and to what goes on with its result. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from '../../runtime/program/digest.js';
import { MemoryRun, merge, train, trainInMemory } from '../../src/api/index.js';
import { runSpec } from '../../src/api/node/run-folder.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { TRAINED_ON, trainedOnIn } from '../../src/formats/adapters/trained-on.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { FIXTURES, host, scratch } from '../api/support.js';

const folder = scratch();
const text = `use std
model M {
  base = vit_auto() from "${join(FIXTURES, 'vit-grey')}"
  head = classify(base)
  adapt base.blocks[0].attn.qkv.q with lora(rank: 1)
}
train M {
  optimizer = adamw(lr: 1e-3)
  schedule = cosine(epochs: 1)
  batch = 2
}
`;
const spec = { text, path: join(folder, 'm.peft') };
const datasets = datasetOfArrays(
  { name: 'grey', data: Uint8Array.from({ length: 4 * 400 }, (_, i) => i % 251), shape: [4, 1, 20, 20] },
  { kind: 'class', labels: [0, 1, 2, 0] },
  { classes: ['a', 'b', 'c'] },
);
const metadataOf = async (bytes: Uint8Array) => (await openSafetensors(memorySource('adapter', bytes))).metadata;

test('a few numbers of its weights, the same in a folder and in memory', { timeout: 120_000 }, async () => {
  const out = join(folder, 'run');
  for await (const _ of train(spec, { out, datasets }));
  const file = readFileSync(join(out, 'adapter.safetensors'));
  const found = trainedOnIn(await metadataOf(file));
  expect(found).toMatchObject({
    name: 'vit-grey',
    weights: { 'blocks.0.attn.qkv.weight': { shape: [144, 48] } },
  });
  const { trainedOn, ...rest } = await runSpec(out);
  expect(trainedOn).toEqual(found);
  // What a merge records of the run is the digest of that very file.
  const { merged } = await merge(rest.spec, { host, ...rest, ...(trainedOn ? { trainedOn } : {}) });
  expect(merged[0]!.sha256).toBe(await sha256(Uint8Array.from(file)));

  const run = new MemoryRun();
  for await (const _ of trainInMemory(spec, { host, datasets, run }));
  expect((await metadataOf(run.adapter()))[TRAINED_ON]).toBe(JSON.stringify(found));
});
