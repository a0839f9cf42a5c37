/** What is said about a program that exceeds limits: sizes that can be told apart, and advice that helps on this machine. */
import { describe, expect, it } from 'vitest';
import { generateWithin } from '../../src/api/limits.js';
import { BASELINE, type Limits } from '../../src/codegen/schedule.js';
import { type Diagnostic, EspalierError } from '../../src/diagnostics/types.js';
import { build } from '../../src/ir/build.js';
import type { Module } from '../../src/ir/types.js';
import { Outline } from '../codegen/cuts.js';
import { OPTIONS } from '../codegen/harness.js';

const GIB = 2 ** 30;

/** What `generateWithin` refuses, on a machine whose GPU has these limits. */
async function refused(
  module: Module,
  device: Partial<Limits> | undefined,
  limits: 'baseline' | 'device' = 'baseline',
): Promise<Diagnostic> {
  const deviceLimits = async (): Promise<Record<string, number>> => {
    if (!device) throw new Error('there is no GPU');
    return { ...BASELINE, ...device };
  };
  try {
    await generateWithin(module, OPTIONS, limits, { deviceLimits });
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics[0]!;
    throw error;
  }
  throw new Error('nothing was refused');
}

function largeInput(elements: number): Module {
  const m = new Outline();
  return m.module(build.gelu(m.input([1, elements])));
}

/** Attention of one group whose four tensors take two bindings each, and a bias. */
function longAttention(tokens: number): Module {
  const m = new Outline();
  const [q, k, v] = [1, 2, 3].map(() => m.input([1, 1, tokens, 64]));
  return m.module(build.attention(q!, k!, v!, 1, [m.param([tokens])]));
}

describe('a program that exceeds limits', () => {
  it('is told in figures that differ', async () => {
    const just = await refused(largeInput(2 ** 26 + 1), undefined);
    expect([just.code, just.message]).toEqual([
      'ESP0604',
      '`x0` takes 256.000004 MiB; a buffer holds at most 256.0 MiB',
    ]);
    const far = await refused(largeInput(2 ** 27), undefined);
    expect(far.message).toBe('`x0` takes 512.0 MiB; a buffer holds at most 256.0 MiB');
    const many = await refused(longAttention(600_000), undefined);
    expect([many.code, many.message]).toEqual([
      'ESP0602',
      '`attention` needs 588.2 MiB at a time, which takes 9 bindings of at most 128.0 MiB; a kernel may have 8',
    ]);
  });

  it('is told of `limits = device` exactly where the GPU here can run it', async () => {
    const smaller = 'use a smaller image, or fewer tokens';
    const device = "or compile for GPUs with larger limits, as this machine's: `limits = device` under `deploy`";
    const large = { maxBufferSize: GIB, maxStorageBufferBindingSize: GIB };
    for (const module of [largeInput(2 ** 27), longAttention(600_000)]) {
      expect((await refused(module, large)).help).toEqual([smaller, device]);
      expect((await refused(module, {})).help).toEqual([smaller]);
      expect((await refused(module, undefined)).help).toEqual([smaller]);
      expect((await refused(module, {}, 'device')).help).toEqual([smaller]);
    }
    // Larger than here, and not large enough.
    expect((await refused(largeInput(2 ** 29), large)).help).toEqual([smaller]);
  });

  it('is not told to use a smaller image for a table', async () => {
    const m = new Outline();
    const { help } = await refused(m.module(build.gather(m.param([2 ** 17, 1024]), m.input([3], 'u32'))), undefined);
    expect(help).toEqual(['make it several parameters, and read each by itself']);
  });
});
