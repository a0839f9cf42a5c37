/** The adapters of the library against numbers worked out elsewhere (test/fixtures/method-fixtures.json), and their sizes. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/ir/types.js';
import { codes, count, good, run } from '../dsl/semantics/helper.js';
import { fromNested, maxDifference } from '../tensors.js';

type Case = Record<string, number & number[] & number[][]>;
const cases = JSON.parse(readFileSync(new URL('../fixtures/method-fixtures.json', import.meta.url), 'utf8')) as Record<
  string,
  Case
>;
const of = (name: string, key: string): Tensor => fromNested(cases[name]![key]);
const map = (t: Tensor, f: (x: number) => number): Tensor => ({ type: t.type, data: Float64Array.from(t.data, f) });
const one = (x: number): Tensor => fromNested([x]);

/** One layer with adapters on it. */
const layer = (from: number, to: string, adapters: string) => `
use std
backbone one() {
  fc = Linear(${from} -> ${to})
  forward(x: [n, ${from}]) { fc(x) }
}
model M {
  base = one()
  ${adapters}
}`;

function expectClose(actual: Tensor | undefined, expected: Tensor): void {
  expect(actual?.type.shape).toEqual(expected.type.shape);
  expect(maxDifference(actual!, expected)).toBeLessThan(1e-5);
}

const plain = { 'base.fc.weight': of('karst_linear', 'W'), 'base.fc.bias': of('karst_linear', 'b') };
const x = of('karst_linear', 'x');
const kernels = (scope: string, name = 'karst_linear') => ({
  [`${scope}.C`]: of(name, 'C'),
  [`${scope}.B`]: of(name, 'B'),
});
/** [kernels, rank, o2] with the axis for the row parts put in. */
const withParts = (t: Tensor): Tensor => ({
  type: { dtype: 'f32', shape: [t.type.shape[0]!, 1, ...t.type.shape.slice(1)] },
  data: t.data,
});

describe('formulas', () => {
  it('KARST as the paper writes it', () => {
    const e = good(layer(8, '12', 'adapt base.fc with karst(kernels: 2, factor: 3, rank: 2)'));
    const s = 'base.fc@karst';
    const params = {
      ...plain,
      ...kernels(s),
      [`${s}.A`]: withParts(of('karst_linear', 'A')),
      [`${s}.s`]: of('karst_linear', 's1'),
      [`${s}.t`]: of('karst_linear', 's2'),
    };
    expectClose(run(e, { x }, params).get('base'), of('karst_linear', 'y'));
  });

  it('KARST as its repository rescales proj: scalars before and after', () => {
    const adapt = 'adapt base.fc with karst(kernels: 2, factor: 3, rank: 2, rescale: scalar, input: true)';
    const e = good(layer(8, '12', adapt));
    const c = cases.karst_proj_code_form!;
    const s = 'base.fc@karst';
    const params = {
      ...plain,
      ...kernels(s),
      [`${s}.A`]: withParts(of('karst_linear', 'A')),
      [`${s}.u`]: one(c.sx! - 1),
      [`${s}.w`]: one(c.bx!),
      [`${s}.s`]: one(c.sp! - 1),
      [`${s}.t`]: one(c.bp!),
    };
    expectClose(run(e, { x }, params).get('base'), of('karst_proj_code_form', 'y'));
  });

  it('KARST on a fused layer: parts share C and B', () => {
    const adapt = 'adapt base.fc with karst(kernels: 2, factor: 2, rank: 2, rescale: none)';
    const e = good(layer(8, '{q: 8, k: 8, v: 8}', adapt));
    const s = 'base.fc@karst';
    const eye = fromNested(Array.from({ length: 8 }, (_, i) => Array.from({ length: 8 }, (_, j) => (i === j ? 1 : 0))));
    const zero = (shape: number[]): Tensor => ({
      type: { dtype: 'f32', shape },
      data: new Float64Array(shape.reduce((p, d) => p * d, 1)),
    });
    const params = {
      'base.fc.weight': zero([24, 8]),
      'base.fc.bias': zero([24]),
      ...kernels(s, 'karst_qkv'),
      [`${s}.A`]: of('karst_qkv', 'A'),
    };
    // With W = 0 and x = I the result is the transposed update.
    const y = run(e, { x: eye }, params).get('base')!;
    const dW = cases.karst_qkv!.dW as unknown as number[][];
    expectClose(y, fromNested(Array.from({ length: 8 }, (_, i) => dW.map((row) => row[i]!))));
  });

  it('ALoRE before a layer', () => {
    const e = good(layer(8, '6', 'adapt base.fc with alore(experts: 2, rank: 2, scale: 0.5, bias: true)'));
    const s = 'base.fc@alore';
    const params = {
      'base.fc.weight': of('alore', 'W_next'),
      'base.fc.bias': of('alore', 'b_next'),
      [`${s}.S`]: of('alore', 'S'),
      [`${s}.U`]: of('alore', 'U'),
      [`${s}.V`]: of('alore', 'V'),
      [`${s}.c`]: of('alore', 'c'),
    };
    expectClose(run(e, { x: of('alore', 'x') }, params).get('base'), of('alore', 'y'));
  });

  it('DoRA', () => {
    const e = good(layer(8, '12', 'adapt base.fc with dora(rank: 2, alpha: 0.5)'));
    const s = 'base.fc@dora';
    const params = { ...plain, [`${s}.A`]: of('dora', 'A'), [`${s}.B`]: of('dora', 'B'), [`${s}.m`]: of('dora', 'm') };
    expectClose(run(e, { x }, params).get('base'), of('dora', 'y'));
  });

  it('DoRA starts as the layer itself: its magnitude is computed from the frozen weight', () => {
    const e = good(layer(8, '12', 'adapt base.fc with dora(rank: 2)'));
    const before = good(layer(8, '12', ''));
    expectClose(run(e, { x }, plain).get('base'), run(before, { x }, plain).get('base')!);
  });

  it('LoRA and rsLoRA differ by the square root of the rank', () => {
    const lora = (options: string) => good(layer(8, '12', `adapt base.fc with lora(${options})`));
    const s = 'base.fc@lora';
    const ones = (shape: number[]): Tensor => ({
      type: { dtype: 'f32', shape },
      data: new Float64Array(shape.reduce((p, d) => p * d, 1)).fill(1),
    });
    const params = { ...plain, [`${s}.A`]: ones([4, 8]), [`${s}.B`]: ones([12, 4]) };
    const base = run(good(layer(8, '12', '')), { x }, plain).get('base')!;
    const rows = [0, 1, 2].map((i) => [...x.data.slice(8 * i, 8 * i + 8)].reduce((a, b) => a + b, 0));
    const plus = (scale: number) =>
      ({
        type: base.type,
        data: Float64Array.from(base.data, (v, i) => v + scale * 4 * rows[Math.floor(i / 12)]!),
      }) as Tensor;
    expectClose(run(lora('rank: 4, alpha: 8'), { x }, params).get('base'), plus(2));
    expectClose(run(lora('rank: 4, alpha: 8, rslora: true'), { x }, params).get('base'), plus(4));
  });

  it.each(['hidden: 3', 'hidden: 0', 'groups: 0', 'hidden: 9, groups: 3'])('RepAdapter refuses %s', (options) => {
    expect(codes(layer(8, '12', `adapt base.fc with repadapter(${options})`))).toEqual(['ESP0223']);
  });

  it('a new adapter changes nothing before it is trained', () => {
    const before = run(good(layer(8, '12', '')), { x }, plain).get('base')!;
    for (const a of [
      'lora(rank: 2)',
      'karst(factor: 3, rank: 2)',
      'alore(experts: 2, rank: 2)',
      'repadapter()',
      'fact_tt(rank: 2)',
    ]) {
      const e = good(layer(8, '12', `adapt base.fc with ${a}`));
      expectClose(
        run(e, { x }, plain).get('base'),
        map(before, (v) => v),
      );
    }
  });
});

/** Trainable parameters of ViT-B/16 with adapters, the head left out. */
function size(statements: string): number {
  const e = good(`
use std
model M {
  base = vit_base_patch16()
  head = classify(base, classes: 100)
  in base.blocks[*] {
${statements}
  }
}`);
  return count(e, (_, role) => role === 'trainable');
}

describe('parameter counts for ViT-B/16', () => {
  it('the backbone itself', () => {
    const e = good('use std\nmodel M {\n  base = vit_base_patch16()\n}');
    expect(count(e, () => true)).toBe(85_798_656);
  });
  it.each([
    [
      'KARST N=2 r=8 without rescaling',
      'adapt attn.qkv, attn.proj, mlp.fc1, mlp.fc2 with karst(rescale: none)',
      301_056,
    ],
    [
      'KARST N=2 r=8, repository form',
      `adapt attn.qkv, mlp.fc1 with karst(rescale: none)
       adapt attn.proj with karst(rescale: scalar, input: true)
       adapt mlp.fc2 with karst(rescale: scalar)`,
      301_128,
    ],
    [
      'KARST N=4 r=4, repository form',
      `adapt attn.qkv, mlp.fc1 with karst(kernels: 4, rank: 4, rescale: none)
       adapt attn.proj with karst(kernels: 4, rank: 4, rescale: scalar, input: true)
       adapt mlp.fc2 with karst(kernels: 4, rank: 4, rescale: scalar)`,
      307_200 + 72,
    ],
    ['KARST N=1 r=8', 'adapt attn.*, mlp.* with karst(kernels: 1, rescale: none)', 150_528],
    ['ALoRE n=4 r=4', 'adapt attn.qkv, mlp.fc1 with alore()', 148_992],
    ['ALoRE n=8 r=4', 'adapt attn.qkv, mlp.fc1 with alore(experts: 8)', 159_744],
    ['RepAdapter h=8', 'adapt attn.qkv, mlp.fc1 with repadapter()', 239_808],
    ['LoRA q,v r=8', 'adapt attn.qkv.q, attn.qkv.v with lora(rank: 8)', 294_912],
    ['LoRA on all layers, r=8', 'adapt attn.*, mlp.* with lora(rank: 8)', 1_179_648],
    ['DoRA q,v r=8', 'adapt attn.qkv.{q, v} with dora(rank: 8)', 313_344],
    ['AdaptFormer h=64', 'adapt mlp_branch with adaptformer()', 1_189_632],
  ])('%s', (_, statements, expected) => {
    expect(size(statements)).toBe(expected);
  });

  it('SSF on every layer', () => {
    const e = good('use std\nmodel M {\n  base = vit_base_patch16()\n  adapt base.** with ssf()\n}');
    expect(count(e, (_, role) => role === 'trainable')).toBe(205_824);
  });

  it('VPT, 50 prompts at the input', () => {
    const e = good('use std\nmodel M {\n  base = vit_base_patch16()\n  adapt base.blocks with vpt(prompts: 50)\n}');
    expect(count(e, (_, role) => role === 'trainable')).toBe(38_400);
  });
});
