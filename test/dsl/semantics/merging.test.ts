/** What is said about adapters that do not merge: the statement that grafted them is shown, also where the cause is in the library. */
import { describe, expect, it } from 'vitest';
import type { Diagnostic } from '../../../src/diagnostics/types.js';
import { type AdapterMode, optimize } from '../../../src/passes/index.js';
import { expectGolden } from '../../golden.js';
import { good, shown, wrongs } from './helper.js';

const net = (body: string, own = '') => `use std
backbone net() {
  layers = repeat i < 3 { Linear(8 -> 8, bias: false) }
  forward(x: [b, 4, 8]) { layers(x) }
}
${own}
model M {
  base = net()
${body}
}
`;
const bottleneck = `adapter bottleneck(hidden: int) on base: Linear(in -> out) {
  down = Linear(in -> hidden)
  up = Linear(hidden -> out, bias: false)
  forward(x) { base(x) + up(relu(down(x))) }
}`;

function said(text: string, adapters: AdapterMode = 'merged'): readonly Diagnostic[] {
  return optimize(good(text).module, { adapters }).report.diagnostics;
}

describe('after merging', () => {
  it.each<[string, string, string[], AdapterMode?]>([
    ['kept-by-the-library', net('  adapt base.layers[0..2] with adaptformer(hidden: 2)'), ['ESP0401']],
    ['kept-by-an-own-adapter', net('  adapt base.layers[1] with bottleneck(hidden: 2)', bottleneck), ['ESP0401']],
    [
      'kept-by-two-statements',
      net(
        '  adapt base.layers[0] with bottleneck(hidden: 2)\n  adapt base.layers[1] with bottleneck(hidden: 3)',
        bottleneck,
      ),
      ['ESP0401', 'ESP0401'],
    ],
    ['bias-from-the-library', net('  adapt base.layers[1] with ssf()'), ['ESP0402']],
    [
      'factored-under-a-mask-over-the-sum',
      net('  adapt base.layers[*] with lora(rank: 2)\n  prune base.layers[*] with magnitude(sparsity: 50%, over: sum)'),
      ['ESP0406'],
      'factored',
    ],
  ])('%s', (name, text, codes, adapters) => {
    const found = said(text, adapters).filter((d) => codes.includes(d.code));
    expect(found.map((d) => d.code)).toEqual(codes);
    for (const d of found) expect(text.slice(d.primary!.span.start)).toMatch(/^(adapt |relu)/);
    expectGolden(`${name}.txt`, shown(found, text));
  });
});

it.each<[string, string[], string, AdapterMode?]>([
  [
    'an own shift of a layer without a bias',
    ['ESP0402'],
    net(
      '  adapt base.layers[0] with shift()',
      'adapter shift() on base: Linear(in -> out) {\n  s = param [out] zeros\n  forward(x) { base(x) + s }\n}',
    ),
  ],
  ['a scale and shift of all layers', ['ESP0402'], net('  adapt base.layers[*] with ssf()')],
  [
    'factors under one layer’s mask',
    ['ESP0406'],
    net('  adapt base.layers[1] with lora(rank: 2)\n  prune base.layers[1] with magnitude(sparsity: 50%, over: sum)'),
    'factored',
  ],
])('%s is said', (_, expected, text, adapters) => {
  expect(said(text, adapters).map((d) => d.code)).toEqual(expected);
});

it('a weight that adapters below do not leave is said once, by what is in the way', () => {
  const gate = `adapter gate() on base: Linear(in -> out) {
  G = param [out, in] ones
  forward(x) { base(x) * sigmoid(x @ G.T) }
}`;
  const text = net('  adapt base.layers[1] with gate()\n  adapt base.layers[1] with dora(rank: 2)', gate);
  const found = wrongs(text);
  expect(found.map((d) => d.code)).toEqual(['ESP0332']);
  expectGolden('dora-over-a-gate.txt', shown(found, text));
});
