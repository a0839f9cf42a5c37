/**
 * A program that learns: Adam on a matrix and a vector, entries that read and reset what it learns, what has to be copied, not written in place, and
 * states that lie in another, one of which is copied before the function that comes after reads it there.
 */
import { entryNamed } from '../../runtime/program/program.js';
import { interpretCall } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { parseModule } from '../../src/ir/text/print.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { difference, random, randomTensor } from './harness.js';

const LEARNER = `module @learner
param @W : f32[3,10] state
param @bias : f32[3] state = zeros
param @W.mean : f32[3,10] state = zeros
param @W.square : f32[3,10] state = zeros
param @bias.mean : f32[3] state = zeros
param @bias.square : f32[3] state = zeros
param @count : i32[] state = zeros
param @spare : f32[3,10] state
param @pair.u : f32[2,5] state
param @pair.v : f32[3] state
param @pair : f32[128] state holds @pair.u, @pair.v
param @scale : f32[10] frozen
func @infer(%x: f32[b,10]) -> y: f32[b,3] {
  %0 = mul %x, @scale : f32[b,10]
  %1 = linear %0, @W, @bias : f32[b,3]
  return %1
}
func @step(%x: f32[b,10], %wanted: f32[b,3], %rate: f32[]) -> (loss: f32[], gradient: f32[3,10], error: f32[b,3], before: f32[3]) {
  %0 = mul %x, @scale : f32[b,10]
  %1 = linear %0, @W, @bias : f32[b,3]
  %2 = sub %1, %wanted : f32[b,3]
  %3 = mul %2, %2 : f32[b,3]
  %4 = reduce_mean %3 {axes = [0, 1], keep = false} : f32[]
  %5 = batch_size : f32[]
  %6 = div %2, %5 : f32[b,3]
  %7 = transpose %6 {perm = [1, 0]} : f32[3,b]
  %8 = matmul %7, %0 : f32[3,10]
  %9 = reduce_sum %6 {axes = [0], keep = false} : f32[3]
  %one = constant {value = 1} : i32[]
  %10 = add @count, %one : i32[]
  %11 = cast %10 : f32[]
  %12 = pow 0.9, %11 : f32[]
  %13 = sub 1, %12 : f32[]
  %14 = pow 0.99, %11 : f32[]
  %15 = sub 1, %14 : f32[]
  %16 = mul @W.mean, 0.9 : f32[3,10]
  %17 = mul %8, 0.1 : f32[3,10]
  %18 = add %16, %17 : f32[3,10]
  %19 = mul @W.square, 0.99 : f32[3,10]
  %20 = mul %8, %8 : f32[3,10]
  %21 = mul %20, 0.01 : f32[3,10]
  %22 = add %19, %21 : f32[3,10]
  %23 = div %18, %13 : f32[3,10]
  %24 = div %22, %15 : f32[3,10]
  %25 = sqrt %24 : f32[3,10]
  %26 = add %25, 0.001 : f32[3,10]
  %27 = div %23, %26 : f32[3,10]
  %28 = mul %27, %rate : f32[3,10]
  %29 = sub @W, %28 : f32[3,10]
  %30 = mul @bias.mean, 0.9 : f32[3]
  %31 = mul %9, 0.1 : f32[3]
  %32 = add %30, %31 : f32[3]
  %33 = mul @bias.square, 0.99 : f32[3]
  %34 = mul %9, %9 : f32[3]
  %35 = mul %34, 0.01 : f32[3]
  %36 = add %33, %35 : f32[3]
  %37 = div %32, %13 : f32[3]
  %38 = div %36, %15 : f32[3]
  %39 = sqrt %38 : f32[3]
  %40 = add %39, 0.001 : f32[3]
  %41 = div %37, %40 : f32[3]
  %42 = mul %41, %rate : f32[3]
  %43 = sub @bias, %42 : f32[3]
  update @W = %29
  update @bias = %43
  update @W.mean = %18
  update @W.square = %22
  update @bias.mean = %32
  update @bias.square = %36
  update @count = %10
  return %4, %8, %2, @bias
}
func @exchange() -> () {
  update @W = @spare
  update @spare = @W
  return
}
func @mix() -> () {
  %0 = transpose @W {perm = [1, 0]} : f32[10,3]
  %1 = reshape %0 : f32[3,10]
  %2 = add %1, @spare : f32[3,10]
  update @W = %2
  return
}
func @turn(%x: f32[b,10]) -> sums: f32[10] {
  %0 = reduce_sum %x {axes = [0], keep = false} : f32[10]
  %1 = reshape @pair.u : f32[5,2]
  %2 = transpose %1 {perm = [1, 0]} : f32[2,5]
  %3 = reshape %0 : f32[2,5]
  %4 = add %2, %3 : f32[2,5]
  %5 = mul @pair.v, 0.5 : f32[3]
  update @pair.u = %4
  update @pair.v = %5
  return %0
}
func @fold(%rate: f32[]) -> size: f32[] after @turn {
  %0 = mul @pair, @pair : f32[128]
  %1 = reduce_sum %0 {axes = [0], keep = false} : f32[]
  %2 = mul @pair, %rate : f32[128]
  update @pair = %2
  return %1
}
func @reset() -> () {
  %0 = constant {value = 0} : i32[]
  %1 = constant {value = 0} : f32[3]
  update @count = %0
  update @bias = %1
  return
}
`;

export function learner(): Module {
  const module = parseModule(LEARNER);
  const [problem] = verifyModule(module);
  if (problem) throw new Error(problem.message);
  return module;
}

export const ENTRIES = ['infer', 'step', 'exchange', 'mix', 'turn', 'fold', 'reset'] as const;

/** What the module's parameters start as. */
export function starts(module: Module): Map<string, Tensor> {
  const next = random(3);
  return new Map(
    [...module.params.values()].flatMap(({ name, type, init, parts }) => {
      if (parts) return [];
      const { data, ...made } = randomTensor(type.shape, next, type.dtype);
      return [[name, { ...made, data: init?.kind === 'zeros' ? data.map(() => 0) : data } as Tensor]];
    }),
  );
}

/** A call: of an entry, with arguments. */
export interface Call {
  readonly entry: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
}

/** Twenty steps with batches of other sizes, and the other entries in between. */
export function calls(): Call[] {
  const next = random(9);
  const of = (samples: number): Tensor => randomTensor([samples, 10], next);
  const list: Call[] = [];
  for (let i = 0; i < 20; i++) {
    const samples = [4, 1, 7, 2, 5][i % 5]!;
    const inputs = new Map([
      ['x', of(samples)],
      ['wanted', randomTensor([samples, 3], next)],
      ['rate', tensor([], [0.05 / (1 + i)])],
    ]);
    list.push({ entry: 'step', inputs });
    if (i === 7) list.push({ entry: 'exchange', inputs: new Map() });
    if (i === 11) list.push({ entry: 'mix', inputs: new Map() });
    const x = inputs.get('x')!;
    if (i % 6 === 1) list.push({ entry: 'fold', inputs: new Map([...inputs].filter(([name]) => name !== 'wanted')) });
    if (i === 13) list.push({ entry: 'turn', inputs: new Map([['x', x]]) });
    if (i === 15) list.push({ entry: 'reset', inputs: new Map() });
    list.push({ entry: 'infer', inputs: new Map([['x', of(1 + (i % 3))]]) });
  }
  return list;
}

/** What all calls give, by the interpreter, and what the states are in the end. */
export function interpreted(module: Module): {
  readonly given: ReadonlyMap<string, Tensor>[];
  readonly states: Map<string, Tensor>;
} {
  let states = starts(module);
  const given = calls().map(({ entry, inputs }) => {
    const call = interpretCall(module, entry, { inputs, params: (name) => states.get(name)! });
    states = new Map([...states, ...call.states]);
    return call.results;
  });
  return { given, states: statesOf(module, states) };
}

/** Of some parameters, those that calls change. */
export const statesOf = (module: Module, all: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
  new Map([...all].filter(([name]) => module.params.get(name)!.role === 'state'));

/** The largest difference between what calls gave, with a name for it. */
export function worst(
  found: ReadonlyMap<string, Tensor>,
  wanted: ReadonlyMap<string, Tensor>,
): { name: string; difference: number } {
  const all = [...wanted].map(([name, t]) => ({ name, difference: difference(found.get(name)!, t) }));
  return all.reduce((a, b) => (b.difference > a.difference || Number.isNaN(b.difference) ? b : a), {
    name: '',
    difference: 0,
  });
}

export { entryNamed };
