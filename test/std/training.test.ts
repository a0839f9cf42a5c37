/** Optimisers, schedules and losses of the library, from specs, against PyTorch and timm (test/reference/train_parts.py), in f64. */
import { describe, expect, it } from 'vitest';
import type { TrainSettings } from '../../src/dsl/elaborated.js';
import { STD } from '../../src/dsl/std.generated.js';
import { constant, input } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpretFunc, interpretValues } from '../../src/ir/run/interpret.js';
import { valuesAt } from '../../src/ir/run/samples.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { good } from '../dsl/semantics/helper.js';
import { cotangents } from '../ir/derivatives/reverse.js';
import { relative } from '../passes/models.js';
import { fixture } from './cases.js';

const { metadata, tensorsOf: all } = await fixture('train/parts');
const listOf = <T>(kind: string): T[] => JSON.parse(metadata[kind]!) as T[];
const { tensorsOf } = {
  tensorsOf: async (kind: string, i: number): Promise<Map<string, Tensor>> => all(`${kind}/${i}`),
};

/** A model that adds a weight to what it is given: [b, ...each]. */
function trained(each: readonly number[], settings: string): TrainSettings & { readonly module: Module } {
  const shape = each.join(', ');
  const text = `use std
module Add() {
  w = param [${shape}] zeros
  forward(x: [b, ${shape}]) { x + w }
}
model M {
  add = Add()
  tune add
}
train M {
${settings}
}`;
  const { module, train } = good(text);
  return { ...train!, module };
}

/** An option of a spec, from a reference's. */
function spelled(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spelled).join(', ')}]`;
  if (typeof value === 'number') return value.toFixed(20).replace(/0+$/, '').replace(/\.$/, '');
  return String(value);
}

const call = (name: string, options: Readonly<Record<string, unknown>>): string =>
  `${name}(${Object.entries(options)
    .map(([key, value]) => `${key}: ${spelled(value)}`)
    .join(', ')})`;

const LR = 'optimizer = sgd(lr: 0.01)';
const ONCE = 'schedule = constant(epochs: 1)';

describe('optimisers of the library', () => {
  interface Case {
    readonly optimiser: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly groups?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly rates?: readonly number[];
  }
  const cases = listOf<Case>('optimisers');

  it('are all compared', () => {
    const declared = [...STD.training!.matchAll(/^optimizer (\w+)/gm)].map((m) => m[1]);
    expect([...new Set(cases.map((c) => c.optimiser))].sort()).toEqual(declared.sort());
  });

  it.each(cases.map((c, i) => [i, c.optimiser, c] as const))(
    '%i: %s',
    async (i, _, { optimiser, options, groups, rates }) => {
      const t = await tensorsOf('optimisers', i);
      for (const param of ['matrix', 'vector']) {
        const start = t.get(`${param}/start`)!;
        const given = t.get(`${param}/gradients`)!;
        const expected = t.get(`${param}/values`)!;
        const own = { ...options, ...groups?.[param] };
        const { groups: made } = trained(start.type.shape, `optimizer = ${call(optimiser, own)}\n${ONCE}`);
        const { optimizer, lr } = made[0]!;
        const weight = input('weight', start.type);
        const gradient = input('gradient', start.type);
        const scalar = { dtype: 'f32', shape: [] } as const;
        const [rate, count] = [input('rate', scalar), input('count', scalar)];
        const states = new Map([...optimizer.states.keys()].map((name) => [name, input(name, start.type)]));
        const after = optimizer.step({ weight, gradient, rate, count, states });
        const func = {
          name: 'step',
          inputs: [weight, gradient, rate, count, ...states.values()],
          results: [
            { name: 'weight', value: after.weight },
            ...[...after.states].map(([name, value]) => ({ name, value })),
          ],
          updates: [],
        };
        const n = sizeOf(start.type.shape);
        let now = new Map<string, Tensor>([['weight', start]]);
        for (const [name, value] of optimizer.states)
          now.set(name, interpretValues([constant(value, start.type.shape)])[0]!);
        for (let step = 0; step < 30; step++) {
          const inputs = new Map(now);
          inputs.set('gradient', {
            type: start.type,
            data: Float64Array.from(given.data.subarray(step * n, (step + 1) * n)),
          });
          inputs.set('rate', tensor([], [rates?.[step] ?? lr]));
          inputs.set('count', tensor([], [step + 1]));
          now = interpretFunc(func, { inputs });
          const want = { type: start.type, data: expected.data.subarray(step * n, (step + 1) * n) as Float64Array };
          expect(relative(want, now.get('weight')!), `${param}, step ${step}`).toBeLessThan(3e-7);
        }
      }
    },
  );
});

describe('schedules of the library', () => {
  interface Case {
    readonly schedule: string;
    readonly options: Readonly<Record<string, unknown>>;
    readonly base: number;
    readonly counts: 'epochs' | 'steps' | 'either';
  }
  /** How a spec says it. */
  function inLibrary({ schedule, options: o }: Case, length: number): string {
    const warmup = { warmup: o.warmup_t ?? 0, warmup_lr: o.warmup_lr_init ?? 0, prefix: o.warmup_prefix ?? false };
    if (schedule === 'constant') return call('constant', { epochs: length });
    if (schedule === 'cosine (timm)') {
      const { cycle_limit: cycles = 1, cycle_mul = 1, cycle_decay = 1 } = o;
      const again = { cycle: o.t_initial, cycles, cycle_mul, cycle_decay };
      const epochs = 'cycle_limit' in o ? { epochs: length, ...again } : { epochs: o.t_initial };
      return call('cosine', { ...epochs, lr_min: o.lr_min, ...warmup });
    }
    if (schedule === 'step (timm)')
      return call('step', { epochs: length, gamma: o.decay_rate, every: o.decay_t, ...warmup });
    if (schedule === 'StepLR') return call('step', { epochs: length, gamma: o.gamma, every: o.step_size });
    const {
      pct_start: up = 0.3,
      div_factor: start = 25,
      final_div_factor: end = 1e4,
      anneal_strategy: anneal = 'cos',
      three_phase = false,
    } = o;
    return call('one_cycle', { epochs: 1, up, start, end, anneal, three_phase });
  }
  const cases = listOf<Case>('schedules');

  it.each(cases.map((c, i) => [i, c.schedule, c] as const))('%i: %s', async (i, _, of) => {
    const rates = (await tensorsOf('schedules', i)).get('rates')!.data;
    const { rate } = trained([2], `${LR}\nschedule = ${inLibrary(of, rates.length)}`);
    const found = [...rates].map((_, at) => rate(of.base, { epoch: at, step: at, steps: rates.length }));
    for (const [at, x] of found.entries()) expect(x, `at ${at}`).toBeCloseTo(rates[at]!, 9);
  });
});

describe('losses of the library', () => {
  interface Case {
    readonly loss: string;
    readonly targets: 'labels' | 'soft' | 'values';
    readonly options: Readonly<Record<string, number>>;
  }
  const cases = listOf<Case>('losses');
  const numbers = (t: Tensor | undefined): number[] | undefined => t && [...t.data];

  function inLibrary({ loss, targets, options }: Case, t: ReadonlyMap<string, Tensor>): string {
    if (loss === 'cross_entropy') {
      const weights = numbers(t.get('weight'));
      const over = targets === 'soft' ? { over: 'plain' } : {};
      return call(loss, { smoothing: options.label_smoothing, ...(weights ? { weights, ...over } : {}) });
    }
    if (loss === 'bce_with_logits') {
      const present = numbers(t.get('pos_weight'));
      return call('binary_cross_entropy', present ? { present } : {});
    }
    return call(loss, options);
  }

  it.each(cases.map((c, i) => [i, c.loss, c] as const))('%i: %s', async (i, _, of) => {
    const t = await tensorsOf('losses', i);
    const x = t.get('x')!;
    const [rows, ...each] = x.type.shape as [number, ...number[]];
    const { loss, module } = trained(each, `${LR}\n${ONCE}\nloss = ${inLibrary(of, t)}`);
    const given = t.get('target')!;
    const classes = each[0]!;
    const target =
      of.targets === 'labels'
        ? tensor(
            [rows, classes],
            Float64Array.from(
              { length: rows * classes },
              (_, k) => +(given.data[Math.floor(k / classes)] === k % classes),
            ),
          )
        : given;
    const value = loss.results[0]!.value;
    const argument = loss.inputs.find((v) => v.op === 'input' && v.attrs.name === 'x')!;
    const one = constant(1);
    const [gradient] = cotangents([{ value, cotangent: one }], [argument]);
    const at = valuesAt([value, gradient!], rows);
    const [found, slope] = interpretValues([at(value), at(gradient!)], {
      inputs: new Map([
        ['x', { ...x, type: { dtype: 'f32', shape: x.type.shape } }],
        ['target', { ...target, type: { dtype: 'f32', shape: x.type.shape } }],
      ]),
      params: (name) => {
        const { type, data } = module.params.get(name)!;
        return { type, data: data ?? new Float64Array(sizeOf(each)) };
      },
    });
    // References are read as f32.
    expect(found!.data[0]! / t.get('loss')!.data[0]!).toBeCloseTo(1, 6);
    expect(relative(t.get('gradient')!, slope!)).toBeLessThan(3e-7);
  });
});
