/** That CI cannot lie: what is left out is said, or fails where the machine has it; and the last line counts everything that ran. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'espalier-ci-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('tests that are left out', () => {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const run = (file: string, env: Record<string, string> = {}) => {
    const args = [vitest, 'run', '--config', join(ROOT, 'test/ci/fixtures/vitest.config.ts'), file];
    // The environment of a test is none for a run of its own.
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([k]) => !/^(VITEST|ESPALIER_REQUIRE)/.test(k)),
    );
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      env: { ...clean, NO_COLOR: '1', ...env },
      encoding: 'utf8',
    });
    return { status, text: stdout + stderr };
  };

  test('are counted with their reasons', () => {
    const { status, text } = run('needs.case.ts');
    expect(text).toContain('left out: 1 test, needs subgroups: the adapter has none');
    expect(text).toContain('left out: 1 test, needs lavapipe: no lvp_icd.json');
    expect(text).toMatch(/2 passed \| 2 skipped/);
    expect(status).toBe(0);
  });

  test('fail on a machine that has to have what they need', () => {
    const { status, text } = run('needs.case.ts', { ESPALIER_REQUIRE: 'linux lavapipe' });
    expect(text).toContain('this machine has to have lavapipe, or the test says nothing: no lvp_icd.json');
    expect(text).toMatch(/1 failed \| 2 passed \| 1 skipped/);
    expect(status).toBe(1);
  });

  test('fail the run when they give no reason', () => {
    const { status, text } = run('stray.case.ts');
    for (const name of ['skip', 'skipIf', 'runIf', 'todo', 'suite > inside', 'with a reason of its own'])
      expect(text).toContain(`left out without a reason (test/needs.ts takes one): stray.case.ts: ${name}\n`);
    expect(status).toBe(1);
  });
});

describe('the last line', () => {
  const report = (name: string, counts: readonly [passed: number, failed: number, skipped: number]): string => {
    const [numPassedTests, numFailedTests, numPendingTests] = counts;
    const file = join(scratch, name);
    writeFileSync(file, JSON.stringify({ numPassedTests, numFailedTests, numPendingTests, numTodoTests: 0 }));
    return file;
  };
  const count = (...args: string[]) => {
    const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'scripts/ci-count.mjs'), ...args], {
      encoding: 'utf8',
    });
    const lines = stdout.trimEnd().split('\n');
    return { status, last: lines.at(-1), before: lines.at(-2) };
  };
  const [all, some] = [report('all.json', [70, 0, 2]), report('some.json', [30, 0, 1])];

  test.each<[what: string, args: string[], last: string, status: number]>([
    ['counts both runs', [`${all}:0`, `${some}:0`, '--', 'lint:0'], '100 passed, 0 failed', 0],
    ['counts failed tests once', [`${all}:0`, `${report('red.json', [28, 2, 0])}:1`, '--'], '98 passed, 2 failed', 1],
    [
      'counts a failed step',
      [`${all}:0`, `${some}:0`, '--', 'lint:1', 'types:0', 'unused exports:2'],
      '100 passed, 2 failed',
      1,
    ],
    ['counts a run without a report', [`${all}:0`, `${join(scratch, 'none.json')}:0`], '70 passed, 1 failed', 1],
    ['counts a run that failed without a failed test', [`${all}:1`, `${some}:0`], '100 passed, 1 failed', 1],
    ['counts a run of nothing', [`${all}:0`, `${report('empty.json', [0, 0, 9])}:0`], '70 passed, 1 failed', 1],
    ['is no success without a run', [], '0 passed, 1 failed', 1],
  ])('%s', (_, args, last, status) => {
    expect(count(...args)).toMatchObject({ last, status });
  });

  test('comes after what was left out', () => {
    expect(count(`${all}:0`, `${some}:0`).before).toBe('3 tests left out');
  });

  test('is what .ci/run ends with, from reports that were not there before', () => {
    const script = readFileSync(join(ROOT, '.ci/run'), 'utf8');
    expect(script.trimEnd().split('\n').at(-1)).toMatch(/^node scripts\/ci-count\.mjs /);
    const removed = script.indexOf('rm -f "$report"');
    expect(removed).toBeGreaterThan(0);
    expect(removed).toBeLessThan(script.indexOf('ESPALIER_REPORT='));
  });
});
