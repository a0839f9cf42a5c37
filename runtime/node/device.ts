/** Opens a device in Node with no program in sight: for tests, benchmarks and tools. */
import { limitsOf } from '../adapter.js';
import { NoAdapterError } from '../errors.js';
import { type Driver, openGpu } from './driver.js';

export interface DeviceOptions {
  /** `system`, `lavapipe` or `swiftshader`; default: ESPALIER_DRIVER, or the best here. */
  readonly driver?: string;
  /** Features to switch on if the adapter has them; `all` (default) takes all. */
  readonly features?: 'all' | readonly string[];
  /** Limits above WebGPU's defaults; `adapter` takes all that the adapter has. */
  readonly limits?: 'adapter' | Readonly<Record<string, number>>;
}

export interface OpenDevice {
  readonly device: GPUDevice;
  readonly adapter: GPUAdapter;
  readonly driver: Driver;
  /** Destroys the device and lets go of Dawn, which would keep the process alive. */
  release(): void;
}

/** Throws NoAdapterError (ESP0701) or DriverError (ESP0710). */
export async function openDevice(options: DeviceOptions = {}): Promise<OpenDevice> {
  const { gpu, adapter, driver } = await openGpu(options.driver);
  const { features = 'all', limits = {} } = options;
  const wanted = [...adapter.features].filter((f) => features === 'all' || features.includes(f));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredFeatures: wanted as GPUFeatureName[],
      requiredLimits: limits === 'adapter' ? limitsOf(adapter.limits) : limits,
    });
  } catch (error) {
    throw new NoAdapterError(`the adapter gives no device: ${(error as Error).message}`, 'ask for lower limits', error);
  }
  // Dawn's instance has to be referenced as long as its device is in use.
  let kept: GPU | undefined = gpu;
  return {
    device,
    adapter,
    driver,
    release() {
      if (kept) device.destroy();
      kept = undefined;
    },
  };
}
