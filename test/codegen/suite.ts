/** The tests of generated programs that need a GPU, for one driver. A test file for each driver calls it: a process has one driver. */
import { afterAll, describe, expect, it } from 'vitest';
import { OP_NAMES } from '../../src/ir/ops/index.js';
import { agrees, Model, openRunner, type Runner } from './harness.js';
import { CASES, TOLERANCE } from './operators.js';

export async function operatorSuite(driver: string): Promise<void> {
  const opened = await openRunner(driver);
  if (typeof opened === 'string') {
    describe.skip(`operators on ${driver} (skipped: ${opened})`, () => {
      it('needs the driver', () => {});
    });
    return;
  }
  const run: Runner = opened;
  describe(`operators on ${driver}`, () => {
    afterAll(() => run.open.release());
    for (const op of OP_NAMES) {
      if (op === 'solve') continue;
      CASES[op].forEach((make, i) => {
        it(`${op} ${i}`, async () => {
          const m = new Model(100 + i);
          const results = make(m);
          const list = 'id' in results ? [results] : results;
          const g = await agrees(run, m, list, { tolerance: TOLERANCE[op] ?? 1e-5 });
          expect(g.program.entries[0]!.dispatches.length).toBeGreaterThan(0);
        });
      });
    }
  });
}
