/** `prune ... by ...`: what a search is, as data, and what it may not say. */
import { describe, expect, it } from 'vitest';
import { parse } from '../../../src/dsl/parse.js';
import { expectOne } from '../marked.js';
import { good, PATH, wrongs } from './helper.js';

const text = (by: string, { options = 'scope: global', epochs = 8, more = '' } = {}) => `use std
model M {
  base = vit_base_patch16()
  head = classify(base, classes: 3)
  prune base.blocks[*].mlp.fc1 with magnitude(${options}) ${by}
  ${more}
  tune head
}
train M {
  optimizer = adamw(lr: 1e-3)
  schedule = constant(epochs: ${epochs})
}
`;

/** Rows of a picture are samples of their own inside. */
const PARTS = `backbone parts() {
  inner = Linear(4 -> 4)
  fc = Linear(16 -> 3)
  forward(pixels: [b, 4, 4]) {
    fc(rearrange(inner(rearrange(pixels, "b n d -> (b n) d")), "(b n) d -> b (n d)", n: 4))
  }
}`;

describe('a search', () => {
  it('has a controller with its options, and how candidates are tried', () => {
    const { train, prune } = good(
      text('by bisection(threshold: 0.95, after: 3, recover: 2, images: 64, similarity: linear_cka, most: 9)'),
    );
    expect(train!.search).toMatchObject({
      controller: { form: 'bisection', options: { threshold: 0.95 } },
      after: 3,
      recover: 2,
      images: 64,
      similarity: 'linear_cka',
      budget: { most: 9 },
      fresh: false,
    });
    expect(train!.observed).toBeUndefined();
    expect(prune[0]).toMatchObject({ searched: true, scope: 'global' });
    expect(prune[0]!.sparsity).toBeUndefined();
  });

  it('begins after half of the epochs, of 16 of them at the most', () => {
    expect(good(text('by fixed(rate: 30%)')).train!.search).toMatchObject({ after: 4, recover: 5, budget: {} });
    expect(good(text('by fixed(rate: 30%)', { epochs: 100 })).train!.search!.after).toBe(16);
    expect(good(text('by fixed(rate: 30%, after: 0)')).train!.search!.after).toBe(0);
  });

  it('is a clause, in the next line too, and no word else', () => {
    const lines = text('\n    by grid(rates: [10%, 20%])', { more: 'by = classify(base, classes: 2)' });
    expect(parse(PATH, lines).diagnostics).toEqual([]);
    expect(good(text('by grid(rates: [10%, 20%])')).train!.search!.controller.options).toEqual({ rates: [0.1, 0.2] });
  });

  it('compares by a site, if it is asked to', () => {
    const by = (feature: string) => good(text(`by fixed(rate: 30%, feature: ${feature}, optimizer: fresh)`)).train!;
    const { observed, search } = by('base.blocks[3]');
    expect(search!.fresh).toBe(true);
    const { name, results } = observed!;
    expect([name, ...results.map((r) => r.name)]).toEqual(['observe', 'loss', 'feature']);
    expect(results[1]!.value.type.shape.slice(1)).toEqual([197, 768]);
    expect(results[1]!.value.about?.site).toMatch(/^base\.blocks\.3/);
    expect(by('output').observed).toBeUndefined();
  });

  it('warns of rates that an agent never comes to', () => {
    const said = (by: string) => wrongs(text(by)).map((d) => `${d.severity} ${d.code} ${d.message}`);
    const most = 'comes to 60% at the most, and `to` is 80%';
    expect(said('by recoverability(from: 10%, to: 80%, step: 10%, choose: 6)')).toEqual([
      expect.stringContaining(`warning ESP1140 the agent chooses among 6 candidates, so it ${most}`),
    ]);
    expect(said('by recoverability(from: 10%, to: 80%, step: 10%, choose: 8)')).toEqual([]);
    expect(said('by recoverability(candidates: random, choose: 3)')).toEqual([]);
  });

  it('warns of a cache that has nothing to keep', () => {
    const cached = (by: string, cache: string) => text(by).replace('schedule', `cache = ${cache}\n  schedule`);
    const codes = (spec: string) => wrongs(spec).map((d) => `${d.severity} ${d.code}`);
    expect(codes(cached('by fixed(rate: 30%)', 'auto(memory: 100)'))).toEqual(['warning ESP1139']);
    expect(codes(cached('by fixed(rate: 30%)', 'none'))).toEqual([]);
    expect(codes(text('by fixed(rate: 30%)'))).toEqual([]);
  });

  it.each<[string, RegExp, string]>([
    [
      'ESP0251',
      /feature.*a row for each image/,
      text('by fixed(rate: 30%, feature: «base.inner»)')
        .replace('use std', `use std\n${PARTS}`)
        .replace('vit_base_patch16()', 'parts()')
        .replace('  head = classify(base, classes: 3)\n', '')
        .replace('base.blocks[*].mlp.fc1', 'base.fc')
        .replace('tune head', 'tune base.inner'),
    ],
    ['ESP0251', /feature.*a site such as/, text('by fixed(rate: 30%, feature: «3»)')],
    [
      'ESP0380',
      /probe/,
      text('by fixed(rate: 30%, feature: «probe»)').replace('  prune', '  probe = classify(base, classes: 2)\n  prune'),
    ],
    ['ESP0346', /`sparsity` says how much/, text('by fixed(rate: 30%)', { options: '«sparsity: 50%»' })],
    [
      'ESP0346',
      /pattern 2:4 says how much/,
      text('by fixed(rate: 30%)', { options: 'shape: 2:4' }).replace(
        'magnitude(shape: 2:4)',
        '«magnitude(shape: 2:4)»',
      ),
    ],
    ['ESP0346', /mask file says how much/, text('by fixed(rate: 30%) from «"./m.safetensors"»')],
    ['ESP1135', /after 8 epochs.*8 epochs in all/, text('by «fixed(rate: 30%, after: 8)»')],
    [
      'ESP1137',
      /one search/,
      text('by fixed(rate: 30%)', { more: 'prune base.blocks[*].mlp.fc2 with magnitude() by «fixed(rate: 20%)»' }),
    ],
    ['ESP0252', /by.*guess/, text('by «guess»(rate: 30%)')],
    ['ESP0204', /rate/, text('by «fixed»()')],
    ['ESP0203', /`speed`/, text('by fixed(rate: 30%, «speed: 3»)')],
    ['ESP0251', /from 0 to below 1/, text('by fixed(rate: «100%»)')],
    ['ESP0251', /list of numbers from 0 to below 1/, text('by grid(rates: «[]»)')],
    ['ESP0251', /list of numbers from 0 to below 1/, text('by grid(rates: «[10%, 2]»)')],
    ['ESP0251', /one of cosine, linear_cka/, text('by fixed(rate: 30%, similarity: «0.5»)')],
  ])('refuses %s %s', (code, words, marked) => {
    expectOne(marked, code, words, PATH, (spec) => wrongs(spec));
  });
});
