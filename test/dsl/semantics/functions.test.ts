/** Pure functions, options that may be `none`, and what lists come to: what is worked out before anything is traced. */
import { describe, expect, it } from 'vitest';
import { tensor } from '../../../src/ir/run/tensor.js';
import { codes, good, run, wrongs } from './helper.js';

/** The vector [values], as a model gives it that adds them to an input of zeros. */
function worth(values: string, declarations = ''): number[] {
  const n = values.split(';').length;
  const list = values
    .split(';')
    .map((v, i) => `if i == ${i} { 1.0 * (${v.trim()}) } else { `)
    .join('');
  const table = `table(i < ${n}: ${list} 0.0 ${' }'.repeat(n)})`;
  const e = good(`use std
${declarations}
module A() {
  v = ${table}
  forward(x: [k, ${n}]) { x + v }
}
model M {
  base = A()
}`);
  return [...run(e, { x: tensor([1, n], new Float64Array(n)) }).get('base')!.data];
}

describe('functions', () => {
  it('give what their arguments come to, by position, by name and by default', () => {
    const half = 'function part(of: int, share: float = 50%) = of * share\n';
    expect(worth('part(8); part(8, 0.25); part(share: 1, of: 3)', half)).toEqual([4, 2, 3]);
  });

  it('call one another, and see nothing of who calls them', () => {
    const two = 'function twice(n: int) = 2 * n\nfunction four(n: int) = twice(twice(n))\n';
    expect(worth('four(3)', two)).toEqual([12]);
    expect(
      codes('function f() = i\nmodule A() {\n  v = table(i < 2: f())\n  forward(x: [k, 2]) { x + v }\n}\n'),
    ).toContain('ESP0201');
  });

  it('take words, lists, none and tensors', () => {
    const f = `
function width(kind: slim | wide, sizes: [int], most: int | none = none) =
  if most == none { if kind == wide { max(sizes) } else { min(sizes) } } else { min([most, max(sizes)]) }
function swish(x: tensor, beta: float = 1) = x * sigmoid(beta * x)
module Gate() {
  forward(x: [k, 2]) { swish(x, beta: 2) }
}
`;
    expect(worth('width(wide, [3, 9, 4]); width(slim, [3, 9, 4]); width(wide, [3, 9], most: 5)', f)).toEqual([9, 3, 5]);
    const e = good(`${f}model M {\n  base = Gate()\n}`);
    const [a, b] = run(e, { x: tensor([1, 2], [1, -2]) }).get('base')!.data;
    expect(a).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    expect(b).toBeCloseTo(-2 / (1 + Math.exp(4)), 6);
  });
});

describe('sum, max and min', () => {
  it('of lists of numbers', () => {
    expect(worth('sum([1, 2, 4]); max([1, 5, 4]); min([3, 2, 4]); sum([]); max([0.5, 0.25])')).toEqual([
      7, 5, 2, 0, 0.5,
    ]);
  });

  it('of comprehensions', () => {
    expect(worth('max(j < 4: j * (3 - j)); min(j < 3: 10 - j); sum(j < 3, l < 2: j + l)')).toEqual([2, 8, 9]);
  });

  it('are whole where all values are', () => {
    expect(
      codes('module A() {\n  fc = Linear(max([2, 4]) -> sum([1, 2]))\n  forward(x: [k, 4]) { fc(x) }\n}\n'),
    ).toEqual(['ESP0236']);
  });

  it('of tensors: a list element by element, one along its axes', () => {
    const e = good(`module A() {
  forward(x: [k, 3]) { sum([x, max([x, -x]), min([x, 2 * x])]) + min(x, axis: 1, keep: true) + max(x, axis: 1, keep: true) }
}
model M {
  base = A()
}`);
    const x = [1, -2, 3];
    const expected = x.map((v) => v + Math.abs(v) + Math.min(v, 2 * v) - 2 + 3);
    expect([...run(e, { x: tensor([1, 3], x) }).get('base')!.data]).toEqual(expected);
  });
});

describe('options of type `int | none`', () => {
  const text = (args: string) =>
    `module A(window: int | none = none) {
  n = if window == none { 1 } else { window * 2 }
  fc = Linear(4 -> n)
  forward(x: [k, 4]) { fc(x) }
}
model M(w: int | none = 3) {
  base = A(${args})
}`;
  const width = (args: string, set: Record<string, string> = {}) =>
    good(text(args), { set }).module.params.get('base.fc.weight')!.type.shape[0];

  it('are none, or a number that is calculated with', () => {
    expect([width(''), width('none'), width('4'), width('window: w')]).toEqual([1, 1, 8, 6]);
  });

  it('are set from outside', () => {
    expect([width('window: w', { w: 'none' }), width('window: w', { w: '5' })]).toEqual([1, 10]);
    expect(wrongs(text('window: w'), { set: { w: 'nine' } }).map((d) => d.message)).toEqual([
      expect.stringContaining('int | none'),
    ]);
  });

  it('take nothing else, and `none` alone is no type', () => {
    expect(codes(text('"4"'))).toEqual(['ESP0205']);
    expect(codes(text('2.5'))).toEqual(['ESP0205']);
    expect(codes('module A(x: none) {\n  forward(y: [k, 4]) { y }\n}\nmodel M {\n  base = A(none)\n}\n')).toContain(
      'ESP0207',
    );
  });
});
