/** Heads read the tokens that a backbone says it has, whatever they are. */
import { describe, expect, test } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { codes, good, rendered, run } from '../dsl/semantics/helper.js';

const DIM = 2;
const CLASSES = 3;

/** A backbone that gives its input, which has `n` tokens, and says what they are. */
const spec = (says: string, pool: string, n = 5) => `use std
backbone own(dim: int = ${DIM}) {
  ${says}
  forward(x: [b, ${n}, dim]) { x }
}
model M {
  base = own()
  head = classify(base, pool: ${pool}, classes: ${CLASSES})
}
`;

/** Logits of a head whose weight is 1 at [0, 0] and at [1, 1]: the pooled token, and 0. */
function pooled(text: string, n = 5): number[] {
  const x = tensor(
    [1, n, DIM],
    Float32Array.from({ length: n * DIM }, (_, i) => 2 ** i),
  );
  const weight = tensor([CLASSES, DIM], Float32Array.from([1, 0, 0, 1, 0, 0]));
  const bias = tensor([CLASSES], new Float32Array(CLASSES));
  const out = run(good(text), { pixels: x }, { 'head.fc.weight': weight, 'head.fc.bias': bias });
  return [...out.values()][0]!.data.slice(0, DIM) as unknown as number[];
}

/** The mean of the tokens from `first` on, of the input above. */
const mean = (first: number, n = 5) =>
  Array.from({ length: DIM }, (_, c) => {
    let sum = 0;
    for (let t = first; t < n; t++) sum += 2 ** (t * DIM + c);
    return sum / (n - first);
  });

describe('classify', () => {
  test.each([
    ['class_tokens = 1\n  register_tokens = 0', 1],
    ['class_tokens = 0\n  register_tokens = 0', 0],
    ['class_tokens = 1\n  register_tokens = 2', 3],
    ['class_tokens = 0\n  register_tokens = 4', 4],
    ['class_tokens = 2\n  register_tokens = 0', 2],
  ])('%s: the mean is over the patches, from token %i', (says, first) => {
    expect([...pooled(spec(says, 'mean'))]).toEqual(mean(first));
  });

  test('by the class token', () => {
    expect([...pooled(spec('class_tokens = 1\n  register_tokens = 2', 'cls'))]).toEqual([1, 2]);
  });

  test('there must be a class token to classify by', () => {
    const text = spec('class_tokens = 0\n  register_tokens = 0', 'cls');
    expect(codes(text)).toEqual(['ESP0223']);
    expect(rendered(text)).toContain('pool: mean');
  });

  test('a backbone that does not say what its tokens are is asked to', () => {
    const text = spec('register_tokens = 0', 'mean');
    expect(codes(text)).toEqual(['ESP0215']);
    for (const line of [
      'head = classify(base',
      '--- backbone `own`',
      'Say it in the body of `own`: `class_tokens = ...`.',
    ])
      expect(rendered(text)).toContain(line);
  });

  test('a backbone of nothing but class tokens has no patches', () => {
    expect(codes(spec('class_tokens = 5\n  register_tokens = 0', 'mean'))).toEqual(['ESP0313']);
  });

  test('vit has one class token, then patches', () => {
    const vit = (pool: string) => `use std
model M {
  base = vit(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)
  head = classify(base, pool: ${pool}, classes: 2)
}
`;
    const shapes = (text: string) => {
      const [result] = good(text).module.funcs.get('infer')!.results;
      return result!.value.type.shape;
    };
    for (const pool of ['cls', 'mean']) expect(shapes(vit(pool))).toEqual([BATCH, 2]);
  });
});
