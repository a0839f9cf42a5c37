/**
 * What a CI run came to: `node scripts/ci-count.mjs REPORT:CODE... -- STEP:CODE...`, where REPORT is a file of vitest's JSON reporter that was
 * not there before the run, and CODE is how the run or the step ended. The last line is `N passed, N failed`, over all runs; whatever else
 * went wrong (no report, a run that failed without a failed test, a step) counts as one failure each. Exits with 1 if anything failed.
 */
import { readFileSync } from 'node:fs';

/** "a:0" as a name and a code. */
const ending = (text) => {
  const at = text.lastIndexOf(':');
  return { name: text.slice(0, at), code: Number(text.slice(at + 1)) };
};

function read(file) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped, numTodoTests: todo } = report;
    return [passed, failed, skipped, todo].every(Number.isSafeInteger)
      ? { passed, failed, skipped: skipped + todo }
      : undefined;
  } catch {
    return undefined;
  }
}

const split = process.argv.indexOf('--');
const runs = process.argv.slice(2, split < 0 ? undefined : split).map(ending);
const steps = split < 0 ? [] : process.argv.slice(split + 1).map(ending);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const { name, code } of runs) {
  const report = read(name);
  if (!report) console.log(`${name}: the run left no report`);
  const { passed, failed, skipped } = report ?? { passed: 0, failed: 1, skipped: 0 };
  // Nothing that ran proves nothing.
  const stray = failed === 0 && (code !== 0 || passed === 0) ? 1 : 0;
  if (stray > 0) console.log(`${name}: the run ended with ${code} and ${passed} passed tests, without a failed one`);
  console.log(`${name}: ${passed} passed, ${failed + stray} failed, ${skipped} left out`);
  sum.passed += passed;
  sum.failed += failed + stray;
  sum.skipped += skipped;
}
for (const { name, code } of steps) {
  if (code === 0) continue;
  console.log(`${name}: failed`);
  sum.failed++;
}
if (runs.length === 0) sum.failed++;
console.log(`${sum.skipped} tests left out`);
console.log(`${sum.passed} passed, ${sum.failed} failed`);
process.exit(sum.failed > 0 ? 1 : 0);
