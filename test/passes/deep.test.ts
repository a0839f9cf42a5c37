/** Graphs thousands of values deep, in every way in which a graph can be deep: no stage may recurse over them, nor take quadratic time. */
import { describe, expect, it } from 'vitest';
import { generate } from '../../src/codegen/generate.js';
import { affineOf, isObstacle, weightOf } from '../../src/ir/affine/affine.js';
import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { input, topological } from '../../src/ir/graph.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { parseModule, printModule } from '../../src/ir/text/print.js';
import type { Module, Tensor, Value } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { random } from '../codegen/harness.js';
import { equalModules } from '../equal.js';
import { withLittleStack } from '../stack.js';
import { checkRegions } from './check-regions.js';
import { Net, relative, run } from './models.js';

const DEPTH = 1000;
const WIDTH = 4;

/** `step` over and over; `net` declares what it needs. */
type Step = (net: Net, last: Value, i: number, x: Value) => Value;

const tokens = (): Value => input('x', { dtype: 'f32', shape: [1, 3, WIDTH] });

function chain(step: Step, depth = DEPTH): Module {
  const net = new Net();
  const x = tokens();
  let y = x;
  for (let i = 0; i < depth; i++) y = step(net, y, i, x);
  return net.module(net.b.linear(y, net.param('head.weight', [2, WIDTH])));
}

/** A weight that is `step` over and over, read by one layer. */
function weightChain(step: Step, depth = DEPTH): Module {
  const net = new Net();
  let w = net.param('base.weight', [WIDTH, WIDTH]);
  for (let i = 0; i < depth; i++) w = step(net, w, i, w);
  return net.module(net.b.linear(tokens(), w));
}

const adapterParam = (net: Net, name: string, shape: readonly number[]): Value =>
  net.param(`base@a.${name}`, shape, 'trainable');

/** Few parameters, read again and again: their number is not what is tested. */
const of = (i: number): number => i % 5;

const ACTIVATIONS: Readonly<Record<string, Step>> = {
  'a function of each element': ({ b }, y) => b.tanh(y),
  'scales and shifts': (net, y, i) =>
    net.b.add(net.b.mul(y, net.param(`g${of(i)}`, [WIDTH])), net.param(`h${of(i)}`, [WIDTH])),
  'residual sums': ({ b }, y, _i, x) => b.add(y, b.mul(x, 0.001)),
  'sums of earlier ones': ({ b }, y) => b.add(b.mul(y, 0.5), b.mul(b.tanh(y), 0.5)),
  views: ({ b }, y, i) => (i % 2 ? b.reshape(y, [1, 3, WIDTH]) : b.transpose(b.reshape(y, [3, 1, WIDTH]), [1, 0, 2])),
  rolls: ({ b }, y) => b.roll(y, [1], [1]),
  'parts put together': ({ b }, y) => b.concat([b.sliceAxis(y, 1, 1, 3), b.tanh(b.sliceAxis(y, 1, 0, 1))], 1),
  padding: ({ b }, y) => b.slice(b.pad(y, [0, 0, 0], [0, 1, 0]), [0, 0, 0], [1, 3, WIDTH]),
  layers: (net, y, i) => net.b.linear(y, net.param(`w${of(i)}.weight`, [WIDTH, WIDTH])),
  norms: (net, y, i) => net.norm(`n${of(i)}`, y),
  'adapters after one another': (net, y, i) =>
    net.adapter('base', 'a', (param) => net.b.linear(y, param(`w${of(i)}`, [WIDTH, WIDTH]))),
  'adapters on one layer': (net, y, i, x) =>
    i === 0
      ? net.linear('base', x, WIDTH, WIDTH)
      : net.adapter(`base`, `a`, (param) =>
          net.b.add(y, net.b.matmul(net.b.matmul(x, param(`A${of(i)}`, [WIDTH, 1])), param(`B${of(i)}`, [1, WIDTH]))),
        ),
};

const WEIGHTS: Readonly<Record<string, Step>> = {
  'a function of each element': ({ b }, w) => b.tanh(w),
  sums: (net, w, i) => net.b.add(w, adapterParam(net, `d${of(i)}`, [WIDTH, WIDTH])),
  differences: (net, w, i) => net.b.sub(adapterParam(net, `d${of(i)}`, [WIDTH, WIDTH]), w),
  scales: (net, w, i) => net.b.mul(w, adapterParam(net, `s${of(i)}`, [WIDTH, 1])),
  products: (net, w, i) => net.b.matmul(adapterParam(net, `d${of(i)}`, [WIDTH, WIDTH]), w),
  'sums of products': (net, w, i) =>
    net.b.add(
      net.b.matmul(w, adapterParam(net, `d${of(i)}`, [WIDTH, WIDTH])),
      net.param('base.weight', [WIDTH, WIDTH]),
    ),
  transposes: ({ b }, w) => b.transpose(b.mul(w, 0.999)),
  'rows put together': ({ b }, w) => b.concat([b.sliceAxis(w, 0, 1, WIDTH), b.sliceAxis(w, 0, 0, 1)], 0),
  views: ({ b }, w, i) =>
    i % 2 ? b.reshape(w, [WIDTH, WIDTH]) : b.transpose(b.reshape(w, [WIDTH, WIDTH, 1]), [1, 0, 2]),
};

/** Matrices near a rotation, vectors near 1: numbers that neither vanish nor overflow over thousands of steps. */
function parameters(module: Module): (name: string) => Tensor {
  return (name) => {
    const { shape } = module.params.get(name)!.type;
    const next = random(name.length * 256 + name.charCodeAt(name.length - 1));
    const square = shape.length === 2 && shape[0] === WIDTH && shape[1] === WIDTH;
    const near = (i: number): number => (square ? Number(i % WIDTH === (Math.floor(i / WIDTH) + 1) % WIDTH) : 1);
    return tensor(
      shape,
      Float64Array.from({ length: sizeOf(shape) }, (_, i) => near(i) + 1e-3 * next()),
    );
  };
}

const CHOICES = ['merged', 'auto', 'factored'] as const;

function everyStage(module: Module): void {
  const text = printModule(module);
  expect(equalModules(parseModule(text), module)).toBe(true);
  const params = parameters(module);
  const expected = run(module, params);
  for (const adapters of CHOICES) {
    const made = optimize(module, { adapters, verify: true });
    expect(relative(expected, run(made.module, params))).toBeLessThan(1e-9);
    for (const { difference } of checkRegions(made.report.regions, params)) expect(difference).toBeLessThan(1e-9);
    const compiled = generate(made.module, { name: 'deep', compiler: 'test', weights: 'f32' });
    expect(compiled.program.entries[0]!.dispatches.length).toBeGreaterThan(0);
  }
}

describe('deep graphs go through every stage', () => {
  it.each(Object.entries(ACTIVATIONS))('%s', (_name, step) => withLittleStack(() => everyStage(chain(step))), 120_000);
  it.each(Object.entries(WEIGHTS))(
    'a weight: %s',
    (_name, step) => withLittleStack(() => everyStage(weightChain(step))),
    120_000,
  );

  it('an affine function of many layers', () => {
    const net = new Net();
    const x = tokens();
    let y: Value = x;
    for (let i = 0; i < DEPTH; i++) y = net.b.linear(y, net.param(`w${of(i)}`, [WIDTH, WIDTH]));
    withLittleStack(() => {
      const a = affineOf(y, x);
      expect(isObstacle(a)).toBe(false);
      if (!isObstacle(a)) expect(topological([weightOf(a)]).some(dependsOnInput)).toBe(false);
    });
  });
});
