/** Products that leave tiles of zeros out, on a driver: what the interpreter gives. */
import { expect, it } from 'vitest';
import { agrees, Model } from './harness.js';
import { holding, SPARSE_PRODUCTS } from './sparse.js';
import { choicesOn, type Driver, withDriver } from './suite.js';

export async function sparseSuite(driver: Driver): Promise<void> {
  await withDriver(driver, (run) => {
    it.each(Object.entries(SPARSE_PRODUCTS))('tiles that are left out: %s', async (_name, make) => {
      for (const weights of ['f32', 'f16'] as const) {
        const m = new Model(3, 2);
        const results = [make(m)];
        const g = await agrees(run, m, results, { choices: choicesOn(driver), weights, mayHold: holding(m) });
        expect(g.program.summary.skipped!.tiles).toBeGreaterThan(0);
      }
    });
  });
}
