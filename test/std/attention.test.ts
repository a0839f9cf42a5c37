/** Adapters of attention itself, on the library's ViT: no backbone is copied for them. Against attention worked out by hand. */
import { describe, expect, it } from 'vitest';
import { compile, merge } from '../../src/api/index.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { host, random, vitSpec } from '../api/support.js';
import { codes, good, run } from '../dsl/semantics/helper.js';
import { tiny } from '../dsl/semantics/tiny.js';
import { maxDifference } from '../tensors.js';

const [DIM, HEADS, WIDTH] = [4, 2, 2];

/** The library's attention alone, of tokens [2, n, 4]. */
const alone = (n: number, body: string, module: string) =>
  good(`use std
backbone one() {
  attn = ${module}
  forward(x: [b, ${n}, ${DIM}]) { attn(x) }
}
model M {
  base = one()
${body}
}`);

type Weights = (name: string) => ArrayLike<number>;

interface Extra {
  /** Keys and values before those of the tokens, of one head and one place: [key, value]. */
  readonly prefix?: (head: number, i: number) => readonly [number[], number[]];
  readonly length?: number;
  /** Added to the score of query i and key j of the tokens. */
  readonly bias?: (head: number, i: number, j: number) => number;
  /** As `bias`, from the query of i. */
  readonly ofQuery?: (q: readonly number[], i: number, j: number) => number;
}

/** softmax(q k^T / sqrt(d) + bias) v, head by head, with what is put before the keys. */
function byHand(x: Tensor, w: Weights, extra: Extra): Float64Array {
  const n = x.type.shape[1]!;
  const out = new Float64Array(x.data.length);
  for (let b = 0; b < 2; b++) {
    const qkv = (t: number, o: number) => {
      let s = w('base.attn.qkv.bias')[o]!;
      for (let c = 0; c < DIM; c++) s += w('base.attn.qkv.weight')[o * DIM + c]! * x.data[(b * n + t) * DIM + c]!;
      return s;
    };
    for (let i = 0; i < n; i++) {
      const joined: number[] = [];
      for (let h = 0; h < HEADS; h++) {
        const part = (p: number, t: number) => [0, 1].map((d) => qkv(t, p * DIM + h * WIDTH + d));
        const before = Array.from({ length: extra.length ?? 0 }, (_, l) => extra.prefix!(h, l));
        const pairs = [...before, ...Array.from({ length: n }, (_, t) => [part(1, t), part(2, t)] as const)];
        const q = part(0, i);
        const scores = pairs.map(([k], j) => {
          const place = j - before.length;
          const bias = place < 0 ? 0 : (extra.bias?.(h, i, place) ?? 0) + (extra.ofQuery?.(q, i, place) ?? 0);
          return (q[0]! * k[0]! + q[1]! * k[1]!) / Math.sqrt(WIDTH) + bias;
        });
        const e = scores.map(Math.exp);
        const total = e.reduce((a, v) => a + v, 0);
        for (let d = 0; d < WIDTH; d++) joined.push(pairs.reduce((s, [, v], j) => s + (e[j]! / total) * v[d]!, 0));
      }
      for (let o = 0; o < DIM; o++) {
        let s = w('base.attn.proj.bias')[o]!;
        for (let c = 0; c < DIM; c++) s += w('base.attn.proj.weight')[o * DIM + c]! * joined[c]!;
        out[(b * n + i) * DIM + o] = s;
      }
    }
  }
  return out;
}

function compared(
  n: number,
  body: string,
  extra: (w: Weights) => Extra,
  module = `Attention(${DIM}, ${HEADS})`,
): number {
  const e = alone(n, body, module);
  const params = Object.fromEntries(
    [...e.module.params.values()]
      .filter((p) => p.role !== 'constant')
      .map((p) => [p.name, random(p.name, p.type.shape, 0.5)]),
  );
  const x = random('x', [2, n, DIM]);
  const found = [...run(e, { x }, params).values()][0]!;
  const w: Weights = (name) => params[name]!.data;
  return maxDifference(found, tensor([2, n, DIM], byHand(x, w, extra(w))));
}

const SITE = 'base.attn.attend';
const prefixOf =
  (w: Weights, length: number, name = 'prefix') =>
  (h: number, i: number) =>
    ['K', 'V'].map((p) => [0, 1].map((d) => w(`${SITE}@${name}.${p}`)[(h * length + i) * WIDTH + d]!)) as [
      number[],
      number[],
    ];
/** On a grid of `grid` x `grid`, after the class token if there is one. */
const relativeOf =
  (w: Weights, grid: number, first: number) =>
  (h: number, i: number, j: number): number => {
    const C = (k: number) => w(`${SITE}@relative_bias.C`)[k * HEADS + h]!;
    if (i < first) return j < first ? C(2) : C(0);
    if (j < first) return C(1);
    const [a, b] = [i - first, j - first];
    const dy = Math.floor(a / grid) - Math.floor(b / grid) + grid - 1;
    const dx = (a % grid) - (b % grid) + grid - 1;
    return w(`${SITE}@relative_bias.T`)[(dy * (2 * grid - 1) + dx) * HEADS + h]!;
  };

describe('adapters of attention', () => {
  it('prefix tuning: learned keys and values before the tokens’', () => {
    expect(
      compared(5, `  adapt ${SITE} with prefix(length: 3)`, (w) => ({ length: 3, prefix: prefixOf(w, 3) })),
    ).toBeLessThan(1e-9);
  });

  it.each([
    [10, 3, 1],
    [4, 2, 0],
  ])('a relative bias of %d tokens on a grid of %d', (n, grid, first) => {
    expect(
      compared(n, `  adapt ${SITE} with relative_bias(class_tokens: ${first})`, (w) => ({
        bias: relativeOf(w, grid, first),
      })),
    ).toBeLessThan(1e-9);
  });

  it('one on the other: what is put before has no place, and no bias', () => {
    expect(
      compared(5, `  adapt ${SITE} with prefix(length: 2)\n  adapt ${SITE} with relative_bias()`, (w) => ({
        length: 2,
        prefix: prefixOf(w, 2),
        bias: relativeOf(w, 2, 1),
      })),
    ).toBeLessThan(1e-9);
  });

  it('before places that a query knows by itself: keys that have none get no share of these', () => {
    const away = (w: Weights) => (q: readonly number[], i: number, j: number) => {
      const along = (table: string, apart: number) =>
        q.reduce((sum, x, d) => sum + x * w(`base.attn.${table}`)[(apart + 2) * WIDTH + d]!, 0);
      return along('rel_pos_h', Math.floor(i / 3) - Math.floor(j / 3)) + along('rel_pos_w', (i % 3) - (j % 3));
    };
    const module = `SamAttention(${DIM}, ${HEADS}, 3)`;
    expect(compared(9, '', (w) => ({ ofQuery: away(w) }), module)).toBeLessThan(1e-9);
    const grafts = `  adapt ${SITE} with prefix(length: 2)\n  adapt ${SITE} with relative_bias(class_tokens: 0)`;
    const both = (w: Weights): Extra => ({
      length: 2,
      prefix: prefixOf(w, 2),
      bias: relativeOf(w, 3, 0),
      ofQuery: away(w),
    });
    expect(compared(9, grafts, both, module)).toBeLessThan(1e-9);
    expect(compared(9, grafts, (w) => ({ ...both(w), ofQuery: () => 0 }), module)).toBeGreaterThan(1e-2);
  });

  it('go on every block of the library’s ViT, and are counted', () => {
    const e = tiny(`  adapt base.blocks[*].attn.attend with prefix(length: 3)
  adapt base.blocks[0].attn.attend with relative_bias()
  adapt base.blocks[*].mlp_branch with adaptformer(hidden: 2)`);
    expect(e.adapters.filter((a) => a.name === 'prefix').map((a) => a.id)).toEqual(
      [0, 1, 2, 3].map((i) => `base.blocks.${i}.attn.attend@prefix`),
    );
    const trained = (name: string) =>
      [...e.module.params.values()]
        .filter((p) => p.role === 'trainable' && p.name.includes(`@${name}.`))
        .reduce((sum, p) => sum + p.type.shape.reduce((a, b) => a * b, 1), 0);
    // 2 heads of 4, keys and values; a grid of 2 x 2 and a class token.
    expect(trained('prefix')).toBe(4 * 2 * (2 * 3 * 4));
    expect(trained('relative_bias')).toBe(3 * 3 * 2 + 3 * 2);
  });

  it('a relative bias that is zero changes nothing', () => {
    const zero = tiny('  adapt base.blocks[*].attn.attend with relative_bias()');
    const plain = tiny('');
    const pixels = random('pixels', [1, 1, 8, 8]);
    const of = (e: typeof zero) => [...run(e, { pixels }).values()][0]!;
    expect(maxDifference(of(zero), of(plain))).toBeLessThan(1e-12);
  });

  it('compile, say that they stay, and leave the other kernels alone', async () => {
    const spec = {
      text: `use std
model M {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)
  head = classify(base, classes: 3)
  adapt base.blocks[*].attn.attend with prefix(length: 2)
  adapt base.blocks[*].attn.attend with relative_bias()
}
`,
      path: 'prefix.peft',
    };
    const { report, program } = await compile(spec, { host });
    // The bias is worked out from parameters alone; the longer keys are not.
    expect(report.map((a) => a.state)).toEqual(['kept', 'merged']);
    expect(program.entries[0]!.dispatches.length).toBeGreaterThan(0);
  });

  it('have no place in a checkpoint of the base', async () => {
    for (const adapter of ['prefix(length: 2)', 'relative_bias()']) {
      const spec = vitSpec('vit-grey', `adapt base.blocks[*].attn.attend with ${adapter}`);
      await expect(merge(spec, { host }), adapter).rejects.toThrow(/ESP0(40\d|911)/);
    }
  });

  it.each([
    [
      '  adapt base.blocks[0].attn.attend with relative_bias()\n  adapt base.blocks[0].attn.attend with prefix()',
      ['ESP0223'],
    ],
    ['  adapt base.blocks[0].attn.attend with relative_bias(class_tokens: 0)', ['ESP0223']],
    ['  adapt base.blocks[0].attn.attend with relative_bias(class_tokens: 2)', ['ESP0223']],
    ['  adapt base.blocks[0].attn.attend with prefix(length: 0)', ['ESP0223']],
    ['  adapt base.blocks[0].attn with prefix()', ['ESP0331']],
    ['  adapt base.blocks[0].attn.attend with lora(rank: 2)', ['ESP0331']],
  ] as [string, string[]][])('%s', (body, expected) => {
    const text = `use std\nmodel M {\n  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)\n${body}\n}\n`;
    expect(codes(text)).toEqual(expected);
  });
});
