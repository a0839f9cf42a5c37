/** A file begins with what it is. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

test.each(['src', 'runtime'])('every file of %s says first what it is', (folder) => {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(20);
  const without = files.filter((f) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(readFileSync(join(root, folder, f), 'utf8')));
  expect(without).toEqual([]);
});
