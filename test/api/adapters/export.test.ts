/**
 * Adapters as folders of the library peft. `test/reference/peft_roundtrip.py` loads the folders that are checked in here with transformers and peft, and
 * keeps the logits; what is written now is those folders byte for byte, and our logits are those.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { EspalierError, exportAdapters, merge, writeAdapters } from '../../../src/api/index.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { storeTensor } from '../../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../../src/formats/tensors/safetensors.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import type { Tensor } from '../../../src/ir/types.js';
import { FIXTURES, host, random, readTensors, scratch, type TextSpec, vitSpec } from '../support.js';

const folder = scratch();
const PEFT = join(FIXTURES, 'peft');
const update = process.env.UPDATE_GOLDEN === '1';

/** Values of everything that is trained: none is zero. */
async function trainedOf(spec: TextSpec): Promise<Map<string, Tensor>> {
  const { module } = (await analyseModel(spec, { host })).elaborated;
  const trained = [...module.params.values()].filter((p) => p.role === 'trainable');
  return new Map(trained.map(({ name, type }) => [name, random(name, type.shape, 0.3)]));
}

async function logitsOf(spec: TextSpec, trained?: ReadonlyMap<string, Tensor>): Promise<ArrayLike<number>> {
  const analysis = await analyseModel(spec, { host, ...(trained ? { trained } : {}) });
  const { get } = await loadParameters(analysis);
  const pixels = (await readTensors(join(FIXTURES, 'vit-grey', 'reference.safetensors'))).get('pixels')!;
  const { module, inputs } = analysis.elaborated;
  const results = interpret(module, 'infer', { inputs: new Map([[inputs[0]!.name, pixels]]), params: get });
  return [...results.values()][0]!.data;
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  const largest = Math.max(...Array.from(expected, Math.abs));
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThan(2e-6 * largest);
}

const CASES = {
  'ours-lora': `adapt base.blocks[*].{attn.qkv, mlp.fc1} with lora(rank: 2, alpha: 3, rslora: true)
  adapt base.blocks[0].attn.proj with lora(rank: 3, alpha: 4, rslora: true)
  tune head`,
  'ours-dora': `adapt base.blocks[*].attn.qkv with dora(rank: 2, alpha: 3)
  adapt base.blocks[*].mlp.fc2 with dora(rank: 3, alpha: 4)
  tune head
  tune base.norm`,
};

describe.each(Object.entries(CASES))('%s', (name, body) => {
  const spec = vitSpec('vit-grey', body);
  const checked = join(PEFT, name);

  test('is written as the folder that peft loaded, and gives the logits that it gave', async () => {
    const trained = await trainedOf(spec);
    const { files } = await exportAdapters(spec, { trained });
    const ours = await logitsOf(spec, trained);
    if (update) {
      mkdirSync(checked, { recursive: true });
      for (const [file, content] of files) writeFileSync(join(checked, file), content as string);
      const tensor = { type: { dtype: 'f32' as const, shape: [4, 3] }, data: Float32Array.from(ours) };
      writeFileSync(join(checked, 'ours.safetensors'), encodeSafetensors(new Map([['logits', storeTensor(tensor)]])));
    }
    for (const [file, content] of files) expect(Buffer.from(content)).toEqual(readFileSync(join(checked, file)));
    const theirs = await readTensors(join(checked, 'reference.safetensors'));
    expectClose(ours, theirs.get('logits')!.data);
    const plain = await logitsOf(vitSpec('vit-grey'));
    expect(Math.max(...Array.from(plain, (x, i) => Math.abs(x - ours[i]!)))).toBeGreaterThan(0.1);
  });
});

test('a folder with magnitudes that peft wrote gives the logits that it gave', async () => {
  const from = join(PEFT, 'theirs-dora');
  const spec = vitSpec(
    'vit-grey',
    `adapt base.blocks[*].attn.qkv.{q, v}, base.blocks[*].mlp.fc2 with dora() from "${from}"\n  tune head from "${from}"`,
  );
  expectClose(await logitsOf(spec), (await readTensors(join(from, 'reference.safetensors'))).get('logits')!.data);
});

test('what was written is read again, and written again over the last', async () => {
  const spec = vitSpec('vit-grey', 'adapt base.blocks[*].attn.qkv.{q, v} with dora(rank: 2, alpha: 3)\n  tune head');
  const trained = await trainedOf(spec);
  const out = join(folder, 'again');
  for (let i = 0; i < 2; i++) await writeAdapters(await exportAdapters(spec, { trained, asStored: i === 0 }), out);
  const peft = await openCheckpointAt(out);
  expect([...peft.store.tensors.keys()]).toContain('vit.layers.0.attention.q_proj.m');
  const back = vitSpec(
    'vit-grey',
    `adapt base.blocks[*].attn.qkv.{q, v} with dora() from "${out}"\n  tune head from "${out}"`,
  );
  expectClose(await logitsOf(back), await logitsOf(spec, trained));
});

test.each([
  [
    'ours-lora',
    `adapt base.blocks[*].{attn.qkv, mlp.fc1} with lora() from "FOLDER"
  adapt base.blocks[0].attn.proj with lora() from "FOLDER"
  tune head from "FOLDER"`,
  ],
  [
    'ours-dora',
    `adapt base.blocks[*].attn.qkv with dora() from "FOLDER"
  adapt base.blocks[*].mlp.fc2 with dora() from "FOLDER"
  tune head from "FOLDER"
  tune base.norm from "FOLDER"`,
  ],
])('%s: an adapter of a fused layer, written for a network that has it in parts, is read again', async (name, body) => {
  const from = join(PEFT, name);
  const spec = vitSpec('vit-grey', body.replaceAll('FOLDER', from));
  expectClose(await logitsOf(spec), (await readTensors(join(from, 'reference.safetensors'))).get('logits')!.data);
});

test('modules are called as in the file, if that is asked for', async () => {
  const spec = vitSpec('vit-grey', 'adapt base.blocks[*].attn.qkv.{q, v} with lora(rank: 2)');
  const trained = await trainedOf(spec);
  const modules = async (asStored: boolean) => (await exportAdapters(spec, { trained, asStored })).adapted;
  expect(await modules(true)).toContain('vit.encoder.layer.1.attention.attention.value');
  expect(await modules(false)).toContain('vit.layers.1.attention.v_proj');
});

describe('an adapter is taken for what it computes', () => {
  const own = (forward: string, more = '') => `adapter mine(rank: int) on base: Linear(in -> out) {
  A = param [rank, in] normal(1)
  B = param [out, rank] zeros
  ${more}
  forward(x) { ${forward} }
}`;
  const configOf = async (adapter: string, body = 'adapt base.blocks[*].attn.qkv with mine(rank: 2)') => {
    const { files } = await exportAdapters(vitSpec('vit-grey', body, adapter));
    return JSON.parse(files.get('adapter_config.json') as string) as Record<string, unknown>;
  };
  const problemsOf = async (adapter: string, body?: string): Promise<string> => {
    try {
      await configOf(adapter, body);
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      expect(error.diagnostics.map((d) => d.code)).toEqual(['ESP0522']);
      return error.message;
    }
    throw new Error('it was written');
  };

  test('by any name and in any form', async () => {
    const adapter = own('base(x, weight: base.weight + 0.75 * W)', 'W = 2 * (B @ A)');
    expect(await configOf(adapter)).toMatchObject({ r: 2, lora_alpha: 3, use_dora: false, use_rslora: false });
  });

  test('and not for what it is called', async () => {
    for (const forward of [
      'base(x) + norm(A) * (x @ A.T @ B.T)',
      'base(x, weight: base.weight * (1 + B @ A))',
      'base(x, weight: 2 * base.weight + B @ A)',
      'base(x, weight: base.weight + (B @ A) * (B @ A))',
    ])
      expect(await problemsOf(own(forward))).toMatch(/base\.blocks\.0\.attn\.qkv: its adapter computes something else/);
    // A magnitude that is only a factor.
    const factor = own('base(x, weight: m[:, new] * (base.weight + B @ A))', 'm = param [out] ones');
    expect(await problemsOf(factor)).toMatch(/something else/);
    expect(await problemsOf(own('2 * base(x) + x @ A.T @ B.T'))).toMatch(/something else|adapters change/);
  });

  test('and not on a convolution in groups, whose pairs in peft are other ones', async () => {
    const text = (site: string, read: string) => `use std
adapter mine(rank: int) on base: Conv2d(in -> out) {
  kh, kw = base.kernel
  A = param [rank, ${read}, kh, kw] normal(1)
  B = param [out, rank] zeros
  forward(x) {
    base(x, weight: base.weight + reshape(B @ reshape(A, [rank, ${read} * kh * kw]), [out, ${read}, kh, kw]))
  }
}
model M {
  base = convnext_auto() from "${join(FIXTURES, 'convnext-timm', 'plain')}"
  adapt base.${site} with mine(rank: 2)
}`;
    const exported = (site: string, read: string) =>
      exportAdapters({ text: text(site, read), path: 'groups.peft' }, { host });
    await expect(exported('stages[0].blocks[0].dwconv', 'in / base.groups')).rejects.toThrow(
      /ESP0522[\s\S]*dwconv@mine: it is on a convolution in groups/,
    );
    expect((await exported('stem', 'in')).adapted).toEqual(['stem.0']);
  });

  test.each([
    ['adapt base.blocks[*].mlp.fc1 with karst()', /fc1@karst: its parameters are A, B, C, s, t/],
    ['adapt base.blocks[*].mlp.fc1 with alore()', /fc1@alore: its parameters are S, U, V/],
    ['adapt base.blocks[*].mlp_branch with adaptformer()', /adaptformer: its parameters are/],
    ['tune head', /has no adapters/],
    ['adapt base.blocks[*].mlp.fc1 with shared(rank: 2)', /blocks\.1\.mlp\.fc1@shared: it shares base@shared\.A with/],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  adapt base.blocks[0].mlp.fc2 with dora(rank: 2)',
      /fc2@dora has magnitudes, and base\.blocks\.0\.mlp\.fc1@lora has none/,
    ],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  adapt base.blocks[0].mlp.fc1 with lora(rank: 1)',
      /lora2: it is the second adapter on base\.blocks\.0\.mlp\.fc1/,
    ],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  prune base.blocks[0].mlp.fc2 with magnitude(sparsity: 50%)',
      /has masks/,
    ],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  tune base.blocks[*].mlp.**.bias',
      /vit\.layers\.1\.mlp\.fc2: only a part of it is trained, base\.blocks\.1\.mlp\.fc2\.weight is not/,
    ],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  tune base.blocks[0].mlp.fc1',
      /vit\.layers\.0\.mlp\.fc1: it is adapted, and trained as a whole/,
    ],
    [
      'adapt base.blocks[0].mlp.fc1 with lora(rank: 2)\n  tune base.cls_token',
      /vit\.embeddings: only a part of it is trained/,
    ],
  ])('%s is refused', async (body, message) => {
    const adapter = `adapter shared(rank: int) on base: Linear(in -> out) {
  A = shared param [rank, in] normal(1)
  B = shared param [out, rank] zeros
  forward(x) { base(x) + x @ A.T @ B.T }
}`;
    expect(await problemsOf(adapter, body)).toMatch(message);
  });

  test('a base without a checkpoint has no names', async () => {
    const text = `use std\nmodel M {\n  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 16, depth: 1, heads: 2)
  head = classify(base, classes: 2)\n  adapt base.blocks[*].mlp.fc1 with lora(rank: 2)\n}`;
    const refused = exportAdapters({ text, path: 'x.peft' });
    await expect(refused).rejects.toMatchObject({ diagnostics: [{ code: 'ESP0918' }] });
  });
});

test('a head that is trained anew has its place in a merged checkpoint', async () => {
  const spec = vitSpec('vit-grey', 'tune head');
  const { changed } = await merge(spec, { trained: await trainedOf(spec) });
  expect(changed).toEqual(expect.arrayContaining(['classifier.weight', 'classifier.bias']));
  expect(changed).toHaveLength(2);
});
