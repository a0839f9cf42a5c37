/** Tiles of zeros that a compiled program leaves out: what ships, what is said of it, and that it computes what the dense program does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HERE } from '../../examples/fashion/mnist.js';
import { type CompileOptions, compile } from '../../src/api/index.js';
import { describeCompiled } from '../../src/cli/summary.js';
import { host } from './support.js';

/** The example whose mask covers the sum, pruned in blocks instead. */
function blocks(shape: string, sparsity = '75%', over = 'sum') {
  const path = join(HERE, 'karst-sparse.peft');
  const text = readFileSync(path, 'utf8').replace(
    'sparsity: 50%, scope: global, over: sum',
    `sparsity: ${sparsity}, scope: global, shape: block(${shape}), over: ${over}`,
  );
  expect(text).toContain(`block(${shape})`);
  return { text, path };
}

const made = (spec: { text: string; path: string }, options: Partial<CompileOptions> = {}) =>
  compile(spec, { host, golden: false, ...options });

describe('blocks as large as tiles', () => {
  test('are neither stored nor multiplied, and the compiled model is the one that was written', async () => {
    const spec = blocks('32, 16');
    const [dense, skipping] = [await made(spec, { skipZeros: false }), await made(spec, { golden: 'f64' })];
    const { flops, sparseFlops, weightBytes, zeros } = skipping.program.summary;
    expect(zeros!.zeros).toBe(393_216);
    expect(zeros).toEqual(dense.program.summary.zeros);
    // The masked layers hold 524,288 weights, of which a quarter is left.
    expect(dense.program.summary.weightBytes - weightBytes).toBeGreaterThan(0.95 * 4 * 393_216);
    const layers = skipping.program.weights.filter((w) => w.layout === 'kept:16x32');
    expect(layers).toHaveLength(8);
    expect(flops).toBeLessThan(0.65 * dense.program.summary.flops);
    expect(sparseFlops).toBeGreaterThan(0);
    expect(skipping.check.model!.difference).toBeLessThan(1e-6);
    expect(describeCompiled(skipping, 'out')).toContain('tiles of 32 x 16');
  });
});
