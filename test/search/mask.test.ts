/** A trainer with other masks in the middle of a session is the trainer that was opened with them. */
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../../src/api/index.js';
import { readTraining } from '../../src/api/train/open.js';
import { openTrainer } from '../../src/api/train/trainer.js';
import { spec } from './small.js';

const place = { epoch: 0, step: 0, steps: 10 };
const batch = (n: number) => ({
  pixels: Float32Array.from({ length: n * 64 }, (_, i) => Math.sin(i * 1.7)),
  target: Float32Array.from({ length: n * 2 }, (_, i) => ((i >> 1) % 2 === i % 2 ? 1 : 0)),
});

async function opened(prune: string) {
  const host = nodeHost();
  const { elaborated, train, params, masks } = await readTraining(spec({ prune }), { host });
  const trainer = await openTrainer({ elaborated, train, params, host });
  return { trainer, masks };
}

it('an optimiser that is begun afresh has the moments of its start, and the weights that it had', async () => {
  const { trainer } = await opened('magnitude(scope: global) by fixed(rate: 60%, after: 0)');
  try {
    await trainer.step(batch(4), place);
    const before = await trainer.state();
    await trainer.restart();
    const after = await trainer.state();
    const trained = new Set((await trainer.trained()).keys());
    const moments = [...after.keys()].filter((name) => !trained.has(name));
    expect(moments.length).toBe(2 * trained.size);
    for (const [name, { data }] of after) {
      if (trained.has(name)) expect(data, name).toEqual(before.get(name)!.data);
      else
        expect(
          [...data].every((x) => x === 0),
          name,
        ).toBe(true);
    }
    expect(moments.some((name) => before.get(name)!.data.some((x) => x !== 0))).toBe(true);
  } finally {
    trainer.dispose();
  }
});

describe.each(['base', 'sum'])('masks over: %s', (over) => {
  it('are put into a session', { timeout: 120_000 }, async () => {
    const searched = await opened(`magnitude(scope: global, over: ${over}) by fixed(rate: 60%, after: 0)`);
    const written = await opened(`magnitude(sparsity: 60%, scope: global, over: ${over})`);
    const plain = await opened(`magnitude(sparsity: 0, scope: global, over: ${over})`);
    try {
      const { masks, report } = searched.masks([0.6]);
      expect(report.zeros).toBe(Math.floor(0.6 * report.elements));
      const dense = await searched.trainer.evaluate(batch(4));
      expect(dense.loss).toBe((await plain.trainer.evaluate(batch(4))).loss);
      await searched.trainer.mask(masks);
      const [a, b] = [await searched.trainer.evaluate(batch(4)), await written.trainer.evaluate(batch(4))];
      expect(a.loss).toBe(b.loss);
      expect(a.loss).not.toBe(dense.loss);
      const start = await searched.trainer.state();
      await searched.trainer.step(batch(4), place);
      await written.trainer.step(batch(4), place);
      expect((await searched.trainer.evaluate(batch(4))).loss).toBe((await written.trainer.evaluate(batch(4))).loss);
      await searched.trainer.restore(start);
      await searched.trainer.mask(searched.masks([]).masks);
      expect((await searched.trainer.evaluate(batch(4))).loss).toBe(dense.loss);
    } finally {
      for (const { trainer } of [searched, written, plain]) trainer.dispose();
    }
  });
});
