/** What tests of the library's backbones have in common: results as written and by kernels, adapters with random weights, merged files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { merge } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { type OpenCheckpoint, openCheckpoint } from '../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { build } from '../../src/ir/build.js';
import { input } from '../../src/ir/graph.js';
import { interpretCall } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { GRADIENT, gradientModule, gradientName } from '../../src/passes/train/gradient.js';
import { host, infer, randomAdapter, type TextSpec } from '../api/support.js';
import { compileTo, withProgram } from '../e2e/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';

/** A spec with some statements more, or with none. */
export type SpecOf = (body?: string) => TextSpec;

/** What the model as written gives, in f64, in the shape of `like`. */
export async function resultOf(s: TextSpec, pixels: Tensor, like: Tensor, on: Host = host): Promise<Tensor> {
  const analysis = await analyseModel(s, { host: on });
  const { get } = await loadParameters(analysis);
  return tensor(like.type.shape, infer(analysis.elaborated.module, pixels, get));
}

/** The spec with a graft whose trained tensors are random, from a file in `folder`. */
export async function adapted(of: SpecOf, folder: string, name: string, graft: string): Promise<TextSpec> {
  const file = join(folder, `${name}.safetensors`);
  writeFileSync(file, encodeAdapter(await randomAdapter(of(graft))));
  return of(`${graft} from "${file}"`);
}

const bytesOf = (content: string | Uint8Array | readonly Uint8Array[]): string | Uint8Array =>
  Array.isArray(content) ? Buffer.concat(content as Uint8Array[]) : (content as string | Uint8Array);

const shapes = (c: OpenCheckpoint) => [...c.store.tensors].map(([n, e]) => `${n} ${e.dtype} ${e.shape}`).sort();

/**
 * Merges the grafts of a spec, and holds the merged file to give what they gave, to have the base's layout, and to differ in these weights (and biases
 * of theirs) alone.
 * @param from where the base is, a folder or a file
 */
export async function expectMerge(
  s: TextSpec,
  base: TextSpec,
  from: string,
  pixels: Tensor,
  like: Tensor,
  changes: RegExp,
) {
  const { files, changed, tensors } = await merge(s, { host });
  const before = await openCheckpointAt(from);
  const weights = [...files].map(([name, content]) => [name, bytesOf(content)] as const);
  const folder = memoryFolder('merged', Object.fromEntries(weights));
  const file = weights.find(([name]) => name.endsWith('.safetensors'))![1];
  const after = from.endsWith('.safetensors')
    ? await openCheckpoint(memorySource('merged.safetensors', file as Uint8Array))
    : await openCheckpoint(folder);
  expect(shapes(after)).toEqual(shapes(before));
  expect(tensors).toBe(before.store.tensors.size);
  expect(changed.filter((n) => !changes.test(n))).toEqual([]);
  const want = await resultOf(s, pixels, like);
  const found = await resultOf(base, pixels, like, { ...host, openCheckpoint: async () => after });
  expect(maxDifference(found, want)).toBeLessThan(1e-4 * Math.max(...want.data.map(Math.abs)));
  // It is not the base's answer.
  expect(maxDifference(found, like)).toBeGreaterThan(1e-2);
  await before.close();
  return changed;
}

/** Compiles a spec, runs it on the GPU of the tests, and holds it to `want` by a share of the largest. */
export async function expectOnGpu(s: TextSpec, folder: string, pixels: Tensor, want: Tensor, share: number) {
  const compiled = await compileTo(folder, s);
  const found = await withProgram(
    folder,
    async (session) =>
      Object.values((await session.run({ tensors: { pixels: Float32Array.from(pixels.data) } })).outputs)[0]!,
  );
  const largest = Math.max(...want.data.map(Math.abs));
  expect(maxDifference(tensor(want.type.shape, Float64Array.from(found)), want) / largest).toBeLessThan(share);
  return compiled;
}

/**
 * Gradients of the sum of what a model gives, times `weight`, by some of its frozen parameters, in f64. Inference's: nothing is dropped.
 * @throws Error where one of them gets none
 */
export async function gradientsOf(
  s: TextSpec,
  pixels: Tensor,
  weight: Tensor,
  params: readonly string[],
): Promise<ReadonlyMap<string, Tensor>> {
  const analysis = await analyseModel(s, { host });
  const { get } = await loadParameters(analysis);
  const { module } = analysis.elaborated;
  const infer = module.funcs.get('infer')!;
  const { value } = infer.results[0]!;
  const by = input('weight', value.type);
  const loss = build.sum(build.mul(value, by), [...value.type.shape.keys()]);
  const func = { ...infer, name: 'loss', inputs: [...infer.inputs, by], results: [{ name: 'loss', value: loss }] };
  const made = gradientModule(
    { ...module, funcs: new Map([['loss', func]]) },
    { params, inputs: [], adapters: 'factored' },
  );
  if (made.without.size > 0) throw new Error(`no gradients: ${[...made.without.keys()]}`);
  const inputs = new Map([
    ['pixels', pixels],
    ['weight', weight],
  ]);
  const first = made.module.funcs.has('prepare');
  const prepared = first
    ? interpretCall(made.module, 'prepare', { inputs: new Map(), params: get }).results
    : new Map();
  const weights = (name: string): Tensor => prepared.get(name) ?? get(name);
  const { results } = interpretCall(made.module, GRADIENT, { inputs, params: weights });
  return new Map(params.map((name) => [name, results.get(gradientName(name))!]));
}
