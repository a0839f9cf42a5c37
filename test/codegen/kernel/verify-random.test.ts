/**
 * The verifier against runs: random programs on small numbers, run by every thread. What the verifier does not object to must not happen: no
 * address outside of its range or its buffer, no thread that misses a barrier, no element of workgroup memory that two threads contend for.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Rule, verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { GROUPS, Writer } from './random-kernels.js';
import { broken } from './run-threads.js';

it('nothing happens that the verifier does not say may happen', () => {
  const seen = { clean: 0, broken: 0 };
  fc.assert(
    fc.property(fc.noBias(fc.array(fc.nat(9999), { minLength: 60, maxLength: 300, size: 'max' })), (tape) => {
      const program = new Writer(tape).kernel();
      const problems = verifyKernel(program, { workgroups: [GROUPS, 1, 1] });
      // Then nothing else was looked at.
      if (problems.some((p) => p.what.startsWith('the end of the loop'))) return;
      const said = new Set<Rule>(problems.map((p) => p.rule));
      expect([...said]).not.toContain('type');
      expect([...said]).not.toContain('scope');
      const found = broken(program);
      if (!found) return;
      // An address whose variables are not where it takes them to be may be anywhere; threads that have parted have no common phases.
      const excused = (rule: Rule): boolean =>
        said.has(rule) ||
        (rule === 'bounds' && said.has('range')) ||
        (rule === 'shared' && (said.has('flow') || said.has('bounds')));
      expect([...found].filter((rule) => !excused(rule))).toEqual([]);
      if (found.size > 0) seen.broken++;
      else if (said.size === 0) seen.clean++;
    }),
    { numRuns: 400 },
  );
  // The property says nothing if programs are all alike.
  expect(seen.clean).toBeGreaterThan(5);
  expect(seen.broken).toBeGreaterThan(5);
});
