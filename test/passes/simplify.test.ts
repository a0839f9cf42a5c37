/** Each rewrite rule, on the smallest expression that shows it. */
import { describe, expect, it } from 'vitest';
import { build as b } from '../../src/ir/build.js';
import { input, make, paramRef } from '../../src/ir/graph.js';
import { printFunc } from '../../src/ir/text/print.js';
import type { Value } from '../../src/ir/types.js';
import { simplified } from '../../src/passes/simplify.js';

const x = input('x', { dtype: 'f32', shape: [2, 3] });
const p = (name: string, ...shape: number[]): Value =>
  paramRef({ name, type: { dtype: 'f32', shape }, role: 'frozen' });
const c = (value: number, shape: number[] = []): Value => make('constant', [], { value, dtype: 'f32', shape });

function lines(y: Value): string[] {
  const func = simplified({ name: 'f', inputs: [x], results: [{ name: 'y', value: y }], updates: [] });
  const text = printFunc(func).split('\n').slice(1, -1);
  return text.map((l) => l.trim());
}

/** The expression becomes its argument. */
const vanishes = (y: Value): void => expect(lines(y)).toEqual(lines(x));
/** The two become the same program. */
const becomes = (y: Value, z: Value): void => expect(lines(y)).toEqual(lines(z));

describe('simplify', () => {
  it('identities of arithmetic', () => {
    vanishes(make('add', [x, c(0)], {}));
    vanishes(make('add', [c(0, [2, 1]), x], {}));
    vanishes(make('sub', [x, c(0)], {}));
    vanishes(make('mul', [c(1), x], {}));
    vanishes(make('div', [x, c(1)], {}));
    vanishes(make('neg', [make('neg', [x], {})], {}));
    vanishes(make('cast', [x], { dtype: 'f32' }));
  });
  it('resizing to the size that there is, and no other', () => {
    const image = make('reshape', [x], { shape: [1, 1, 2, 3] });
    const back = (y: Value): Value => make('reshape', [y], { shape: [2, 3] });
    for (const mode of ['bilinear', 'bicubic', 'nearest'] as const) {
      const to = (size: [number, number]) => make('resize', [image], { size, mode, antialias: false });
      vanishes(back(to([2, 3])));
      expect(lines(make('reshape', [to([3, 2])], { shape: [2, 3] })).join()).toContain('resize');
    }
  });
  it('keeps what would change a shape', () => {
    expect(lines(make('add', [p('v', 3), c(0, [2, 3])], {})).join()).toContain('add');
    expect(lines(make('mul', [x, c(0)], {})).join()).toContain('mul');
  });
  it('constants', () => {
    becomes(make('mul', [x, make('add', [c(1), c(2)], {})], {}), make('mul', [x, c(3)], {}));
    becomes(make('mul', [x, make('sqrt', [c(9)], {})], {}), make('mul', [x, c(3)], {}));
    becomes(make('mul', [make('mul', [x, c(2)], {}), c(0.5)], {}), x);
  });
  it('does not fold what is not finite', () => {
    expect(lines(make('mul', [x, make('log', [c(0)], {})], {})).join()).toContain('log');
  });
  it('layouts', () => {
    vanishes(make('reshape', [make('reshape', [x], { shape: [6] })], { shape: [2, 3] }));
    vanishes(make('transpose', [make('transpose', [x], { perm: [1, 0] })], { perm: [1, 0] }));
    vanishes(make('transpose', [x], { perm: [0, 1] }));
    vanishes(make('broadcast', [x], { shape: [2, 3] }));
    vanishes(make('slice', [x], { start: [0, 0], end: [2, 3] }));
    vanishes(make('pad', [x], { low: [0, 0], high: [0, 0], value: 0 }));
    vanishes(make('roll', [x], { shifts: [0], axes: [1] }));
    vanishes(make('concat', [x], { axis: 1 }));
    becomes(
      make('slice', [make('slice', [x], { start: [0, 1], end: [2, 3] })], { start: [1, 0], end: [2, 1] }),
      make('slice', [x], { start: [1, 1], end: [2, 2] }),
    );
    becomes(
      make('broadcast', [make('broadcast', [p('v', 3)], { shape: [2, 3] })], { shape: [4, 2, 3] }),
      make('broadcast', [p('v', 3)], { shape: [4, 2, 3] }),
    );
  });
  it('a broadcast that its reader would do anyway', () => {
    becomes(make('add', [x, make('broadcast', [p('v', 3)], { shape: [2, 3] })], {}), make('add', [x, p('v', 3)], {}));
    const needed = make('add', [p('u', 3), make('broadcast', [p('v', 3)], { shape: [2, 3] })], {});
    expect(lines(needed).join()).toContain('broadcast');
  });
  it('neighbouring rows of one parameter, joined, are the parameter', () => {
    const w = p('w', 6, 3);
    const rows = [w, w, w].map((v, i) => b.sliceAxis(v, 0, 2 * i, 2 * i + 2));
    becomes(b.linear(x, make('concat', rows, { axis: 0 })), b.linear(x, w));
    becomes(
      b.linear(x, b.sliceAxis(make('concat', [p('a', 2, 3), p('d', 4, 3)], { axis: 0 }), 0, 2, 5)),
      b.linear(x, b.sliceAxis(p('d', 4, 3), 0, 0, 3)),
    );
  });
  it('does not cut a fused result apart', () => {
    const fused = make('concat', [b.relu(x), b.tanh(x)], { axis: 1 });
    expect(lines(b.sliceAxis(fused, 1, 0, 3)).join()).toContain('concat');
  });
  it('a product with a transposed weight is a layer', () =>
    becomes(b.matmul(x, b.transpose(p('w', 4, 3))), b.linear(x, p('w', 4, 3))));
  it('equal expressions are one', () => {
    const y = make('add', [make('exp', [x], {}), make('exp', [x], {})], {});
    expect(lines(y).filter((l) => l.includes('exp'))).toHaveLength(1);
  });
});
