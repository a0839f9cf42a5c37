/**
 * The MLP of ViT-B on the tokens of 64 images: its hidden activations are 148 MiB, more than one binding may hold. As 64 samples they run in
 * several passes; as one sample, in parts. The plan is checked, and the program runs, against rows worked out on the CPU. SwiftShader would
 * take minutes for it; there the MLP is as wide inside, but takes and gives fewer channels.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { workgroupsAt } from '../../runtime/program/grid.js';
import type { BufferRef, Program } from '../../runtime/program/program.js';
import { compile, writeCompiled } from '../../src/api/index.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { Tensor } from '../../src/ir/types.js';
import { host, random } from '../api/support.js';
import { driverName, scratch, withProgram } from './support.js';

const [HIDDEN, TOKENS, IMAGES] = [3072, 197, 64];
const ROWS = IMAGES * TOKENS;
const MIB = 2 ** 20;
const folder = scratch();

type Weights = Readonly<Record<string, Tensor>>;

const weightsOf = (dim: number): Weights => ({
  'base.mlp.fc1.weight': random('w1', [HIDDEN, dim], 1.4 / Math.sqrt(dim)),
  'base.mlp.fc1.bias': random('b1', [HIDDEN], 0.1),
  'base.mlp.fc2.weight': random('w2', [dim, HIDDEN], 0.02),
  'base.mlp.fc2.bias': random('b2', [dim], 0.1),
});

/** The MLP's compiled folder and program, for samples of so many tokens. */
async function compiled(dim: number, tokens: number, weights: Weights): Promise<{ out: string; program: Program }> {
  const file = join(folder, `weights-${dim}-${tokens}.safetensors`);
  const stored = Object.entries(weights).map(([name, t]) => [name, storeTensor(t)] as const);
  writeFileSync(file, encodeSafetensors(new Map(stored)));
  const text = `use std

backbone only_mlp() {
  mlp = Mlp(${dim}, ${HIDDEN})
  forward(x: [b, ${tokens}, ${dim}]) { mlp(x) }
}

model Large {
  base = only_mlp() from "${file}"
}
`;
  const out = join(folder, `out-${dim}-${tokens}`);
  // A golden input would take as long as the run itself.
  await writeCompiled(await compile({ text, path: 'large.peft' }, { host, batch: [IMAGES], golden: false }), out);
  return { out, program: JSON.parse(readFileSync(join(out, 'program.json'), 'utf8')) as Program };
}

/** What a layer's dispatches write, in the order of its rows. */
function written(program: Program, layer: string): BufferRef[] {
  const dispatches = program.entries[0]!.dispatches.filter((d) => d.label.endsWith(layer));
  return dispatches.map((d) => d.bindings.at(-1)!).sort((a, b) => a.offset - b.offset);
}

const dimHere = async (): Promise<number> => ((await driverName()) === 'swiftshader' ? 48 : 768);

/** Runs all rows and compares some with the CPU. */
async function expectRows(out: string, weights: Weights, dim: number, rows: Iterable<number>): Promise<void> {
  const x = Float32Array.from(random('x', [IMAGES, TOKENS, dim]).data);
  const y = await withProgram(
    out,
    async (session) => Object.values((await session.run({ tensors: { x } })).outputs)[0]!,
  );
  expect(y).toHaveLength(ROWS * dim);
  for (const row of rows) {
    const want = mlp(weights, x.subarray(row * dim, (row + 1) * dim));
    const largest = Math.max(...want.map(Math.abs));
    const worst = Math.max(...want.map((w, i) => Math.abs(w - y[row * dim + i]!)));
    expect(worst / largest, `row ${row}`).toBeLessThan(1e-5);
  }
}

const SOME = [0, 1, ROWS - 1, ...[1, 2, 3, 4, 5].map((i) => i * 2003)];

test('one sample runs in parts, within the limits that every WebGPU has', async () => {
  const dim = await dimHere();
  const weights = weightsOf(dim);
  const { out, program } = await compiled(dim, ROWS, weights);
  expect(program.entries[0]!.samples).toBe(1);
  expect(planned(program, dim)).toBe(ROWS * HIDDEN * 4);
  // Rows on both sides of every cut, of either layer, and some from all over.
  const cuts = (['fc1', 'fc2'] as const).flatMap((layer) => {
    const parts = written(program, layer);
    const row = 4 * (layer === 'fc1' ? HIDDEN : dim);
    return parts.slice(1).map((p) => (p.offset - parts[0]!.offset) / row);
  });
  expect(cuts.length).toBeGreaterThan(0);
  await expectRows(out, weights, dim, new Set([...SOME, ...cuts.flatMap((c) => [c - 1, c])]));
}, 300_000);

test('many samples run in passes of as many as a binding holds', async () => {
  const dim = await dimHere();
  const weights = weightsOf(dim);
  const { out, program } = await compiled(dim, TOKENS, weights);
  const [entry] = program.entries;
  expect(entry!.samples).toBe(Math.floor((128 * MIB) / (TOKENS * HIDDEN * 4)));
  expect(entry!.dispatches).toHaveLength(2);
  for (const { bindings } of entry!.dispatches) {
    for (const b of bindings) if (b.kind !== 'weight') expect(b.bytes * entry!.samples).toBeLessThanOrEqual(128 * MIB);
  }
  // Two passes of 32 images: rows on both sides of where they meet.
  const border = (IMAGES / 2) * TOKENS;
  await expectRows(out, weights, dim, new Set([...SOME, border - 1, border]));
}, 300_000);

test('ViT-B itself is cut within those limits, whichever driver is here', async () => {
  const { program } = await compiled(768, ROWS, weightsOf(768));
  expect(planned(program, 768)).toBe(ROWS * HIDDEN * 4);
});

/** Checks every binding of the plan, and that the parts of each layer write everything once; gives the bytes between the layers. */
function planned(program: Program, dim: number): number {
  const entry = program.entries[0]!;
  for (const slab of entry.slabs) expect(slab.bytes).toBeLessThanOrEqual(256 * MIB);
  for (const { bindings, label, workgroups } of entry.dispatches) {
    for (const b of bindings) {
      expect(b.bytes, label).toBeLessThanOrEqual(128 * MIB);
      expect(b.offset % 256, label).toBe(0);
    }
    for (const w of workgroups) for (const n of workgroupsAt(w, 1)) expect(n).toBeLessThanOrEqual(65535);
  }
  for (const [layer, width] of [
    ['fc1', HIDDEN],
    ['fc2', dim],
  ] as const) {
    const parts = written(program, layer);
    expect(parts.length, layer).toBeGreaterThan(1);
    for (const [i, p] of parts.slice(1).entries()) expect(p.offset).toBe(parts[i]!.offset + parts[i]!.bytes);
    expect(parts.reduce((sum, p) => sum + p.bytes, 0)).toBe(ROWS * width * 4);
  }
  return written(program, 'fc1').reduce((sum, p) => sum + p.bytes, 0);
}

/** The MLP on one token, in f64. */
function mlp(weights: Weights, x: Float32Array): number[] {
  const layer = (v: ArrayLike<number>, name: string): number[] => {
    const [w, b] = [weights[`${name}.weight`]!.data, weights[`${name}.bias`]!.data];
    return Array.from({ length: b.length }, (_, o) => {
      let sum = b[o]!;
      for (let i = 0; i < v.length; i++) sum += w[o * v.length + i]! * v[i]!;
      return sum;
    });
  };
  return layer(layer(x, 'base.mlp.fc1').map(gelu), 'base.mlp.fc2');
}

/** x Φ(x) by Simpson's rule over the normal density, so that it shares nothing with the compiler's erf. */
function gelu(x: number): number {
  const steps = 64;
  const h = x / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) sum += (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2) * Math.exp(-((i * h) ** 2) / 2);
  return x * (0.5 + ((h / 3) * sum) / Math.sqrt(2 * Math.PI));
}
