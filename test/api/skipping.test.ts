/** Tiles of zeros that a compiled program leaves out: what ships, what is said of it, and that it computes what the dense program does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HERE } from '../../examples/fashion/mnist.js';
import { type Compiled, type CompileOptions, compile } from '../../src/api/index.js';
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

/** Layers of which not all tiles are stored. */
const stored = ({ program }: Compiled) => program.weights.filter((w) => w.layout === 'kept:16x32');

describe('tiles of zeros', () => {
  test('are neither stored nor multiplied, and the compiled model is the one that was written', async () => {
    const spec = blocks('32, 16');
    const [dense, skipping] = [await made(spec, { skipZeros: false }), await made(spec, { golden: 'f64' })];
    const [whole, left] = [dense.program.summary, skipping.program.summary];
    expect(left.zeros!.zeros).toBe(393_216);
    expect(left.zeros).toEqual(whole.zeros);
    expect(whole.skipped).toBeUndefined();
    const { weights, tiles, of, flops } = left.skipped!;
    expect(stored(skipping)).toHaveLength(weights);
    // Each tile that is left out is 512 of the zeros, two operations for each of 50 tokens; the last block reads one.
    expect(tiles).toBeLessThanOrEqual(393_216 / 512);
    expect(tiles).toBeGreaterThan(0.75 * of);
    expect(left.flops + flops).toBeCloseTo(whole.flops, -2);
    const lists = skipping.program.weights.filter((w) => w.layout === 'starts' || w.layout === 'blocks');
    expect(lists).toHaveLength(2 * weights);
    const bytes = lists.reduce((sum, w) => sum + w.bytes, 0);
    expect(whole.weightBytes - left.weightBytes).toBe(4 * 512 * tiles - bytes);
    expect(skipping.check.model!.difference).toBeLessThan(1e-6);
    const said = describeCompiled(skipping, 'out');
    expect(said).toContain(`of the work is left out: ${tiles} of ${of} tiles of 32 x 16 zeros, in ${weights} tensors`);
    expect(describeCompiled(dense, 'out')).toContain('0% of the multiplications are skipped');
  });

  test('are counted in halves as well', async () => {
    const half = await made(blocks('32, 16'), { weights: 'f16' });
    expect(stored(half).every((w) => w.dtype === 'f16')).toBe(true);
    expect(half.program.summary.zeros!.zeros).toBeGreaterThanOrEqual(393_216);
  });

  test('are there for masks over the base where adapters stay beside it, and not where a merge fills them in', async () => {
    const spec = blocks('32, 16', '75%', 'base');
    expect(stored(await made(spec, { adapters: 'factored' })).length).toBeGreaterThan(4);
    expect(stored(await made(spec, { adapters: 'merged' }))).toEqual([]);
  });

  test('are too few where a mask is not made of such blocks', async () => {
    const single = await made(blocks('1, 1'));
    expect(stored(single)).toEqual([]);
    expect(describeCompiled(single, 'out')).toContain(
      'kernels leave out tiles of 32 x 16 zeros (`shape: block(32, 16)`',
    );
  });

  test('are stored where a load prepares weights, which may be others', async () => {
    const load = await made(blocks('32, 16'), { prepare: 'load' });
    expect(stored(load)).toEqual([]);
    expect(describeCompiled(load, 'out')).toContain('what a load prepares is stored whole');
  });
});
