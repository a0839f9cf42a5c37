/** Masks: the reference cases, exact counts, ties, scopes, blocks, patterns, and what is refused. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { build as b } from '../../src/ir/build.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { zeroCount } from '../../src/prune/index.js';
import { cutSmallest, type Scores, Taker } from '../../src/prune/select.js';
import { fromNested, toNested } from '../tensors.js';
import { formula, jobOf, matrix, run, wanda } from './support.js';

const FIXTURES = JSON.parse(readFileSync(new URL('../fixtures/method-fixtures.json', import.meta.url), 'utf8'));

const codesOf = (f: () => unknown): string[] => {
  try {
    f();
  } catch (e) {
    if (e instanceof EspalierError) return e.diagnostics.map((d) => d.code);
    throw e;
  }
  return [];
};

describe('reference cases', () => {
  test('global magnitude', () => {
    const { w1, w2, amount, k, mask1, mask2 } = FIXTURES.global_l1;
    const weights = { w1: fromNested(w1), w2: fromNested(w2) };
    const { masks, report } = run(weights, jobOf(weights, { scope: 'global', sparsity: amount }));
    expect(toNested(masks.get('w1#mask')!)).toEqual(mask1);
    expect(toNested(masks.get('w2#mask')!)).toEqual(mask2);
    expect(report).toMatchObject({ elements: 17, zeros: k, sparsity: k / 17, warnings: [] });
    expect(report.layers.map((l) => [l.site, l.elements, l.zeros])).toEqual([
      ['w1', 8, 6],
      ['w2', 9, 2],
    ]);
  });

  test('2:4 along the input axis', () => {
    const weights = { w: fromNested(FIXTURES.karst_linear.W) };
    const { masks } = run(weights, jobOf(weights, { shape: { kind: 'nm', keep: 2, of: 4 } }));
    expect(toNested(masks.get('w#mask')!)).toEqual(FIXTURES.two_four.mask);
  });

  test('Wanda: half of each output row', () => {
    const weights = { w: fromNested(FIXTURES.karst_linear.W) };
    const x = fromNested(FIXTURES.karst_linear.x);
    const job = jobOf(weights, { scope: 'row', sparsity: 0.5 }, wanda(x.type.shape[0]!));
    const { masks } = run(weights, job, { statistics: (_, name) => (name === 'input' ? x : undefined) });
    expect(toNested(masks.get('w#mask')!)).toEqual(FIXTURES.wanda.mask);
  });
});

describe('counts and ties', () => {
  test('of equal scores the earlier go first, across weights in order', () => {
    const weights = {
      a: matrix([
        [1, 1],
        [1, 1],
      ]),
      b: matrix([[-1, 1, -1]]),
    };
    const { masks } = run(weights, jobOf(weights, { scope: 'global', sparsity: 5 / 7 }));
    expect(toNested(masks.get('a#mask')!)).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(toNested(masks.get('b#mask')!)).toEqual([[0, 1, 1]]);
  });

  test('counts are rounded down, but not for rounding errors', () => {
    expect(zeroCount(0.57, 100)).toBe(57);
    expect(zeroCount(0.5, 17)).toBe(8);
    expect(zeroCount(0.1 + 0.2, 10)).toBe(3);
    expect(zeroCount(0, 10)).toBe(0);
    for (let percent = 0; percent < 100; percent++) {
      expect(zeroCount(percent / 100, 1e8)).toBe(percent * 1e6);
    }
  });

  test('layer and row scopes', () => {
    const weights = {
      w: matrix([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ]),
    };
    const mask = (scope: 'layer' | 'row') =>
      toNested(run(weights, jobOf(weights, { scope, sparsity: 0.5 })).masks.get('w#mask')!);
    expect(mask('layer')).toEqual([
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]);
    expect(mask('row')).toEqual([
      [0, 0, 1, 1],
      [0, 0, 1, 1],
    ]);
  });

  test('a kernel of a convolution is a matrix of outputs by everything else', () => {
    const weights = { w: tensor([2, 1, 2, 2], Float32Array.of(4, 3, 2, 1, 5, 6, 7, 8)) };
    const { masks } = run(weights, jobOf(weights, { scope: 'row', sparsity: 0.5 }));
    expect(masks.get('w#mask')).toEqual({
      type: { dtype: 'f32', shape: [2, 1, 2, 2] },
      data: Float32Array.of(1, 1, 0, 0, 0, 0, 1, 1),
    });
  });

  test('every scope takes exactly floor(s·n), and never a larger score before a smaller one', () => {
    const small = fc.integer({ min: -4, max: 4 }).map((x) => x / 4);
    const weight = fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 9 }))
      .chain(([rows, cols]) =>
        fc
          .array(small, { minLength: rows * cols, maxLength: rows * cols })
          .map((data) => tensor([rows, cols], Float32Array.from(data))),
      );
    fc.assert(
      fc.property(
        weight,
        weight,
        fc.integer({ min: 0, max: 99 }),
        fc.constantFrom('global', 'layer', 'row'),
        (a, c, percent, scope) => {
          const weights = { a, c };
          const { masks } = run(weights, jobOf(weights, { scope, sparsity: percent / 100 }));
          const ranges: [scores: number[], mask: number[]][] = [];
          const all: [number[], number[]] = [[], []];
          for (const [name, w] of Object.entries(weights)) {
            const scores = Array.from(w.data, Math.abs);
            const mask = Array.from(masks.get(`${name}#mask`)!.data);
            all[0].push(...scores);
            all[1].push(...mask);
            const cols = w.type.shape[1]!;
            const step = scope === 'layer' ? scores.length : cols;
            if (scope === 'global') continue;
            for (let i = 0; i < scores.length; i += step)
              ranges.push([scores.slice(i, i + step), mask.slice(i, i + step)]);
          }
          if (scope === 'global') ranges.push(all);
          for (const [scores, mask] of ranges) {
            const order = scores.map((s, i) => [s, i] as const).sort((p, q) => p[0] - q[0] || p[1] - q[1]);
            const pruned = new Set(order.slice(0, Math.floor((percent * scores.length) / 100)).map(([, i]) => i));
            expect(mask).toEqual(scores.map((_, i) => (pruned.has(i) ? 0 : 1)));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('blocks', () => {
  const block = { kind: 'block', rows: 2, cols: 2 } as const;

  test('go whole, ranked by their mean', () => {
    const weights = {
      w: matrix([
        [9, 0, 2, 2],
        [0, 0, 2, 2],
        [3, 3, 1, 1],
        [3, 3, 1, 1],
      ]),
    };
    const { masks, report } = run(weights, jobOf(weights, { sparsity: 0.5, shape: block }));
    expect(toNested(masks.get('w#mask')!)).toEqual([
      [1, 1, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 0, 0],
      [1, 1, 0, 0],
    ]);
    expect(report.zeros).toBe(8);
  });

  test('a row scope is a row of blocks; the count is what fits', () => {
    const weights = {
      w: matrix([
        [1, 1, 2, 2, 3, 3],
        [1, 1, 2, 2, 3, 3],
        [6, 6, 5, 5, 4, 4],
        [6, 6, 5, 5, 4, 4],
      ]),
    };
    const { masks } = run(weights, jobOf(weights, { sparsity: 0.6, scope: 'row', shape: block }));
    expect(toNested(masks.get('w#mask')!)).toEqual([
      [0, 0, 1, 1, 1, 1],
      [0, 0, 1, 1, 1, 1],
      [1, 1, 1, 1, 0, 0],
      [1, 1, 1, 1, 0, 0],
    ]);
  });

  test('at ragged edges blocks are smaller and the count stays below what was asked', () => {
    // Blocks of 4, 2 (right), 2 (below) and 1 (corner) elements with means 1, 2, 3, 4; 7 elements may go: 4 + 2, and 2 more do not fit.
    const weights = {
      w: matrix([
        [1, 1, 2],
        [1, 1, 2],
        [3, 3, 4],
      ]),
    };
    const { masks } = run(weights, jobOf(weights, { sparsity: 7.5 / 9, shape: block }));
    expect(toNested(masks.get('w#mask')!)).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [1, 1, 1],
    ]);
  });

  test('of one element are elements', () => {
    const weights = { w: matrix([[3, 1, 2, 4]]) };
    const one = run(weights, jobOf(weights, { sparsity: 0.5, shape: { kind: 'block', rows: 1, cols: 1 } }));
    expect(toNested(one.masks.get('w#mask')!)).toEqual([[1, 0, 0, 1]]);
  });
});

describe('patterns', () => {
  const nm = (keep: number, of: number) => ({ shape: { kind: 'nm', keep, of } as const });

  test('keep exactly N of every M, ties by position', () => {
    const weights = { w: matrix([[1, 1, 1, 1, 4, 3, 2, 1]]) };
    expect(toNested(run(weights, jobOf(weights, nm(1, 4))).masks.get('w#mask')!)).toEqual([[0, 0, 0, 1, 1, 0, 0, 0]]);
    expect(toNested(run(weights, jobOf(weights, nm(3, 4))).masks.get('w#mask')!)).toEqual([[0, 1, 1, 1, 1, 1, 1, 0]]);
  });

  test('a shorter last group gives up its share', () => {
    const weights = { w: matrix([[1, 2, 3, 4, 2, 1, 3]]) };
    expect(toNested(run(weights, jobOf(weights, nm(2, 4))).masks.get('w#mask')!)).toEqual([[0, 0, 1, 1, 1, 0, 1]]);
  });
});

describe('refuses', () => {
  const ok = matrix([[1, 2]]);

  test('weights that are not finite, all of them at once', () => {
    const weights = {
      a: matrix([
        [1, Number.NaN],
        [Number.POSITIVE_INFINITY, 2],
      ]),
      ok,
      b: matrix([[Number.NEGATIVE_INFINITY, 1]]),
    };
    for (const scope of ['global', 'layer'] as const) {
      const job = jobOf(weights, { scope, sparsity: 0.5 });
      expect(codesOf(() => run(weights, job))).toEqual(['ESP0801', 'ESP0801']);
      expect(() => run(weights, job)).toThrow('a holds 2 values that are not finite, the first at [0, 1]');
      expect(() => run(weights, job)).toThrow('b holds one value that is not finite, the first at [0, 0]');
    }
  });

  test('a criterion that is undefined somewhere', () => {
    const weights = {
      w: matrix([
        [1, 2],
        [-1, 3],
      ]),
    };
    const job = jobOf(
      weights,
      { sparsity: 0.5 },
      formula((w) => b.log(w)),
    );
    expect(() => run(weights, job)).toThrow('ESP0802: `test` gives NaN for one element of w, the first at [1, 0]');
  });

  test('an infinite score is a rank', () => {
    const weights = { w: matrix([[1, 0, 2, 0]]) };
    const job = jobOf(
      weights,
      { sparsity: 0.25 },
      formula((w) => b.log(b.abs(w))),
    );
    expect(toNested(run(weights, job).masks.get('w#mask')!)).toEqual([[1, 0, 1, 1]]);
  });

  test('calibration data that is missing or of another shape', () => {
    const weights = { w: ok };
    const job = jobOf(weights, { sparsity: 0.5 }, wanda(3));
    expect(() => run(weights, job)).toThrow('ESP0803: `test` reads input, and nothing gives it for w');
    const statistics = () => tensor([3, 4], new Float32Array(12));
    expect(() => run(weights, job, { statistics })).toThrow('ESP0804: `test` reads input: [3, 2], and gets [3, 4]');
  });
});

describe('warns', () => {
  test('of layers that are pruned away', () => {
    const weights = { small: matrix([[1, 1]]), large: matrix([[5, 5]]) };
    const { report } = run(weights, jobOf(weights, { scope: 'global', sparsity: 0.5 }));
    expect(report.warnings.map((d) => [d.code, d.severity, d.message])).toEqual([
      ['ESP0805', 'warning', 'every weight of small is pruned'],
    ]);
  });

  test('when nothing is pruned', () => {
    const weights = { w: matrix([[1, 2, 3, 4]]) };
    const { report } = run(weights, jobOf(weights, { sparsity: 0.2 }));
    expect(report.warnings.map((d) => d.message)).toEqual([
      '20% of a weight is less than one element: nothing is pruned',
    ]);
    expect(run(weights, jobOf(weights, { sparsity: 0 })).report.warnings).toEqual([]);
  });
});

test('a job with a mask file is not searched', () => {
  const weights = { w: matrix([[Number.NaN]]) };
  const { masks, report } = run(weights, jobOf(weights, { sparsity: 0.5, from: './masks.safetensors' }));
  expect([masks.size, report.elements, report.sparsity]).toEqual([0, 0, 0]);
});

test('pages of all pruning messages have an example', () => {
  const pages = Object.entries(CATALOGUE).filter(([code]) => code.startsWith('ESP08') && code !== 'ESP0800');
  expect(pages).toHaveLength(8);
  for (const [code, page] of pages) expect(page.explain, code).toMatch(/\n {4}\S/);
});

describe('selection', () => {
  const check = (lists: Scores[], k: number): void => {
    const taker = new Taker(cutSmallest(lists, k));
    const taken = lists.map((l) => Array.from(l, (s) => taker.takes(s)));
    const order = lists.flatMap((l, p) => Array.from(l, (s, i) => [s + 0, p, i] as const));
    order.sort((a, c) => (a[0] === c[0] ? a[1] - c[1] || a[2] - c[2] : a[0] < c[0] ? -1 : 1));
    const wanted = lists.map((l) => Array.from(l, () => false));
    for (const [, p, i] of order.slice(0, k)) wanted[p]![i] = true;
    expect(taken).toEqual(wanted);
  };

  test('by sort and by radix agree with the definition', () => {
    const special = fc.constantFrom(
      0,
      -0,
      1,
      -1,
      1e-300,
      -1e-300,
      5e-324,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(special, fc.double({ noNaN: true })), { minLength: 1, maxLength: 60 }),
        fc.nat(),
        (list, n) => {
          check([Float64Array.from(list), Float32Array.from(list)], n % (2 * list.length + 1));
        },
      ),
      { numRuns: 300 },
    );
    // Long enough for the radix: many ties, all signs, both widths.
    const long = Float64Array.from({ length: 20_000 }, (_, i) => Math.sin(i) ** 3 * (i % 3 === 0 ? 1e-200 : 1));
    const tied = Float32Array.from({ length: 9_000 }, (_, i) => Math.round(4 * Math.sin(i)));
    for (const k of [0, 1, 137, 14_500, 14_501, 20_000, 28_999, 29_000]) check([long, tied], k);
  });

  test('of singles alone, by their bits: as the definition, and a mask as one score after another', () => {
    const singles = fc.oneof(
      fc.constantFrom(0, -0, 1, -1, 1e-45, -1e-45, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
      fc.float({ noNaN: true }),
    );
    fc.assert(
      fc.property(fc.array(singles, { minLength: 1, maxLength: 200 }), fc.nat(), (some, n) => {
        // Long enough for the radix: what was drawn, again and again, so that there are ties.
        const lists = [9_000, 8_001].map((length) => Float32Array.from({ length }, (_, i) => some[i % some.length]!));
        const k = n % 17_002;
        check(lists, k);
        const [one, all] = [new Taker(cutSmallest(lists, k)), new Taker(cutSmallest(lists, k))];
        let zeros = 0;
        for (const list of lists) {
          const mask = new Float32Array(list.length + 1).fill(1);
          all.clear(list, mask, 1);
          expect(mask).toEqual(Float32Array.from([1, ...Array.from(list, (s) => (one.takes(s) ? 0 : 1))]));
          zeros += mask.reduce((sum, m) => sum + 1 - m, 0);
        }
        expect(zeros).toBe(k);
      }),
      { numRuns: 12 },
    );
  });

  test('more than there are is a mistake', () => {
    expect(() => cutSmallest([new Float32Array(2)], 3)).toThrow(RangeError);
  });

  test('ten million scores in a moment', () => {
    const scores = new Float32Array(1e7);
    let state = 1;
    for (let i = 0; i < scores.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      scores[i] = state / 2 ** 32;
    }
    const start = performance.now();
    const { threshold } = cutSmallest([scores], 5e6);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(Math.abs(threshold - 0.5)).toBeLessThan(1e-3);
  });
});
