/** Sites of the library's MLPs and branches: adapters of hidden values and of the MLP as a whole need no backbone of their own. */
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/api/index.js';
import type { Param, Tensor } from '../../src/ir/types.js';
import { host, random } from '../api/support.js';
import { good, run } from '../dsl/semantics/helper.js';
import { maxDifference } from '../tensors.js';

interface Family {
  readonly make: string;
  readonly pixels: readonly number[];
  readonly block: string;
  /** Where hidden values come to, and the layer after it. */
  readonly activate: string;
  readonly after: string;
  readonly mlp: string;
  readonly branch: string;
  readonly shape: string;
  /** Where its blocks attend: axes of what the branch of attention takes. The sites are `attn_branch`, `attn` within it and `attn.attend` in that. */
  readonly attention?: { readonly grid: string };
  /** What makes its result an answer; left out where that is features. */
  readonly head?: false;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  vit: {
    make: 'vit(image: 8, patch: 4, dim: 8, depth: 2, heads: 2, hidden: 12)',
    pixels: [2, 3, 8, 8],
    block: 'base.blocks[1]',
    activate: 'mlp.activate',
    after: 'base.blocks.1.mlp.fc2.weight',
    mlp: 'mlp',
    branch: 'mlp_branch',
    shape: 'b, n, d',
    attention: { grid: 'b, n, d' },
  },
  tinyvit: {
    make: 'tinyvit(image: 16, dims: [4, 6], depths: [1, 2], heads: [1, 2], windows: [0, 3])',
    pixels: [2, 3, 16, 16],
    block: 'base.stages[1].blocks[1]',
    activate: 'mlp.activate',
    after: 'base.stages.1.blocks.1.mlp.fc2.weight',
    mlp: 'mlp',
    branch: 'mlp_branch',
    shape: 'b, n, d',
    attention: { grid: 'b, h, w, d' },
  },
  sam: {
    make: 'sam(table_image: 12, patch: 4, dim: 6, depth: 2, heads: 2, window: 2, global_blocks: [0], features: 5)',
    pixels: [2, 3, 12, 12],
    block: 'base.blocks[1]',
    activate: 'mlp.activate',
    after: 'base.blocks.1.mlp.lin2.weight',
    mlp: 'mlp',
    branch: 'mlp_branch',
    shape: 'b, h, w, d',
    attention: { grid: 'b, h, w, d' },
    head: false,
  },
  convnext: {
    make: 'convnext(image: 16, dims: [4, 6], depths: [1, 2], layer_scale: 0.5)',
    pixels: [2, 3, 16, 16],
    block: 'base.stages[1].blocks[1]',
    activate: 'activate',
    after: 'base.stages.1.blocks.1.pwconv2.weight',
    mlp: 'mlp',
    branch: 'branch',
    shape: 'b, h, w, d',
  },
};

describe.each(Object.entries(FAMILIES))('%s', (_, family) => {
  /** (IA)^3 (arXiv 2205.05638) on hidden values, and what doubles a stretch. */
  const spec = (body = '') => `use std
adapter ia3() on base: (x: [${family.shape}]) {
  l = param [d] ones
  forward(x) { l * base(x) }
}
adapter twice() on base: (x: [${family.shape}]) {
  forward(x) { 2 * base(x) }
}
adapter twice_here() on base: (x: [${family.attention?.grid ?? family.shape}]) {
  forward(x) { 2 * base(x) }
}
adapter twice_inside() on base: (x: [b, n, d]) {
  forward(x) { 2 * base(x) }
}
model M {
  base = ${family.make}
  ${family.head === false ? '' : 'head = classify(base, classes: 3)'}
  ${body}
}`;
  const on = (site: string, adapter: string) => spec(`adapt ${family.block}.${site} with ${adapter}()`);
  const pixels = random('pixels', family.pixels);
  const start = ({ name, type }: Param): Tensor => {
    const drawn = random(name, type.shape, 0.5);
    return name.endsWith('.running_var') ? { type, data: Float64Array.from(drawn.data, (x) => x * x + 0.5) } : drawn;
  };
  const given = (text: string): Record<string, Tensor> =>
    Object.fromEntries(
      [...good(text).module.params.values()].filter((p) => p.role !== 'constant').map((p) => [p.name, start(p)]),
    );
  const logits = (text: string, params: Record<string, Tensor>): Tensor =>
    [...run(good(text), { pixels }, params).values()][0]!;

  it('scales hidden values: what the layer after them does with its columns scaled', () => {
    const text = on(family.activate, 'ia3');
    const params = given(text);
    const { l, ...plain } = Object.fromEntries(
      Object.entries(params).map(([name, t]) => [name.endsWith('@ia3.l') ? 'l' : name, t]),
    );
    const { type, data } = params[family.after]!;
    const width = type.shape[1]!;
    expect(l!.type.shape).toEqual([width]);
    const scaled = { type, data: Float64Array.from(data, (w, i) => w * l!.data[i % width]!) };
    const found = logits(text, params);
    expect(maxDifference(found, logits(spec(), { ...plain, [family.after]: scaled }))).toBeLessThan(1e-9);
    expect(maxDifference(found, logits(spec(), plain as Record<string, Tensor>))).toBeGreaterThan(1e-4);
  });

  it('merges it into the layer after', async () => {
    const compiled = await compile({ text: on(family.activate, 'ia3'), path: 'm.peft' }, { host, golden: false });
    expect(compiled.report.map((a) => a.state)).toEqual(['merged']);
  });

  it('has the MLP as a site within the branch', () => {
    const text = on(family.mlp, 'twice');
    const params = given(text);
    const found = logits(text, params);
    expect(maxDifference(found, logits(on(family.branch, 'twice'), params))).toBeLessThan(1e-9);
    expect(maxDifference(found, logits(spec(), params))).toBeGreaterThan(1e-4);
  });

  if (!family.attention) return;
  it('has attention as a site within its branch, and in it one for adapters of attention itself', () => {
    const params = given(on('attn', 'twice_inside'));
    const found = logits(on('attn', 'twice_inside'), params);
    expect(maxDifference(found, logits(on('attn_branch', 'twice_here'), params))).toBeLessThan(1e-9);
    expect(maxDifference(found, logits(spec(), params))).toBeGreaterThan(1e-4);
    const grafted = on('attn.attend', 'prefix');
    const { adapters } = good(grafted);
    expect(adapters.map((a) => a.site)).toEqual([expect.stringMatching(/attn\.attend$/)]);
    expect(maxDifference(logits(grafted, given(grafted)), logits(spec(), params))).toBeGreaterThan(1e-4);
  });
});
