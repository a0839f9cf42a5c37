/**
 * The MLP of ViT-B at batch 64: its hidden activations are 148 MiB, more than one binding may hold, so kernels run in parts. The plan is always
 * checked; with ESPALIER_SLOW=1 the program really runs, against rows worked out on the CPU.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Program } from '../../runtime/program.js';
import { compile, writeCompiled } from '../../src/api/index.js';
import { storeTensor } from '../../src/formats/elements.js';
import { encodeSafetensors } from '../../src/formats/safetensors.js';
import { host, random } from '../api/support.js';
import { scratch, withProgram } from './support.js';

const [DIM, HIDDEN, TOKENS, BATCH] = [768, 3072, 197, 64];
const folder = scratch();
const weights = {
  'base.mlp.fc1.weight': random('w1', [HIDDEN, DIM], 0.05),
  'base.mlp.fc1.bias': random('b1', [HIDDEN], 0.1),
  'base.mlp.fc2.weight': random('w2', [DIM, HIDDEN], 0.02),
  'base.mlp.fc2.bias': random('b2', [DIM], 0.1),
};
const SPEC = `use std

backbone only_mlp() {
  mlp = Mlp(${DIM}, ${HIDDEN})
  forward(x: [b, ${TOKENS}, ${DIM}]) { mlp(x) }
}

model Large {
  base = only_mlp() from "${join(folder, 'weights.safetensors')}"
}
`;

async function compiled(): Promise<string> {
  const stored = Object.entries(weights).map(([name, t]) => [name, storeTensor(t)] as const);
  writeFileSync(join(folder, 'weights.safetensors'), encodeSafetensors(new Map(stored)));
  const out = join(folder, 'out');
  await writeCompiled(await compile({ text: SPEC, path: 'large.peft' }, { host, batch: [BATCH], golden: false }), out);
  return out;
}

test('compiles within the limits that every WebGPU has', async () => {
  const out = await compiled();
  const program = JSON.parse(readFileSync(join(out, 'program.json'), 'utf8')) as Program;
  const entry = program.entries[0]!;
  expect(BATCH * TOKENS * HIDDEN * 4).toBeGreaterThan(128 * 2 ** 20);
  expect(entry.slabs.reduce((a, b) => a + b, 0)).toBeGreaterThan(128 * 2 ** 20);
  for (const slab of entry.slabs) expect(slab).toBeLessThanOrEqual(256 * 2 ** 20);
  for (const { bindings, label, workgroups } of entry.dispatches) {
    for (const b of bindings) {
      expect(b.bytes, label).toBeLessThanOrEqual(128 * 2 ** 20);
      expect(b.offset % 256, label).toBe(0);
    }
    for (const counts of workgroups) for (const n of counts) expect(n).toBeLessThanOrEqual(65535);
  }
  // fc1 writes what does not fit into a binding, fc2 reads it: both run in parts, which together write everything once.
  const written = (layer: string) =>
    entry.dispatches.filter((d) => d.label.endsWith(layer)).map((d) => d.bindings.at(-1)!);
  for (const [layer, width] of [
    ['fc1', HIDDEN],
    ['fc2', DIM],
  ] as const) {
    const parts = written(layer).sort((a, b) => a.offset - b.offset);
    expect(parts.length, layer).toBeGreaterThan(1);
    for (const [i, p] of parts.slice(1).entries()) expect(p.offset).toBe(parts[i]!.offset + parts[i]!.bytes);
    expect(parts.reduce((sum, p) => sum + p.bytes, 0)).toBe(BATCH * TOKENS * width * 4);
  }
});

test.runIf(process.env.ESPALIER_SLOW === '1')(
  'runs in parts',
  async () => {
    const out = await compiled();
    const x = Float32Array.from(random('x', [BATCH, TOKENS, DIM]).data);
    const y = await withProgram(
      out,
      async (session) => Object.values((await session.run({ tensors: { x } })).outputs)[0]!,
    );
    expect(y).toHaveLength(BATCH * TOKENS * DIM);
    const last = BATCH * TOKENS - 1;
    for (const row of [0, 1, 4111, 6303, 6304, 6305, 11000, last]) {
      const want = mlp(x.subarray(row * DIM, (row + 1) * DIM));
      const largest = Math.max(...want.map(Math.abs));
      const worst = Math.max(...want.map((w, i) => Math.abs(w - y[row * DIM + i]!)));
      expect(worst / largest, `row ${row}`).toBeLessThan(1e-4);
    }
  },
  600_000,
);

/** The MLP on one token, in f64. */
function mlp(x: Float32Array): number[] {
  const layer = (v: ArrayLike<number>, name: string, out: number): number[] => {
    const [w, b] = [
      weights[`${name}.weight` as keyof typeof weights].data,
      weights[`${name}.bias` as keyof typeof weights].data,
    ];
    return Array.from({ length: out }, (_, o) => {
      let sum = b[o]!;
      for (let i = 0; i < v.length; i++) sum += w[o * v.length + i]! * v[i]!;
      return sum;
    });
  };
  return layer(layer(x, 'base.mlp.fc1', HIDDEN).map(gelu), 'base.mlp.fc2', DIM);
}

/** x Φ(x) by Simpson's rule over the normal density, so that it shares nothing with the compiler's erf. */
function gelu(x: number): number {
  const steps = 64;
  const h = x / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) sum += (i === 0 || i === steps ? 1 : i % 2 ? 4 : 2) * Math.exp(-((i * h) ** 2) / 2);
  return x * (0.5 + ((h / 3) * sum) / Math.sqrt(2 * Math.PI));
}
