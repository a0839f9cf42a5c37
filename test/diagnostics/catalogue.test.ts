/** The catalogue holds what is said, and nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CATALOGUE } from '../../src/diagnostics/catalogue.js';

test('every message of the catalogue is reported somewhere', () => {
  const files = ['src', 'runtime']
    .flatMap((root) => readdirSync(root, { recursive: true, encoding: 'utf8' }).map((f) => join(root, f)))
    .filter((f) => f.endsWith('.ts') && !f.startsWith(join('src', 'diagnostics')));
  const text = files.map((f) => readFileSync(f, 'utf8')).join('\n');
  expect(files.length).toBeGreaterThan(100);
  expect(Object.keys(CATALOGUE).filter((code) => !text.includes(code))).toEqual([]);
});
