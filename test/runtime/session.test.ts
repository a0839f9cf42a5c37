/** Sessions on hand-written programs: numbers, limits, and what goes wrong. */
import { describe, expect, test, vi } from 'vitest';
import { guarded, lostSignal, neededLimits } from '../../runtime/device.js';
import {
  DeviceLostError,
  DisposedError,
  InputError,
  LimitError,
  NoAdapterError,
  OutOfMemoryError,
  ValidationError,
} from '../../runtime/errors.js';
import { openDevice } from '../../runtime/node/device.js';
import { load as loadInNode } from '../../runtime/node/index.js';
import { isSupported, load } from '../../runtime/session.js';
import { A, B, copyProgram, expected, sealed, type Tiny, tinyProgram } from './program.js';
import { failure, ramp, useDevice } from './sessions.js';

const on = useDevice();
const { withSession } = on;

describe('run', () => {
  test('gives the outputs by name, with shapes', () =>
    withSession(tinyProgram(), async (session) => {
      const x = ramp(1);
      const { outputs, shapes } = await session.run({ tensors: { x } });
      expect(outputs.logits).toEqual(expected(x));
      expect(shapes.logits).toEqual([1, 4]);
    }));

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

  test.each([
    [
      ['ant', 'bee', 'cat', 'dog'],
      [0.5, -0.5, 13, 4],
    ],
    [
      ['ant', 'bee', 'cat', 'dog'],
      [1.5, 1.5, 10, 0],
    ],
  ])('of several labels at once each has a probability of its own: %#', (labels, logits) =>
    withSession(tinyProgram({ labels, several: true }), async (session) => {
      const x = Float32Array.from([0, 0, 1, 1].map((_, i) => (logits[i]! - B[i]!) / A[i]!));
      const { classes = [] } = await session.run({ tensors: { x } });
      expect(classes).toHaveLength(4);
      for (const { index, label, probability } of classes) {
        expect(label).toBe(labels[index]);
        expect(probability).toBeCloseTo(1 / (1 + Math.exp(-logits[index]!)), 6);
      }
    }),
  );

  test('warmup leaves results as they are', () =>
    withSession(tinyProgram({ samples: 4 }), async (session) => {
      await session.warmup();
      expect((await session.run({ tensors: { x: ramp(3) } })).outputs.logits).toEqual(expected(ramp(3)));
    }));

  test('measures dispatches where asked', async () => {
    const offered = on.device.features.has('timestamp-query');
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
    const y = { name: 'y', dtype: 'f32', shape: [1, 50 << 20], samples: true } as const;
    const entries = program.entries.map((e) => ({ ...e, outputs: [y, { ...y, name: 'z' }] }));
    expect(neededLimits({ ...program, entries })).toEqual({});
  });

  test('a program that needs more than the adapter has refuses', async () => {
    const error = await failure(load(large(2 ** 50), { adapter: on.adapter }));
    expect(error).toBeInstanceOf(LimitError);
    expect((error as LimitError).limit).toBe('maxBufferSize');
  });

  test('a given device with the default limits refuses what needs more', async () => {
    const error = await failure(load(large(on.device.limits.maxBufferSize + 256), { device: on.device }));
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
    const error = await failure(guarded(on.device, 'here', () => on.device.createBuffer({ size: 3, usage: 0 })));
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
    on.device.addEventListener('uncapturederror', listen);
    for (let ticks = 0; ticks < 12; ticks++) {
      const session = await load(tinyProgram({ samples: 4 }), { device: on.device });
      const pending = session.run({ tensors: { x: ramp(9) } }).catch((e: unknown) => e);
      for (let i = 0; i < ticks; i++) await new Promise(ticks % 2 ? setImmediate : (done) => setTimeout(done, 1));
      session.dispose();
      const end = await pending;
      if (end instanceof Error) expect(end).toBeInstanceOf(DisposedError);
      else expect((end as { outputs: Record<string, unknown> }).outputs.logits).toEqual(expected(ramp(9)));
    }
    await on.device.queue.onSubmittedWorkDone();
    on.device.removeEventListener('uncapturederror', listen);
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
