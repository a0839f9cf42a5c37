/** What `npm run demo:count` is given is judged before anything is compiled. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'espalier-count-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const notes = join(folder, 'notes.png');
writeFileSync(notes, 'no picture');
const absent = join(folder, 'absent.png');

describe('the demo', () => {
  it.each([
    [['--grid', '0'], '`grid` is 0'],
    [['--batch', 'many'], '`batch` is NaN'],
    [[notes], 'notes.png cannot be read as an image'],
    [[absent], 'there is no such file'],
    [[notes, notes], '2 pictures'],
    [['--grdi', '3'], "Unknown option '--grdi'"],
  ])('refuses %j', (args, message) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', 'examples/count/demo.ts', ...args],
      { encoding: 'utf8' },
    );
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });
});
