/** Graphs of which one kernel stores several values, for the simulator and for GPUs. */
import { build } from '../../src/ir/build.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Value } from '../../src/ir/types.js';
import type { Model } from './harness.js';

interface Several {
  readonly make: (m: Model) => readonly Value[];
  /** Dispatches of the program. */
  readonly dispatches: number;
}

/** One step of Adam, its factors of the step left out: new parameter and moments. */
function adam(p: Value, g: Value, m: Value, v: Value): readonly Value[] {
  const first = build.add(build.mul(m, 0.9), build.mul(g, 0.1));
  const second = build.add(build.mul(v, 0.99), build.mul(build.mul(g, g), 0.01));
  const step = build.div(first, build.add(build.sqrt(second), 1e-3));
  return [build.sub(p, build.mul(step, 0.1)), first, second];
}

const squares = (m: Model, shape: readonly number[]): Value =>
  m.input(
    shape,
    'f32',
    tensor(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => (i % 5) / 10),
    ),
  );

export const SEVERAL: Readonly<Record<string, Several>> = {
  'a product and its activation': {
    make: (m) => {
      const h = build.linear(m.input([5, 16]), m.param([33, 16]), m.param([33]));
      return [h, build.gelu(h)];
    },
    dispatches: 1,
  },
  'two activations of a product that nobody reads': {
    make: (m) => {
      const h = build.linear(m.input([3, 8]), m.param([12, 8]));
      return [build.sigmoid(h), build.exp(h)];
    },
    dispatches: 1,
  },
  'an activation that the next product reads, and its derivative for later': {
    make: (m) => {
      const h = build.linear(m.input([6, 8]), m.param([16, 8]));
      const y = build.linear(build.relu(h), m.param([4, 16]));
      const slope = build.select(build.lt(h, 0), build.mul(h, 0), build.add(build.mul(h, 0), 1));
      return [y, build.mul(build.linear(y, m.param([16, 4])), slope), h];
    },
    dispatches: 3,
  },
  'a value that is a result twice': {
    make: (m) => {
      const y = build.softmax(m.input([3, 40]), 1);
      return [y, y, build.mul(y, y)];
    },
    dispatches: 1,
  },
  'attention, put in order, and two things made of it': {
    make: (m) => {
      const heads = (): Value => m.input([1, 2, 5, 6]);
      const y = build.attention(heads(), heads(), heads(), 0.5);
      const rows = build.reshape(build.transpose(y, [0, 2, 1, 3]), [1, 5, 12]);
      return [rows, build.tanh(rows), build.add(rows, m.input([1, 5, 12]))];
    },
    dispatches: 1,
  },
  'a product sliced, rolled, and what is made of that': {
    make: (m) => {
      const y = build.linear(m.input([4, 6, 8]), m.param([10, 8]));
      const part = build.roll(build.sliceAxis(y, 2, 1, 8), [2], [1]);
      return [part, build.exp(part)];
    },
    dispatches: 1,
  },
  'sums of rows, and their roots': {
    make: (m) => {
      const x = m.input([7, 40]);
      const sum = build.sum(build.mul(x, x), [1]);
      return [sum, build.sqrt(sum), build.mean(x, [0], true)];
    },
    dispatches: 2,
  },
  'largest elements, their places, and twice the places': {
    make: (m) => {
      const top = m.op('top_k', [m.input([3, 10])], { k: 4 });
      const places = build.aux(top, 'indices');
      return [top, places, build.add(places, places)];
    },
    dispatches: 2,
  },
  'places alone': {
    make: (m) => [build.aux(m.op('top_k', [m.input([3, 10])], { k: 3 }), 'indices')],
    dispatches: 1,
  },
  'log-sum-exp alone': {
    make: (m) => {
      const heads = (): Value => m.input([2, 1, 5, 8]);
      return [build.aux(build.attention(heads(), heads(), heads(), 0.5), 'lse')];
    },
    dispatches: 1,
  },
  'a step of Adam': {
    make: (m) => adam(m.input([5, 7]), m.input([5, 7]), m.input([5, 7]), squares(m, [5, 7])),
    dispatches: 1,
  },
  'a step of Adam from a product': {
    make: (m) => {
      const g = build.linear(m.input([6, 8]), m.param([12, 8]));
      return adam(m.input([6, 12]), g, m.input([6, 12]), squares(m, [6, 12]));
    },
    dispatches: 1,
  },
  'the statistics of rows, beside what they are for and alone': {
    make: (m) => {
      const norm = build.layerNorm(m.input([3, 5, 64]), m.param([64]), m.param([64]), 1e-3);
      const small = build.layerNorm(m.input([4, 7]), undefined, undefined, 1e-3);
      const soft = build.softmax(m.input([6, 9]), 0);
      const groups = m.op('group_norm', [m.input([2, 6, 5, 4]), m.param([6])], { groups: 3, eps: 1e-3 });
      return [
        norm,
        build.aux(norm, 'mean'),
        build.aux(norm, 'rstd'),
        build.aux(small, 'rstd'),
        build.exp(soft),
        build.mul(build.aux(soft, 'lse'), 2),
        groups,
        build.aux(groups, 'mean'),
        build.aux(groups, 'rstd'),
      ];
    },
    dispatches: 5,
  },
};
