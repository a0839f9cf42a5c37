/** The same 200 steps as PyTorch, from files, on the GPU: the loss of each, for every method. */
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../../src/api/node/host.js';
import { openTrainer } from '../../src/api/train/trainer.js';
import { batchOf, lossesOf, METHODS, specOf, startOf, STEPS } from './steps.js';

describe('200 steps, beside PyTorch', () => {
  it.each(METHODS)('%s', { timeout: 600_000 }, async (method) => {
    const { train, ...elaborated } = specOf(method);
    const trainer = await openTrainer({ elaborated, train, params: startOf(method), host: nodeHost() });
    try {
      const [, expected] = lossesOf(method);
      let worst = 0;
      for (let step = 0; step < STEPS; step++) {
        const { loss } = await trainer.step(batchOf(step), { epoch: 0, step, steps: STEPS });
        const off = Math.abs(loss - expected[step]!) / expected[step]!;
        worst = Math.max(worst, off);
        expect(off, `step ${step}`).toBeLessThan(step < 50 ? 1e-3 : 2e-2);
      }
      console.log(method, worst, trainer.plan);
    } finally {
      trainer.dispose();
    }
  });
});
