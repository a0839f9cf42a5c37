/** What `split` moves to `prepare`: all that parameters alone compute, for any number of samples; what depends on their number stays. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../src/ir/batch.js';
import { input, rootsOf, topological } from '../../src/ir/graph.js';
import { dependsOnBatch } from '../../src/ir/run/samples.js';
import type { Func, Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { Net, parameters, relative, run } from './models.js';

const opsOf = (func: Func): string[] => topological(rootsOf(func)).map((v) => v.op);

/** The functions of x + f(w), a model of some parameters and one argument [b, 3, 4]; the numbers stay. */
function split(f: (net: Net) => Value): { prepare: Func | undefined; infer: Func } {
  const net = new Net();
  const x = input('x', { dtype: 'f32', shape: [BATCH, 3, 4] });
  const before = net.module(net.b.add(x, f(net)));
  const params = parameters(before);
  const { module } = optimize(before, { adapters: 'merged', verify: true });
  for (const n of [1, 3]) expect(relative(run(before, params, n), run(module, params, n))).toBeLessThan(1e-12);
  const prepare = module.funcs.get('prepare');
  if (prepare) expect(rootsOf(prepare).some(dependsOnBatch)).toBe(false);
  return { prepare, infer: module.funcs.get('infer')! };
}

describe('split', () => {
  it('moves what does not depend on the batch', () => {
    const { prepare, infer } = split((net) => net.b.tanh(net.param('w', [4])));
    expect(opsOf(prepare!)).toContain('tanh');
    expect(opsOf(infer)).not.toContain('tanh');
  });

  it('computes what is repeated for each sample once', () => {
    const { prepare, infer } = split((net) => net.b.tanh(net.b.broadcast(net.param('w', [1, 3, 4]), [BATCH, 3, 4])));
    expect(opsOf(prepare!)).toContain('tanh');
    expect(opsOf(infer)).not.toContain('tanh');
  });

  it('leaves what reads the number of samples, and moves what that reads', () => {
    const { prepare, infer } = split((net) => net.b.exp(net.b.div(net.b.tanh(net.param('w', [4])), net.b.batchSize())));
    expect(opsOf(prepare!)).toContain('tanh');
    expect(opsOf(prepare!)).not.toContain('exp');
    expect(opsOf(infer)).toEqual(expect.arrayContaining(['batch_size', 'exp']));
    expect(opsOf(infer)).not.toContain('tanh');
  });

  it('leaves what differs between samples', () => {
    const { infer } = split((net) => {
      const number = net.make('iota', [], { axis: 0, dtype: 'f32', shape: [BATCH, 1, 1] });
      return net.b.sin(net.b.mul(number, net.param('w', [4])));
    });
    expect(opsOf(infer)).toContain('sin');
  });
});
