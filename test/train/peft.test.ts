/** An adapter folder that peft wrote is trained further here, and what was trained goes out as one. On whatever GPU driver there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { train } from '../../src/api/index.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { FIXTURES, readTensors, scratch } from '../api/support.js';
import { cli } from '../cli/support.js';

const folder = scratch();
const THEIRS = join(FIXTURES, 'peft', 'theirs-dora');

const SPEC = `use std
model Small {
  base = vit_auto() from "${join(FIXTURES, 'vit-grey')}"
  head = classify(base, classes: 3)
  adapt base.blocks[*].attn.qkv.{q, v}, base.blocks[*].mlp.fc2 with dora() from "${THEIRS}"
  tune head from "${THEIRS}"
}
train Small {
  optimizer = sgd(lr: 1e-3)
  schedule = constant(epochs: 1)
  batch = 8
}`;

it('goes on from its tensors, and the run is written as such a folder', { timeout: 300_000 }, async () => {
  const out = join(folder, 'run');
  const pixels = Uint8Array.from({ length: 16 * 400 }, (_, i) => (i * 7919) % 251);
  const datasets = datasetOfArrays(
    { name: 'noise', data: pixels, shape: [16, 1, 20, 20] },
    { kind: 'class', labels: Array.from({ length: 16 }, (_, i) => i % 3) },
    { classes: ['a', 'b', 'c'] },
  );
  for await (const _ of train({ text: SPEC, path: join(folder, 'small.peft') }, { out, datasets }));
  const trained = await readTensors(join(out, 'adapter.safetensors'));
  const theirs = (await openCheckpointAt(THEIRS)).store.tensors;
  for (const [ours, name] of [
    ['base.blocks.1.mlp.fc2@dora.m', 'vit.layers.1.mlp.fc2.m'],
    ['head.fc.weight', 'classifier.weight'],
  ] as const) {
    const start = (await theirs.get(name)!.read()).data;
    const moved = Math.max(...Array.from(trained.get(ours)!.data, (x, i) => Math.abs(x - start[i]!)));
    // Two small steps; a start of its own is further away.
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(0.02);
  }

  const written = join(folder, 'peft');
  const ended = await cli('export', out, '-o', written);
  expect(ended.err).toBe('');
  expect(ended.code).toBe(0);
  expect(ended.out).toMatch(
    /adapters of 6 modules, such as vit\.layers\.0\.attention\.q_proj, and classifier as a whole/,
  );
  const config = JSON.parse(readFileSync(join(written, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
  expect(config).toMatchObject({ use_dora: true, r: 3, lora_alpha: 4.5, modules_to_save: ['classifier'] });
  const stored = (await openCheckpointAt(written)).store.tensors;
  expect((await stored.get('vit.layers.1.mlp.fc2.m')!.read()).data).toEqual(
    trained.get('base.blocks.1.mlp.fc2@dora.m')!.data,
  );
  expect((await stored.get('classifier.weight')!.read()).data).toEqual(trained.get('head.fc.weight')!.data);
  // What another made is kept.
  expect((await cli('export', out, '-o', THEIRS)).err).toContain('ESP0906');
});
