/** Generates a program for the limits that a spec asks for, and knows whether asking for others would help. */
import { type Generated, type GenerateOptions, generate } from '../codegen/generate.js';
import { EspalierError } from '../diagnostics/types.js';
import type { DeploySettings } from '../dsl/elaborated.js';
import type { Host } from './host.js';

/**
 * @throws EspalierError as `generate` does; for a limit that this machine's GPU exceeds far enough, its help says so. RuntimeError where
 * the limits are to be the device's and there is none.
 */
export async function generateWithin(
  modules: Parameters<typeof generate>[0],
  options: Omit<GenerateOptions, 'limits' | 'deviceHelps'>,
  limits: DeploySettings['limits'],
  host: Pick<Host, 'deviceLimits'>,
): Promise<Generated> {
  if (limits === 'device') return generate(modules, { ...options, limits: await host.deviceLimits() });
  try {
    return generate(modules, { ...options, limits: 'baseline' });
  } catch (error) {
    if (!(error instanceof EspalierError) || !(await deviceFits(modules, options, host))) throw error;
    return generate(modules, { ...options, limits: 'baseline', deviceHelps: true });
  }
}

async function deviceFits(
  modules: Parameters<typeof generate>[0],
  options: Omit<GenerateOptions, 'limits'>,
  host: Pick<Host, 'deviceLimits'>,
): Promise<boolean> {
  try {
    generate(modules, { ...options, limits: await host.deviceLimits() });
    return true;
  } catch {
    return false;
  }
}
