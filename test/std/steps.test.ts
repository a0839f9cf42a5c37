/**
 * The reference of the same 200 steps (test/reference/train_steps.py) is of the models that its specs mean: each trains the same parameters, and
 * has the same loss and gradients at the first step.
 */
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { backward } from './backward.js';
import { fixture } from './cases.js';

const { metadata, tensorsOf } = await fixture('train/steps');
const methods = JSON.parse(metadata.methods!) as Record<string, string>;
const shared = await tensorsOf('');
const start = await tensorsOf('start');
const [BATCH, CLASSES] = [16, 10];

/** The images of the first step as a model reads them, in f32 as PyTorch makes them, and their labels. */
function first(): { pixels: Tensor; labels: number[] } {
  const { data: images, type } = shared.get('images')!;
  const each = sizeOf(type.shape.slice(1));
  const picked = [...shared.get('order')!.data.slice(0, BATCH)];
  const pixels = picked.flatMap((i) =>
    [...images.slice(i * each, (i + 1) * each)].map((v) => Math.fround(Math.fround(v / 255) - 0.5) / 0.5),
  );
  return { pixels: tensor([BATCH, 1, 16, 16], pixels), labels: picked.map((i) => shared.get('labels')!.data[i]!) };
}

/** The mean cross-entropy, and its gradient by the logits. */
function crossEntropy(logits: Tensor, labels: readonly number[]): { loss: number; gradient: Tensor } {
  let loss = 0;
  const gradient = labels.flatMap((label, i) => {
    const row = [...logits.data.slice(i * CLASSES, (i + 1) * CLASSES)];
    const e = row.map(Math.exp);
    const total = e.reduce((a, v) => a + v);
    loss += (Math.log(total) - row[label]!) / BATCH;
    return e.map((v, j) => (v / total - (j === label ? 1 : 0)) / BATCH);
  });
  return { loss, gradient: tensor([BATCH, CLASSES], gradient) };
}

describe('the reference of 200 steps', () => {
  it.each(Object.entries(methods))('%s', async (method, statements) => {
    const { module } = good(`use std
model M {
  base = ${metadata.model}
  head = classify(base, classes: ${CLASSES})
  ${statements}
}`);
    const own = await tensorsOf(method);
    const trained = [...module.params.values()].filter((p) => p.role === 'trainable').map((p) => p.name);
    const of = (kind: string) => [...own.keys()].filter((key) => key.startsWith(`${kind}/`)).sort();
    expect(of('gradient')).toEqual(trained.map((name) => `gradient/${name}`).sort());
    expect(of('final')).toEqual(trained.map((name) => `final/${name}`).sort());
    expect(own.get('loss')!.data.length).toBe(200);
    const { pixels, labels } = first();
    let loss = 0;
    const { gradients } = backward(
      module,
      (name) => own.get(`start/${name}`) ?? start.get(name)!,
      pixels,
      (logits) => {
        const found = crossEntropy(logits, labels);
        loss = found.loss;
        return found.gradient;
      },
      trained,
    );
    // Tensors are read as f32.
    expect(Math.abs(loss / own.get('loss64')!.data[0]! - 1)).toBeLessThan(1e-7);
    for (const name of trained) {
      const wanted = own.get(`gradient/${name}`)!;
      // An adapter that starts by changing nothing gives some of its parameters no gradient yet.
      if (wanted.data.every((v) => v === 0)) expect(gradients.get(name)!.data.every((v) => v === 0)).toBe(true);
      else expect(relative(wanted, gradients.get(name)!), name).toBeLessThan(1e-6);
    }
  });
});
