/** `tapped`: what sites inside of a module give in a call of it, with what lies on them. */
import { describe, expect, test } from 'vitest';
import { rootsOf, topological } from '../../../src/ir/graph.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import { expectOne } from '../marked.js';
import { good, PATH, run, wrongs } from './helper.js';

/** A backbone of three layers, the second one in a module with a labelled stretch; `reads`: what the head gives; `more`: statements. */
const spec = (reads: string, more = '', sites = '[base.first, base.middle, base.middle.branch, base.rest]') => `
module middle() {
  fc = Linear(2 -> 2)
  site branch(x) = relu(fc(x))
  forward(x: [n, 2]) { x + branch(x) }
}
backbone own() {
  first = Linear(2 -> 2)
  middle = middle()
  rest = repeat i < 2 { Linear(2 -> 2) }
  spare = Linear(2 -> 2)
  forward(x: [n, 2]) { rest(middle(first(x))) }
}
module taps(base: module) {
  forward(x) {
    t = tapped(base, x, ${sites})
    ${reads}
  }
}
adapter more(by: float) on base: Layer(in -> out) {
  w = param [out] ones
  forward(x) { base(x) + by * w }
}
adapter around() on base: (x: [n, d]) {
  w = param [d] ones
  forward(x) { 3 * base(x + w) }
}
model M {
  base = own()
  head = taps(base)
  ${more}
}
`;
const ALL = '{first: t[0], middle: t[1], branch: t[2], rest: t[3], own: base(x)}';
const EYE = tensor([2, 2], Float32Array.of(1, 0, 0, 1));
const weights = Object.fromEntries(
  ['first', 'middle.fc', 'rest.0', 'rest.1'].flatMap((n) => [
    [`base.${n}.weight`, n === 'first' ? tensor([2, 2], Float32Array.of(2, 0, 0, 2)) : EYE],
    [`base.${n}.bias`, tensor([2], Float32Array.of(0, 0))],
  ]),
);
const results = (text: string): Record<string, number[]> => {
  const x = tensor([1, 2], Float32Array.of(1, -1));
  return Object.fromEntries([...run(good(text), { x }, weights)].map(([n, t]) => [n, [...t.data]]));
};

describe('tapped', () => {
  test('gives what modules, labelled stretches, layers and lists gave, beside the result', () => {
    expect(results(spec(ALL))).toEqual({
      first: [2, -2],
      middle: [4, -2],
      branch: [2, 0],
      rest: [4, -2],
      own: [4, -2],
    });
  });

  test('with adapters on the sites, below them and around them, those that were called under an adapter too', () => {
    const found = results(
      spec(
        ALL,
        'adapt base.first with more(by: 1)\n  adapt base.middle with around()\n  adapt base.rest[0] with more(by: 10)',
      ),
    );
    // first: [3, -1]; the adapter around the middle hands [4, 0] to it, whose branch gives [4, 0], and makes [8, 0] three times as much.
    expect(found).toEqual({ first: [3, -1], middle: [24, 0], branch: [4, 0], rest: [34, 10], own: [34, 10] });
  });

  test('computes nothing twice, and nothing that is not read', () => {
    const count = (text: string) => {
      const { module } = good(text);
      return topological(rootsOf(module.funcs.get('infer')!)).filter((v) => v.op === 'linear').length;
    };
    expect(count(spec(ALL))).toBe(4);
    expect(count(spec('{first: t[0], middle: t[1]}'))).toBe(2);
    expect(count(spec('t[0]'))).toBe(1);
    // A second call of the same is the same.
    expect(count(spec('{a: base(x), b: tapped(base, x, [base.middle])[0], c: t[3]}'))).toBe(4);
  });

  test('of a module that was called before', () => {
    const text = spec('{own: base(x), first: tapped(base, x, [base.first])[0]}', 'adapt base.first with more(by: 0)');
    expect(results(text)).toEqual({ own: [4, -2], first: [2, -2] });
  });
});

describe('what tapped refuses', () => {
  const row = (code: string, words: RegExp, text: string) => expectOne(text, code, words, PATH, wrongs);
  test('a layer that is never called', () =>
    row('ESP0380', /base\.spare cannot be read: a call of base does not call it/, spec('t[0]', '', '«[base.spare]»')));
  test('a site outside of the module', () =>
    row(
      'ESP0380',
      /base\.first cannot be read: a call of base\.middle/,
      spec('tapped(base.middle, x, «[base.first]»)[0]'),
    ));
  const twice = (sites: string, other = 'fc(fc(x))', more = '') =>
    `backbone own() {\n  fc = Linear(2 -> 2)\n  forward(x: [n, 2]) { ${other} }\n}\nmodule taps(base: module) {\n  forward(x) { tapped(base, x, ${sites})[0] }\n}\nadapter twice() on base: (x: [n, d]) {\n  w = param [d] ones\n  forward(x) { base(x) + w * base(x + 1) }\n}\nmodel M {\n  base = own()\n  head = taps(base)\n${more}}\n`;
  test('a layer that is called twice', () =>
    row('ESP0381', /base\.fc cannot be read: a call of base calls it 2 times/, twice('«[base.fc]»')));
  test('a layer that an adapter around it calls twice', () =>
    row('ESP0381', /base\.fc.*2 times/, twice('«[base.fc]»', 'fc(x)', '  adapt base with twice()\n')));
  test('a site that does not exist', () => row('ESP0215', /last/, twice('[base.«last»]')));
  test('an item beyond the end of a list', () => row('ESP0306', /2/, spec('t[0]', '', '[base.rest[«2»]]')));
  test('what is no module', () =>
    row('ESP0205', /module.*a module/, twice('[base.fc]').replace('tapped(base,', 'tapped(«x»,')));
  test('what is no list of sites', () => row('ESP0205', /a list of sites/, twice('«base.fc»')));
  test('a list of something else', () => row('ESP0205', /a list of sites/, twice('«[1]»')));
});
