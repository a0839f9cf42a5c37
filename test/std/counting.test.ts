/** The counting head against PyTorch (test/reference/make_counting.py): what it gives, its loss, and the gradients of all parameters and of the picture. */
import { describe, expect, test } from 'vitest';
import { interpret, interpretFunc } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { expectOne } from '../dsl/marked.js';
import { good, PATH, wrongs } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { backward } from './backward.js';
import { fixture } from './cases.js';

interface Case {
  readonly name: string;
  readonly backbone: string;
  readonly head: string;
}

const norm = ({ data }: Tensor): number => Math.hypot(...data);

const { metadata, tensorsOf } = await fixture('train/counting');
const cases = JSON.parse(metadata.cases!) as Case[];

const spec = (backbone: string, head: string) =>
  `use std\n${backbone}\nmodel M {\n  base = own()\n  head = ${head}\n  tune base, head\n}\ntrain M {\n  loss = count_error(prediction, target)\n  optimizer = adamw(lr: 1e-4)\n  schedule = constant(epochs: 1)\n}\n`;

describe('a counting head, against PyTorch', () => {
  test.each(cases.map((c, i) => [c.name, i, c] as const))('%s', async (_, i, { backbone, head }) => {
    const t = await tensorsOf(`${i}`);
    const { module, train } = good(spec(backbone, head));
    const [x, density, target] = ['x', 'density', 'target'].map((n) => t.get(n)!) as [Tensor, Tensor, Tensor];
    const values = new Map([...t].flatMap(([n, v]) => (n.startsWith('value/') ? [[n.slice(6), v] as const] : [])));
    // What a class token gives is left out of its gradients.
    const params = (name: string): Tensor => {
      const { type, data } = module.params.get(name)!;
      return data ? { type, data } : (values.get(name) ?? tensor(type.shape as number[], new Float32Array(4)));
    };
    const found = interpret(module, 'infer', { inputs: new Map([['pixels', x]]), params });
    expect([...found.keys()]).toEqual(['density', 'count']);
    expect(relative(density, found.get('density')!)).toBeLessThan(1e-6);
    expect(relative(t.get('count')!, found.get('count')!)).toBeLessThan(1e-6);
    const inputs = new Map([
      ['pixels', x],
      ['target', target],
    ]);
    const [loss] = interpretFunc(train!.loss, { inputs, params }).values();
    expect(relative(t.get('loss')!, loss!)).toBeLessThan(1e-6);

    const slope = (y: Tensor): Tensor => ({
      type: y.type,
      data: Float64Array.from(y.data, (v, k) => (2e4 * (v - target.data[k]!)) / y.data.length),
    });
    const by = [...t.keys()].flatMap((n) => (n.startsWith('gradient/') ? [n.slice(9)] : []));
    const { dx, gradients } = backward(module, params, x, slope, by);
    expect(relative(t.get('dx')!, dx)).toBeLessThan(1e-5);
    for (const [name, gradient] of gradients) {
      const want = t.get(`gradient/${name}`)!;
      // Of one key in a patch the share is 1, whatever it is.
      if (norm(want) === 0) expect(norm(gradient), name).toBeLessThan(1e-12);
      else expect(relative(want, gradient), name).toBeLessThan(1e-5);
    }
  });
});

describe('the library’s backbones say where their features are read', () => {
  test.each([
    ['tiny_vit_5m(image: 256)', [64, 128, 160, 320]],
    ['mobile_sam(image: 256)', [64, 128, 160, 320]],
    ['convnext_tiny(image: 256)', [96, 192, 384, 768]],
    ['sam_auto(image: 128, dim: 32, depth: 4, heads: 2, global_blocks: [1, 3])', [32, 32]],
    ['vit_auto(image: 128, dim: 32, depth: 6, heads: 2)', [32, 32, 32, 32]],
  ])('%s', (backbone, dims) => {
    const text = `use std\nmodel M {\n  base = ${backbone}\n  head = counting(base, dim: 32, patches: 4)\n}\n`;
    const { module } = good(text);
    const { results, inputs } = module.funcs.get('infer')!;
    expect(results.map((r) => r.name)).toEqual(['density', 'count']);
    const side = inputs[0]!.type.shape[2]!;
    expect(results.map((r) => r.value.type.shape.slice(1))).toEqual([[1, side, side], []]);
    const laterals = [...module.params.values()].filter((p) => /^head\.lateral\.\d+\.weight$/.test(p.name));
    expect(laterals.map((p) => p.type.shape[1])).toEqual(dims);
  });
});

const OWN = cases[0]!.backbone;

describe('what a counting head refuses', () => {
  const row = (words: RegExp, head: string, backbone = OWN) =>
    expectOne(`use std\n${backbone}\nmodel M {\n  base = own()\n  head = ${head}\n}\n`, 'ESP0223', words, PATH, wrongs);
  test('no level', () => row(/one level at least/, 'counting(base, taps: [], dims: [])'));
  test('dims of other taps', () => row(/dims says of each of the taps/, 'counting(base, taps: [base.a])'));
  test('a scale of 0', () => row(/scale must be above 0/, 'counting(base, dim: 8, patches: 2, scale: 0)'));
  test('heads that do not divide', () =>
    row(/heads must divide dim/, 'counting(base, taps: [base.a, base.b], dims: [4, 6], dim: 8, heads: 3, patches: 2)'));
  test('channels that cannot be halved twice', () =>
    row(/divisible by 4/, 'counting(base, taps: [base.a], dims: [4], dim: 6)'));
  test('patches that do not divide a level', () => row(/patches must divide/, 'counting(base, dim: 8, patches: 3)'));
  test('an axis that is none of channels', () =>
    row(/axis 1 or 3 of a map/, 'counting(base, dim: 8, patches: 2, axis: 0)'));
  test('tokens of no grid of the pixels’ shape', () =>
    row(
      /those of a grid of the pixels' shape/,
      'counting(base, dim: 8, patches: 1)',
      'backbone own() {\n  fc = Linear(4 -> 4)\n  class_tokens = 1\n  register_tokens = 0\n  levels = [fc]\n  level_dims = [4]\n  level_axis = 2\n  forward(pixels: [n, 3, 2, 3]) { fc(rearrange(concat(pixels, pixels[:, 0..1], axis: 1), "b d h w -> b (h w) d")) }\n}',
    ));
});
