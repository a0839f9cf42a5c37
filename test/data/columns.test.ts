/** Any labels and paths come back from a .csv as they were, each line at its place in the text. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readColumns } from '../../src/data/node/columns.js';
import { scratch } from '../api/support.js';

const folder = scratch();
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
const isPlain = (text: string) => !/[",\r\n]/.test(text);

test('labels with commas, quotes, line breaks and letters of any alphabet', async () => {
  const label = fc.string({
    unit: fc.constantFrom('a', 'é', '中', '🌹', ' ', ',', '"', '\n', ';'),
    minLength: 1,
    maxLength: 8,
  });
  const line = fc.record({ label: label.filter((text) => text.trim() !== ''), quote: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 12 }),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      async (lines, end, mark) => {
        const written = lines.map(
          ({ label, quote }, i) => `${i}.png,${quote || !isPlain(label) ? quoted(label) : label}`,
        );
        const file = join(folder, 'list.csv');
        writeFileSync(file, `${mark ? '\uFEFF' : ''}${['file,label', ...written].join(end)}${end}`);
        const { rows } = await readColumns('list', [{ file, split: 'train' }], {});
        expect(rows.map(({ id, labels }) => [id, labels])).toEqual(
          lines.map(({ label }, i) => [`${i}.png`, [label.trim()]]),
        );
        const text = readFileSync(file, 'utf8');
        expect(rows.map(({ at }) => text.slice(at!.start, at!.end))).toEqual(written.map((one) => one.trim()));
      },
    ),
    { numRuns: 300 },
  );
});
