/** What measurements of training count: buffers of a device while they are alive, and dispatches by their kernel. */
import { describe, expect, it } from 'vitest';
import { counted } from '../../bench/train/buffers.js';
import { profileText } from '../../bench/train/profile.js';
import { openSubject } from '../../bench/train/subjects.js';

describe('buffers', () => {
  it('are counted from their making to their end, on each device of the adapter', async () => {
    const device = () => ({ createBuffer: () => ({ destroy() {} }) });
    const adapter = { requestDevice: async () => device() } as unknown as GPUAdapter;
    const { buffers } = counted({ adapter });
    const [first, second] = [await adapter.requestDevice(), await adapter.requestDevice()];
    const make = (of: GPUDevice, size: number) => of.createBuffer({ size, usage: 0 });
    const [a, b] = [make(first, 100), make(second, 20)];
    expect(buffers).toEqual({ alive: 120, most: 120 });
    a.destroy();
    a.destroy();
    expect(buffers).toEqual({ alive: 20, most: 120 });
    make(first, 50);
    b.destroy();
    expect(buffers).toEqual({ alive: 50, most: 120 });
  });
});

describe('a profile', () => {
  const timing = (label: string, microseconds: number, kernel = 'contract') => ({
    ...{ label, kernel, microseconds, variant: 'portable', flops: 2e6, bytes: 0 },
  });

  it('puts the blocks of a kernel together, most time first', () => {
    const timings = [timing('blocks.0.fc', 1000), timing('head', 500, 'sum'), timing('blocks.11.fc', 2500)];
    const [head, ...lines] = profileText(timings, 0.008, 5);
    expect(head).toBe('3 dispatches, 0.00 s of 0.01 s in kernels');
    expect(lines).toEqual([
      ' 87.5 %       3.5 ms   1.14 GFLOP/s    2 x contract.portable  blocks.*.fc',
      ' 12.5 %       0.5 ms   4.00 GFLOP/s    1 x sum.portable  head',
    ]);
    expect(profileText(timings, 0.008, 1)).toHaveLength(2);
  });
});

it.each(['lorra', 'lora/dense', 'lora/merged/merged', '/merged'])('%s is nothing that is measured', (name) => {
  expect(() => openSubject({ model: 'vit_small_patch16()', batch: 1, name, clock: 'cpu' })).toThrow(
    /what is measured is/,
  );
});
