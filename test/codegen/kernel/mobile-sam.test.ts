/**
 * The kernels of MobileSAM's encoder and decoder (examples/count), imported from ONNX, at their real sizes: every variant of every kernel is proved by the verifier; those of few
 * multiply-adds run in the simulator too. Its large convolutions cannot be made small (shrink.ts) and take minutes as they are: what they give is held to onnxruntime on the GPU
 * (test/segmentation, test/backbones).
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import { kernelAt } from '../../../src/codegen/kernel/samples.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { Case, modelOf, multiplyAdds, textOf } from './group-kernels.js';

/** Multiply-adds of the largest kernel that is simulated. */
const MOST = 2 ** 20;

test.each([
  ['encoder', 40, 4],
  ['decoder', 50, 150],
])(
  '%s',
  async (name, kernels, least) => {
    const spec = fileURLToPath(new URL(`../../../examples/count/${name}.peft`, import.meta.url));
    const model = await modelOf(spec, 'merged', 'f32');
    const done = new Set<string>();
    let simulated = 0;
    for (const of of model.kernels) {
      const small = multiplyAdds(of.group) <= MOST;
      const values = small ? new Case(of, 1, 2) : undefined;
      for (const variant of of.kernel.variants) {
        if (done.has(textOf(variant))) continue;
        done.add(textOf(variant));
        const what = `${of.kernel.name}.${variant.name}`;
        for (const samples of [1, 3]) {
          const workgroups = workgroupsAt(variant.workgroups, samples);
          expect(verifyKernel(kernelAt(variant.program, samples), { workgroups }), what).toEqual([]);
        }
        if (!values) continue;
        const run = values.run(variant, simulated++ % 2 === 0 ? 'forward' : 'reverse');
        expect(
          run.faults.map((f) => f.what),
          what,
        ).toEqual([]);
        expect(run.difference, what).toBeLessThan(1e-5);
      }
    }
    console.log(
      `${name}: ${done.size} variants of ${model.kernels.length} kernels proved, ${simulated} of them simulated`,
    );
    expect(model.kernels.length).toBeGreaterThanOrEqual(kernels);
    expect([...model.texts].filter((text) => !done.has(text))).toEqual([]);
    expect(simulated).toBeGreaterThanOrEqual(least);
  },
  300_000,
);
