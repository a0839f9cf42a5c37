/**
 * Proves of a kernel program what can be proved without running it: that it is well typed, stays within its buffers, uses no value from
 * outside of a tensor, and that its threads meet at barriers and see of workgroup memory what was written. What is not proved is a
 * problem, whether or not it would go wrong: generators write programs that can be understood.
 *
 * Not looked at: whether the results are right, whether threads store to one element of a buffer, and functions that nothing calls
 * (save for their types).
 */
import type { Kernel } from '../types.js';
import { checkFlow } from './flow.js';
import { checkInPlace } from './in-place.js';
import type { Workgroups } from './inputs.js';
import { checkLanes } from './lanes.js';
import { type Problem, Report } from './report.js';
import { checkTypes } from './types.js';

export type { Problem, Rule } from './report.js';

export interface VerifyOptions {
  /** Workgroups that are dispatched along x, y and z. Without them, `workgroup_id` may be any number. */
  readonly workgroups?: Workgroups;
}

/**
 * @param kernel before its addresses are made explicit
 * @returns what could not be proved. Where names, types or sizes are wrong, nothing else is looked at.
 */
export function verifyKernel(kernel: Kernel, options: VerifyOptions = {}): Problem[] {
  const report = new Report();
  checkTypes(kernel, report);
  checkLanes(kernel, report);
  if (report.count === 0) {
    checkInPlace(kernel, report);
    checkFlow(kernel, options.workgroups, report);
  }
  return report.problems();
}
