/** Adapters that work on activations: those that are linear merge like weights do, the others say which operator is in the way, at its line. */
import { describe, expect, it } from 'vitest';
import { perSample } from '../../src/ir/batch.js';
import { topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { optimize } from '../../src/passes/index.js';
import { good } from '../dsl/semantics/helper.js';
import { expectPlain, mergedSpec, pointed } from './specs.js';

const model = (adapter: string, forward = 'norm(x + fc(x))', adapt = 'base.fc with own()'): string => `use std
adapter own() on base: Linear(in -> out) {
${adapter}
}
backbone net() {
  fc = Linear(8 -> 8)
  norm = LayerNorm(8)
  forward(x: [b, 4, 8]) { ${forward} }
}
model M {
  base = net()
  adapt ${adapt}
}
`;

const LINEAR: Record<string, string> = {
  'Monarch: two products of blocks and a permutation': `  L = param [2, 4, 4] ones
  R = param [4, 2, 2] ones
  forward(x) {
    h = rearrange(x, "b n (k i) -> b n k 1 i", k: 2) @ L
    p = rearrange(h, "b n k 1 i -> b n i 1 k") @ R
    base(x) + rearrange(p, "b n i 1 k -> b n (i k)")
  }`,
  'Monarch with blocks as batches': `  L = param [2, 4, 4] ones
  R = param [4, 2, 2] ones
  forward(x) {
    h = rearrange(x, "b n (k i) -> k (b n) i", k: 2) @ L
    p = rearrange(h, "k t i -> i t k") @ R
    base(x) + rearrange(p, "i (b n) k -> b n (k i)", n: 4)
  }`,
  'blocks that turn the input': `  R = param [2, 4, 4] ones
  forward(x) { base(rearrange(rearrange(x, "b n (k i) -> b n k 1 i", k: 2) @ R, "b n k 1 i -> b n (k i)")) }`,
  'a Kronecker product by its two factors': `  C = param [2, 2] ones
  D = param [4, 4] ones
  forward(x) { base(x) + rearrange(C @ rearrange(x, "b n (h d) -> b n h d", h: 2) @ D, "b n h d -> b n (h d)") }`,
  'centring in front of low rank': `  A = param [2, in] ones
  B = param [out, 2] ones
  forward(x) { base(x) + (x - mean(x, axis: -1, keep: true)) @ A.T @ B.T }`,
  'centring the input': '  forward(x) { base(x - mean(x, axis: -1, keep: true)) }',
  'multiply and sum': `  W = param [out, in] ones
  forward(x) { base(x) + sum(x[:, :, new] * W, axis: -1) }`,
  'a dot product': `  w = param [in] ones
  u = param [out] ones
  forward(x) { base(x) + sum(x * w, axis: -1, keep: true) * u }`,
  '1x1 convolutions': `  A = param [2, in, 1, 1] ones
  a = param [2] ones
  B = param [out, 2, 1, 1] ones
  forward(x) {
    z = conv2d(conv2d(rearrange(x, "b (h w) d -> b d h w", h: 2), A, a), B)
    base(x) + rearrange(z, "b d h w -> b (h w) d")
  }`,
  'zeros beside the channels': `  A = param [4, in] ones
  forward(x) { base(x) + pad(x @ A.T, low: [0, 0, 3], high: [0, 0, 1]) }`,
  'a part of the input': `  A = param [out, 4] ones
  forward(x) { base(x) + x[:, :, 2..6] @ A.T }`,
  'rolled channels': `  g = param [out] ones
  forward(x) { base(x) + g * roll(x, 1, axes: -1) }`,
  'a factor for each head': `  g = param [2] ones
  forward(x) { rearrange(rearrange(base(x), "b n (h d) -> b h n d", h: 2) * g[:, new, new], "b h n d -> b n (h d)") }`,
  'a factor within heads': `  g = param [4] ones
  forward(x) { rearrange(rearrange(base(x), "b n (h d) -> b n h d", h: 2) * g, "b n h d -> b n (h d)") }`,
  'one layer over all heads': `  W = param [4, 4] ones
  forward(x) { base(x) + rearrange(linear(rearrange(x, "b n (h d) -> b n h d", h: 2), W), "b n h d -> b n (h d)") }`,
};

describe('linear operators', () => {
  it.each(Object.entries(LINEAR))('%s', (_, adapter) => {
    for (const forward of ['norm(x + fc(x))', 'relu(fc(x))', 'fc(norm(x))', 'norm(0.5 * fc(x) + x)'])
      expectPlain(model(adapter, forward));
  });

  it('over each other, and under a library adapter', () =>
    expectPlain(
      model(LINEAR['Monarch: two products of blocks and a permutation']!).replace(
        'adapt base.fc with own()',
        'adapt base.fc with own()\n  adapt base.fc with lora(rank: 2)\n  adapt base.fc with own()',
      ),
    ));

  it('on heads that the model splits', () =>
    expectPlain(`use std
adapter heads() on base: (x: [b, n, dim]) {
  g = param [2, 1, 4] ones
  forward(x) { base(x) * g }
}
backbone net() {
  fc = Linear(8 -> 8)
  site split(x) = rearrange(fc(x), "b n (h d) -> b h n d", h: 2)
  forward(x: [b, 4, 8]) { relu(split(x)) }
}
model M {
  base = net()
  adapt base.split with heads()
}
`));

  it('1x1 convolutions beside a larger one', () =>
    expectPlain(`use std
adapter low() on base: Conv2d(in -> out) {
  A = param [2, in, 1, 1] ones
  B = param [out, 2, 1, 1] ones
  forward(x) { base(x) + conv2d(conv2d(x, A), B) }
}
backbone net() {
  c = Conv2d(3 -> 8, kernel: 3, padding: 1)
  d = Conv2d(8 -> 8, kernel: 5, padding: 2)
  forward(x: [b, 3, 5, 5]) { d(relu(c(x))) }
}
model M {
  base = net()
  adapt base.{c, d} with low()
}
`));

  it('multiply and sum of a large layer is the matrix itself', () => {
    const text = model(LINEAR['multiply and sum']!).replaceAll('8', '512');
    const { module } = optimize(good(text).module, { adapters: 'merged' });
    for (const f of module.funcs.values())
      for (const v of topological(f.results.map((r) => r.value)))
        expect(perSample(sizeOf(v.type.shape))).toBeLessThanOrEqual(512 * 512);
  });
});

describe('what is in the way', () => {
  const low = `  A = param [2, in] ones
  B = param [out, 2] ones
  G = param [1, in] ones`;
  it.each<[string, string, string, string, string]>([
    [
      'a gate',
      `${low}\n  forward(x) { base(x) + sigmoid(x @ G.T) * (x @ A.T @ B.T) }`,
      'sigmoid',
      'it is not affine',
      'sigmoid(x @ G.T)',
    ],
    ['a gate over the layer', '  forward(x) { base(x) * (1 + tanh(x)) }', 'tanh', 'it is not affine', 'tanh(x)'],
    [
      'a chosen expert',
      `${low}\n  forward(x) { base(x) + softmax(x @ A.T, axis: -1) @ B.T }`,
      'softmax',
      'it is not affine',
      'softmax(x @ A.T, axis: -1)',
    ],
    ['a square', '  forward(x) { base(x) + x * x }', 'mul', 'both of its factors depend on the input', 'x * x'],
    [
      'a mean of tokens',
      `${low}\n  forward(x) { base(x) + mean(x, axis: 1, keep: true) @ A.T @ B.T }`,
      'reduce_mean',
      'it mixes tokens',
      'mean(x, axis: 1, keep: true)',
    ],
    [
      'tokens mixed by a matrix',
      '  T = param [4, 4] ones\n  forward(x) { base(x) + T @ x }',
      'matmul',
      'it mixes tokens',
      'T @ x',
    ],
    [
      'a map for each token',
      '  T = param [4, in, out] ones\n  forward(x) { base(x) + rearrange(rearrange(x, "b n d -> b n 1 d") @ T, "b n 1 d -> b n d") }',
      'matmul',
      'it is a different map for each of several tokens',
      'rearrange(x, "b n d -> b n 1 d") @ T',
    ],
    [
      'a factor for each token',
      '  g = param [4, 1] ones\n  forward(x) { base(x) + g * x }',
      'mul',
      'its factor varies along other axes than the channels',
      'g * x',
    ],
  ])('%s', (_, adapter, op, reason, at) => {
    const made = mergedSpec(model(adapter, 'relu(fc(x))'));
    expect(made.states).toEqual(['kept']);
    expect(made.diagnostics.map((d) => d.code)).toEqual(['ESP0401']);
    const [d] = made.diagnostics;
    expect(d!.message).toBe(`cannot merge own at base.fc: ${op} stands in the way`);
    expect(d!.help[0]).toContain(`${op}: ${reason}`);
    expect(pointed(made, d!)).toBe(at);
  });

  it('is said once for all blocks, whatever reads the adapter in each', () => {
    const made = mergedSpec(`use std
adapter pixels() on base: (x: [b, n, dim]) {
  A = param [4, dim, 1, 1] ones
  B = param [dim, 4, 1, 1] ones
  forward(x) { base(x) + rearrange(conv2d(conv2d(rearrange(x, "b n d -> b d n 1"), A), B), "b d n 1 -> b n d") }
}
model M {
  base = vit(image: 8, patch: 4, dim: 8, depth: 3, heads: 2)
  head = classify(base, pool: cls, classes: 3)
  adapt base.blocks[*].mlp_branch with pixels()
}
`);
    expect(made.states).toEqual(['kept', 'kept', 'kept']);
    expect(made.diagnostics.map((d) => d.message)).toEqual([
      'cannot merge pixels at base.blocks[0].mlp_branch and 2 more: layer_norm stands in the way',
    ]);
  });
});
