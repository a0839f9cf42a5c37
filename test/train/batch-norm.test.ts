/** BatchNorm that is trained, against PyTorch (test/reference/make_batch_norm.py): on the GPU, step by step, whole batches and parts of them. */
import { describe, expect, it } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { nodeHost } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { openTrainer } from '../../src/api/train/trainer.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { parseModule } from '../../src/ir/text/parse.js';
import { printModule } from '../../src/ir/text/print.js';
import type { Tensor } from '../../src/ir/types.js';
import { good } from '../dsl/semantics/helper.js';
import { relative } from '../passes/models.js';
import { fixture } from '../std/cases.js';

const { tensorsOf } = await fixture('train/batch_norm');
const start = await tensorsOf('start');
const batches = await Promise.all([0, 1, 2, 3].map((i) => tensorsOf(String(i))));

const spec = (more: string, tune = 'base, head') => `use std
backbone own() {
  conv1 = Conv2d(2 -> 4, kernel: 3, padding: 1)
  bn1 = BatchNorm(4)
  conv2 = Conv2d(4 -> 6, kernel: 3, stride: 2)
  bn2 = BatchNorm(6, eps: 1e-3, momentum: 0.3)
  forward(pixels: [n, 2, 7, 7]) { mean(relu(bn2(conv2(relu(bn1(conv1(pixels)))))), axis: [2, 3]) }
}
module top(base: module) {
  fc = Linear(6 -> 3)
  forward(pixels) { fc(base(pixels)) }
}
model M {
  base = own()
  head = top(base)
  tune ${tune}
}
train M {
  loss = cross_entropy(prediction, target)
  optimizer = sgd(lr: 0.05, momentum: 0.9)
  schedule = constant(epochs: 1)
  batch = 6
  ${more}
}
`;

async function opened(more = '', tune?: string) {
  const { train, ...elaborated } = good(spec(more, tune));
  const params = (name: string): Tensor => {
    const { type, data } = elaborated.module.params.get(name)!;
    return data ? { type, data } : start.get(name)!;
  };
  return { elaborated, trainer: await openTrainer({ elaborated, train: train!, params, host: nodeHost() }) };
}

const batchOf = (i: number) => {
  const found = batches[i]!;
  const [pixels, target] = ['pixels', 'target'].map((n) => Float32Array.from(found.get(n)!.data));
  return { pixels: pixels!, target: target! };
};
const place = (step: number) => ({ epoch: 0, step, steps: 4 });

describe('BatchNorm that is trained', () => {
  it.each([
    ['one', ''],
    ['one', 'ema = 0.5'],
    ['one', 'checkpoint = blocks'],
    ['parts', 'accumulate = 2'],
  ])('moves as PyTorch’s does: %s, `%s`', { timeout: 120_000 }, async (name, more) => {
    const { trainer } = await opened(more);
    try {
      for (const i of batches.keys()) {
        const { loss } = await trainer.step(batchOf(i), place(i));
        if (name === 'one') expect(Math.abs(loss - batches[i]!.get('loss')!.data[0]!), `step ${i}`).toBeLessThan(1e-5);
      }
      const expected = await tensorsOf(name);
      const found = await trainer.state();
      expect([...(await trainer.trained()).keys()].sort()).toEqual([...expected.keys()].sort());
      for (const [param, want] of expected) {
        // What a norm takes away again moves nowhere: a bias before it.
        const moved = /conv\d\.bias$/.test(param) ? 0 : 1;
        expect(relative(want, start.get(param)!) > 1e-3 ? 1 : 0, `${param} moved`).toBe(moved);
        expect(relative(want, found.get(param)!), param).toBeLessThan(1e-4);
      }
      const averages = (await trainer.trained()).get('base.bn2.running_var')!;
      expect(averages.data).toEqual(found.get('base.bn2.running_var')!.data);
      if (name !== 'one') return;
      // What ships is the model with these averages.
      const trained = await trainer.trained();
      const analysis = await analyseModel({ text: spec(more), path: 'own.peft' }, { host: nodeHost(), trained });
      const { get } = await loadParameters(analysis);
      const { type } = batches[0]!.get('pixels')!;
      const inputs = new Map([['pixels', { type, data: batchOf(0).pixels }]]);
      const [shipped] = interpret(analysis.elaborated.module, 'infer', { inputs, params: get }).values();
      const averaged = await trainer.averaged(() => trainer.evaluate(batchOf(0)));
      expect(relative(shipped!, { type: shipped!.type, data: Object.values(averaged.outputs)[0]! })).toBeLessThan(1e-5);
      // The loss as inference computes it reads the averages, and moves nothing.
      const { outputs } = await trainer.evaluate(batchOf(0));
      const logits = (await tensorsOf('eval')).get('logits')!;
      const [given] = Object.values(outputs);
      expect(relative(logits, { type: logits.type, data: given! })).toBeLessThan(1e-4);
      expect((await trainer.state()).get('base.bn1.running_mean')!.data).toEqual(
        found.get('base.bn1.running_mean')!.data,
      );
    } finally {
      trainer.dispose();
    }
  });

  it('keeps averages that are frozen, and is then what inference computes', { timeout: 60_000 }, async () => {
    const { elaborated, trainer } = await opened('', 'base.bn1.weight, head');
    try {
      expect(elaborated.module.params.get('base.bn1.running_mean')!.role).toBe('frozen');
      const inferred = (await trainer.evaluate(batchOf(1))).loss;
      const { loss } = await trainer.step(batchOf(1), place(0));
      expect(loss).toBeCloseTo(inferred, 6);
      expect([...(await trainer.state()).keys()].filter((n) => n.includes('running'))).toEqual([]);
    } finally {
      trainer.dispose();
    }
  });

  it('is no weight that an optimiser moves, and says its momentum in the IR', () => {
    const { module, train } = good(spec(''));
    expect(module.params.get('base.bn2.running_var')).toMatchObject({
      role: 'statistic',
      momentum: expect.closeTo(0.3, 6),
    });
    expect(train!.groups.flatMap((g) => g.params).filter((n) => n.includes('running'))).toEqual([]);
    const text = printModule(module);
    expect(text).toContain('param @base.bn1.running_mean : f32[4] statistic');
    expect(printModule(parseModule(text))).toBe(text);
  });
});
