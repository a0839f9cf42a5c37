/** Passes work on the functions that they are told, whatever these are called, and follow what states become as they follow results. */

import { describe, expect, it } from 'vitest';
import { Numbering } from '../../src/ir/equal.js';
import { rootsOf, topological, usedParams } from '../../src/ir/graph.js';
import { DEVICES } from '../../src/ir/ops/cost.js';
import { interpretCall } from '../../src/ir/run/interpret.js';
import { parseModule } from '../../src/ir/text/print.js';
import type { Func, Module } from '../../src/ir/types.js';
import { verifyModule } from '../../src/ir/verify.js';
import { type AdapterMode, optimize, PASSES, type PassContext } from '../../src/passes/index.js';
import { equalFuncs } from '../equal.js';
import { maxDifference } from '../tensors.js';
import { kroneckerSum, lowRank } from './adapters.js';
import { parameters, vit } from './models.js';

/** The module with its function under another name, beside what else it has. */
function renamed(module: Module, name: string, ...others: Func[]): Module {
  const func = { ...module.funcs.get('infer')!, name };
  return { ...module, funcs: new Map([func, ...others].map((f) => [f.name, f])) };
}

const modes: readonly AdapterMode[] = ['merged', 'factored', 'auto'];
const model = (): Module => vit({ qkv: lowRank(), fc1: kroneckerSum() });

describe.each(modes)('a function that is not called infer, %s', (adapters) => {
  it('becomes the same graph, pass by pass', () => {
    const stages = new Map<string, Module>();
    const module = model();
    optimize(module, { adapters, verify: true, after: (pass, m) => stages.set(pass, m) });
    const seen: string[] = [];
    const { report } = optimize(renamed(module, 'score'), {
      functions: ['score'],
      adapters,
      verify: true,
      after: (pass, m) => {
        seen.push(pass);
        const other = stages.get(pass)!;
        const numbering = new Numbering();
        const infer = other.funcs.get('infer')!;
        expect(equalFuncs({ ...m.funcs.get('score')!, name: 'infer' }, infer, numbering), pass).toBe(true);
        const [mine, theirs] = [m.funcs.get('prepare'), other.funcs.get('prepare')];
        expect(mine === undefined).toBe(theirs === undefined);
        if (mine && theirs) expect(equalFuncs(mine, theirs, numbering)).toBe(true);
        expect([...m.params.keys()]).toEqual([...other.params.keys()]);
      },
    });
    expect(seen).toEqual(PASSES.map((p) => p.name));
    expect(report.adapters).toEqual(optimize(module, { adapters }).report.adapters);
  });

  it('leaves others as they are', () => {
    const module = model();
    const other: Func = { ...module.funcs.get('infer')!, name: 'other' };
    const both = renamed(module, 'score', other);
    const made = optimize(both, { functions: ['score'], adapters, verify: true });
    expect(made.module.funcs.get('other')).toBe(other);
    expect(made.module.funcs.get('score')).not.toBe(both.funcs.get('score'));
    // What the other one reads is still declared, though the one that was worked on no longer needs it.
    expect(verifyModule(made.module)).toEqual([]);
  });
});

it('functions that prepare the same share it', () => {
  const module = model();
  const one = optimize(module, { adapters: 'merged' }).module;
  const twin: Func = { ...module.funcs.get('infer')!, name: 'twin' };
  const { module: both, report } = optimize(renamed(module, 'infer', twin), {
    functions: ['infer', 'twin'],
    adapters: 'merged',
    verify: true,
  });
  expect(both.funcs.get('prepare')!.results.length).toBe(one.funcs.get('prepare')!.results.length);
  expect(usedParams(both.funcs.get('twin')!)).toEqual(usedParams(both.funcs.get('infer')!));
  expect(report.adapters.every((a) => a.state === 'merged')).toBe(true);
});

it('says which function is not there', () => {
  expect(() => optimize(model(), { functions: ['infer', 'loss'], adapters: 'merged' })).toThrow(
    'the module has no function loss',
  );
});

/** Everything that a pass touches stands below an update alone: a dropout, a layer with an adapter, identities, a slice of what is read. */
const STATEFUL = `module @stateful
adapter @base.fc@lora = lora on @base.fc
param @base.fc.weight : f32[4,4] frozen
param @base.fc@lora.down : f32[2,4] trainable of @base.fc@lora
param @base.fc@lora.up : f32[4,2] trainable of @base.fc@lora
param @mean : f32[4] state
param @scale : f32[4] state
func @track(%x: f32[b,4]) -> n: f32[] {
  %0 = batch_size : f32[]
  %1 = dropout %x {rate = 0.5, stream = 0} : f32[b,4]
  %2 = linear %1, @base.fc.weight : f32[b,4]
  %3 = linear %1, @base.fc@lora.down : f32[b,2]
  %4 = linear %3, @base.fc@lora.up : f32[b,4]
  %5 = add %2, %4 : f32[b,4]
  %6 = exp @scale : f32[4]
  %7 = neg %6 : f32[4]
  %8 = neg %7 : f32[4]
  %9 = mul %5, %8 : f32[b,4]
  %10 = reduce_mean %9 {axes = [0], keep = false} : f32[4]
  %11 = mul 0.9, @mean : f32[4]
  %12 = add %10, %11 : f32[4]
  %13 = add @scale, 1 : f32[4]
  update @mean = %12
  update @scale = %13
  return %0
}
`;

describe.each(modes)('what states become, %s', (adapters) => {
  const module = parseModule(STATEFUL);
  const params = parameters(module);
  const made = optimize(module, { functions: ['track'], adapters, verify: true }).module;
  const track = made.funcs.get('track')!;

  it('is rewritten with the rest', () => {
    const ops = topological(rootsOf(track)).map((v) => v.op);
    expect(track.updates.map((u) => u.state)).toEqual(['mean', 'scale']);
    expect(ops).not.toContain('dropout');
    expect(ops).not.toContain('neg');
  });

  it('stays what it was', () => {
    const inputs = new Map([
      ['x', { type: { dtype: 'f32', shape: [3, 4] }, data: Float64Array.from({ length: 12 }, (_, i) => Math.sin(i)) }],
    ] as const);
    const prepared = interpretCall(made, 'prepare', { params }).results;
    const erased: Module = {
      ...module,
      funcs: new Map([['track', PASSES[0]!.run(module, 'track', NOTHING).funcs.get('track')!]]),
    };
    const before = interpretCall(erased, 'track', { inputs, params });
    const after = interpretCall(made, 'track', { inputs, params: (name) => prepared.get(name) ?? params(name) });
    expect(after.results.get('n')!.data[0]).toBe(3);
    for (const [name, state] of before.states) {
      expect(maxDifference(state, after.states.get(name)!), name).toBeLessThan(1e-12);
    }
  });

  it('what reads a state is not prepared', () => {
    expect(usedParams(made.funcs.get('prepare')!).filter((name) => made.params.get(name)!.role === 'state')).toEqual(
      [],
    );
    expect(topological(rootsOf(track)).map((v) => v.op)).toContain('exp');
  });
});

const NOTHING: PassContext = {
  adapters: 'factored',
  device: DEVICES.hardware,
  places: new Map(),
  notes: { regions: [], obstacles: new Map(), replaced: new Map() },
};
