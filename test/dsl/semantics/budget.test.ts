/** What is too much is said before it is done: soon, in little memory, at its place, with the number and the limit. */
import { describe, expect, test } from 'vitest';
import { rendered, wrongs } from './helper.js';

const model = (value: string, more = '', first = '') => `${more}
backbone one() {
  ${first}
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(${value}) }
}
model M {
  base = one()
}
`;
const vit = (options: string, more = '') => `use std\nmodel M {\n  base = vit(${options})\n${more}}\n`;
const chain = (first: string, next: (name: string) => string, links: number) =>
  Array.from({ length: links }, (_, i) => `l${i} = ${i === 0 ? first : next(`l${i - 1}`)}`).join('\n  ');
const leaf = 'module Leaf() {\n  fc = Linear(4 -> 4)\n  forward(x: [n, 4]) { fc(x) }\n}\n';
const nest = (name: string, inner: string) =>
  `module ${name}() {\n  s = repeat k < 1000 { ${inner}() }\n  forward(x: [n, 4]) { s(x) }\n}\n`;

const cases: readonly (readonly [what: string, text: string, code: string, says: readonly string[]])[] = [
  ['turns of one loop', model('x', '', 'r = repeat i < 20000 { i }'), 'ESP0310', ['20000', '10000']],
  ['one comprehension', model('x * sum(i < 100, j < 100, k < 100, l < 100: i)'), 'ESP0310', ['100000000', '1048576']],
  [
    'comprehensions in comprehensions',
    model('x * sum(i < 100: sum(j < 100: sum(k < 100: sum(l < 100: i + j + k + l))))'),
    'ESP0310',
    ['100000000', '1048576'],
  ],
  [
    'repeats in repeats',
    model('x', '', 'r = repeat i < 1000 { repeat j < 1000 { repeat k < 1000 { i } } }'),
    'ESP0310',
    ['1000000000', '1048576'],
  ],
  [
    'repeats in modules of repeats',
    model('r(x)', leaf + nest('A', 'Leaf') + nest('B', 'A'), 'r = repeat i < 1000 { B() }'),
    'ESP0310',
    ['1000000000', '1048576'],
  ],
  ['modules', model('r(x)', leaf + nest('A', 'Leaf'), 'r = repeat i < 1000 { A() }'), 'ESP0315', ['50000 modules']],
  [
    'expressions',
    model('x', '', 'r = repeat i < 1000 { repeat j < 1000 { i + i + i + i } }'),
    'ESP0315',
    ['5000000 expressions'],
  ],
  ['operators', model('sum(i < 1000: sum(j < 1000: x))'), 'ESP0315', ['250000 operators']],
  ['elements of a tensor', model('x * sum(full([100000, 100000], 1))'), 'ESP0310', ['10000000000', '1073741824']],
  [
    'elements of a list that doubles',
    model('x', '', `${chain('[1, 2]', (l) => Array(10).fill(l).join(' + '), 9)}`),
    'ESP0310',
    ['1048576'],
  ],
  ['parameters that no file gives', vit('dim: 4096, depth: 64, heads: 32'), 'ESP0316', ['48.0 GiB', '2.0 GiB']],
  [
    'parameters of an adapter',
    vit('dim: 768, depth: 12, heads: 12', '  adapt base.blocks[*].attn.qkv with lora(rank: 100000)\n'),
    'ESP0316',
    ['14.1 GiB', '2.0 GiB'],
  ],
  [
    'parameters of files',
    vit('dim: 4096, depth: 64, heads: 32').replace(')\n', ') from "./x"\n'),
    'ESP0316',
    ['48.0 GiB', '8.0 GiB'],
  ],
];

describe('too many', () => {
  test.each(cases)('%s', (_, text, code, says) => {
    const before = process.cpuUsage();
    const found = wrongs(text);
    const { user, system } = process.cpuUsage(before);
    expect(
      found.map((d) => d.code),
      rendered(text),
    ).toEqual([code]);
    for (const word of says) expect(found[0]!.message).toContain(word);
    expect(found[0]!.primary).toBeDefined();
    // Two seconds of work, where these took up to a minute. This is a bound on what is done, not a timing.
    expect((user + system) / 1e6).toBeLessThan(5);
  });
});

test('lists that hold one another are compared once', () => {
  const lists = chain('[1, 2]', (l) => `[${l}, ${l}]`, 40);
  const others = lists.replaceAll(/\bl(\d)/g, 'm$1');
  const text = model('x').replace(
    '  fc =',
    `  ${lists}\n  ${others}\n  require(l39 == m39, "equal")\n  require(l39 != m38, "not")\n  fc =`,
  );
  expect(wrongs(text)).toEqual([]);
});

test('what real models take is far from it', () => {
  const large = vit(
    'dim: 1024, depth: 48, heads: 16',
    '  adapt base.blocks[*].{attn, mlp}.* with karst(kernels: 4, rank: 8)\n',
  );
  expect(wrongs(large.replace(')\n', ') from "./x"\n'))).toEqual([]);
});
