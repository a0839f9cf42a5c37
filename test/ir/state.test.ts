/** Functions that change parameters of role `state`: text, rules, and what a call gives back. */
import { describe, expect, test } from 'vitest';
import * as b from '../../src/ir/build.js';
import { mapRoots, paramRef, rewriteFunc, usedParams, withInputs } from '../../src/ir/graph.js';
import { interpret, interpretCall } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { Summary } from '../../src/ir/summary.js';
import { parseModule, printModule } from '../../src/ir/text/print.js';
import type { Func, Module, Param, Tensor, Update } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { equalModules } from '../equal.js';
import { f32, moduleOf } from './support.js';

/** Gradient descent with momentum on one vector, its inference, and the text of both. */
const TEXT = `module @descent

param @w : f32[2] state = ones
param @w#momentum : f32[2] state = zeros
param @rate : f32[] constant data f64 [0.5]

func @step(%gradient: f32[2]) -> before: f32[2] {
  %0 = mul 0.5, @w#momentum : f32[2]
  %1 = add %0, %gradient : f32[2]
  %2 = mul @rate, %1 : f32[2]
  %3 = sub @w, %2 : f32[2]
  update @w = %3
  update @w#momentum = %1
  return @w
}

func @reset() -> () {
  %0 = constant {value = 0} : f32[2]
  update @w = %0
  return
}

func @infer(%x: f32[b,2]) -> y: f32[b,2] {
  %0 = mul %x, @w : f32[b,2]
  return %0
}
`;

test('is printed as it was read', () => {
  const module = parseModule(TEXT);
  expect(verifyModule(module)).toEqual([]);
  expect(printModule(module)).toBe(TEXT);
});

test('a call gives back what states become, and reads what they were', () => {
  const module = parseModule(TEXT);
  let states = new Map<string, Tensor>([
    ['w', tensor([2], [1, 1])],
    ['w#momentum', tensor([2], [0, 0])],
  ]);
  const params = (name: string): Tensor => states.get(name)!;
  const seen: number[][] = [];
  for (let i = 0; i < 3; i++) {
    const call = interpretCall(module, 'step', { params, inputs: new Map([['gradient', tensor([2], [1, -2])]]) });
    seen.push([...call.results.get('before')!.data]);
    expect([...states.get('w')!.data], 'the states that were given stay').toEqual(seen.at(-1));
    states = new Map([...states, ...call.states]);
  }
  // Momenta 1, 1.5, 1.75 of the gradient, half of each taken from w.
  expect(seen).toEqual([
    [1, 1],
    [0.5, 2],
    [-0.25, 3.5],
  ]);
  expect([...states.get('w')!.data]).toEqual([-1.125, 5.25]);
  expect([...states.get('w#momentum')!.data]).toEqual([1.75, -3.5]);

  const x = tensor([3, 2], [1, 1, 2, 2, 3, 3]);
  expect([...interpret(module, 'infer', { params, inputs: new Map([['x', x]]) }).get('y')!.data]).toEqual([
    -1.125, 5.25, -2.25, 10.5, -3.375, 15.75,
  ]);
  const reset = interpretCall(module, 'reset', { params });
  expect(reset.results.size).toBe(0);
  expect([...reset.states.get('w')!.data]).toEqual([0, 0]);
});

test('an update is a root of its function', () => {
  const module = parseModule(TEXT);
  const step = module.funcs.get('step')!;
  expect(usedParams(step)).toEqual(['w', 'rate', 'w#momentum']);
  expect(Summary.of(step).order.map((v) => v.op)).toContain('sub');
  const scaled = rewriteFunc(step, (v, inputs) => (v.op === 'sub' ? inputs[0]! : withInputs(v, inputs)));
  expect(scaled.updates.map((u) => u.value.op)).toEqual(['param', 'add']);
  expect(mapRoots(step, (v) => v)).toEqual(step);
});

describe('equality sees updates', () => {
  const changed = (change: (updates: readonly Update[]) => readonly Update[]): Module => {
    const module = parseModule(TEXT);
    const step = module.funcs.get('step')!;
    return { ...module, funcs: new Map(module.funcs).set('step', { ...step, updates: change(step.updates) }) };
  };
  test.each<[string, (updates: readonly Update[]) => readonly Update[], boolean]>([
    ['the same', (u) => u, true],
    ['none', () => [], false],
    ['one less', (u) => u.slice(1), false],
    ['another value', (u) => [{ ...u[0]!, value: u[1]!.value }, u[1]!], false],
    [
      'another state',
      (u) => [
        { ...u[0]!, state: 'w#momentum' },
        { ...u[1]!, state: 'w' },
      ],
      false,
    ],
  ])('%s', (_, change, equal) => {
    expect(equalModules(parseModule(TEXT), changed(change))).toBe(equal);
  });
});

describe('the verifier refuses', () => {
  const w: Param = { name: 'w', role: 'state', type: { dtype: 'f32', shape: [2] } };
  const frozen: Param = { ...w, name: 'frozen', role: 'frozen' };
  const prepared: Param = { ...w, name: 'prepared', role: 'prepared' };
  const x = f32('x', 2);
  const func = (change: Partial<Func>): Func => ({ name: 'step', inputs: [x], results: [], updates: [], ...change });
  const problems = (change: Partial<Func>): string[] =>
    verifyModule(moduleOf(func(change), [w, frozen, ...(change.results ? [prepared] : [])])).map(
      (p) => `${p.func}: ${p.message}`,
    );
  const ok: Update = { state: 'w', value: x };

  test.each<[string, Partial<Func>]>([
    ['step: state v is not declared', { updates: [{ state: 'v', value: x }] }],
    ['step: frozen is updated and is a frozen parameter', { updates: [{ state: 'frozen', value: x }] }],
    ['step: state w becomes f32[] and is declared f32[2]', { updates: [{ state: 'w', value: b.sum(x, [0]) }] }],
    ['step: state w is updated twice', { updates: [ok, ok] }],
    [
      'prepare: it updates the state w',
      { name: 'prepare', inputs: [], updates: [{ state: 'w', value: paramRef(frozen) }] },
    ],
    [
      'prepare: it reads the state w',
      { name: 'prepare', inputs: [], results: [{ name: 'prepared', value: b.neg(paramRef(w)) }] },
    ],
    ['step: argument z is not declared', { updates: [{ state: 'w', value: b.neg(f32('z', 2)) }] }],
  ])('%s', (message, change) => {
    expect(problems({ updates: [ok] })).toEqual([]);
    expect(problems(change)).toEqual([message]);
  });
});

describe('the text refuses', () => {
  test.each([
    ['update @v = %3', '12: parameter @v is not declared'],
    ['update @rate = %3', '12: @rate is a constant parameter, and no call changes it'],
    ['update @w = 0', '12: @w becomes f32[], not f32[2]'],
    ['update @w = %4', '12: %4 is not defined before this'],
  ])('%s', (line, message) => {
    expect(() => parseModule(TEXT.replace('update @w = %3', line))).toThrow(`line ${message}`);
  });
});

/** Two states that lie in a third, and a function that goes on from another. */
const SIDES = `module @sides

param @u : f32[2,3] state
param @v : f32[] state
param @both : f32[128] state holds @u, @v

func @begin(%x: f32[]) -> was: f32[] {
  %0 = mul @u, %x : f32[2,3]
  update @u = %0
  update @v = %x
  return @v
}

func @step(%by: f32[]) -> sum: f32[] after @begin {
  %0 = reduce_sum @both {axes = [0], keep = false} : f32[]
  %1 = add @both, %by : f32[128]
  update @both = %1
  return %0
}
`;

describe('states that lie in another, and functions that go on from others', () => {
  test('are printed as they were read', () => {
    const module = parseModule(SIDES);
    expect(verifyModule(module)).toEqual([]);
    expect(printModule(module)).toBe(SIDES);
    const { parts: _, ...alone } = module.params.get('both')!;
    const { after: __, ...first } = module.funcs.get('step')!;
    expect(equalModules({ ...module, params: new Map(module.params).set('both', alone) }, module)).toBe(false);
    expect(equalModules({ ...module, funcs: new Map(module.funcs).set('step', first) }, module)).toBe(false);
  });

  test('a call reads what the call before it has made of the parts, and nothing of what lies between them', () => {
    const module = parseModule(SIDES);
    const starts = new Map<string, Tensor>([
      ['u', tensor([2, 3], [1, 2, 3, 4, 5, 6])],
      ['v', tensor([], [7])],
    ]);
    const options = {
      params: (name: string): Tensor => starts.get(name)!,
      inputs: new Map([
        ['x', tensor([], [10])],
        ['by', tensor([], [1])],
      ]),
    };
    const { results, states } = interpretCall(module, 'step', options);
    expect([...results].map(([name, t]) => [name, ...t.data])).toEqual([
      ['was', 7],
      ['sum', 220],
    ]);
    expect([...states].map(([name, t]) => [name, t.type.shape, ...t.data])).toEqual([
      ['u', [2, 3], 11, 21, 31, 41, 51, 61],
      ['v', [], 11],
    ]);
    expect(interpret(module, 'step', options)).toEqual(results);
  });

  test.each<[string, string, string]>([
    ['f32[128] state holds', 'f32[127] state holds', 'parameter both is f32[127] and holds 128 elements'],
    ['@both : f32[128] state', '@both : f32[128] frozen', 'parameter both is frozen and holds others'],
    ['holds @u, @v', 'holds @u, @u', 'parameter both holds a state twice'],
    ['holds @u, @v', 'holds @w, @v', 'parameter both holds w, which is no state before it'],
    ['@u : f32[2,3] state', '@u : f32[2,3] frozen', 'parameter both holds u, which is no state before it'],
    ['@v, @u', '@v, @u\nparam @more : f32[64] state holds @v', 'parameter more holds what both holds'],
    ['@v : f32[] state', '@v : i32[] state', 'parameter both is f32[128] and holds another type'],
    ['%by : f32[128]', '@v : f32[128]', 'step: it touches both and v, which lies in it'],
    ['after @begin', 'after @end', 'step: it comes after end, which is not there'],
    ['after @begin', 'after @step', 'step: it comes after step, which comes after another'],
    ['(%by: f32[])', '(%by: f32[], %x: f32[])', 'step: it and begin have the argument x'],
    ['-> sum:', '-> was:', 'step: it and begin have the result was'],
  ])('the verifier refuses %s -> %s', (from, to, message) => {
    const [params] = SIDES.split('func');
    const text = (message.startsWith('parameter') ? params! : SIDES).replace(
      '@u, @v',
      from.startsWith('@v,') ? '@v, @u' : '@u, @v',
    );
    expect(text).toContain(from);
    const wrong = verifyModule(parseModule(text.replace(from, to)));
    expect(wrong.map((p) => (p.func ? `${p.func}: ${p.message}` : p.message))).toContain(message);
  });
});
