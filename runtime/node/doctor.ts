/** What `espalier doctor` shows: every driver that can be had here, what it offers, which one is used and why, and what to install. */

import { limitsOf } from '../adapter.js';
import { deviceFacts } from '../device.js';
import { RuntimeError } from '../errors.js';
import { type Attempt, DRIVERS, type DriverName, describe, INSTALL_HELP, openGpu } from './driver.js';

export interface AdapterReport {
  readonly driver: DriverName;
  readonly description: string;
  readonly vendor: string;
  readonly architecture: string;
  /** True for software. */
  readonly fallback: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  readonly subgroups: { readonly min: number; readonly max: number };
  /** The Vulkan manifest that names the driver, where one was chosen by file. */
  readonly manifest?: string;
}

export interface Diagnosis {
  readonly node: string;
  readonly platform: string;
  /** The adapter that a program runs on here; absent if there is none. */
  readonly chosen?: AdapterReport;
  /** What was tried, in order, and what came of it. */
  readonly attempts: readonly Attempt[];
  /** Why the chosen one: a sentence. */
  readonly why: string;
  /** The other drivers that can be had here by name. */
  readonly others: readonly AdapterReport[];
  /** A line to paste, where something is missing or slow. */
  readonly install?: string;
}

/** Looks at every driver. Throws nothing that a machine without a GPU could cause. */
export async function diagnoseDevice(): Promise<Diagnosis> {
  const base = { node: process.version, platform: `${process.platform}-${process.arch}` };
  // Drivers are named by the environment, which looking at each one changes.
  const { VK_ICD_FILENAMES } = process.env;
  try {
    const { adapter, driver, attempts } = await openGpu();
    const chosen = report(driver.name, adapter, driver.icd);
    const others: AdapterReport[] = [];
    for (const name of DRIVERS.filter((d) => d !== 'system' && d !== driver.name)) {
      const other = await openGpu(name).catch(() => undefined);
      if (other) others.push(report(name, other.adapter, other.driver.icd));
    }
    const asked = process.env.ESPALIER_DRIVER;
    const why = asked
      ? `ESPALIER_DRIVER=${asked} asks for it`
      : chosen.fallback
        ? `no hardware was found; ${driver.name} runs on the processor`
        : 'it is hardware, which comes first';
    const slow = driver.name === 'swiftshader';
    return {
      ...base,
      chosen,
      attempts,
      why,
      others,
      ...(slow
        ? { install: 'apt install mesa-vulkan-drivers   # Mesa 25 or newer: lavapipe is about ten times faster' }
        : {}),
    };
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    return { ...base, attempts: [], why: error.message, others: [], install: INSTALL_HELP };
  } finally {
    if (VK_ICD_FILENAMES === undefined) delete process.env.VK_ICD_FILENAMES;
    else process.env.VK_ICD_FILENAMES = VK_ICD_FILENAMES;
  }
}

function report(driver: DriverName, adapter: GPUAdapter, manifest: string | undefined): AdapterReport {
  const { subgroupMinSize: min, subgroupMaxSize: max } = deviceFacts(adapter);
  return {
    driver,
    description: describe(adapter),
    vendor: adapter.info.vendor,
    architecture: adapter.info.architecture,
    fallback: adapter.info.isFallbackAdapter ?? false,
    features: [...adapter.features].sort(),
    limits: limitsOf(adapter.limits),
    subgroups: { min, max },
    ...(manifest ? { manifest } : {}),
  };
}
