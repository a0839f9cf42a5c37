/** A model of a few parameters and pictures of a few pixels: runs that take a second. */
import { type Diagnostic, type TrainEvent, train } from '../../src/api/index.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import type { Datasets } from '../../src/data/types.js';

/** A layer with a factor that is dropped in part while it is trained; what is grafted has two of them. */
export const MODEL = `use std
model Small(rank: int = 2) {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 16, depth: 1, heads: 2)
  head = classify(base, classes: 2)
  adapt base.blocks[*].{attn.qkv, mlp.fc1} with dropped(rank: rank)
  tune head
}
adapter dropped(rank: int) on base: Linear(in -> out) {
  A = param [rank, in] kaiming_uniform(sqrt(5))
  B = param [out, rank] zeros
  forward(x) { base(x) + dropout(x, 0.1) @ A.T @ B.T }
}
`;
export const SPEC = `${MODEL}train Small {
  optimizer = adamw(lr: 1e-2)
  schedule = cosine(epochs: 3)
  augment = [flip(50%)]
  batch = 8
  seed = 3
  ema = 0.9
  keep = 5
  MORE
}`;
export const spec = (more = '') => ({ text: SPEC.replace('MORE', more), path: 'small.peft' });

/** Pictures whose left or right half is bright. */
export async function data(count: number, seed = 1): Promise<Datasets['train']> {
  const pixels = new Uint8Array(count * 64);
  const labels = new Int32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    labels[i] = i % 2;
    for (let p = 0; p < 64; p++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const bright = p % 8 < 4 === (labels[i] === 0) ? 120 : 0;
      // Which rows are bright says it too, since pictures are mirrored.
      const row = Math.floor(p / 8) < 4 === (labels[i] === 0) ? 100 : 0;
      pixels[i * 64 + p] = Math.min(255, bright * 0 + row + (state >>> 24) * 0.5);
    }
  }
  return datasetOfArrays(
    { name: 'halves', data: pixels, shape: [count, 1, 8, 8] },
    { kind: 'class', labels: [...labels] },
    { classes: ['top', 'bottom'] },
  ).train;
}

/** A run to its end, or until so many steps are done. */
export async function run(
  out: string,
  options: {
    resume?: boolean;
    stopAfter?: number;
    more?: string;
    datasets?: Datasets;
    seed?: number;
    warn?: (diagnostic: Diagnostic) => void;
  } = {},
): Promise<TrainEvent[]> {
  const stop = new AbortController();
  const events: TrainEvent[] = [];
  const datasets = options.datasets ?? { train: await data(48), test: await data(20, 9) };
  for await (const event of train(spec(options.more), {
    out,
    resume: options.resume ?? false,
    datasets,
    ...(options.seed === undefined ? {} : { seed: options.seed }),
    ...(options.warn ? { warn: options.warn } : {}),
    signal: stop.signal,
  })) {
    events.push(event);
    if (event.kind === 'step' && event.step + 1 === options.stopAfter) stop.abort();
  }
  return events;
}
