/** What `compile` says of its checks: what was compared, on what, and what was not and why. */
import { describe, expect, test } from 'vitest';
import type { Compiled, CompileOptions } from '../../src/api/compile.js';
import { compile } from '../../src/api/index.js';
import { describeCompiled } from '../../src/cli/summary.js';
import { adapted, host, scratch } from '../api/support.js';

const folder = scratch();
const GRAFT = 'base.blocks[*].attn.qkv with karst(kernels: 2, rank: 2';

async function told(graft: string, options: Omit<CompileOptions, 'host'> = {}): Promise<string> {
  return describeCompiled(await compile(await adapted(folder, 'vit-shards', graft), { host, ...options }), 'out');
}

describe('the rows of checks', () => {
  test('name layers and the whole model, and leave kernels to a load', async () => {
    const text = await told(`${GRAFT})`);
    expect(text).toMatch(/golden +1 random image through the model as written, in f64/);
    expect(text).toMatch(/2 rewritten layers, .*2 random tokens each in f64: largest difference \d\.\de-\d+ of/);
    expect(text).toMatch(/whole model, .* in f64 on the golden input: largest difference \d/);
    expect(text).toContain('the kernels were not run here');
    expect(text).not.toContain('left as written');
  });

  test('say that nothing was compared where nothing was', async () => {
    const text = await told(`${GRAFT})`, { adapters: 'factored', golden: false });
    expect(text).toContain('no layer was rewritten by a merge, so none was compared');
    expect(text).toContain('the whole model and its kernels were not compared: there is no golden input');
    expect(text).toContain('none was asked for: a load checks nothing');
    expect(text).not.toContain('no difference');
  });

  test('say what a load prepares, and that its layers are not those that were compared', async () => {
    const text = await told(`${GRAFT})`, { prepare: 'load', golden: false });
    expect(text).toMatch(/each load prepares weights, in \d+ dispatches/);
    expect(text).toContain('random tokens each in f64, as the CPU merges them: ');
    expect(await told(`${GRAFT})`, { golden: false })).not.toMatch(/each load|as the CPU/);
  });

  test('count the sites whose weight the spec computes itself', async () => {
    expect(await told(`${GRAFT}, rescale: none)`)).toContain('2 merged sites left as written');
  });

  test('say by which figures the form of what stays beside its layer was chosen', async () => {
    const compiled = await compile(await adapted(folder, 'vit-shards', `${GRAFT})`), { host, golden: false });
    expect(compiled.priced).toBeUndefined();
    const kept = { ...compiled, priced: { flops: 1e12, bytes: 1e11, launch: 40e-6 } };
    expect(describeCompiled(kept, 'out')).toContain(
      'as factors or multiplied out by time, at 1.00 TFLOP/s, 100 GB/s and 40 µs a dispatch',
    );
  });

  test('name the passes that are too large to run here, and why there was no GPU', async () => {
    const compiled = await compile(await adapted(folder, 'vit-shards', `${GRAFT})`), { host, batch: [1, 2] });
    const check = { ...compiled.check, model: { by: 'gpu', device: 'a GPU', difference: 0, rows: [1, 2] } } as const;
    const text = describeCompiled({ ...compiled, check: { ...check, without: 'it is lost' } } as Compiled, 'out');
    expect(text).toContain(
      'compiled program on a GPU, 1 and 2 images at a time, against the golden output: no difference',
    );
    expect(text).toContain('passes of 2 were not run here, they are large: the kernels are those of one image');
    expect(text).toContain('not computed on a GPU: it is lost');
  });
});
