/** What tests of sessions share: a session that ends with its use, what one is given, and what it ends in where it fails. */
import { afterAll, beforeAll } from 'vitest';
import type { RuntimeError } from '../../runtime/errors.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import type { KernelVariant } from '../../runtime/program/program.js';
import { type LoadOptions, load, type Session } from '../../runtime/session.js';
import type { Tiny } from './program.js';

/** A device for the tests of a file, and sessions on it that end with their use. */
export function useDevice() {
  let gpu: OpenDevice;
  beforeAll(async () => {
    gpu = await openDevice();
  });
  afterAll(() => gpu.release());
  return {
    /** @throws TypeError before the first test. */
    get device(): GPUDevice {
      return gpu.device;
    },
    get adapter(): GPUAdapter {
      return gpu.adapter;
    },
    async withSession<T>(tiny: Tiny, use: (session: Session) => Promise<T> | T, options: LoadOptions = {}): Promise<T> {
      const session = await load(tiny, { device: gpu.device, ...options });
      try {
        return await use(session);
      } finally {
        session.dispose();
      }
    },
  };
}

/** The error that a promise rejects with. */
export const failure = (promise: Promise<unknown>): Promise<RuntimeError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: RuntimeError) => error,
  );

/** So many items of the tiny program's input. */
export const ramp = (items: number) => Float32Array.from({ length: items * 4 }, (_, i) => Math.sin(i) * 3);

export const variant = (name: string, more: Partial<KernelVariant> = {}): KernelVariant => ({
  name,
  requires: {},
  file: `${name}.wgsl`,
  rank: 1,
  ...more,
});
