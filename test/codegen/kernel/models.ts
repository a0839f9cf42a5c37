/** The models whose kernels are all checked: every example, vision transformers at their real sizes, sums that are split, and counting heads in small. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Spec } from '../../../src/api/analyse.js';
import type { AdapterMode } from '../../../src/passes/index.js';

export interface ModelSpec {
  readonly name: string;
  readonly spec: Spec;
  readonly adapters: AdapterMode;
  readonly weights: 'f32' | 'f16';
  /** Its weights are files, so that `compile` takes no time. */
  readonly trained: boolean;
}

const path = (file: string): string => fileURLToPath(new URL(`../../../${file}`, import.meta.url));

const examples = readdirSync(path('examples'), { recursive: true, encoding: 'utf8' })
  // The page's spec has its base served beside it, and classes that a person makes: test/train/browser-train.test.ts compiles it.
  // Kernels of MobileSAM are too large for the simulator, and have a test of their own: mobile-sam.test.ts. How much of crowd.peft is pruned a run says.
  .filter((file) => file.endsWith('.peft') && !/^(browser-train|count|crowd)/.test(file))
  .sort();

const plain = (name: string): ModelSpec => ({
  name,
  spec: {
    text: `use std\nmodel Plain {\n  base = ${name}()\n  head = classify(base, pool: cls, classes: 102)\n}\n`,
    path: `${name}.peft`,
  },
  adapters: 'merged',
  weights: 'f32',
  trained: false,
});

const MODES: readonly AdapterMode[] = ['merged', 'factored', 'auto'];

/** Sums that are split: a product of what a model computes, and a mean over an image. */
const SUMS: ModelSpec = {
  name: 'sums',
  spec: {
    text: `use std
backbone sums() {
  fc = Linear(4 -> 5)
  forward(x: [b, 4, 120, 120]) {
    rows = reshape(x, [b, 4, 14400])
    fc(rows @ transpose(rows, [0, 2, 1])) + reshape(mean(x, axis: [1, 2, 3]), [b, 1, 1])
  }
}
model Sums {
  base = sums()
}
`,
    path: 'sums.peft',
  },
  adapters: 'merged',
  weights: 'f32',
  trained: false,
};

/** Counting heads on maps of a few places: what examples/crowd has in large. */
const counting = (options: string): ModelSpec => ({
  name: `counting, ${options}`,
  spec: {
    text: `use std
model Counting {
  base = vit_auto(image: 16, patch: 4, dim: 16, depth: 3, heads: 2)
  head = counting(
    base,
    taps: [base.blocks[0], base.blocks[1], base.blocks[2]],
    dims: [16, 16, 16],
    dim: 8,
    heads: 2,
    patches: 2,
    ${options}
  )
}
`,
    path: 'counting.peft',
  },
  adapters: 'merged',
  weights: 'f32',
  trained: false,
});

export const MODELS: readonly ModelSpec[] = [
  ...examples.flatMap((file) =>
    MODES.map((adapters): ModelSpec => {
      return { name: `${file}, ${adapters}`, spec: path(`examples/${file}`), adapters, weights: 'f32', trained: true };
    }),
  ),
  ...MODES.map((adapters): ModelSpec => {
    const spec = path('examples/fashion/karst.peft');
    return { name: `fashion/karst.peft, ${adapters}, f16`, spec, adapters, weights: 'f16', trained: true };
  }),
  plain('vit_small_patch16'),
  plain('vit_base_patch16'),
  SUMS,
  counting('scores: token'),
  counting('scores: channel'),
  ...MODES.map((adapters): ModelSpec => {
    const spec = path('bench/vit-b-karst.peft');
    return { name: `vit-b-karst.peft, ${adapters}`, spec, adapters, weights: 'f32', trained: false };
  }),
];
