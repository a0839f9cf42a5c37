/** Which variant of a kernel runs: what a device allows, ranks, and what the golden input takes out. */
import { describe, expect, test } from 'vitest';
import { type DeviceFacts, deviceFacts, isLegal, legalVariants } from '../../runtime/device.js';
import { GoldenMismatchError, ValidationError } from '../../runtime/errors.js';
import { load } from '../../runtime/session.js';
import { expected, scaleWgsl, tinyProgram } from './program.js';
import { failure, ramp, useDevice, variant } from './sessions.js';

const on = useDevice();
const { withSession } = on;

describe('variants', () => {
  const facts = (features: string[], min = 0, max = min, limits: Record<string, number> = {}): DeviceFacts => ({
    features: new Set(features),
    limit: (name) => limits[name] ?? 0,
    subgroupMinSize: min,
    subgroupMaxSize: max,
    deviceClass: '',
  });
  const size8 = variant('s8', { requires: { features: ['subgroups'], subgroupSize: 8 } });
  const pinned = variant('p8', { requires: { features: ['subgroups', 'subgroup-size-control'], subgroupSize: 8 } });

  test('a subgroup size has to be the only one, or pinned within the range', () => {
    expect(isLegal(size8, facts(['subgroups'], 8))).toBe(true);
    expect(isLegal(size8, facts(['subgroups'], 4))).toBe(false);
    expect(isLegal(size8, facts(['subgroups'], 4, 16))).toBe(false);
    expect(isLegal(size8, facts([], 8))).toBe(false);
    expect(isLegal(pinned, facts(['subgroups', 'subgroup-size-control'], 4, 16))).toBe(true);
    expect(isLegal(pinned, facts(['subgroups', 'subgroup-size-control'], 16, 32))).toBe(false);
    expect(isLegal(pinned, facts(['subgroups'], 8))).toBe(false);
  });

  test('limits have to be met, the highest rank wins, the first of equals', () => {
    const big = variant('big', { rank: 9, requires: { limits: { maxComputeWorkgroupStorageSize: 32768 } } });
    const list = [big, variant('a', { rank: 2 }), variant('b', { rank: 2 }), variant('portable', { rank: 0 })];
    expect(legalVariants(list, facts([]))).toEqual([1, 2, 3]);
    expect(legalVariants(list, facts([], 0, 0, { maxComputeWorkgroupStorageSize: 32768 }))).toEqual([0, 1, 2, 3]);
  });

  test('what is quick may be another on a CPU, and on the hardware of a vendor', () => {
    const list = [variant('tile', { rank: 1, ranks: { software: -1, intel: -2 } }), variant('portable', { rank: 0 })];
    const order = (deviceClass: string): number[] => legalVariants(list, { ...facts([]), deviceClass });
    expect(order('')).toEqual([0, 1]);
    expect(order('nvidia')).toEqual([0, 1]);
    expect(order('software')).toEqual([1, 0]);
    expect(order('intel')).toEqual([1, 0]);
    expect(order('constructor')).toEqual([0, 1]);
    const of = (info: Partial<GPUAdapterInfo>) =>
      deviceFacts({ adapterInfo: info, limits: {}, features: [] } as unknown as GPUDevice).deviceClass;
    const names: [Partial<GPUAdapterInfo>, string][] = [
      [{ vendor: 'mesa', description: 'llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1' }, 'software'],
      [{ vendor: 'google', architecture: 'swiftshader', description: 'SwiftShader driver 5.0.0' }, 'software'],
      [{ description: 'Microsoft Basic Render Driver' }, 'software'],
      [{ vendor: 'nvidia', isFallbackAdapter: true }, 'software'],
      [{ vendor: 'intel', architecture: 'xe', description: 'Intel(R) Arc(TM) Graphics' }, 'intel'],
      [{ vendor: 'NVIDIA' }, 'nvidia'],
      [{}, ''],
    ];
    for (const [info, wanted] of names) expect(of(info), JSON.stringify(info)).toBe(wanted);
  });

  test('the best legal one runs', () => {
    const here = deviceFacts(on.device).subgroupMinSize;
    const wrong = here === 8 ? 4 : 8;
    const tiny = tinyProgram({
      variants: [
        variant('wrong', { rank: 9, requires: { features: ['subgroups'], subgroupSize: wrong } }),
        variant('fit', { rank: 5, requires: { features: ['subgroups'], subgroupSize: here } }),
        variant('low'),
      ],
      files: { 'wrong.wgsl': scaleWgsl('+ 100.0'), 'fit.wgsl': scaleWgsl(), 'low.wgsl': scaleWgsl('+ 200.0') },
    });
    return withSession(tiny, async (session) => {
      expect(session.variants[0]).toEqual({ kernel: 'scale', variant: 'fit' });
      expect(session.usesFallback).toBe(false);
      expect((await session.run({ tensors: { x: ramp(1) } })).outputs.logits).toEqual(expected(ramp(1)));
    });
  });

  test('one that does not compile here is passed over', () =>
    withSession(tinyProgram({ variants: [variant('bad')], files: { 'bad.wgsl': 'fn main( {' } }), (session) => {
      expect(session.variants[0]?.variant).toBe('portable');
    }));

  test('a kernel of which no variant compiles is named', async () => {
    const error = await failure(load(tinyProgram({ files: { 'scale.wgsl': 'fn main( {' } }), { device: on.device }));
    expect(error).toBeInstanceOf(ValidationError);
    expect(error.message).toMatch(/kernel `scale` does not compile/);
  });
});

describe('golden input', () => {
  const broken = { variants: [variant('fast')], files: { 'fast.wgsl': scaleWgsl('+ 0.01') } };

  test('a broken variant is caught and the portable one runs', () =>
    withSession(tinyProgram(broken), async (session) => {
      expect(session.usesFallback).toBe(true);
      expect(session.variants[0]?.variant).toBe('portable');
      expect((await session.run({ tensors: { x: ramp(1) } })).outputs.logits).toEqual(expected(ramp(1)));
    }));

  test('a broken portable kernel is an error', async () => {
    const files = { ...broken.files, 'scale.wgsl': scaleWgsl('+ 0.01') };
    const error = await failure(load(tinyProgram({ ...broken, files }), { device: on.device }));
    expect(error).toBeInstanceOf(GoldenMismatchError);
    expect(error.code).toBe('ESP0706');
    expect((error as GoldenMismatchError).error).toBeGreaterThan(1e-4);
  });

  test('a kernel that makes NaN is an error', async () => {
    const files = { 'scale.wgsl': scaleWgsl('+ (x[0] - x[0]) / (x[1] - x[1])') };
    expect(await failure(load(tinyProgram({ files }), { device: on.device }))).toBeInstanceOf(GoldenMismatchError);
  });

  const several = { samples: 8, variants: [variant('fast')] };

  test.each([
    ['for several', 'select(0.0, 0.01, arrayLength(&y) > 4u)'],
    ['in one row of several', 'select(0.0, 0.01, id.x / 4u == 2u)'],
    ['by reading a neighbour', 'x[(id.x + 4u) % arrayLength(&y)] - x[id.x]'],
  ])('a kernel that is wrong only %s is caught', async (_, wrong) => {
    const files = { 'fast.wgsl': scaleWgsl(`+ ${wrong}`) };
    await withSession(tinyProgram({ ...several, files }), async (session) => {
      expect(session.usesFallback).toBe(true);
      expect((await session.run({ tensors: { x: ramp(9) } })).outputs.logits).toEqual(expected(ramp(9)));
    });
    const everywhere = tinyProgram({ ...several, files: { ...files, 'scale.wgsl': files['fast.wgsl'] } });
    const error = await failure(load(everywhere, { device: on.device }));
    expect(error).toBeInstanceOf(GoldenMismatchError);
    expect(error.message).toMatch(/for 3 at a time/);
  });

  test('can be left out', () =>
    withSession(tinyProgram(broken), (session) => expect(session.variants[0]?.variant).toBe('fast'), {
      golden: false,
    }));
});
