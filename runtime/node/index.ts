/** The runtime in Node: the same sessions, with a driver found for them. */

import type { Source } from '../program/files.js';
import { type LoadOptions, load as loadOn, type Session } from '../session.js';
import { openGpu } from './driver.js';

export * from '../index.js';
export { type DeviceOptions, type OpenDevice, openDevice } from './device.js';
export { type Diagnosis, diagnoseDevice } from './doctor.js';

export interface NodeLoadOptions extends LoadOptions {
  /** `system`, `lavapipe` or `swiftshader`; default: ESPALIER_DRIVER, or the best here. */
  readonly driver?: string;
}

/** `load` of the runtime, on Dawn. Throws also DriverError (ESP0710). */
export async function load(source: Source, options: NodeLoadOptions = {}): Promise<Session> {
  if (options.device || options.adapter) return loadOn(source, options);
  // Dawn's instance is held until the session ends, and then let go, or the process would not end.
  let opened: Awaited<ReturnType<typeof openGpu>> | undefined = await openGpu(options.driver);
  return loadOn(source, {
    ...options,
    adapter: opened.adapter,
    onDispose() {
      opened = undefined;
      options.onDispose?.();
    },
  });
}
