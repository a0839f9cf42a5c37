/** Split sums on a driver: right, the same bits each time, and in each sample the same however many run together. */
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { agrees, compiled, execute, Model } from './harness.js';
import { SPLIT_CASES } from './split-cases.js';
import { choicesOn, type Driver, withDriver } from './suite.js';

export async function splitSuite(driver: Driver): Promise<void> {
  const choices = choicesOn(driver);
  await withDriver(driver, (run) => {
    describe('split sums', () => {
      it.each(Object.entries(SPLIT_CASES))('%s', async (_name, { samples = 1, make }) => {
        const m = new Model(5, samples);
        const y = make(m);
        const g = await agrees(run, m, [y], { choices });
        for (const choice of choices) {
          const [first, second] = [await execute(run, g, m, choice), await execute(run, g, m, choice)];
          expect(second[0]!.data, choice).toEqual(first[0]!.data);
        }
      });

      it.each(['a sum in each sample', 'a product for each sample'])('%s alone and with others', async (name) => {
        const { make, samples } = SPLIT_CASES[name]!;
        const m = new Model(5, samples);
        const g = compiled(m.module(make(m)), { samples: samples! });
        for (const choice of choices) {
          const [together] = await execute(run, g, m, choice);
          const alone = new Model(5, 1);
          for (const [i, v] of m.inputs.entries()) {
            const { shape, dtype } = v.type;
            const { data } = m.arguments.get(`x${i}`)!;
            const own = [1, ...shape.slice(1)];
            alone.arguments.set(`x${i}`, tensor(own, data.slice(0, sizeOf(own)), dtype));
          }
          const [one] = await execute(run, g, alone, choice);
          expect(one!.data.length).toBe(together!.data.length / samples!);
          expect(one!.data, choice).toEqual(together!.data.slice(0, one!.data.length));
        }
      });
    });
  });
}
