/**
 * `npm run check:kills -- --kills 50`: kills processes that train, at random moments, until so many were killed, and compares what each run comes to with the
 * run that nothing interrupted. `--search` kills runs with a search in them, `--seed` draws other moments. Exits 1 where a bit differs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { campaign } from './kills.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    search: { type: 'boolean', default: false },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
if (!(Number.isInteger(kills) && kills > 0 && Number.isInteger(seed))) {
  console.error('--kills takes a whole number above 0, --seed a whole number');
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'espalier-kills-'));
const {
  runs,
  places,
  failed,
  kills: made,
} = await campaign(folder, {
  kills,
  seed,
  subject: values.search ? 'search' : 'training',
  say: console.log,
});
const differ = runs.filter((run) => run.differ.length > 0);
console.log(`\nkilled: ${[...places].map(([place, n]) => `${n} ${place}`).join(', ')}`);
for (const text of failed) console.log(`a process failed by itself:\n${text}`);
console.log(
  `${made} kills of ${runs.length} runs; ${runs.length - differ.length} runs ended with the bits of the whole one, ${differ.length} with others`,
);
const good = differ.length === 0 && failed.length === 0;
if (good) rmSync(folder, { recursive: true, force: true });
else console.log(`they are in ${folder}`);
process.exitCode = good ? 0 : 1;
