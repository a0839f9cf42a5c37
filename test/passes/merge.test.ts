/** Merging on whole models: what is left are the plain model's operators, and the numbers stay. */
import { describe, expect, it } from 'vitest';
import type { Module } from '../../src/ir/types.js';
import { type MergeReport, optimize } from '../../src/passes/index.js';
import { beforeLayer, bottleneck, kroneckerSum, lowRank, lowRankParts, lowRankRows, scaleShift } from './adapters.js';
import { checkRegions } from './check-regions.js';
import { operators, parameters, relative, run, runPlain, type VitGrafts, vit } from './models.js';

const plain = optimize(vit(), { adapters: 'merged', verify: true }).module;

function merged(g: VitGrafts): { module: Module; report: MergeReport } {
  const before = vit(g);
  const params = parameters(before);
  const { module, report } = optimize(before, { adapters: 'merged', verify: true });
  expect(relative(run(before, params), run(module, params))).toBeLessThan(1e-12);
  for (const check of checkRegions(report.regions, params)) expect(check.diagnostic).toBeUndefined();
  for (const check of checkRegions(report.regions, params, { precision: 'f16' }))
    expect(check.difference).toBeGreaterThan(1e-9);
  return { module, report };
}

const GRAFTS: Record<string, VitGrafts> = {
  'low rank everywhere': { qkv: lowRank(), proj: lowRank(), fc1: lowRank(), fc2: lowRank() },
  'low rank on the q and v parts of one layer': { qkv: lowRankParts([0, 2]) },
  'low rank on rows of the weight': { qkv: lowRankRows([0, 2]) },
  'a Kronecker sum with a rescale of channels': {
    qkv: kroneckerSum({ parts: 3 }),
    proj: kroneckerSum(),
    fc1: kroneckerSum(),
    fc2: kroneckerSum(),
  },
  'a Kronecker sum with a scalar rescale': {
    proj: kroneckerSum({ rescale: 'scalar' }),
    fc2: kroneckerSum({ rescale: 'none' }),
  },
  'experts in front of a layer': { qkv: beforeLayer(), fc1: beforeLayer() },
  'experts with a bias': { qkv: beforeLayer(2, 1, 0.7, true) },
  'experts under low rank': {
    qkv: (net, base, x) => lowRank()(net, { ...base, call: (y) => beforeLayer()(net, base, y) }, x),
  },
  'a scale and shift before a layer and after it': {
    proj: (net, base, x) => scaleShift(net, base.site, base.call(scaleShift(net, base.site, x, 'pre')), 'post'),
    fc2: (net, base, x) => scaleShift(net, base.site, base.call(x)),
  },
  'a scale and shift after a norm': { norm1: (net, site, y) => scaleShift(net, site, y) },
  'a linear bottleneck in front of the layers': { beforeQkv: (net, site, x) => bottleneck(net, site, x, false) },
};

describe('merging', () => {
  for (const [name, grafts] of Object.entries(GRAFTS)) {
    it(`leaves the plain operators: ${name}`, () => {
      const { module, report } = merged(grafts);
      expect(operators(module)).toEqual(operators(plain));
      expect(report.adapters.length).toBeGreaterThan(0);
      expect(report.adapters.every((a) => a.state === 'merged')).toBe(true);
      expect(report.diagnostics).toEqual([]);
      const params = parameters(vit(grafts));
      expect(relative(run(vit(grafts), params), runPlain(plain, module, report.replaced, params))).toBeLessThan(1e-12);
      for (const name of module.params.keys()) {
        if (module.params.get(name)!.role === 'prepared') expect(name).not.toContain('@');
      }
    });
  }

  it('leaves a model without adapters as it is, with nothing to prepare', () => {
    const stages = new Map<string, string[]>();
    optimize(vit(), { adapters: 'merged', after: (pass, module) => stages.set(pass, operators(module)) });
    expect(stages.get('tidy')).toEqual(operators(vit()));
    expect(plain.funcs.get('prepare')!.results).toEqual([]);
  });

  it('keeps what an activation ends, and says which and where', () => {
    const { module, report } = merged({ afterBlock: (net, site, x) => bottleneck(net, site, x) });
    expect(report.adapters.map((a) => [a.state, a.obstacle?.op])).toEqual([
      ['kept', 'relu'],
      ['kept', 'relu'],
    ]);
    expect(report.diagnostics.map((d) => d.code)).toEqual(['ESP0401', 'ESP0401']);
    expect(report.diagnostics[0]!.message).toContain('relu stands in the way');
    expect(report.diagnostics[0]!.primary?.span.file).toBe('test.peft');
    expect(operators(module).filter((o) => o.startsWith('relu')).length).toBe(2);
  });

  it('keeps an affine adapter that no layer can take in', () => {
    const { report } = merged({ afterBlock: (net, site, x) => bottleneck(net, site, x, false) });
    expect(report.adapters.every((a) => a.state === 'kept')).toBe(true);
    expect(report.adapters[0]!.obstacle?.op).toBe('layer_norm');
  });

  it('names the prepared parameters after those that they replace', () => {
    const { report } = merged({ proj: kroneckerSum(), norm1: (net, site, y) => scaleShift(net, site, y) });
    expect([...report.replaced.keys()].sort()).toEqual(
      [0, 1].flatMap((i) => [
        `base.blocks.${i}.attn.proj.bias`,
        `base.blocks.${i}.attn.proj.weight`,
        `base.blocks.${i}.norm1.bias`,
        `base.blocks.${i}.norm1.weight`,
      ]),
    );
  });
});
