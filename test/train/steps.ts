/** The same steps as PyTorch took (test/reference/train_steps.py): specs, weights and batches of each method. */
import type { Elaborated } from '../../src/dsl/elaborated.js';
import type { Tensor } from '../../src/ir/types.js';
import { good } from '../dsl/semantics/helper.js';
import { fixture } from '../std/cases.js';

const { metadata, tensorsOf } = await fixture('train/steps');
const all = await tensorsOf('');
const statements = JSON.parse(metadata.methods!) as Record<string, string>;
export const METHODS = Object.keys(statements);
export const STEPS = 200;
const BATCH = 16;
const PIXELS = 16 * 16;
const CLASSES = 10;

export type Spec = Elaborated & { readonly train: NonNullable<Elaborated['train']> };

/** The spec of a method; the rate of each step is the schedule's by step. */
export function specOf(method: string, more = '', what = statements[method]): Spec {
  const elaborated = good(`use std
// timm's cosine with a warm-up of 20 of 200 steps, by step.
function by_step(lr: float, step: int, epochs: int) = cosine(lr: lr, epoch: step, epochs: 200, warmup: 20, warmup_lr: 1e-5, lr_min: 1e-5)
model M {
  base = ${metadata.model}
  head = classify(base, classes: ${CLASSES})
  ${what}
}
train M {
  optimizer = adamw(lr: 1e-3, weight_decay: 1e-4)
  schedule = by_step(epochs: 1)
  batch = ${BATCH}
  ${more}
}`);
  return { ...elaborated, train: elaborated.train! };
}

/** How the method's parameters start. */
export const startOf =
  (method: string) =>
  (name: string): Tensor => {
    const found = all.get(`${method}/start/${name}`) ?? all.get(`start/${name}`);
    if (!found) throw new Error(`no start of ${name}`);
    return found;
  };

/** PyTorch's loss at each step: in f32, and with everything in f64. */
export const lossesOf = (method: string): readonly [f32: ArrayLike<number>, f64: ArrayLike<number>] => [
  all.get(`${method}/loss`)!.data,
  all.get(`${method}/loss64`)!.data,
];

/** Gradients of the first step, by parameter. */
export function gradientsOf(method: string): ReadonlyMap<string, Tensor> {
  const start = `${method}/gradient/`;
  return new Map(
    [...all].flatMap(([key, t]) => (key.startsWith(start) ? [[key.slice(start.length), t] as const] : [])),
  );
}

/** Pictures and one-hot targets of a step. */
export function batchOf(step: number): { readonly pixels: Float32Array; readonly target: Float32Array } {
  const order = all.get('order')!.data;
  const [images, labels] = [all.get('images')!.data, all.get('labels')!.data];
  const pixels = new Float32Array(BATCH * PIXELS);
  const target = new Float32Array(BATCH * CLASSES);
  for (let i = 0; i < BATCH; i++) {
    const of = order[step * BATCH + i]!;
    for (let p = 0; p < PIXELS; p++) pixels[i * PIXELS + p] = (images[of * PIXELS + p]! / 255 - 0.5) / 0.5;
    target[i * CLASSES + labels[of]!] = 1;
  }
  return { pixels, target };
}
