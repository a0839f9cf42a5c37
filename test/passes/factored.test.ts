/** Adapters kept as factors: the numbers are those of the merged model, and nothing of a weight's size is built from them. */

import { describe, expect, it } from 'vitest';
import { adaptersOf, isAdapters } from '../../src/ir/about.js';
import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { rootsOf, topological } from '../../src/ir/graph.js';
import { DEVICES, type Device } from '../../src/ir/ops/cost.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Module } from '../../src/ir/types.js';
import { Costs } from '../../src/passes/cost.js';
import { type AdapterMode, optimize } from '../../src/passes/index.js';
import { beforeLayer, kroneckerSum, lowRank, lowRankRows, mixed } from './adapters.js';
import { parameters, relative, run, TINY, type VitGrafts, vit } from './models.js';

const SIZE = { ...TINY, dim: 16 };

function factored(g: VitGrafts): Module {
  const before = vit(g, SIZE);
  const params = parameters(before);
  const { module, report } = optimize(before, { adapters: 'factored', verify: true });
  const merged = optimize(before, { adapters: 'merged' }).module;
  const y = run(module, params);
  expect(relative(run(before, params), y)).toBeLessThan(1e-12);
  expect(relative(run(merged, params), y)).toBeLessThan(1e-12);
  expect(report.adapters.every((a) => a.state === 'factored')).toBe(true);
  expect(report.diagnostics).toEqual([]);
  return module;
}

/** What parameters of adapters make without the input, of the size of the smallest layer that has one or larger. */
function denseOfAdapters(module: Module): string[] {
  const smallest = SIZE.dim * SIZE.dim;
  const found: string[] = [];
  for (const func of module.funcs.values()) {
    for (const v of topological(rootsOf(func))) {
      const leaves = topological([v]);
      const fromAdapter = leaves.some((x) => x.op === 'param' && isAdapters(x));
      const constant = leaves.every((x) => x.op !== 'input');
      if (v.op === 'kron' || (fromAdapter && constant && sizeOf(v.type.shape) >= smallest)) {
        found.push(`${v.op} ${v.type.shape}`);
      }
    }
  }
  return found;
}

describe('factored adapters', () => {
  const cases: Record<string, VitGrafts> = {
    'several kernels in every layer': {
      qkv: kroneckerSum({ parts: 3, factor: 4 }),
      proj: kroneckerSum({ factor: 4 }),
      fc1: kroneckerSum({ factor: 4 }),
      fc2: kroneckerSum({ factor: 4 }),
    },
    'one kernel': { proj: kroneckerSum({ kernels: 1, factor: 4, rank: 1 }) },
    'a scalar rescale': { proj: kroneckerSum({ factor: 4, rescale: 'scalar' }) },
    'experts in front of a layer': { qkv: beforeLayer(4, 1), fc1: beforeLayer(2, 1) },
    'low rank': { qkv: lowRank(), fc1: lowRankRows([0, 2], 4) },
  };
  for (const [name, grafts] of Object.entries(cases)) {
    it(name, () => {
      const module = factored(grafts);
      expect(denseOfAdapters(module)).toEqual([]);
    });
  }

  it('keeps the layers of the model on their own parameters', () => {
    const module = factored({ proj: kroneckerSum({ factor: 4 }) });
    const layers = topological(rootsOf(module.funcs.get('infer')!)).filter((v) => v.op === 'linear' && !isAdapters(v));
    const names = layers.map((v) => (v.inputs[1]!.op === 'param' ? v.inputs[1]!.attrs.name : v.inputs[1]!.op));
    expect(names.every((n) => n.endsWith('.weight'))).toBe(true);
    expect(layers.length).toBe(4 * SIZE.depth + 1);
  });

  it('applies several kernels by three contractions, whatever their number', () => {
    const count = (kernels: number): number => {
      const module = factored({ proj: kroneckerSum({ kernels, factor: 4 }) });
      const scoped = topological(rootsOf(module.funcs.get('infer')!)).filter((v) =>
        adaptersOf(v.about).includes('base.blocks.0.attn.proj@kron'),
      );
      return scoped.filter((v) => v.op === 'linear' || v.op === 'matmul').length;
    };
    expect([2, 3, 5].map(count)).toEqual([3, 3, 3]);
  });

  it('a weight that is scaled in the expression itself stays in factors too', () => {
    const module = factored({
      proj: (net, base, x) =>
        net.adapter(base.site, 'scaled', (param) => {
          const { b } = net;
          const delta = b.kron(param('C', [4, 4]), b.matmul(param('A', [4, 1]), param('B', [1, 4])));
          return base.call(x, b.mul(b.add(base.weight, delta), param('g', [16, 1])));
        }),
    });
    expect(denseOfAdapters(module)).toEqual([]);
  });

  describe('where no layer can take a Kronecker product in', () => {
    /** Operations and bytes alone. */
    const unpriced: Device = { flops: 1e12, bytes: 1e12, launch: 0 };
    const experts = (dim: number, factor: number, rank: number, device = unpriced, grid = SIZE.grid) => {
      const before = vit(
        {
          afterBlock: (net, site, x) =>
            net.adapter(site, 'experts', (param) => mixed(net, param, x, dim, factor, rank, 0.5)),
        },
        { ...SIZE, dim, grid },
      );
      const params = parameters(before);
      const y = run(before, params);
      return (adapters: AdapterMode): Module => {
        const { module, report } = optimize(before, { adapters, device, verify: true });
        expect(relative(y, run(module, params))).toBeLessThan(1e-12);
        expect(report.adapters.every((a) => a.state !== 'merged')).toBe(true);
        return module;
      };
    };

    it('auto applies it by its factors where that costs less', () => {
      const wide = experts(64, 4, 1);
      expect(denseOfAdapters(wide('auto'))).toEqual([]);
      expect(denseOfAdapters(wide('merged'))).not.toEqual([]);
    });

    it('auto multiplies it out where that costs less', () => {
      const narrow = experts(16, 4, 8);
      expect(denseOfAdapters(narrow('auto'))).not.toEqual([]);
      expect(denseOfAdapters(narrow('factored'))).toEqual([]);
    });

    it('auto multiplies it out where its factors take more dispatches than they save', () => {
      expect(denseOfAdapters(experts(64, 4, 1)('auto'))).toEqual([]);
      expect(denseOfAdapters(experts(64, 4, 1, DEVICES.hardware)('auto'))).not.toEqual([]);
    });

    it('auto prices the last block by the one token that the head reads of it', () => {
      const made = experts(64, 4, 1, DEVICES.software, 8)('auto');
      const whole = made.funcs
        .get('prepare')!
        .results.filter((r) => topological([r.value]).some((v) => v.op === 'kron'));
      expect(whole.map((r) => r.name.replace(/@.*/, ''))).toEqual(['base.blocks.1']);
      // 65 tokens are worth the dispatches of the factors, and were it for these the last block would keep them too.
      expect(made.funcs.get('infer')!.inputs[0]!.type.shape.slice(-2)).toEqual([16, 16]);
    });

    it('auto costs no more than either choice by hand', () => {
      for (const [dim, factor, rank] of [
        [16, 2, 1],
        [16, 4, 4],
        [32, 4, 1],
        [32, 8, 8],
        [64, 8, 2],
      ] as const) {
        for (const device of [unpriced, DEVICES.software, DEVICES.hardware]) {
          const choice = experts(dim, factor, rank, device);
          const modes = ['auto', 'merged', 'factored'] as const;
          const [auto, merged, factored] = modes.map((mode) => timeOf(choice(mode), device));
          expect(auto).toBeLessThanOrEqual(Math.min(merged!, factored!));
        }
      }
    });
  });
});

/** The time of one inference. */
function timeOf(module: Module, device: Device): number {
  const roots = rootsOf(module.funcs.get('infer')!);
  const order = topological(roots).filter(dependsOnInput);
  const costs = new Costs(order, roots, device);
  return order.reduce((n, v) => n + costs.own(v), 0);
}
