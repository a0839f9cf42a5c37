/** Generates a program for the limits that a spec asks for, and knows whether asking for others would help. */
import { type Generated, type GenerateOptions, generate } from '../codegen/generate.js';
import { EspalierError } from '../diagnostics/types.js';
import type { DeploySettings } from '../dsl/elaborated.js';
import type { Module } from '../ir/types.js';
import type { Host } from './host.js';

/**
 * @throws EspalierError as `generate` does; for a limit that this machine's GPU exceeds far enough, its help says so. RuntimeError where
 * the limits are to be the device's and there is none.
 */
export async function generateWithin(
  module: Module,
  options: Omit<GenerateOptions, 'limits' | 'deviceHelps'>,
  limits: DeploySettings['limits'],
  host: Pick<Host, 'deviceLimits'>,
): Promise<Generated> {
  if (limits === 'device') return generate(module, { ...options, limits: await host.deviceLimits() });
  try {
    return generate(module, { ...options, limits: 'baseline' });
  } catch (error) {
    if (!(error instanceof EspalierError) || !(await deviceFits(module, options, host))) throw error;
    return generate(module, { ...options, limits: 'baseline', deviceHelps: true });
  }
}

async function deviceFits(
  module: Module,
  options: Omit<GenerateOptions, 'limits'>,
  host: Pick<Host, 'deviceLimits'>,
): Promise<boolean> {
  try {
    generate(module, { ...options, limits: await host.deviceLimits() });
    return true;
  } catch {
    return false;
  }
}
