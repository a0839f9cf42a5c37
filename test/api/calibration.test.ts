/** Criteria that look at what layers read: against PyTorch, and images that cannot be used. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { calibrate } from '../../src/api/calibrate.js';
import type { Host } from '../../src/api/host.js';
import { compile } from '../../src/api/node/spec.js';
import { loadParameters } from '../../src/api/parameters.js';
import type { Tensor } from '../../src/ir/types.js';
import { failure, host, readTensors, scratch, type TextSpec, vitSpec } from './support.js';

const DIGITS = fileURLToPath(new URL('../../examples/fashion/images/digits', import.meta.url));
const expected = await readTensors(fileURLToPath(new URL('../fixtures/wanda.safetensors', import.meta.url)));
const LAYERS = 'attn.qkv, attn.proj, mlp.fc1, mlp.fc2';
const folder = scratch();

const pruned = (options: string, criterion = 'wanda', before = '', body = ''): TextSpec =>
  vitSpec(
    'vit-grey',
    `${body}\n  in base.blocks[*] {\n    prune ${LAYERS} with ${criterion}(sparsity: 50%, scope: row, ${options})\n  }`,
    before,
  );
const digits = `calibration: "${DIGITS}", images: 20`;

async function loaded(spec: TextSpec, on: Host = host): Promise<(name: string) => Tensor> {
  return (await loadParameters(await analyseModel(spec, { host: on }))).get;
}

/** What was gathered of each target, by its weight. */
async function gathered(spec: TextSpec, on: Host): Promise<Map<string, Float64Array>> {
  const { elaborated, path } = await analyseModel(spec, { host: on });
  // With the masks that were found: calibration looks past them.
  const params = await loaded(spec, on);
  const statistics = await calibrate({ host: on, path, elaborated, params });
  return new Map(
    elaborated.prune
      .flatMap((job) => job.targets)
      .map((t) => [t.param, Float64Array.from(statistics(t, 'part0')!.data)] as const),
  );
}

const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!) / Math.abs(b[i]!)));
};

describe('Wanda', () => {
  it("gathers PyTorch's norms and prunes what PyTorch prunes", async () => {
    const spec = pruned(digits);
    const sums = await gathered(spec, host);
    expect(sums.size).toBe(8);
    const get = await loaded(spec);
    for (const [param, squares] of sums) {
      expect(apart(squares.map(Math.sqrt), expected.get(`${param}.norms`)!.data)).toBeLessThan(1e-6);
      expect([...get(`${param}#mask`).data], param).toEqual([...expected.get(`${param}.mask`)!.data].map(Number));
    }
  });

  it('prunes otherwise by other images, and by the weight alone', async () => {
    const mask = async (spec: TextSpec) => [...(await loaded(spec))('base.blocks.0.mlp.fc2.weight#mask').data];
    const all = await mask(pruned(digits));
    expect(await mask(pruned(`calibration: "${DIGITS}", images: 1`))).not.toEqual(all);
    expect(await mask(pruned('over: base', 'magnitude'))).not.toEqual(all);
  });

  it('looks at the model with its adapters, before anything is pruned', async () => {
    const plain = await gathered(pruned(digits), host);
    // The last layer reads twice what it would, and an adapter of a part that starts at nothing changes nothing.
    const before = 'adapter twice() on base: Linear(in -> out) {\n  forward(x) { base(2 * x) }\n}';
    const body = 'adapt base.blocks[1].mlp.fc2 with twice()\n  adapt base.blocks[*].attn.qkv.q with lora(rank: 2)';
    const found = await gathered(pruned(digits, 'wanda', before, body), host);
    for (const [param, squares] of plain) {
      const times = param === 'base.blocks.1.mlp.fc2.weight' ? 4 : 1;
      const wanted = squares.map((x) => times * x);
      expect(apart(found.get(param)!, wanted), param).toBeLessThan(1e-12);
    }
    // A mask over the sum covers what the adapters make of the layer: it reads what comes to both.
    const summed = await gathered(pruned(`${digits}, over: sum`, 'wanda', before, body), host);
    for (const [param, squares] of plain) expect(apart(summed.get(param)!, squares), param).toBeLessThan(1e-12);
  });

  it('sees a layer of pictures place by place', async () => {
    const before = 'criterion seen(weight, input) = abs(weight) * mean(input * input)';
    const spec = vitSpec('vit-grey', `prune base.patch_embed with seen(sparsity: 50%, ${digits})`, before);
    const [squares] = (await gathered(spec, host)).values();
    let total = 0;
    let places = 0;
    const { elaborated } = await analyseModel(spec, { host });
    const input = { channels: 1, height: 20, width: 20 };
    for await (const image of host.images!(DIGITS, { most: 20, preprocess: elaborated.preprocess!, input })) {
      total += image.reduce((n, x) => n + x * x, 0);
      places += image.length;
    }
    expect(places).toBe(20 * 400);
    expect(squares![0]).toBeCloseTo(total, 3);
  });

  it("takes a person's own criterion, of several gathered things", async () => {
    const before = `criterion spread(weight: [out, in], input) =
  abs(weight) * sqrt(mean(input * input, axis: 0) - mean(input, axis: 0) * mean(input, axis: 0)) * (max(input, axis: 0) - min(input, axis: 0))`;
    const get = await loaded(pruned(digits, 'spread', before));
    const mask = get('base.blocks.1.mlp.fc1.weight#mask').data;
    expect(mask.filter((m) => m === 0)).toHaveLength(mask.length / 2);
    expect([...mask]).not.toEqual([...expected.get('base.blocks.1.mlp.fc1.weight.mask')!.data].map(Number));
  });

  it('compiles', async () => {
    const { program } = await compile(pruned(digits), { golden: false });
    const tensors = program.summary.zeros!.tensors;
    expect(tensors).toHaveLength(8);
    for (const t of tensors) expect(t.zeros).toBe(t.elements / 2);
  });
});

describe('refuses', () => {
  const empty = join(folder, 'empty');
  const broken = join(folder, 'broken');
  mkdirSync(empty);
  mkdirSync(broken);
  copyFileSync(join(DIGITS, '3/00030.png'), join(broken, 'a.png'));
  writeFileSync(join(broken, 'b.png'), 'no picture');

  it.each([
    ['a folder that is not there', join(folder, 'none'), 'ESP0501'],
    ['a folder without images', empty, 'ESP0531'],
    ['an image that cannot be read', broken, 'ESP0530'],
  ])('%s, at the statement', async (_, path, code) => {
    const { codes } = await failure(() => loaded(pruned(`calibration: "${path}"`)));
    expect(codes).toEqual([code]);
    await loaded(pruned(`calibration: "${path}"`)).catch(({ diagnostics }) => {
      expect(diagnostics[0].primary).toMatchObject({ span: { file: 'tiny.peft' }, text: 'these images' });
    });
  });

  it('a layer that no image reaches', async () => {
    const before = `module Net(dim: int) {
  used = Linear(dim -> dim)
  side = Linear(dim -> dim)
  forward(x: [b, dim]) {
    unused = side(x)
    used(x)
  }
}`;
    const text = `${before}\nmodel M {\n  base = Net(4)\n  prune base.side, base.used with wanda(sparsity: 50%, ${digits})\n}\n`;
    const { codes, text: said } = await failure(() => loaded({ text: `use std\n${text}`, path: 'm.peft' }));
    expect(codes).toEqual(['ESP0807']);
    expect(said).toContain('base.side');
    expect(said).not.toContain('base.used');
    const none = await failure(() =>
      loaded({ text: `use std\n${text.replace('    used(x)', '    lost = used(x)\n    x')}`, path: 'm.peft' }),
    );
    expect(none.codes).toEqual(['ESP0807']);
    expect(none.text).toContain('base.side, base.used, so no image reaches them');
    const without = text.replace('base.side, ', '');
    expect(await failure(() => loaded({ text: `use std\n${without}`, path: 'm.peft' }))).toMatchObject({
      codes: ['ESP0808'],
    });
  });

  it('a host without files of images', async () => {
    const { images: _, ...bare } = host;
    expect((await failure(() => loaded(pruned(digits), bare))).codes).toEqual(['ESP0808']);
  });
});
