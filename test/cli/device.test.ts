/** A machine without a GPU, and programs that are larger than the one it has: what a user sees of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { scratch } from '../api/support.js';
import { cli, expectNothingWritten, expectRefused, FASHION, reseal } from './support.js';

const gpu = vi.hoisted(() => ({ absent: false }));
// Every driver is tried, and none of them has an adapter.
vi.mock('webgpu', async (original) => {
  const real = await original<typeof import('webgpu')>();
  const none = { requestAdapter: async () => null };
  return { ...real, create: (flags: string[]) => (gpu.absent ? none : real.create(flags)) };
});
function withoutGpu(): void {
  gpu.absent = true;
  // What the tests run on is not what a user asked for.
  vi.stubEnv('ESPALIER_DRIVER', undefined);
}
afterEach(() => {
  gpu.absent = false;
  vi.unstubAllEnvs();
});

const folder = scratch();
const program = join(folder, 'program');
const digits = join(FASHION, 'images', 'digits');
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
beforeAll(async () => {
  expect((await cli('compile', join(FASHION, 'lora.peft'), '-o', program, '--batch', '1', '--no-golden')).code).toBe(0);
});

describe('without a GPU', () => {
  test.each([
    ['run', program, digits],
    ['eval', program, digits],
  ])('%s says what was tried and what to install', async (...args) => {
    withoutGpu();
    const ended = await cli(...args);
    expectRefused(ended, 3, 'ESP0701');
    expect(ended.err).toMatch(/no WebGPU adapter on this machine \(.*swiftshader/);
    expect(ended.err).toMatch(/= help: (npm install|update the graphics driver)/);
  });

  test('run says it as JSON', async () => {
    withoutGpu();
    const { code, out, err } = await cli('run', program, digits, '--json');
    expect([code, err]).toEqual([3, '']);
    const { diagnostics } = JSON.parse(out) as { diagnostics: { code: string; help: string[] }[] };
    expect(diagnostics.map((d) => d.code)).toEqual(['ESP0701']);
    expect(diagnostics[0]!.help[0]).not.toBe('');
  });

  test('doctor says why, and what to install', async () => {
    withoutGpu();
    const text = await cli('doctor');
    expect(text.code).toBe(3);
    expect(text.out).toMatch(/no WebGPU adapter on this machine \(/);
    expect(text.out).toMatch(/npm install|graphics driver/);
    const json = await cli('doctor', '--json');
    expect(json.code).toBe(3);
    expect(JSON.parse(json.out)).toMatchObject({ others: [], why: expect.stringMatching(/adapter/) as unknown });
  });

  test('a driver that is not known is named', async () => {
    vi.stubEnv('ESPALIER_DRIVER', 'voodoo');
    expectRefused(await cli('run', program, digits), 3, 'ESP0710');
    const { code, out } = await cli('doctor');
    expect(code).toBe(3);
    expect(out).toMatch(/unknown driver `voodoo`/);
  });

  test('compile and merge need none, but for the limits of a device', async () => {
    withoutGpu();
    const spec = readFileSync(join(FASHION, 'lora.peft'), 'utf8').replaceAll('"./', `"${FASHION}/`);
    expect((await cli('compile', write('here.peft', spec), '-o', join(folder, 'here'), '--no-golden')).code).toBe(0);
    const limits = spec.replace(/^deploy.*\{$/m, '$&\n  limits = device');
    expect(limits).not.toBe(spec);
    expectRefused(await cli('compile', write('device.peft', limits), '-o', join(folder, 'none')), 3, 'ESP0701');
    expectNothingWritten(folder, 'none');
  });
});

describe('limits', () => {
  test('a folder that needs more than the device has names the limit, both numbers and the cure', async () => {
    const large = join(folder, 'large');
    expect((await cli('compile', join(FASHION, 'lora.peft'), '-o', large, '--batch', '1', '--no-golden')).code).toBe(0);
    await reseal(large, (p) => ({
      ...p,
      entries: p.entries.map((e) => ({ ...e, slabs: e.slabs.map((slab) => ({ ...slab, bytes: 2 ** 45 })) })),
    }));
    for (const command of ['run', 'eval']) {
      const ended = await cli(command, large, digits);
      expectRefused(ended, 3, 'ESP0702');
      expect(ended.err).toMatch(/needs maxBufferSize = 35184372088832, the device has \d+/);
      expect(ended.err).toMatch(/help: .*limits = baseline/);
    }
  });

  test('an activation that no buffer holds is refused before anything is written', async () => {
    const spec = write(
      'large.peft',
      `use std
backbone large() {
  fc = Linear(4 -> 1024)
  forward(x: [b, 100000, 4]) { max(softmax(fc(x), axis: 1), axis: 1) }
}
model M {
  base = large()
}
`,
    );
    const ended = await cli('compile', spec, '-o', join(folder, 'out'), '--no-golden');
    expectRefused(ended, 1, 'ESP0604');
    expect(ended.err).toMatch(/MiB; a buffer holds at most 256.0 MiB/);
    expect(ended.err).toMatch(/= help: .*smaller image/);
    expectNothingWritten(folder, 'out');
  });
});
