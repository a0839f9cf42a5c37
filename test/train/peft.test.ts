/** An adapter folder, of peft's or our own, is trained further here, and what was trained goes out as one. On whatever GPU driver there is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { nodeHost, train } from '../../src/api/index.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, readTensors, scratch } from '../api/support.js';
import { cli } from '../cli/support.js';

const folder = scratch();
const THEIRS = join(FIXTURES, 'peft', 'theirs-dora');

const specOf = (body: string): string => `use std
model Small {
  base = vit_auto() from "${join(FIXTURES, 'vit-grey')}"
  head = classify(base, classes: 3)
  ${body}
}
train Small {
  optimizer = sgd(lr: 1e-3)
  schedule = constant(epochs: 1)
  batch = 8
}`;
const SPEC = specOf(`adapt base.blocks[*].attn.qkv.{q, v}, base.blocks[*].mlp.fc2 with dora() from "${THEIRS}"
  tune head from "${THEIRS}"`);

/** Two steps on noise. */
async function trained(text: string, out: string): Promise<Map<string, Tensor>> {
  const pixels = Uint8Array.from({ length: 16 * 400 }, (_, i) => (i * 7919) % 251);
  const datasets = datasetOfArrays(
    { name: 'noise', data: pixels, shape: [16, 1, 20, 20] },
    { kind: 'class', labels: Array.from({ length: 16 }, (_, i) => i % 3) },
    { classes: ['a', 'b', 'c'] },
  );
  for await (const _ of train({ text, path: join(folder, 'small.peft') }, { out, datasets }));
  return readTensors(join(out, 'adapter.safetensors'));
}

const moved = (from: ArrayLike<number>, to: ArrayLike<number>): number =>
  Math.max(...Array.from(to, (x, i) => Math.abs(x - from[i]!)));

it('goes on from its tensors, and the run is written as such a folder', { timeout: 300_000 }, async () => {
  const out = join(folder, 'run');
  const now = await trained(SPEC, out);
  const theirs = (await openCheckpointAt(THEIRS)).store.tensors;
  for (const [ours, name] of [
    ['base.blocks.1.mlp.fc2@dora.m', 'vit.layers.1.mlp.fc2.m'],
    ['head.fc.weight', 'classifier.weight'],
  ] as const) {
    const start = (await theirs.get(name)!.read()).data;
    // Two small steps; a start of its own is further away.
    expect(moved(start, now.get(ours)!.data)).toBeGreaterThan(0);
    expect(moved(start, now.get(ours)!.data)).toBeLessThan(0.02);
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
    now.get('base.blocks.1.mlp.fc2@dora.m')!.data,
  );
  expect((await stored.get('classifier.weight')!.read()).data).toEqual(now.get('head.fc.weight')!.data);
  // Names of classes go along, and are those of the head that takes it up again.
  expect((await openCheckpointAt(written)).facts.labels).toEqual(['a', 'b', 'c']);
  const next = SPEC.replaceAll(THEIRS, written).replace(', classes: 3', '');
  const { elaborated } = await analyseModel({ text: next, path: join(folder, 'next.peft') }, { host: nodeHost() });
  expect(elaborated.labels).toEqual(['a', 'b', 'c']);
  // What another made is kept.
  expect((await cli('export', out, '-o', THEIRS)).err).toContain('ESP0906');
});

it('goes on from an adapter of a fused layer, whose folder has it in parts, and writes the parts again', async () => {
  const ours = join(FIXTURES, 'peft', 'ours-lora');
  const text = specOf(`adapt base.blocks[*].{attn.qkv, mlp.fc1} with lora() from "${ours}"
  adapt base.blocks[0].attn.proj with lora() from "${ours}"
  tune head from "${ours}"`);
  const out = join(folder, 'fused');
  const now = await trained(text, out);
  const stored = (await openCheckpointAt(ours)).store.tensors;
  const before = async (name: string) => (await stored.get(name)!.read()).data;
  const written = join(folder, 'fused-peft');
  expect((await cli('export', out, '-o', written)).err).toBe('');
  const after = (await openCheckpointAt(written)).store.tensors;
  // And merged, by the run's folder alone: W + (alpha / sqrt(rank)) B A, as rsLoRA scales it.
  const merged = join(folder, 'fused-merged');
  expect((await cli('merge', out, '-o', merged)).err).toBe('');
  const fc1 = { of: 'base.blocks.1.mlp.fc1', name: 'vit.encoder.layer.1.intermediate.dense.weight' };
  const [down, up] = ['A', 'B'].map((factor) => now.get(`${fc1.of}@lora.${factor}`)!);
  const frozen = (await (await openCheckpointAt(join(FIXTURES, 'vit-grey'))).store.tensors.get(fc1.name)!.read()).data;
  const whole = (await (await openCheckpointAt(merged)).store.tensors.get(fc1.name)!.read()).data;
  const [outs, rank, ins] = [...up!.type.shape, down!.type.shape[1]!] as [number, number, number];
  const { lora_alpha: alpha, r } = JSON.parse(readFileSync(join(ours, 'adapter_config.json'), 'utf8'));
  const wanted = Float32Array.from({ length: outs * ins }, (_, at) => {
    const [row, column] = [Math.floor(at / ins), at % ins];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += up!.data[row * rank + k]! * down!.data[k * ins + column]!;
    return frozen[at]! + (alpha / Math.sqrt(r)) * sum;
  });
  expect(moved(frozen, whole)).toBeGreaterThan(1e-4);
  expect(moved(wanted, whole)).toBeLessThan(1e-6);
  // Of three parts, each with the same A and its rows of B.
  const B = now.get('base.blocks.1.attn.qkv@lora.B')!;
  const rows = B.data.length / 3;
  for (const [i, part] of ['q', 'k', 'v'].entries()) {
    const name = `vit.layers.1.attention.${part}_proj`;
    const own = (await after.get(`${name}.B`)!.read()).data;
    expect(own).toEqual(B.data.slice(i * rows, (i + 1) * rows));
    expect((await after.get(`${name}.A`)!.read()).data).toEqual(now.get('base.blocks.1.attn.qkv@lora.A')!.data);
    const { shape } = stored.get(`${name}.B`)!;
    // The folder's largest rank is 3, and these are of 2: what is padded starts as 0.
    const start = await before(`${name}.B`);
    const wide = Float32Array.from(own, (_, at) => {
      const [row, column] = [Math.floor(at / 3), at % 3];
      return column < shape[1]! ? start[row * shape[1]! + column]! : 0;
    });
    expect(moved(wide, own), name).toBeGreaterThan(0);
    expect(moved(wide, own), name).toBeLessThan(0.02);
  }
}, 300_000);
