/**
 * Finds a Vulkan driver in Node and opens Dawn on it: hardware first, then lavapipe, then the SwiftShader that npm `@sparticuz/chromium`
 * carries, so that a machine with nothing installed can run a program. It happens inside the process, before Dawn first looks for Vulkan:
 * `VK_ICD_FILENAMES` names the driver, and a Vulkan loader that is not on the system's path is loaded first (Dawn's own
 * `dlopen("libvulkan.so.1")` then finds it by its name). No process has to be started again with another environment. A worker thread has
 * a copy of the environment that Vulkan does not see: there, only what the process began with counts.
 *
 * `ESPALIER_DRIVER=system|lavapipe|swiftshader` decides by hand. On macOS and Windows the system's driver is the only one.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { create, globals } from 'webgpu';
import { describe } from '../adapter.js';
import { DriverError, NoAdapterError } from '../errors.js';
import { carrier, unpack } from './unpack.js';

export { describe } from '../adapter.js';

export type DriverName = 'system' | 'lavapipe' | 'swiftshader';
export const DRIVERS: readonly DriverName[] = ['system', 'lavapipe', 'swiftshader'];

export interface Driver {
  readonly name: DriverName;
  /** The manifest that goes into `VK_ICD_FILENAMES`; absent: what the system finds. */
  readonly icd?: string;
  /** Folder of a Vulkan loader to use instead of the system's. */
  readonly loader?: string;
}

/** One driver that was tried, and what came of it. */
export interface Attempt {
  readonly driver: DriverName;
  readonly outcome: string;
}

export interface OpenGpu {
  /** Keep it while the adapter or a device of it is in use; drop it after, or the process does not end. */
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly driver: Driver;
  readonly attempts: readonly Attempt[];
}

/** One line to paste where there is no driver at all. */
export const INSTALL_HELP =
  process.platform === 'linux'
    ? 'npm install --save-dev @sparticuz/chromium   # carries a software driver; or: apt install mesa-vulkan-drivers (Mesa 25 or newer)'
    : "update the graphics driver; WebGPU needs the system's Metal or Direct3D 12";

/**
 * Opens Dawn on the best driver here, or on the one that `choice` (default: `ESPALIER_DRIVER`) names.
 * Throws DriverError (ESP0710) if that one is absent or unknown, NoAdapterError (ESP0701) if there is none at all.
 */
export async function openGpu(choice: string | undefined = process.env.ESPALIER_DRIVER): Promise<OpenGpu> {
  const wanted = choice === undefined || choice === '' || choice === 'auto' ? undefined : choice;
  if (wanted !== undefined && !DRIVERS.some((d) => d === wanted)) {
    throw new DriverError(`unknown driver \`${wanted}\``, `ESPALIER_DRIVER is one of: ${DRIVERS.join(', ')}`);
  }
  Object.assign(globalThis, globals);
  const attempts: Attempt[] = [];
  for (const name of wanted ? [wanted as DriverName] : DRIVERS) {
    for await (const driver of find(name, attempts)) {
      use(driver);
      const gpu = create([]);
      const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
      if (adapter) {
        attempts.push({ driver: name, outcome: `chosen: ${describe(adapter)}` });
        return { gpu, adapter, driver: { ...driver, name: named(adapter) ?? name }, attempts };
      }
      attempts.push({ driver: name, outcome: driver.icd ? `Dawn refuses ${driver.icd}` : 'no adapter' });
    }
  }
  const tried = attempts.map((a) => `${a.driver}: ${a.outcome}`).join('; ');
  if (wanted) throw new DriverError(`the driver \`${wanted}\` cannot be used here (${tried})`, INSTALL_HELP);
  throw new NoAdapterError(`no WebGPU adapter on this machine (${tried})`, INSTALL_HELP);
}

/** The environment for a process that should run on this driver. */
export function environment(driver: Driver): Record<string, string> {
  return {
    // Without a manifest it is the system's own search that found it, whatever its name turned out to be.
    ESPALIER_DRIVER: driver.icd ? driver.name : 'system',
    ...(driver.icd ? { VK_ICD_FILENAMES: driver.icd } : {}),
    ...(driver.loader
      ? { LD_LIBRARY_PATH: [driver.loader, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':') }
      : {}),
  };
}

/** The software drivers say who they are; everything else is the system's. */
function named(adapter: GPUAdapter): DriverName | undefined {
  const text = describe(adapter);
  return /llvmpipe/i.test(text) ? 'lavapipe' : /swiftshader/i.test(text) ? 'swiftshader' : undefined;
}

async function* find(name: DriverName, attempts: Attempt[]): AsyncGenerator<Driver> {
  if (name === 'system') {
    if (process.platform === 'linux' && !opens('libvulkan.so.1')) {
      // Dawn would say the same in many lines on stderr.
      return void attempts.push({ driver: name, outcome: 'no Vulkan loader (libvulkan.so.1)' });
    }
    return yield { name };
  }
  if (process.platform !== 'linux') return void attempts.push({ driver: name, outcome: 'exists on Linux only' });
  if (name === 'lavapipe') {
    const icds = lavapipeManifests();
    if (icds.length === 0) return void attempts.push({ driver: name, outcome: 'no lvp_icd.json in the usual places' });
    // A machine can have Mesa without Vulkan's loader.
    const loader = opens('libvulkan.so.1') ? undefined : await embedded(name, attempts);
    for (const icd of icds) yield loader === undefined ? { name, icd } : { name, icd, loader };
    return;
  }
  const folder = await embedded(name, attempts);
  if (folder) yield { name, icd: join(folder, 'vk_swiftshader_icd.json'), loader: folder };
}

async function embedded(name: DriverName, attempts: Attempt[]): Promise<string | undefined> {
  if (process.arch !== 'x64') {
    attempts.push({ driver: name, outcome: 'the embedded SwiftShader is built for x64' });
    return undefined;
  }
  const from = await carrier();
  if (!from) {
    attempts.push({ driver: name, outcome: '@sparticuz/chromium is not installed' });
    return undefined;
  }
  try {
    return await unpack(from, 'swiftshader', ['swiftshader.tar.br']);
  } catch (error) {
    attempts.push({ driver: name, outcome: `cannot unpack it: ${(error as Error).message}` });
    return undefined;
  }
}

/** Manifests of lavapipe new enough for Dawn: Mesa 25's says Vulkan 1.4; Debian 12's (Mesa 22.3, Vulkan 1.3) is refused. */
function lavapipeManifests(): string[] {
  const places = ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'];
  if (process.env.CONDA_PREFIX) places.push(join(process.env.CONDA_PREFIX, 'share/vulkan/icd.d'));
  const set = process.env.VK_ICD_FILENAMES?.split(':').filter((p) => /lvp_icd/.test(p)) ?? [];
  const found = places.flatMap((folder) =>
    existsSync(folder)
      ? readdirSync(folder)
          .filter((f) => /^lvp_icd.*\.json$/.test(f))
          .map((f) => join(folder, f))
      : [],
  );
  return [...new Set([...set, ...found])].filter((path) => {
    try {
      const { ICD } = JSON.parse(readFileSync(path, 'utf8')) as { ICD: { api_version: string } };
      const [major = 0, minor = 0] = ICD.api_version.split('.').map(Number);
      return major > 1 || minor >= 4;
    } catch {
      return false;
    }
  });
}

/** glibc's and musl's flag that keeps a library loaded when its handle is closed; Node's constants lack it. */
const RTLD_NODELETE = 0x1000;

function use(driver: Driver): void {
  if (driver.icd) process.env.VK_ICD_FILENAMES = driver.icd;
  // If it cannot be loaded, Dawn gives no adapter.
  if (driver.loader) opens(join(driver.loader, 'libvulkan.so.1'), RTLD_NODELETE);
}

/** Whether a shared library can be loaded. */
function opens(library: string, flags = 0): boolean {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | flags);
    return true;
  } catch (error) {
    // It is no Node add-on, and Node says so once it has loaded it.
    return /self-register/.test((error as Error).message);
  }
}
