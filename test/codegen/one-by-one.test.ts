/** Why images run one by one: for each reason a spec, what is said about it at its place, and what is not a reason. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/api/index.js';
import type { Generated } from '../../src/codegen/generate.js';
import type { Limits } from '../../src/codegen/schedule.js';
import { BATCH } from '../../src/ir/batch.js';
import { build } from '../../src/ir/build.js';
import type { Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { host } from '../api/support.js';
import { good, shown } from '../dsl/semantics/helper.js';
import { expectGolden } from '../golden.js';
import { Outline } from './cuts.js';
import { compiled, entryOf, Model } from './harness.js';
import { expectRight } from './kernel/run.js';
import { movedGraph } from './moved.js';

/** A model whose `forward` is the body; x is [b, 4, 8], and so is what it gives. */
const spec = (body: string): string => `backbone inside() {
  W = param [8, 8] normal(1)
  K = param [1, 4, 3, 8] normal(1)
  V = param [1, 4, 8, 8] normal(1)
  forward(x: [b, 4, 8]) {
${body
  .split('\n')
  .map((line) => `    ${line}`)
  .join('\n')}
  }
}

model M {
  base = inside()
}

deploy M {
  batch = [4]
}
`;

const REASONS: Readonly<Record<string, string>> = {
  joined: `rows = reshape(transpose(x, [1, 0, 2]), [4 * b, 8])
rearrange(softmax(rows, axis: 1), "(n b) d -> b n d", n: 4)`,
  split: `twice = concat(x, 0 - x, axis: 0)
sum(softmax(reshape(twice, [2, b, 4, 8]), axis: 0), axis: 0)`,
  columns: `y = W @ reshape(x, [b * 4, 8]).T
reshape(y.T, [b, 4, 8])`,
  queries: `q = transpose(x, [1, 0, 2])[new]
transpose(attention(q, K, K)[0], [1, 0, 2])`,
  keys: `k = transpose(x, [1, 0, 2])[new]
x + sum(attention(K, k, k)[0], axis: 1)`,
  'value-width': `v = transpose(x, [1, 2, 0])[new]
transpose(attention(V, V, v)[0], [2, 0, 1])`,
};

/** The program of a spec for up to four images. */
function programOf(text: string, limits?: Partial<Limits>): Generated {
  const { module } = optimize(good(text).module, { adapters: 'auto' });
  return compiled(module, { samples: 4, ...(limits ? { limits } : {}) });
}

describe('images that run one by one', () => {
  it.each(Object.entries(REASONS))('%s', (name, body) => {
    const text = spec(body);
    const g = programOf(text);
    expect(entryOf(g).samples).toBe(1);
    expect(g.oneByOne).toMatchObject({ code: 'ESP0607', severity: 'warning' });
    expectGolden(`one-by-one/${name}.txt`, shown([g.oneByOne!], text));
  });

  it('one larger than a binding', () => {
    const text = spec('softmax(tanh(x), axis: 2)');
    expect(programOf(text).oneByOne).toBeUndefined();
    const g = programOf(text, { maxStorageBufferBindingSize: 100 });
    expect(entryOf(g).samples).toBe(1);
    expect(g.oneByOne).toMatchObject({ code: 'ESP0608', severity: 'warning' });
    expectGolden('one-by-one/large.txt', shown([g.oneByOne!], text));
  });

  it('more bindings than a kernel has', () => {
    const m = new Model(1, 1);
    const y = build.sum(build.mul(m.input([BATCH, 1, 250]), m.param([13, 250])), [2]);
    const g = expectRight(m, [y], { tolerance: 2e-5, samples: 4, limits: { maxStorageBufferBindingSize: 1024 } });
    expect(entryOf(g).samples).toBe(1);
    expect(g.oneByOne).toMatchObject({
      code: 'ESP0608',
      message:
        '`reduce_sum` needs 15 bindings for its tensors; a kernel may have 8, so images run one by one, each in parts',
    });
  });

  it('samples one after another that are divided otherwise', () => {
    const m = new Model(1, 1);
    const rows = build.concat([m.input([BATCH, 12]), build.reshape(m.input([BATCH, 24]), [2 * BATCH, 12])], 0);
    const g = expectRight(m, [build.reshape(build.gelu(rows), [BATCH, 3, 12])], { tolerance: 2e-5, samples: 4 });
    expect(entryOf(g).samples).toBe(1);
    expect(g.oneByOne?.message).toMatch(/^`reshape` finds its elements by a division of the number of images /);
  });

  it('attention whose heads are as wide as the batch', () => {
    const m = new Model(1, 1);
    const q = build.reshape(build.transpose(m.input([BATCH, 5, 8]), [1, 2, 0]), [1, 5, 8, BATCH]);
    const y = build.attention(q, q, m.param([1, 5, 8, 8]), 1);
    // What it gives is of all images together: one by one it would be another.
    expect(() => compiled(m.module(y), { samples: 4 })).toThrow(
      /ESP0609: `infer` gives `y0` for all images together.* `attention` has the batch as the width of its queries and keys /,
    );
  });

  it('is said by compile where several were asked for', async () => {
    const text = spec(REASONS.joined!);
    const codes = async (batch: number[]): Promise<string[]> =>
      (await compile({ text, path: 'inside.peft' }, { host, golden: false, batch })).warnings.map((d) => d.code);
    expect(await codes([4])).toContain('ESP0607');
    expect(await codes([1])).not.toContain('ESP0607');
  });
});

describe('images that run together', () => {
  /** Graphs over x [b, 24] whose addresses hold the batch beside other numbers. */
  it.each<[string, (x: Value) => Value]>([
    [
      'columns of what is concatenated along the batch',
      (x) => build.sliceAxis(build.concat([x, build.neg(x)], 0), 1, 3, 19),
    ],
    ['numbers like the one that stands for the batch', (x) => build.add(build.mul(x, BATCH), BATCH - 1)],
  ])('%s', (_name, make) => {
    for (const samples of [1, 2, 3]) {
      const m = new Model(samples, samples);
      const y = make(m.input([BATCH, 24]));
      expect(expectRight(m, [build.gelu(y)], { tolerance: 2e-5 }).oneByOne).toBeUndefined();
    }
  });

  it('or of which there are none: sizes and places like the number that stands for the batch are what they are', () => {
    const m = new Outline();
    const corner = build.slice(m.input([8192, 8192]), [8191, 8187], [8192, 8192]);
    const g = compiled(m.module(build.gelu(corner), build.gelu(m.input([BATCH - 1]))));
    for (const text of g.files.values()) expect(text).not.toContain('samples');
  });

  it('all of what moves the batch about, or say why not', () => {
    let [together, apart] = [0, 0];
    const draw = (seed: number, samples: number): void => {
      const { model, result } = movedGraph(seed, 8, samples);
      const g = compiled(model.module(result), { samples: 3 });
      if (g.oneByOne) {
        apart++;
        expect(g.oneByOne.code).toBe('ESP0607');
        return;
      }
      together++;
      expectRight(model, [result], { tolerance: 2e-4 });
    };
    const examples: [number, number][] = [
      [999999999, 3],
      [467228, 1],
      [3700382, 3],
      [4365578, 3],
    ];
    const options = { numRuns: 30, endOnFailure: true, examples };
    fc.assert(fc.property(fc.nat(1e9), fc.integer({ min: 1, max: 3 }), draw), options);
    expect(together).toBeGreaterThan(4 * apart);
  });
});
