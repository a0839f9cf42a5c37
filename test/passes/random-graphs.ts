/**
 * Random graphs with adapters scattered over them, which reach every rule of every pass: layers and norms with gains of every rank, layouts,
 * sums over the batch, infinities and zeros of either sign, slices and concatenations, images, attention, stacked adapters.
 */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { lower } from '../../src/codegen/groups/lower.js';
import { BATCH } from '../../src/ir/batch.js';
import { input, withInputs } from '../../src/ir/graph.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';
import { type AdapterMode, optimize, PASSES, type Pass } from '../../src/passes/index.js';
import { checkRegions } from './check-regions.js';
import { Net, parameters, relative, run } from './models.js';

/** One step: which operator, which earlier values it reads, and whether an adapter brought it. */
export interface Step {
  readonly op: number;
  readonly first: number;
  readonly second: number;
  readonly adapter: boolean;
}

const WIDTH = 4;
/** The number of operators in the table of `grow`. */
const OPS = 44;

/**
 * All values have the shape [n, 3, 4] or, as images, keep it by construction; layouts go there and back. `n` is the batch, or a number of
 * samples: then no step may know that it is one.
 */
export function grow(steps: readonly Step[], n: number = BATCH): Module {
  const net = new Net();
  const { b } = net;
  const values: Value[] = [input('x', { dtype: 'f32', shape: [n, 3, WIDTH] })];
  steps.forEach((step, i) => {
    // Mostly what was just made, so that most of the graph is read.
    const near = (k: number): Value => values.at(-1 - (k % Math.min(values.length, k % 5 === 0 ? values.length : 2)))!;
    const x = near(step.first);
    const y = near(step.second);
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
          return b.slice(b.linear(b.pad(x, [0, 0, 0], [0, 1, 0]), square), [0, 1, 0], [n, 4, WIDTH]);
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
          return b.reshape(b.linear(b.reshape(x, [3 * n, WIDTH]), square), [n, 3, WIDTH]);
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
          if (axis === 0)
            return b.sliceAxis(b.concat([x, y, x], 0), 0, n * (step.first % 2), n * (1 + (step.first % 2)));
          const cut = 1 + (step.first % (x.type.shape[axis]! - 1));
          return b.concat([b.sliceAxis(y, axis, 0, cut), b.sliceAxis(x, axis, cut, x.type.shape[axis]!)], axis);
        }
        case 25: {
          const twice = b.linear(x, param(`d${i}`, [2 * WIDTH, WIDTH]), param(`e${i}`, [2 * WIDTH]));
          return b.sub(b.sliceAxis(twice, 2, 0, WIDTH), b.sliceAxis(twice, 2, WIDTH, 2 * WIDTH));
        }
        // What parameters alone compute over the batch.
        case 26:
          return b.add(x, b.tanh(b.broadcast(b.reshape(vector, [1, 1, WIDTH]), [n, 3, WIDTH])));
        case 27: {
          const prompts = b.layerNorm(
            b.broadcast(param(`p${i}`, [1, 2, WIDTH]), [n, 2, WIDTH]),
            vector,
            undefined,
            0.1,
          );
          return b.slice(b.linear(b.concat([prompts, x], 1), square), [0, 1, 0], [n, 4, WIDTH]);
        }
        case 28: {
          const many = b.broadcast(b.reshape(square, [1, WIDTH, WIDTH]), [3, WIDTH, WIDTH]);
          const rows = b.softmax(b.transpose(b.reshape(many, [3, 2, 2, WIDTH]), [0, 2, 1, 3]), 3);
          return b.add(x, b.slice(b.reshape(rows, [3, WIDTH, WIDTH]), [0, 0, 0], [1, 3, WIDTH]));
        }
        // Images of three channels.
        case 29:
        case 30: {
          const image = b.reshape(x, [n, 3, 2, 2]);
          const size = step.op === 29 ? 1 : 3;
          const pad = step.op === 29 ? 0 : 1;
          const attrs = { stride: [1, 1], padding: [pad, pad, pad, pad], dilation: [1, 1], groups: 1 } as const;
          const bias = step.second % 2 ? [param(`k${i}`, [3])] : [];
          return b.reshape(net.make('conv2d', [image, param(`c${i}`, [3, 3, size, size]), ...bias], attrs), [
            n,
            3,
            WIDTH,
          ]);
        }
        case 31: {
          const gain = param(`k${i}`, [3]);
          const image = b.reshape(x, [n, 3, 2, 2]);
          const spread = b.add(b.mul(gain, gain), 0.5);
          const normal = net.make('batch_norm', [image, gain, gain, gain, spread], { eps: 0.1 });
          return b.reshape(b.mul(normal, b.reshape(gain, [3, 1, 1])), [n, 3, WIDTH]);
        }
        case 32: {
          const image = b.reshape(x, [n, 3, 2, 2]);
          const normal = net.make('group_norm', [image, param(`k${i}`, [3])], { groups: 3, eps: 0.1 });
          const shift = b.reshape(param(`l${i}`, [3]), [...new Array<number>(step.second % 2).fill(1), 3, 1, 1]);
          return b.reshape(b.sub(normal, shift), [n, 3, WIDTH]);
        }
        // Rows that are read in part, mixed, picked and repeated.
        case 33: {
          const heads = (v: Value): Value => b.transpose(b.reshape(v, [n, 3, 2, 2]), [0, 2, 1, 3]);
          const mixed = b.attention(heads(x), heads(y), heads(b.linear(x, square)), 0.5);
          return b.reshape(b.transpose(mixed, [0, 2, 1, 3]), [n, 3, WIDTH]);
        }
        case 34:
          return b.add(b.broadcast(b.sliceAxis(x, 1, 0, 1), [n, 3, WIDTH]), y);
        case 35:
          return b.softmax(x, step.second % 3);
        case 36: {
          const picks = b.iota([3], 0, 'i32');
          return b.gather(b.concat([x, y], 1), b.add(picks, picks), 1);
        }
        case 37:
          return b.select(b.lt(x, y), b.mul(x, 2), b.neg(y));
        case 38:
          return b.div(b.add(x, b.div(y, b.constant(4))), b.add(b.abs(vector), 1));
        // Masks over a weight alone, over its sum with an adapter's, and over a layer's result.
        case 40:
          return b.linear(x, b.mul(square, net.mask(square)), vector);
        case 41: {
          const added = b.add(square, b.matmul(param(`a${i}`, [WIDTH, 1]), param(`b${i}`, [1, WIDTH])));
          return b.linear(x, b.mul(added, net.mask(square)));
        }
        case 42:
          return b.mul(b.linear(x, square), net.mask(vector));
        // What is only for training, of every kind.
        case 43: {
          const dropped = net.make(step.second % 2 ? 'dropout' : 'drop_path', [x], { rate: 0.5, stream: i });
          return b.stopGradient(b.linear(dropped, square));
        }
        default:
          // One adapter more on what the last one gave.
          return b.add(
            values.at(-1)!,
            b.matmul(b.matmul(values.at(-1)!, param(`a${i}`, [WIDTH, 1])), param(`b${i}`, [1, WIDTH])),
          );
      }
    };
    values.push(
      step.adapter
        ? net.adapter(`s${i % 3}`, 'graft', apply)
        : apply((name, shape) => net.param(`base.${name}${shape.length > 1 ? '.weight' : '.bias'}`, shape)),
    );
  });
  const last = values.at(-1)!;
  // Now and then only some rows are read.
  const rows = steps.length % 3 === 0 ? b.sliceAxis(last, 1, 0, 1) : last;
  return net.module(withInputs(rows, rows.inputs));
}

export const step = fc.record({
  op: fc.nat(OPS - 1),
  first: fc.nat(30),
  second: fc.nat(30),
  adapter: fc.boolean(),
});

/** Sums that cancel may leave nothing to be relative to. */
function expectSame(before: Tensor, after: Tensor, when: string): void {
  expect(after.type, when).toEqual(before.type);
  if (before.data.every((v) => Math.abs(v) < 1e-9))
    expect(
      after.data.every((v) => Math.abs(v) < 1e-9),
      when,
    ).toBe(true);
  // What is not a number stays so, at its place.
  else if (before.data.some((v) => !Number.isFinite(v))) {
    for (const [i, v] of before.data.entries()) if (!Number.isFinite(v)) expect(after.data[i], when).toBe(v);
  } else expect(relative(before, after), when).toBeLessThan(1e-9);
}

/** Every pass keeps the numbers, for one sample and for several: what is different is said with the pass that made it so. */
export function expectPassesToKeep(before: Module): void {
  const params = parameters(before);
  const several = [1, 3].map((samples) => [samples, run(before, params, samples)] as const);
  const expectKept = (module: Module, when: string): void => {
    for (const [samples, y] of several) expectSame(y, run(module, params, samples), `${when}, ${samples} samples`);
  };
  for (const adapters of ['merged', 'factored', 'auto'] as const) {
    let last = before;
    const after = (pass: string, module: Module): void => {
      if (module !== last) expectKept(module, `${adapters}: after ${pass}`);
      last = module;
    };
    const { module, report } = optimize(before, { adapters, verify: true, after });
    // Layer by layer too, as a compile checks them.
    for (const { site, diagnostic } of checkRegions(report.regions, params)) expect(diagnostic, site).toBeUndefined();
    const lowered = lower(module.funcs.get('infer')!, { binding: 2 ** 27, weights: 'f32' });
    const made = { ...module, funcs: new Map(module.funcs).set('infer', lowered) };
    expectKept(made, `${adapters}: lowered`);
  }
}

/** All passes but one keep the numbers too: none of them mends what another breaks. */
export function expectKeptWithout(before: Module, without: Pass, adapters: AdapterMode): void {
  const params = parameters(before);
  const passes = PASSES.filter((pass) => pass !== without);
  const { module } = optimize(before, { adapters, passes, verify: true });
  for (const samples of [1, 3])
    expectSame(run(before, params, samples), run(module, params, samples), `${adapters}, ${samples} samples`);
}
