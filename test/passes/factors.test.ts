/**
 * What a model does itself between its layers (layer scale, `0.5 * fc(x)`, `+ p`, sums of layers) stays where it is: an adapter merges into
 * the layer on its side, or into the model's own gain or shift, so that the layout of the checkpoint holds the result.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { correspond } from '../../src/api/merge.js';
import { operators } from './models.js';
import { expectKept, expectPlain, mergedSpec } from './specs.js';

const PARTS = `  fc = Linear(8 -> 8)
  other = Linear(8 -> 8, bias: false)
  norm = LayerNorm(8)
  g = param [8] ones
  h = param [8] ones
  one = param [1] ones
  p = param [8] zeros
  pos = param [1, 4, 8] zeros
  token = param [4, 1] ones
  T = table(i < 8: 1.5 + i)`;

const ADAPTERS = `adapter beside(rank: int = 2) on base: (x: [b, n, dim]) {
  A = param [rank, dim] ones
  B = param [dim, rank] ones
  forward(x) { base(x) + x @ A.T @ B.T }
}
adapter rescaled() on base: (x: [b, n, dim]) {
  s = param [dim] ones
  t = param [dim] zeros
  forward(x) { s * base(x) + t }
}
adapter scaled() on base: (x: [b, n, dim]) {
  s = param [dim] ones
  forward(x) { base(x) * s }
}
adapter twice() on base: Linear(in -> out) {
  forward(x) { -(base(x) * 2) + 1 }
}
adapter doubled() on base: Linear(in -> out) {
  forward(x) { base(x) * 2 }
}
adapter negated() on base: Linear(in -> out) {
  forward(x) { -base(x) }
}
adapter own_table() on base: (x: [b, n, dim]) {
  forward(x) { base(x) + x @ table(i < dim, j < dim: 0.5 + i * j) }
}`;

const model = (forward: string, adapt: string, site = 'x'): string => `use std
${ADAPTERS}
backbone net() {
${PARTS}
  site inner(x) = ${site}
  forward(x: [b, 4, 8]) { ${forward} }
}
model M {
  base = net()
  adapt ${adapt}
}
`;

describe('an adapter inside of the model’s own steps', () => {
  it.each([
    ['layer scale', 'norm(x + g * fc(x))'],
    ['layer scale at the end', 'g * fc(x)'],
    ['a constant factor', 'norm(x + 0.5 * fc(x))'],
    ['a constant factor on the right, divided', 'norm(x + fc(x) * 0.5 / 3)'],
    ['a negated layer', 'norm(x - fc(x))'],
    ['a shift of channels', 'norm(fc(x) + p)'],
    ['positions', 'norm(fc(x) + pos)'],
    ['a factor for each token', 'norm(token * fc(x))'],
    ['a factor and shifts', 'norm(g * (fc(x) + p) - pos)'],
    ['a factor from a table', 'norm(T * fc(x) + T)'],
    ['two layers added', 'norm(0.5 * (fc(x) + other(x)))'],
    ['residual connections with layer scale', 'y = x + g * fc(x)\n y + h * other(y)'],
    ['a factor and a shift before the layer', 'norm(fc(g * x + p))'],
  ])('%s', (_, forward) => {
    for (const adapter of [
      'lora(rank: 2)',
      'karst(factor: 2, rank: 1)',
      'dora(rank: 2)',
      'alore(experts: 2, rank: 1)',
      'repadapter(hidden: 2)',
      'ssf()',
      'twice()',
    ])
      expectPlain(model(forward, `base.fc with ${adapter}`));
  });

  it('of the kind that would cancel with them', () => {
    expectPlain(model('norm(fc(x) * 0.5 + x)', 'base.fc with doubled()'));
    expectPlain(model('norm(-fc(x) + x)', 'base.fc with negated()'));
  });

  it('one on each of two layers, and one over another', () => {
    const text = model('y = x + g * fc(x)\n norm(y + 0.5 * other(y) + p)', 'base.{fc, other} with lora(rank: 2)');
    expectPlain(text.replace(/adapt .*/, '$&\n  adapt base.fc with ssf()'));
  });

  it('after a convolution', () =>
    expectPlain(`use std
backbone net() {
  c = Conv2d(3 -> 8, kernel: 3, padding: 1)
  g = param [8] ones
  forward(x: [b, 3, 5, 5]) { relu(g[:, new, new] * c(x) + 0.5) }
}
model M {
  base = net()
  adapt base.c with ssf()
}
`));
});

describe('an adapter around the model’s own steps', () => {
  it.each([
    ['beside a constant factor', 'beside()', '0.5 * fc(x)'],
    ['beside a negated layer', 'beside()', '-fc(x)'],
    ['beside a divided layer', 'beside()', 'fc(x) / (g * g + 1)'],
    ['beside a shift', 'beside()', 'fc(x) + pos'],
    ['beside several', 'beside()', '-(2 * fc(x) + p)'],
    ['a scale goes into layer scale', 'scaled()', 'g * fc(x)'],
    ['a scale goes into layer scale where no layer is below', 'scaled()', 'g * relu(x)'],
    ['a scale passes one factor for all channels', 'scaled()', 'one * fc(x)'],
    ['a scale passes a table', 'scaled()', 'T * fc(x)'],
    ['scale and shift pass a constant', 'rescaled()', '0.5 * fc(x)'],
    ['scale and shift go into positions', 'rescaled()', 'fc(x) + pos'],
    ['scale and shift go into gain and positions', 'rescaled()', 'g * relu(x) + pos'],
    ['scale and shift go into gain and subtracted positions', 'rescaled()', 'g * relu(x) - pos'],
    ['scale and shift go below a norm that is scaled', 'rescaled()', '0.5 * norm(x)'],
  ])('%s', (_, adapter, site) => {
    expectPlain(model('relu(inner(x))', `base.inner with ${adapter}`, site));
  });

  it.each([
    ['a map beside layer scale, whose gain may be 0', 'beside()', 'g * fc(x)', 'mul'],
    ['a shift over layer scale', 'rescaled()', 'g * fc(x)', 'mul'],
    ['a shift over a factor from a table', 'rescaled()', 'T * fc(x)', 'mul'],
    ['a scale over a sum of layers', 'scaled()', 'fc(x) + other(x)', 'add'],
  ])('compiles to one layer, and no checkpoint holds it: %s', (_, adapter, site, op) => {
    const { module, plain, states } = mergedSpec(model('relu(inner(x))', `base.inner with ${adapter}`, site));
    expect(states).toEqual(['merged']);
    expect(operators(module).length).toBeLessThan(operators(plain).length);
    expect(correspond(plain, module)).toMatchObject({
      at: 'base.inner',
      why: `the adapter merges only together with the ${op} of the base, which the layout keeps apart`,
    });
  });

  it('is kept where it reads something else than the layer does', () => {
    const said = expectKept(model('fc(g * inner(relu(x)))', 'base.inner with beside()', 'relu(x + 1)'));
    expect(said).toContain('cannot merge beside at base.inner');
  });

  it('is kept beside a layer that counts for nothing', () => {
    expectKept(model('relu(inner(x))', 'base.inner with beside()', '0 * fc(x)'));
  });

  it('a table of its own is not a layer of the model', () => {
    expectKept(model('norm(inner(x))', 'base.inner with own_table()', 'relu(x)'));
    expectPlain(model('norm(inner(x))', 'base.inner with own_table()', '0.5 * fc(x) + T'));
  });
});

it('random steps around layers with adapters keep their places (property)', () => {
  const step = fc.constantFrom(
    'g * y',
    'y * h',
    '0.5 * y',
    'y / 3',
    '-y',
    'y + p',
    'y - pos',
    'one * y',
    'T * y',
    'token * y',
    'x + y',
    'tanh(y)',
  );
  const around = fc.array(step, { minLength: 1, maxLength: 4 });
  const adapter = fc.constantFrom(
    'lora(rank: 2)',
    'karst(factor: 2, rank: 1)',
    'dora(rank: 1)',
    'alore(experts: 2, rank: 1)',
    'repadapter(hidden: 2)',
    'ssf()',
  );
  fc.assert(
    fc.property(around, around, fc.array(adapter, { minLength: 1, maxLength: 2 }), (first, second, adapters) => {
      const lines = [
        'y = fc(x)',
        ...first.map((s) => `y = ${s}`),
        'y = other(tanh(y))',
        ...second.map((s) => `y = ${s}`),
      ];
      const renamed = lines.map((line, i) =>
        line
          .replaceAll(/\by\b/g, `y${i}`)

          .replaceAll(/(?<== .*)\by\d+\b/g, `y${i - 1}`),
      );
      const forward = `${renamed.join('\n    ')}\n    norm(y${lines.length - 1})`;
      const statements = adapters.map((a, i) => `base.${i === 0 ? 'fc' : '{fc, other}'} with ${a}`).join('\n  adapt ');
      // A shift on the layer without bias makes one.
      const text = model(forward, statements).replace(', bias: false', '');
      expectPlain(text);
    }),
    { numRuns: 40 },
  );
}, 120_000);
