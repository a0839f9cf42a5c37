/** Sessions on hand-written programs: numbers, batches, the choice of variants, the golden input, and what goes wrong. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type DeviceFacts,
  deviceFacts,
  guarded,
  isLegal,
  legalVariants,
  lostSignal,
  neededLimits,
} from '../../runtime/device.js';
import {
  DeviceLostError,
  DisposedError,
  GoldenMismatchError,
  InputError,
  LimitError,
  NoAdapterError,
  OutOfMemoryError,
  type RuntimeError,
  ValidationError,
} from '../../runtime/errors.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import { load as loadInNode } from '../../runtime/node/index.js';
import type { KernelVariant } from '../../runtime/program.js';
import { isSupported, type LoadOptions, load, type Session } from '../../runtime/session.js';
import { passesOf } from '../../runtime/tensors.js';
import { copyProgram, expected, scaleWgsl, sealed, type Tiny, tinyProgram } from './program.js';

let gpu: OpenDevice;
beforeAll(async () => {
  gpu = await openDevice();
});
afterAll(() => gpu.release());

async function withSession<T>(
  tiny: Tiny,
  use: (session: Session) => Promise<T> | T,
  options: LoadOptions = {},
): Promise<T> {
  const session = await load(tiny, { device: gpu.device, ...options });
  try {
    return await use(session);
  } finally {
    session.dispose();
  }
}

/** The error that a promise rejects with. */
const failure = (promise: Promise<unknown>): Promise<RuntimeError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: RuntimeError) => error,
  );

const ramp = (items: number) => Float32Array.from({ length: items * 4 }, (_, i) => Math.sin(i) * 3);
const variant = (name: string, more: Partial<KernelVariant> = {}): KernelVariant => ({
  name,
  requires: {},
  file: `${name}.wgsl`,
  rank: 1,
  ...more,
});

describe('run', () => {
  test('gives the outputs by name, with shapes', () =>
    withSession(tinyProgram(), async (session) => {
      const x = ramp(1);
      const { outputs, shapes } = await session.run({ tensors: { x } });
      expect(outputs.logits).toEqual(expected(x));
      expect(shapes.logits).toEqual([1, 4]);
    }));

  test('takes any number of items, in passes', () =>
    withSession(tinyProgram({ samples: 8 }), async (session) => {
      for (const items of [1, 2, 7, 8, 9, 21]) {
        const x = ramp(items);
        const { outputs, shapes } = await session.run({ tensors: { x } });
        expect(outputs.logits).toEqual(expected(x));
        expect(shapes.logits).toEqual([items, 4]);
      }
    }));

  test('splits items over as few passes as there can be, of nearly one size', () => {
    expect(passesOf(21, 8)).toEqual([
      { start: 0, count: 7 },
      { start: 7, count: 7 },
      { start: 14, count: 7 },
    ]);
    expect(passesOf(9, 8).map((p) => p.count)).toEqual([4, 5]);
    expect(passesOf(3, 8)).toEqual([{ start: 0, count: 3 }]);
    expect(passesOf(3, 1).map((p) => p.start)).toEqual([0, 1, 2]);
    expect(passesOf(0, 8)).toEqual([]);
  });

  test('a pass is never longer than the program or the session allows', async () => {
    const passes = (program: Tiny, samples: number | undefined, items: number): Promise<number[]> =>
      withSession(
        program,
        async (session) => {
          const counts: number[] = [];
          const write = vi.spyOn(gpu.device.queue, 'writeBuffer').mockImplementation(function (
            this: GPUQueue,
            ...args
          ) {
            if (args[0].label === 'samples') counts.push((args[2] as Uint32Array)[0]!);
            return GPUQueue.prototype.writeBuffer.apply(this, args);
          });
          const { outputs } = await session.run({ tensors: { x: ramp(items) } });
          write.mockRestore();
          expect(outputs.logits).toEqual(expected(ramp(items)));
          return counts;
        },
        samples === undefined ? {} : { samples },
      );
    expect(await passes(tinyProgram({ samples: 8 }), undefined, 20)).toEqual([6, 7, 7]);
    expect(await passes(tinyProgram({ samples: 8 }), 3, 7)).toEqual([2, 2, 3]);
    expect(await passes(tinyProgram({ samples: 8 }), 100, 9)).toEqual([4, 5]);
    expect(await passes(tinyProgram(), 100, 2)).toEqual([1, 1]);
  });

  test.each([0, -1, 1.5, Number.NaN])('a pass of at most %d items is none', async (samples) => {
    const error = await failure(load(tinyProgram(), { device: gpu.device, samples }));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain('`samples` is');
  });

  test('memory is made for the largest pass so far, and no more', async () => {
    const made: number[] = [];
    const create = vi.spyOn(gpu.device, 'createBuffer').mockImplementation(function (this: GPUDevice, d) {
      if (d.label === 'slab 0') made.push(d.size / 512);
      return GPUDevice.prototype.createBuffer.call(this, d);
    });
    await withSession(tinyProgram({ samples: 8 }), async (session) => {
      // The golden rows, one and three; what three took is given back.
      expect(made.splice(0)).toEqual([1, 3]);
      for (const items of [1, 1, 2, 8, 3, 20]) await session.run({ tensors: { x: ramp(items) } });
      expect(made).toEqual([1, 2, 8]);
    });
    create.mockRestore();
  });

  test('runs that overlap go one after another', () =>
    withSession(tinyProgram(), async (session) => {
      const inputs = [1, 2, 3, 4, 5].map((k) => ramp(1).map((v) => v * k));
      const results = await Promise.all(inputs.map((x) => session.run({ tensors: { x } })));
      expect(results.map((r) => r.outputs.logits)).toEqual(inputs.map(expected));
    }));

  test('names the likeliest classes', () =>
    withSession(tinyProgram({ labels: ['ant', 'bee', 'cat', 'dog'] }), async (session) => {
      const { classes = [] } = await session.run({ tensors: { x: Float32Array.from([0, 0, 1, 1]) } });
      // Logits 0.5, -0.5, 13, 4.
      expect(classes.map((c) => c.label)).toEqual(['cat', 'dog', 'ant', 'bee']);
      expect(classes.map((c) => c.index)).toEqual([2, 3, 0, 1]);
      expect(classes.reduce((sum, c) => sum + c.probability, 0)).toBeCloseTo(1, 6);
      expect(classes[0]?.probability).toBeCloseTo(1 / (1 + Math.exp(-9) + Math.exp(-12.5) + Math.exp(-13.5)), 6);
    }));

  test('warmup leaves results as they are', () =>
    withSession(tinyProgram({ samples: 4 }), async (session) => {
      await session.warmup();
      expect((await session.run({ tensors: { x: ramp(3) } })).outputs.logits).toEqual(expected(ramp(3)));
    }));

  test('measures dispatches where asked', async () => {
    const offered = gpu.device.features.has('timestamp-query');
    await withSession(
      tinyProgram(),
      async (session) => {
        await session.run({ tensors: { x: ramp(1) } });
        expect(session.timings?.map((t) => t.label)).toEqual(offered ? ['scale', 'shift'] : undefined);
        for (const { microseconds } of session.timings ?? []) expect(microseconds).toBeGreaterThanOrEqual(0);
      },
      { timings: true },
    );
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['an unknown input', { x: ramp(1), z: ramp(1) }, /no input `z`/],
    ['a missing input', {}, /`x` is missing/],
    ['a length that fits no item', { x: new Float32Array(6) }, /6 elements, not a multiple of 4/],
    ['nothing', { x: new Float32Array(0) }, /0 elements/],
    ['another element type', { x: new Int32Array(4) }, /takes f32, given Int32Array/],
  ])('refuses %s', (_, tensors, message) =>
    withSession(tinyProgram(), async (session) => {
      const error = await failure(session.run({ tensors: tensors as Record<string, Float32Array> }));
      expect(error).toBeInstanceOf(InputError);
      expect(error.message).toMatch(message);
      // The session is as good as before.
      expect((await session.run({ tensors: { x: ramp(1) } })).outputs.logits).toEqual(expected(ramp(1)));
    }),
  );

  test('refuses images without `preprocess`', () =>
    withSession(tinyProgram(), async (session) => {
      const image = { data: new Uint8Array(4), width: 1, height: 1 };
      expect(await failure(session.run({ image }))).toBeInstanceOf(InputError);
    }));
});

describe('variants', () => {
  const facts = (features: string[], min = 0, max = min, limits: Record<string, number> = {}): DeviceFacts => ({
    features: new Set(features),
    limit: (name) => limits[name] ?? 0,
    subgroupMinSize: min,
    subgroupMaxSize: max,
    software: false,
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

  test('what is quick on a CPU may be another than on hardware', () => {
    const list = [variant('tile', { rank: 1, softwareRank: -1 }), variant('portable', { rank: 0 })];
    expect(legalVariants(list, facts([]))).toEqual([0, 1]);
    expect(legalVariants(list, { ...facts([]), software: true })).toEqual([1, 0]);
    const of = (info: Partial<GPUAdapterInfo>) =>
      deviceFacts({ adapterInfo: info, limits: {}, features: [] } as unknown as GPUDevice).software;
    const names: [Partial<GPUAdapterInfo>, boolean][] = [
      [{ vendor: 'mesa', description: 'llvmpipe: Mesa 25.0.7-2~bpo12+1 (LLVM 15.0.6) 0.0.1' }, true],
      [{ vendor: 'google', architecture: 'swiftshader', description: 'SwiftShader driver 5.0.0' }, true],
      [{ description: 'Microsoft Basic Render Driver' }, true],
      [{ vendor: 'nvidia', isFallbackAdapter: true }, true],
      [{ vendor: 'intel', architecture: 'xe', description: 'Intel(R) Arc(TM) Graphics' }, false],
      [{}, false],
    ];
    for (const [info, software] of names) expect(of(info), JSON.stringify(info)).toBe(software);
  });

  test('the best legal one runs', () => {
    const here = deviceFacts(gpu.device).subgroupMinSize;
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
    const error = await failure(load(tinyProgram({ files: { 'scale.wgsl': 'fn main( {' } }), { device: gpu.device }));
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
    const error = await failure(load(tinyProgram({ ...broken, files }), { device: gpu.device }));
    expect(error).toBeInstanceOf(GoldenMismatchError);
    expect(error.code).toBe('ESP0706');
    expect((error as GoldenMismatchError).error).toBeGreaterThan(1e-4);
  });

  test('a kernel that makes NaN is an error', async () => {
    const files = { 'scale.wgsl': scaleWgsl('+ (x[0] - x[0]) / (x[1] - x[1])') };
    expect(await failure(load(tinyProgram({ files }), { device: gpu.device }))).toBeInstanceOf(GoldenMismatchError);
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
    const error = await failure(load(everywhere, { device: gpu.device }));
    expect(error).toBeInstanceOf(GoldenMismatchError);
    expect(error.message).toMatch(/for 3 at a time/);
  });

  test('can be left out', () =>
    withSession(tinyProgram(broken), (session) => expect(session.variants[0]?.variant).toBe('fast'), {
      golden: false,
    }));
});

describe('limits', () => {
  const large = (bytes: number): Tiny => {
    const tiny = tinyProgram({ golden: false });
    const entries = tiny.program.entries.map((e) => ({ ...e, slabs: [...e.slabs, { bytes, samples: false }] }));
    return sealed({ ...tiny.program, entries }, tiny.files);
  };

  test('only what a program demands beyond the defaults is asked for', () => {
    expect(neededLimits(tinyProgram().program)).toEqual({});
    expect(neededLimits(large(300 << 20).program)).toEqual({ maxBufferSize: 300 << 20 });
    expect(neededLimits(copyProgram([], 1, 8192, 8192).program)).toEqual({
      maxStorageBufferBindingSize: 8192 * 8192 * 4,
      maxComputeWorkgroupsPerDimension: 8192 * 128,
    });
    // Outputs have buffers of their own, to be read from too.
    const { program } = tinyProgram();
    const y = { name: 'y', dtype: 'f32', shape: [1, 50 << 20] } as const;
    const entries = program.entries.map((e) => ({ ...e, outputs: [y, { ...y, name: 'z' }] }));
    expect(neededLimits({ ...program, entries })).toEqual({});
  });

  test('a program that needs more than the adapter has refuses', async () => {
    const error = await failure(load(large(2 ** 50), { adapter: gpu.adapter }));
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).limit).toBe('maxBufferSize');
  });

  test('a given device with the default limits refuses what needs more', async () => {
    const error = await failure(load(large(gpu.device.limits.maxBufferSize + 256), { device: gpu.device }));
    expect(error).toBeInstanceOf(LimitError);
  });
});

describe('what WebGPU reports', () => {
  /** A device whose scopes report what they are told to. */
  const reporting = (reports: Record<string, string>) => {
    const scopes: string[] = [];
    return {
      pushErrorScope: (scope: string) => scopes.push(scope),
      popErrorScope: async () => {
        const message = reports[scopes.pop() ?? ''];
        return message === undefined ? null : { message };
      },
    } as unknown as GPUDevice;
  };

  test('is a typed error that says what was being done', async () => {
    expect(await guarded(reporting({}), 'here', () => 7)).toBe(7);
    const memory = await failure(guarded(reporting({ 'out-of-memory': 'full' }), 'while testing', () => 7));
    expect(memory).toBeInstanceOf(OutOfMemoryError);
    expect(memory.message).toBe('out of GPU memory while testing: full');
    for (const scope of ['validation', 'internal']) {
      const error = await failure(guarded(reporting({ [scope]: 'wrong' }), 'while testing', () => 7));
      expect([error instanceof ValidationError, error.message]).toEqual([true, 'while testing: wrong']);
    }
  });

  test('a real refusal is one', async () => {
    const error = await failure(guarded(gpu.device, 'here', () => gpu.device.createBuffer({ size: 3, usage: 0 })));
    expect(error).toBeInstanceOf(ValidationError);
  });
});

test('a page without WebGPU, or without an adapter, is told so', async () => {
  try {
    vi.stubGlobal('navigator', {});
    expect(isSupported()).toBe(false);
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
    expect(isSupported()).toBe(true);
    const error = await failure(load(tinyProgram()));
    expect(error).toBeInstanceOf(NoAdapterError);
    expect(error.help).toMatch(/hardware acceleration/);
  } finally {
    vi.unstubAllGlobals();
  }
});

describe('end', () => {
  test('dispose is final and may come twice', async () => {
    const session = await loadInNode(tinyProgram());
    const pending = session.run({ tensors: { x: ramp(1) } });
    session.dispose();
    session.dispose();
    expect(await failure(pending)).toBeInstanceOf(DisposedError);
    expect(await failure(session.run({ tensors: { x: ramp(1) } }))).toBeInstanceOf(DisposedError);
  });

  test('dispose at any moment of a run makes no noise on a given device', async () => {
    const errors: string[] = [];
    const listen = (event: GPUUncapturedErrorEvent) => errors.push(event.error.message);
    gpu.device.addEventListener('uncapturederror', listen);
    for (let ticks = 0; ticks < 12; ticks++) {
      const session = await load(tinyProgram({ samples: 4 }), { device: gpu.device });
      const pending = session.run({ tensors: { x: ramp(9) } }).catch((e: unknown) => e);
      for (let i = 0; i < ticks; i++) await new Promise(ticks % 2 ? setImmediate : (done) => setTimeout(done, 1));
      session.dispose();
      const end = await pending;
      if (end instanceof Error) expect(end).toBeInstanceOf(DisposedError);
      else expect((end as { outputs: Record<string, unknown> }).outputs.logits).toEqual(expected(ramp(9)));
    }
    await gpu.device.queue.onSubmittedWorkDone();
    gpu.device.removeEventListener('uncapturederror', listen);
    expect(errors).toEqual([]);
  });

  test('waiting for the loss of a device ends with what is waited for, or with the loss', async () => {
    let lose: (info: { message: string }) => void = () => {};
    const lost = new Promise((resolve) => {
      lose = resolve;
    });
    const signal = lostSignal({ lost } as unknown as GPUDevice);
    expect(await signal.race(Promise.resolve(7))).toBe(7);
    expect((await failure(signal.race(Promise.reject(new DisposedError())))).name).toBe('DisposedError');
    expect(signal.reason()).toBeUndefined();
    const never = failure(signal.race(new Promise(() => {})));
    lose({ message: 'gone' });
    expect(await never).toBeInstanceOf(DeviceLostError);
    expect(await failure(signal.race(new Promise(() => {})))).toBe(signal.reason());
  });

  test('a given device outlives the session', async () => {
    await withSession(tinyProgram(), (session) => session.warmup());
    await withSession(tinyProgram(), async (session) => {
      expect((await session.run({ tensors: { x: ramp(1) } })).outputs.logits).toEqual(expected(ramp(1)));
    });
  });

  test('a device lost in the middle of a run is one, too', async () => {
    const own = await openDevice();
    const session = await load(tinyProgram(), { device: own.device });
    const pending = failure(session.run({ tensors: { x: ramp(1) } }));
    own.device.destroy();
    expect(await pending).toBeInstanceOf(DeviceLostError);
    session.dispose();
    own.release();
  });

  test('a lost device is a typed error, now and later', async () => {
    const own = await openDevice();
    const session = await load(tinyProgram(), { device: own.device });
    own.device.destroy();
    expect(await failure(session.run({ tensors: { x: ramp(1) } }))).toBeInstanceOf(DeviceLostError);
    expect(await failure(session.run({ tensors: { x: ramp(1) } }))).toBeInstanceOf(DeviceLostError);
    session.dispose();
    own.release();
  });
});
