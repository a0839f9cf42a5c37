/** The same steps as PyTorch took, from files, on the GPU: the loss of each, for every method. */
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../../src/api/node/host.js';
import { openTrainer } from '../../src/api/train/trainer.js';
import { batchOf, lossesOf, METHODS, STEPS, specOf, startOf } from './steps.js';

describe('the same steps as PyTorch', () => {
  const cases = [...METHODS.map((method) => [method, 'none', STEPS] as const), ['karst', 'blocks', 50] as const];
  it.each(cases)('%s, checkpoint %s, %i of them', { timeout: 600_000 }, async (method, checkpoint, steps) => {
    const { train, ...elaborated } = specOf(method, `checkpoint = ${checkpoint}`);
    const trainer = await openTrainer({ elaborated, train, params: startOf(method), host: nodeHost() });
    try {
      const [, expected] = lossesOf(method);
      for (let step = 0; step < steps; step++) {
        const { loss } = await trainer.step(batchOf(step), { epoch: 0, step, steps: STEPS });
        const off = Math.abs(loss - expected[step]!) / expected[step]!;
        expect(off, `step ${step}`).toBeLessThan(step < 50 ? 1e-4 : 1e-3);
      }
    } finally {
      trainer.dispose();
    }
  });
});
