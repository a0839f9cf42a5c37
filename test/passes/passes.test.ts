/** Each pass alone: the program before and after it gives the same numbers; what it prints is kept in golden files. */
import { describe, expect, it } from 'vitest';
import { input } from '../../src/ir/graph.js';
import { parseModule } from '../../src/ir/text/parse.js';
import { printModule } from '../../src/ir/text/print.js';
import type { Module } from '../../src/ir/types.js';
import { type AdapterMode, optimize, PASSES } from '../../src/passes/index.js';
import { expectGolden } from '../golden.js';
import { beforeLayer, bottleneck, kroneckerSum, lowRank, lowRankParts, scaleShift } from './adapters.js';
import { Net, operators, parameters, relative, run, type VitGrafts, vit } from './models.js';

const GRAFTS: Record<string, VitGrafts> = {
  plain: {},
  kronecker: { qkv: kroneckerSum({ parts: 3 }), proj: kroneckerSum(), fc1: kroneckerSum({ rescale: 'none' }) },
  experts: { qkv: beforeLayer(2, 1, 0.5, true), fc1: beforeLayer() },
  'low rank': { qkv: lowRankParts([0, 2]), fc2: lowRank() },
  'scale and shift': {
    norm1: (net, site, y) => scaleShift(net, site, y),
    proj: (net, base, x) => scaleShift(net, base.site, base.call(x)),
  },
  bottleneck: { afterBlock: (net, site, x) => bottleneck(net, site, x) },
};

/** A norm, an adapter with a dropout, a layer: small enough to read. */
function small(kind: 'experts' | 'kronecker'): Module {
  const net = new Net();
  const x = net.norm('norm', input('x', { dtype: 'f32', shape: [1, 3, 8] }));
  const graft = kind === 'experts' ? beforeLayer(2, 1, 0.5) : kroneckerSum({ factor: 2, rank: 1 });
  const dropped = net.make('dropout', [x], { rate: 0.1, stream: 0 });
  return net.module(net.linear('base.fc', dropped, 8, 8, graft), kind);
}

describe('every pass', () => {
  it('has a name of its own and says what it does', () => {
    expect(new Set(PASSES.map((p) => p.name)).size).toBe(PASSES.length);
    for (const p of PASSES) expect(p.doc).toMatch(/^[A-Z].*\.$/);
  });

  for (const [name, grafts] of Object.entries(GRAFTS)) {
    for (const adapters of ['merged', 'factored', 'auto'] satisfies AdapterMode[]) {
      it(`keeps the numbers: ${name}, ${adapters}`, () => {
        const before = vit(grafts);
        const params = parameters(before);
        const y = run(before, params);
        const seen: string[] = [];
        optimize(before, {
          adapters,
          verify: true,
          after: (pass, module) => {
            seen.push(pass);
            expect(relative(y, run(module, params)), pass).toBeLessThan(1e-11);
            expect(operators(parseModule(printModule(module))), pass).toEqual(operators(module));
          },
        });
        expect(seen).toEqual(PASSES.map((p) => p.name));
      });
    }
  }

  it('gives the same text every time', () => {
    const text = (): string => printModule(optimize(vit(GRAFTS.kronecker), { adapters: 'merged' }).module);
    expect(text()).toBe(text());
  });

  it('names a pass that breaks the IR', () => {
    const broken = vit();
    const params = new Map(broken.params);
    params.delete('head.fc.bias');
    expect(() => optimize({ ...broken, params }, { adapters: 'merged', verify: true })).toThrow(/before the passes/);
  });
});

describe('golden files', () => {
  for (const kind of ['experts', 'kronecker'] as const) {
    for (const adapters of ['merged', 'factored'] as const) {
      it(`${kind}, ${adapters}`, () => {
        const stages: string[] = [`// as it comes\n${printModule(small(kind))}`];
        let last = '';
        optimize(small(kind), {
          adapters,
          after: (pass, module) => {
            const text = printModule(module);
            stages.push(text === last ? `// after ${pass}: the same` : `// after ${pass}\n${text}`);
            last = text;
          },
        });
        expectGolden(`${kind}-${adapters}.ir`, stages.join('\n\n'));
      });
    }
  }
  it('a merged block of ViT', () => {
    const { module } = optimize(
      vit(
        { qkv: kroneckerSum({ parts: 3 }), fc1: beforeLayer() },
        { batch: 1, dim: 8, heads: 2, depth: 1, grid: 2, patch: 2, classes: 3 },
      ),
      { adapters: 'merged' },
    );
    expectGolden('vit-block.ir', printModule(module));
  });
});
