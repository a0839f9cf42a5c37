/** The settings of `deploy` and `train`. */
import { describe, expect, it } from 'vitest';
import { tiny } from './tiny.js';

describe('settings', () => {
  it('have defaults', () => {
    const defaults = { adapters: 'auto', weights: 'f32', batch: [1], limits: 'baseline', prepare: 'cpu' };
    expect(tiny('').deploy).toEqual(defaults);
  });
  it('of deploy', () => {
    const more =
      'deploy M {\n  adapters = factored\n  weights = f16\n  batch = [1, 8]\n  limits = device\n  prepare = load\n}';
    expect(tiny('', {}, more).deploy).toEqual({
      adapters: 'factored',
      weights: 'f16',
      batch: [1, 8],
      limits: 'device',
      prepare: 'load',
    });
  });
  it('of train, as plain data', () => {
    const more = `train M {
  data      = images("flowers/", split: [80%, 10%, 10%])
  optimizer = adamw(lr: 1e-3, weight_decay: 1e-4)
  schedule  = cosine(epochs: 100, warmup: 10)
  loss      = cross_entropy
  batch     = 32
  seed      = 42
}`;
    expect(tiny('', {}, more).train!.values).toEqual({
      data: { form: 'images', path: 'flowers/', split: [0.8, 0.1, 0.1] },
      optimizer: { form: 'adamw', lr: 1e-3, weight_decay: 1e-4 },
      schedule: { form: 'cosine', epochs: 100, warmup: 10 },
      loss: { form: 'cross_entropy' },
      batch: 32,
      seed: 42,
    });
  });
});
