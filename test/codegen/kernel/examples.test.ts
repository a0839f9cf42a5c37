/**
 * Every distinct kernel of the examples and of ViT-S/16 and ViT-B/16, in every variant: run in the simulator, equal to the operators' references,
 * without a fault, and proved by the verifier. Products of more than 2^28 multiply-adds are made small for the simulator (shrink.ts), and so are those of more
 * than 2^26 where that can be done. The last test prints what was simulated.
 */

import { describe, expect, it } from 'vitest';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import { compile, nodeHost } from '../../../src/api/index.js';
import { SUBGROUP_SIZES } from '../../../src/codegen/contract/schedules.js';
import type { Group } from '../../../src/codegen/groups/group.js';
import { kernelAt } from '../../../src/codegen/kernel/samples.js';
import type { FaultKind } from '../../../src/codegen/kernel/simulate/simulate.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import type { BuiltVariant } from '../../../src/codegen/kernel.js';
import { reduceDomain } from '../../../src/codegen/reduce/kernel.js';
import { rowPlan } from '../../../src/codegen/reduce/rows.js';
import { Case, type GroupKernel, type Model, modelOf, multiplyAdds, textOf } from './group-kernels.js';
import { MODELS } from './models.js';
import { shrunk } from './shrink.js';

/** Multiply-adds of the largest kernel that is simulated as it is. */
const MOST = 2 ** 28;
/** Of the largest that is, where it could be made small. */
const SMALL = 2 ** 26;
const TOLERANCE = 1e-5;

/** What has been simulated, and what it came to. */
const done = new Set<string>();
const all = new Set<string>();
const report = { kernels: 0, shrunk: 0, multiplyAdds: 0, accesses: 0, worst: 0 };
const faults = new Map<FaultKind, number>();

const SUBGROUPS = SUBGROUP_SIZES.map((size) => `subgroup${size}`);
/** Whether threads share the rows of a reduction: not if neighbours in memory are of different rows, nor short ones. */
function sharesRows({ anchor }: Group): boolean {
  const plan = rowPlan(anchor)!;
  return plan.axes.includes(plan.input.type.shape.length - 1) && reduceDomain(plan).length >= 64;
}

/** Variants of a kernel. Attention's portable one goes through workgroup memory; what walks over few elements has no use for many lanes. */
function expectVariants({ kernel, group }: GroupKernel): void {
  const names = kernel.variants.map((v) => v.name).sort();
  const wanted = {
    contract: ['portable', 'tile', ...SUBGROUPS],
    sparse_contract: ['portable', 'tile', 'subgroup4', 'subgroup8'],
    attention: ['portable', ...SUBGROUPS],
    reduce: ['portable', ...SUBGROUPS.filter((name) => names.includes(name))],
    pointwise: ['portable'],
  };
  expect(names, kernel.name).toEqual(wanted[kernel.archetype].sort());
  if (kernel.archetype !== 'reduce') return;
  if (sharesRows(group)) expect(names.length, kernel.name).toBeGreaterThan(5);
  else expect(names, kernel.name).toEqual(['portable']);
}

/** Samples that a group is run on: several where that is cheap. */
const samplesFor = (group: Group): number => (multiplyAdds(group) < 2 ** 22 ? 3 : 1);

function simulated(of: GroupKernel, variant: BuiltVariant, values: Case): void {
  const run = values.run(variant, report.kernels % 2 === 0 ? 'forward' : 'reverse');
  const what = `${of.kernel.name}.${variant.name}`;
  for (const f of run.faults) faults.set(f.kind, (faults.get(f.kind) ?? 0) + f.count);
  expect(
    run.faults.map((f) => f.what),
    what,
  ).toEqual([]);
  expect(run.difference, what).toBeLessThan(TOLERANCE);
  const { loads, stores, sharedLoads, sharedStores } = run.stats;
  report.multiplyAdds += multiplyAdds(of.group) * samplesFor(of.group);
  report.accesses += loads + stores + sharedLoads + sharedStores;
  report.worst = Math.max(report.worst, run.difference);
}

/** What is large in small; undefined for what is not, or is no linear layer, or has sizes that cannot be told apart for this variant. */
function smallOf(of: GroupKernel, variant: string): ReturnType<typeof shrunk> | undefined {
  const work = multiplyAdds(of.group);
  if (work > MOST) return shrunk(of, variant);
  try {
    return work > SMALL ? shrunk(of, variant) : undefined;
  } catch {
    return undefined;
  }
}

function simulate(of: GroupKernel): void {
  const left = of.kernel.variants.filter((v) => !done.has(textOf(v)));
  if (left.length === 0) return;
  expectVariants(of);
  report.kernels++;
  let values: Case | undefined;
  for (const variant of left) {
    // As large as it is, also where the simulator gets a small one.
    for (const samples of [1, 3]) {
      const workgroups = workgroupsAt(variant.workgroups, samples);
      expect(verifyKernel(kernelAt(variant.program, samples), { workgroups }), of.kernel.name).toEqual([]);
    }
    const small = smallOf(of, variant.name);
    if (small) {
      simulated(small.of, small.variant, new Case(small.of, 1, samplesFor(small.of.group)));
      report.shrunk++;
    } else {
      values ??= new Case(of, 1, samplesFor(of.group));
      simulated(of, variant, values);
    }
    done.add(textOf(variant));
  }
}

describe('kernels in the simulator', () => {
  for (const { name, spec, adapters, weights, trained } of MODELS) {
    it(name, { timeout: 300_000 }, async () => {
      const model: Model = await modelOf(spec, adapters, weights);
      for (const of of model.kernels) simulate(of);
      for (const text of model.texts) all.add(text);
      // What `compile` writes is what was simulated, to the byte.
      const texts = model.kernels.flatMap((k) => k.kernel.variants.map(textOf));
      expect(new Set(texts)).toEqual(model.texts);
      if (!trained) return;
      const { files } = await compile(spec, { host: nodeHost(), adapters, weights, golden: false });
      const written = [...files].flatMap(([file, text]) => (file.endsWith('.wgsl') ? [text] : []));
      expect(new Set(written)).toEqual(model.texts);
    });
  }

  it('the report', () => {
    const kinds = [...faults].map(([kind, count]) => `${count} ${kind}`).join(', ');
    const { kernels, multiplyAdds: work, accesses, worst } = report;
    const billions = (n: number): string => `${(n / 1e9).toFixed(2)} billion`;
    console.log(
      `simulated: ${done.size} variants of ${kernels} kernels of ${MODELS.length} models, ${report.shrunk} of them shrunk; ` +
        `${billions(work)} multiply-adds, ${billions(accesses)} accesses; faults: ${kinds || 'none'}; largest difference ${worst.toExponential(1)}`,
    );
    expect(kinds).toBe('');
    expect([...all].filter((text) => !done.has(text))).toEqual([]);
    expect(done.size).toBe(all.size);
    // As many as there are today, at least.
    expect(MODELS.length).toBeGreaterThan(19);
    expect(kernels).toBeGreaterThan(60);
    expect(report.shrunk).toBeGreaterThanOrEqual(40);
    expect(work).toBeGreaterThan(2 ** 32);
  });
});
