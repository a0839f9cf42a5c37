/** `prune` statements: jobs, masks and scores. */
import { describe, expect, it } from 'vitest';
import { interpretFunc } from '../../../src/ir/run/interpret.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import { good, run, wrongs } from './helper.js';
import { tiny } from './tiny.js';

describe('prune', () => {
  it('makes one job for a statement, with a mask and a score for each weight', () => {
    const e = tiny(
      '  in base.blocks[*] { prune mlp.* with magnitude(sparsity: 25%, scope: global, shape: block(4, 2)) }',
    );
    expect(e.prune).toHaveLength(1);
    const job = e.prune[0]!;
    expect(job).toMatchObject({
      criterion: 'magnitude',
      sparsity: 0.25,
      scope: 'global',
      over: 'base',
      shape: { kind: 'block', rows: 4, cols: 2 },
    });
    expect(job.targets).toHaveLength(8);
    expect(job.targets[0]).toEqual({
      param: 'base.blocks.0.mlp.fc1.weight',
      mask: 'base.blocks.0.mlp.fc1.weight#mask',
      site: 'base.blocks.0.mlp.fc1',
    });
    expect(e.module.params.get('base.blocks.0.mlp.fc1.weight#mask')).toMatchObject({
      role: 'constant',
      type: { shape: [32, 8] },
    });
    const weight = tensor(
      [32, 8],
      Float64Array.from({ length: 256 }, (_, i) => i - 100),
    );
    const score = interpretFunc(job.score[0]!, { inputs: new Map([['weight', weight]]) }).get('score')!;
    expect([...score.data].slice(0, 3)).toEqual([100, 99, 98]);
  });

  it('takes N:M patterns', () => {
    const job = tiny('  prune base.blocks[0].mlp.fc1 with magnitude(shape: 2:4)').prune[0]!;
    expect(job.shape).toEqual({ kind: 'nm', keep: 2, of: 4 });
    expect(job.sparsity).toBeUndefined();
  });

  const one = (statements: string) =>
    good(`use std
backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(x) }
}
model M {
  base = one()
${statements}
}`);
  const eye = tensor(
    [4, 4],
    Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)),
  );
  const x = tensor([1, 4], [1, 2, 3, 4]);
  const mask = tensor([4, 4], [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
  const ones = (shape: number[]): Tensor => tensor(shape, new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(1));
  const params = {
    'base.fc.weight': eye,
    'base.fc.weight#mask': mask,
    'base.fc@lora.A': ones([1, 4]),
    'base.fc@lora.B': ones([4, 1]),
  };

  it('masks the base under its adapters, wherever the statement stands', () => {
    for (const order of [0, 1]) {
      const lines = ['  prune base.fc with magnitude(sparsity: 50%)', '  adapt base.fc with lora(rank: 1)'];
      const e = one((order === 0 ? lines : lines.reverse()).join('\n'));
      expect([...run(e, { x }, params).get('base')!.data]).toEqual([10, 12, 13, 10]);
    }
  });

  it('over: sum masks the sum of base and adapters', () => {
    const e = one('  prune base.fc with magnitude(sparsity: 50%, over: sum)\n  adapt base.fc with lora(rank: 1)');
    expect([...run(e, { x }, params).get('base')!.data]).toEqual([9, 12, 13, 6]);
  });

  it('over: sum is refused where no merged weight exists', () => {
    const text = `use std
backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 3, 4]) { fc(x) }
}
model M {
  base = one()
  prune base.fc with magnitude(sparsity: 50%, over: sum)
  adapt base.fc with adaptformer(hidden: 2)
}`;
    expect(wrongs(text).map((d) => d.code)).toEqual(['ESP0332']);
  });
});
