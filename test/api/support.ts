/** Specs over the tiny checkpoints of test/fixtures, with adapters whose trained weights are random, in a folder that is removed at the end. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { nodeHost } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { normalStream } from '../../src/ir/run/init.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Module, Tensor } from '../../src/ir/types.js';

export const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
export const VITS = ['vit-shards', 'vit-grey', 'vit-odd'] as const;
export const host = nodeHost();

/** A folder of this test file's own. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TextSpec {
  readonly text: string;
  readonly path: string;
}

/** A classifier on the checkpoint in `from` (a fixture's name or a path), with `body` below its head. */
export function vitSpec(from: string, body = '', before = ''): TextSpec {
  const folder = from.includes('/') ? from : join(FIXTURES, from);
  const model = `model Tiny {
  base = vit_auto() from "${folder}"
  head = classify(base, pool: cls)
  ${body}
}
`;
  return { text: `use std\n${before}\n${model}`, path: 'tiny.peft' };
}

/** Normally distributed elements, the same for the same name. */
export function random(name: string, shape: readonly number[], std = 1): Tensor {
  const next = normalStream(7, name);
  return tensor(
    shape,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => std * next()),
  );
}

/** Tensors for every adapter parameter of a spec: none is zero, and none so large that it drowns the base. */
export async function randomAdapter(spec: TextSpec): Promise<Map<string, Tensor>> {
  const { elaborated } = await analyseModel(spec, { host });
  const names = elaborated.adapters.flatMap((a) => Object.values(a.params));
  return new Map(names.map((name) => [name, random(name, elaborated.module.params.get(name)!.type.shape, 0.3)]));
}

/** The spec whose one `adapt <sites> with <adapter>` loads random trained tensors from a file in `folder`. */
export async function adapted(folder: string, from: string, graft: string, before = ''): Promise<TextSpec> {
  const bare = vitSpec(from, `adapt ${graft}`, before);
  const file = join(folder, `${graft.replace(/\W+/g, '-')}.safetensors`);
  writeFileSync(file, encodeAdapter(await randomAdapter(bare)));
  return vitSpec(from, `adapt ${graft} from "${file}"`, before);
}

/** What the model gives (logits) as it is written, on the CPU in f64. */
export async function resultAsWritten(spec: TextSpec | string, pixels: Tensor): Promise<Float64Array> {
  const analysis = await analyseModel(spec, { host });
  const { get } = await loadParameters(analysis);
  return infer(analysis.elaborated.module, pixels, get);
}

/** Runs `prepare`, if the module has one, and then `infer`. */
export function infer(module: Module, pixels: Tensor, params: (name: string) => Tensor): Float64Array {
  const prepared = module.funcs.has('prepare')
    ? interpret(module, 'prepare', { inputs: new Map(), params })
    : new Map<string, Tensor>();
  const inputs = new Map([['pixels', pixels]]);
  const out = interpret(module, 'infer', { inputs, params: (name) => prepared.get(name) ?? params(name) });
  return Float64Array.from([...out.values()][0]!.data);
}

/** Every tensor of a safetensors file. */
export async function readTensors(path: string): Promise<Map<string, Tensor>> {
  const { tensors } = await openSafetensors(await openFile(path));
  return new Map(await Promise.all([...tensors].map(async ([name, entry]) => [name, await entry.read()] as const)));
}

/** The codes and messages of an EspalierError that `body` must throw. */
export async function failure(body: () => Promise<unknown>): Promise<{ codes: string[]; text: string }> {
  try {
    await body();
  } catch (error) {
    const { diagnostics } = error as { diagnostics?: { code: string; message: string }[] };
    if (!diagnostics) throw error;
    return { codes: diagnostics.map((d) => d.code), text: diagnostics.map((d) => d.message).join('\n') };
  }
  throw new Error('nothing was thrown');
}
