/** A fresh checkout runs as README says, with nothing but `npm ci` done. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundleRuntime } from '../../scripts/build-runtime.mjs';
import { ROOT } from './support.js';

const checkout = mkdtempSync(join(tmpdir(), 'espalier-checkout-'));
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

/** The command that README gives, as words. */
const COMMAND = /In a checkout, after `npm ci`: `([^`]*) \.\.\.`/.exec(
  readFileSync(join(ROOT, 'README.md'), 'utf8'),
)?.[1];

const SMALL = `backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(x) }
}
model M {
  base = one()
}
`;

test('compile, without a build', async () => {
  // What git has or would take, which is what a clone holds: nothing that was built here.
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  for (const file of files.toString().split('\0')) {
    if (file !== '' && !/^(test|bench|examples)\//.test(file) && existsSync(join(ROOT, file)))
      cpSync(join(ROOT, file), join(checkout, file));
  }
  expect(existsSync(join(checkout, 'dist'))).toBe(false);
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'), 'dir');

  const [program, ...words] = COMMAND!.split(' ');
  writeFileSync(join(checkout, 'small.peft'), SMALL);
  const args = [...words, 'compile', 'small.peft', '-o', 'out'];
  const { status, stderr } = spawnSync(program!, args, { cwd: checkout, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(readFileSync(join(checkout, 'out/runtime.js'), 'utf8')).toBe(await bundleRuntime());
}, 300_000);
