/**
 * Golden files: what the compiler printed last time, kept in git beside the test that looks at it. There is one switch:
 * `UPDATE_GOLDEN=1 npx vitest run <tests>` writes what differs; without it a difference, or a missing file, fails the test.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const root = dirname(fileURLToPath(import.meta.url));

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Compares `text` with the golden file `name`, a path under the folder of the running test's `golden/`: in
 * `test/ir/text.test.ts`, `expectGolden('vit.ir', text)` reads `test/ir/golden/vit.ir`. A final newline is added if missing.
 */
export function expectGolden(name: string, text: string): void {
  const test = expect.getState().testPath;
  if (test === undefined) throw new Error('expectGolden may only be called inside a test');
  const folder = join(dirname(test), 'golden');
  const path = resolve(folder, name);
  if (!path.startsWith(folder + sep)) throw new Error(`the golden file ${name} lies outside ${folder}`);
  expectFile(relative(dirname(root), path), text);
}

/** The same for any file of the project, by its path from the top: a document that is made from code. */
export function expectFile(shown: string, text: string): void {
  const path = join(dirname(root), shown);
  const actual = text.endsWith('\n') ? text : `${text}\n`;
  const expected = read(path);
  if (expected === actual) return;
  if (process.env.UPDATE_GOLDEN === '1') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, actual);
    return;
  }
  if (expected === undefined) throw new Error(`no golden file ${shown}; write it with UPDATE_GOLDEN=1`);
  expect(actual, `differs from ${shown}; if that is intended, run again with UPDATE_GOLDEN=1`).toBe(expected);
}
