/** Where a training is cut, without a GPU: kernels after the cut are those of the whole program, and what is not cut. */
import { describe, expect, it } from 'vitest';
import { prefixesOf, prefixText } from '../../../src/api/train/prefix.js';
import { type Generated, generate } from '../../../src/codegen/generate.js';
import type { CutRequest } from '../../../src/codegen/program/cut.js';
import { trainingOf } from '../../../src/passes/train/step.js';
import { good } from '../../dsl/semantics/helper.js';

const ENTRIES = ['step', 'accumulate', 'loss'];
const CUTS: readonly CutRequest[] = [
  { entries: ['step', 'accumulate'], name: 'features', inputs: ['pixels'] },
  { entries: ['loss'], name: 'features.loss', inputs: ['pixels'] },
];

function programs(tuned: string, more = '') {
  const { module, train, root } = good(`use std
adapter dropped(rank: int) on base: Linear(in -> out) {
  A = param [rank, in] kaiming_uniform(sqrt(5))
  B = param [out, rank] zeros
  forward(x) { base(x) + dropout(x, 0.1) @ A.T @ B.T }
}
model M {
  base = vit_auto(image: 16, patch: 2, channels: 3, dim: 64, depth: 3, heads: 2${more})
  head = classify(base, classes: 10)
  ${tuned}
}
train M {
  optimizer = adamw(lr: 1e-3)
  schedule = constant(epochs: 3)
  batch = 16
}`);
  const training = trainingOf(
    { ...module, funcs: new Map([['loss', train!.loss]]) },
    { groups: train!.groups, adapters: 'factored', accumulates: true },
  );
  const options = { name: 'm', compiler: '0', weights: 'f32', entries: ENTRIES, samples: 16 } as const;
  return {
    whole: () => generate(training.module, options),
    cut: generate(training.module, { ...options, cuts: CUTS }),
    root,
  };
}

const entryOf = ({ program }: Generated, name: string) => program.entries.find((e) => e.name === name)!;

/** Of each dispatch of an entry, the text of its kernel. */
const texts = (g: Generated, name: string): string[] =>
  entryOf(g, name).dispatches.map(({ kernel }) =>
    g.program.kernels[kernel]!.variants.map(({ file }) => g.files.get(file)).join('\n'),
  );

/** Labels of the dispatches whose kernels are not among those of the whole program. */
function strangers(parts: readonly string[], cut: Generated, whole: readonly string[]): string[] {
  const left = [...whole];
  return parts.flatMap((name) =>
    texts(cut, name).flatMap((text, i) => {
      const at = left.indexOf(text);
      if (at >= 0) left.splice(at, 1);
      return at >= 0 ? [] : [entryOf(cut, name).dispatches[i]!.label];
    }),
  );
}

const blocksOf = (tuned: string, more = '') => {
  const { cut, root } = programs(tuned, more);
  const { step, loss } = prefixesOf(root, cut.cuts);
  return { step: step?.blocks?.cut, loss: loss?.blocks?.cut };
};

describe('the cut', { timeout: 120_000 }, () => {
  it('runs the kernels of the whole program, each in one part', () => {
    const { whole: make, cut, root } = programs('tune head');
    const whole = make();
    for (const [name, before] of [
      ['step', 'features'],
      ['accumulate', 'features'],
      ['loss', 'features.loss'],
    ] as const) {
      expect(texts(cut, name).length + texts(cut, before).length).toBe(texts(whole, name).length);
      expect(strangers([before, name], cut, texts(whole, name))).toEqual([]);
    }
    // The features, which a probe reads, are the class token of the last norm.
    expect(entryOf(cut, 'step').inputs.map((t) => `${t.name} ${t.shape.join('x')}`)).toEqual([
      'feature.0 1x64',
      'target 1x10',
      'accumulate.numbers 1',
      'numbers 3',
    ]);
    expect(entryOf(cut, 'features').outputs.map((t) => t.shape)).toEqual([[1, 64]]);
    const { step, loss } = prefixesOf(root, cut.cuts);
    expect([prefixText('step', step!), prefixText('loss', loss!)]).toMatchInlineSnapshot(`
      [
        "the first 3 of 3 of base.blocks are frozen and see the same images each epoch: computed once, 256 B an image; a step takes 13.9 kFLOP an image in place of 17.2 MFLOP",
        "the first 3 of 3 of base.blocks are frozen and see the same validation images each epoch: computed once, 256 B an image; the loss takes 1.37 kFLOP an image in place of 17.2 MFLOP",
      ]
    `);
  });

  it('where a residual crosses, sums that were written over it are written apart, and nothing else changes', () => {
    const { whole: make, cut } = programs('adapt base.blocks[2].attn.qkv with lora(rank: 4)\n tune head');
    const whole = make();
    const apart = ['base.blocks.1.mlp.fc2', 'base.blocks.2.attn.proj'];
    for (const parts of [
      ['features', 'step'],
      ['features.loss', 'loss'],
    ]) {
      for (const label of strangers(parts, cut, texts(whole, parts[1]!))) expect(apart).toContain(label);
    }
  });

  it('ends before the first thing that is trained, or drawn', () => {
    expect(blocksOf('tune base.blocks[2].mlp.fc2.bias')).toEqual({ step: 2, loss: 2 });
    expect(blocksOf('adapt base.blocks[1].mlp.fc1 with dropped(rank: 2)')).toEqual({ step: 1, loss: 1 });
    expect(blocksOf('adapt base.blocks[2].attn.qkv with ssf()\n tune head')).toEqual({ step: 2, loss: 2 });
  });

  it('is none where too little is frozen', () => {
    expect(blocksOf('tune base.blocks[0].norm1')).toEqual({});
    expect(blocksOf('adapt base.blocks[*].attn.qkv with lora(rank: 2)')).toEqual({});
    expect(blocksOf('tune base')).toEqual({});
  });
});
