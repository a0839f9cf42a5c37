/** Random graphs of affine operators with adapters scattered over them: whatever merges, the numbers stay. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { input, withInputs } from '../../src/ir/graph.js';
import type { Module, Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { Net, parameters, relative, run } from './models.js';

/** One step: which operator, which earlier values it reads, and whether an adapter brought it. */
interface Step {
  readonly op: number;
  readonly first: number;
  readonly second: number;
  readonly adapter: boolean;
}

const WIDTH = 4;

/** All values have the shape [2, 3, 4] or, as images, keep it by construction; layouts go there and back. */
function grow(steps: readonly Step[]): Module {
  const net = new Net();
  const { b } = net;
  const values: Value[] = [input('x', { dtype: 'f32', shape: [2, 3, WIDTH] })];
  steps.forEach((step, i) => {
    const x = values[step.first % values.length]!;
    const y = values[step.second % values.length]!;
    const apply = (param: (name: string, shape: readonly number[]) => Value): Value => {
      const square = param(`w${i}`, [WIDTH, WIDTH]);
      const vector = param(`v${i}`, [WIDTH]);
      switch (step.op) {
        case 0:
          return b.linear(x, square, vector);
        case 1:
          return b.linear(x, square);
        case 2:
          return b.add(x, y);
        case 3:
          return b.sub(x, b.mul(y, 0.5));
        case 4:
          return b.mul(x, vector);
        case 5:
          return b.add(x, vector);
        case 6:
          return b.matmul(b.matmul(x, param(`a${i}`, [WIDTH, 1])), param(`b${i}`, [1, WIDTH]));
        case 7:
          return b.concat([b.sliceAxis(x, 2, 0, 2), b.sliceAxis(y, 2, 2, 4)], 2);
        case 8:
          return b.roll(x, [1], [1]);
        case 9:
          return b.slice(b.linear(b.pad(x, [0, 0, 0], [0, 1, 0]), square), [0, 1, 0], [2, 4, WIDTH]);
        case 10:
          return b.add(x, param(`p${i}`, [3, 1]));
        case 11:
          return b.tanh(x);
        case 12:
          return b.linear(x, b.kron(param(`c${i}`, [2, 2]), b.matmul(param(`a${i}`, [2, 1]), param(`b${i}`, [1, 2]))));
        case 13:
          return b.layerNorm(x, vector, param(`h${i}`, [WIDTH]), 0.1);
        case 14: {
          const turned = b.transpose(x, [1, 0, 2]);
          return b.transpose(b.linear(turned, square, vector), [1, 0, 2]);
        }
        case 15:
          return b.reshape(b.linear(b.reshape(x, [6, WIDTH]), square), [2, 3, WIDTH]);
        // Gains and shifts of every rank, right above a norm and above anything: a rank above the tensor's adds an axis.
        case 16:
        case 17:
        case 18: {
          const y = step.op === 18 ? x : b.layerNorm(x, vector, undefined, 0.1);
          const gain = b.reshape(vector, [...new Array<number>(step.second % 4).fill(1), WIDTH]);
          const made = step.op === 17 ? b.add(gain, y) : b.mul(y, gain);
          return made.type.shape.length > 3 ? b.sum(made, [0]) : made;
        }
        // Sums over the batch and over tokens, which every row reads.
        case 19:
          return b.add(x, b.sum(y, [0], true));
        case 20:
          return b.sub(x, b.mean(y, [1], true));
        // Numbers that a text or a key may lose.
        case 21:
          return b.maximum(x, b.div(1, b.constant(step.second % 2 === 0 ? -0 : Number.NEGATIVE_INFINITY)));
        case 22:
          return b.minimum(b.maximum(x, b.constant(Number.NEGATIVE_INFINITY)), b.constant(Number.POSITIVE_INFINITY));
        case 23:
          return b.mul(b.add(x, b.constant(-0)), b.div(1, b.div(1, b.constant(step.second % 2 === 0 ? 0.5 : -0.5))));
        // Slices and concatenations across the batch, tokens and channels.
        case 24: {
          const axis = step.second % 3;
          const cut = 1 + (step.first % (x.type.shape[axis]! - 1));
          return b.concat([b.sliceAxis(y, axis, 0, cut), b.sliceAxis(x, axis, cut, x.type.shape[axis]!)], axis);
        }
        case 25: {
          const twice = b.linear(x, param(`d${i}`, [2 * WIDTH, WIDTH]), param(`e${i}`, [2 * WIDTH]));
          return b.sub(b.sliceAxis(twice, 2, 0, WIDTH), b.sliceAxis(twice, 2, WIDTH, 2 * WIDTH));
        }
        // What parameters alone compute over the batch.
        default:
          return b.add(x, b.tanh(b.broadcast(b.reshape(vector, [1, 1, WIDTH]), [2, 3, WIDTH])));
      }
    };
    values.push(
      step.adapter
        ? net.adapter(`s${i % 3}`, 'graft', apply)
        : apply((name, shape) => net.param(`base.${name}${shape.length > 1 ? '.weight' : '.bias'}`, shape)),
    );
  });
  const last = values.at(-1)!;
  return net.module(withInputs(last, last.inputs));
}

const step = fc.record({
  op: fc.integer({ min: 0, max: 26 }),
  first: fc.nat(30),
  second: fc.nat(30),
  adapter: fc.boolean(),
});

describe('random affine graphs', () => {
  for (const layout of ['keep', 'free'] as const) {
    it(`merged and factored equal what they came from (${layout})`, () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => {
          const before = grow(steps);
          const params = parameters(before);
          const y = run(before, params);
          for (const adapters of ['merged', 'factored'] as const) {
            const { module } = optimize(before, { adapters, layout, verify: true });
            const z = run(module, params);
            // Sums that cancel may leave nothing to be relative to.
            if (y.data.every((v) => Math.abs(v) < 1e-9)) expect(z.data.every((v) => Math.abs(v) < 1e-9)).toBe(true);
            else expect(relative(y, z)).toBeLessThan(1e-9);
          }
        }),
        { numRuns: 300 },
      );
    }, 120_000);
  }
});
