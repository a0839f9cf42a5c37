/** An adapter that says on which weights it was trained, on those, on copies of them, and on others. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { baseRecord } from '../../../src/api/adapters/base-weights.js';
import { analyseModel } from '../../../src/api/analyse.js';
import { exportAdapters } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { encodeAdapter } from '../../../src/formats/adapters/adapter.js';
import { otherWeights, TRAINED_ON, trainedOn, trainedOnIn } from '../../../src/formats/adapters/trained-on.js';
import { openCheckpoint } from '../../../src/formats/checkpoint.js';
import { memorySource } from '../../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../../src/formats/tensors/elements.js';
import { toHalves } from '../../../src/formats/tensors/float16.js';
import { encodeSafetensors, type StoredTensor } from '../../../src/formats/tensors/safetensors.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import { FIXTURES, host, readTensors, scratch } from '../support.js';

const folder = scratch();
const PLAIN = join(FIXTURES, 'vit-grey');
const saved = await readTensors(join(PLAIN, 'model.safetensors'));

/** A folder with other weights. */
function base(name: string, store: (t: Tensor, name: string) => StoredTensor): string {
  const to = join(folder, name);
  mkdirSync(to);
  cpSync(join(PLAIN, 'config.json'), join(to, 'config.json'));
  const tensors = new Map([...saved].map(([key, t]) => [key, store(t, key)]));
  writeFileSync(join(to, 'model.safetensors'), encodeSafetensors(tensors));
  return to;
}
const of = (t: Tensor, change: (x: number, i: number) => number): Tensor => ({
  ...t,
  data: Float32Array.from(t.data as Float32Array, change),
});
const bf16 = (t: Tensor): StoredTensor => {
  const bits = new Uint32Array(Float32Array.from(t.data).buffer);
  const rounded = Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16);
  return { dtype: 'BF16', shape: t.type.shape, data: new Uint8Array(rounded.buffer) };
};
const f16 = (t: Tensor): StoredTensor => ({
  dtype: 'F16',
  shape: t.type.shape,
  data: new Uint8Array(toHalves(Float32Array.from(t.data)).buffer),
});

const BASES = {
  'the same': base('same', (t) => storeTensor(t)),
  'in f16': base('f16', f16),
  'in bfloat16': base('bf16', bf16),
  'trained further': base('further', (t) => storeTensor(of(t, (x, i) => x * (1 + 0.02 * Math.sin(i))))),
  'of another start': base('another', (t) => storeTensor(of(t, (x, i) => x * Math.cos(7 * i)))),
  'with another last block': base('last', (t, name) =>
    name.includes('layer.1.') ? storeTensor(of(t, (x) => -x)) : storeTensor(t),
  ),
};

/** `binding`: what the spec calls its base. */
const specOn = (from: string, adapter: string, binding = 'base') => ({
  text: `use std
model M {
  ${binding} = vit_auto() from "${from}"
  head = classify(${binding})
  adapt ${binding}.blocks[*].attn.{qkv.q, qkv.v} with lora(rank: 2)${adapter && ` from "${adapter}"`}
}
`,
  path: 'm.peft',
});

const load = async (spec: ReturnType<typeof specOn>) => loadParameters(await analyseModel(spec, { host }));

/** An adapter file of random numbers that says it was trained on the plain base. */
async function adapterFile(name: string, binding = 'base'): Promise<string> {
  const analysis = await analyseModel(specOn(BASES['the same'], '', binding), { host });
  const loaded = await loadParameters(analysis);
  const { elaborated, checkpoints } = analysis;
  const names = elaborated.adapters.flatMap((a) => Object.values(a.params));
  const on = baseRecord(elaborated, checkpoints, loaded.ofBase);
  const file = join(folder, `${name}.safetensors`);
  writeFileSync(file, encodeAdapter(new Map(names.map((n) => [n, loaded.get(n)])), undefined, on));
  return file;
}
const adapter = await adapterFile('adapter');
const said = (warnings: readonly { code: string; message: string }[]) =>
  warnings.filter((d) => /^ESP114[45]$/.test(d.code)).map((d) => d.message);

describe('an adapter file on a base', () => {
  test.each(['the same', 'in f16', 'in bfloat16'] as const)('%s: nothing is said', async (which) => {
    expect(said((await load(specOn(BASES[which], adapter))).warnings)).toEqual([]);
  });

  test.each([
    [
      'trained further',
      /trained on other weights \(same\) than those of further: \d+ of \d+ that were compared differ, cls_token the first, half of their numbers by more than [1-9]\.\d+%$/,
    ],
    [
      'of another start',
      /than those of another: (\d+) of \1 that were compared differ, cls_token the first, half of their numbers by more than \d\d+%$/,
    ],
    [
      'with another last block',
      /of last: 4 of 11 that were compared differ, blocks\.1\.attn\.qkv\.weight the first, .* more than 200%$/,
    ],
  ] as const)('%s: what differs first is said, and how far', async (which, words) => {
    const { warnings, mismatches } = await load(specOn(BASES[which], adapter));
    expect(said(warnings)).toEqual([expect.stringMatching(words)]);
    expect(mismatches.map((d) => d.code)).toEqual(['ESP1144']);
    expect(mismatches[0]!.primary!.text).toBe('put on other weights');
  });

  test('what a run trained: its record is compared', async () => {
    const on = trainedOnIn((await openCheckpoint(memorySource('a', readFileSync(adapter)))).store.metadata);
    if (!on || on === 'unreadable') throw new Error('no record');
    const at = async (from: string) =>
      said((await loadParameters(await analyseModel(specOn(from, ''), { host, trainedOn: on }))).warnings);
    expect(await at(BASES['the same'])).toEqual([]);
    expect(await at(BASES['of another start'])).toEqual([
      expect.stringMatching(/^The run was trained on other weights/),
    ]);
  });

  test('of a record that cannot be read that is said', async () => {
    const { store } = await openCheckpoint(memorySource('a', readFileSync(adapter)));
    for (const text of ['{', '{"name":"x"}', '[]', '{"name":"x","weights":{"w":{"shape":[1],"values":["y"]}}}']) {
      const tensors = new Map([...(await readTensors(adapter))].map(([n, t]) => [n, storeTensor(t)]));
      const file = join(folder, 'odd.safetensors');
      writeFileSync(file, encodeSafetensors(tensors, { ...store.metadata, [TRAINED_ON]: text }));
      expect(said((await load(specOn(BASES['the same'], file))).warnings)).toEqual([
        expect.stringContaining('is no record of a base'),
      ]);
    }
  });
});

test('a folder for peft says it too, whatever the spec calls its base', async () => {
  const file = await adapterFile('named', 'vit');
  const { files } = await exportAdapters(specOn(BASES['the same'], file, 'vit'), { host });
  const peft = join(folder, 'peft');
  mkdirSync(peft);
  for (const [name, content] of files) writeFileSync(join(peft, name), content);
  expect(said((await load(specOn(BASES['in bfloat16'], peft, 'tower'))).warnings)).toEqual([]);
  expect(said((await load(specOn(BASES['of another start'], peft, 'tower'))).warnings)).toHaveLength(1);
});

test('weights of other shapes are not compared', () => {
  const numbers = (size: number, sign = 1) =>
    tensor(
      [size, size],
      Float32Array.from({ length: size * size }, (_, i) => sign * (i + 1)),
    );
  const weights = (size: number) => new Map([['w', numbers(size)]]);
  const on = trainedOn('x', weights(8));
  expect(otherWeights(on, (name) => weights(8).get(name))).toBeUndefined();
  expect(otherWeights(on, (name) => weights(9).get(name))).toBeUndefined();
  expect(otherWeights(on, () => numbers(8, -1))).toEqual({ compared: 1, differing: ['w'], apart: 2 });
});
