/**
 * `npm run checks`: switches off every check of bad input, one at a time, and counts the tests that fail without it.
 *
 *   npm run checks                        with all quick tests
 *   npm run checks -- test/dsl            with some tests: what they notice
 *
 * Prints the checks that no test reaches, those that no test misses, and the codes that fewer than two tests miss; out/checks/report.json
 * names the tests of each check.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { findings, read } from './journal.js';
import { findSites } from './sites.js';

const OUT = join(process.cwd(), 'out/checks');
const JOURNAL = `${OUT}/journal.jsonl`;
/** The checkout as it is now, and a copy for one turn: what a check kept from being overwritten is overwritten there. */
const TREE = `${OUT}/tree`;
const SANDBOX = `${OUT}/sandbox`;

function copy(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (!['node_modules', 'out', '.git'].includes(name)) cpSync(join(from, name), join(to, name), { recursive: true });
  }
  symlinkSync(join(process.cwd(), 'node_modules'), join(to, 'node_modules'));
}

copy(process.cwd(), TREE);
writeFileSync(JOURNAL, '');
const { sites, unswitchable } = findSites(TREE, [`${TREE}/src/**/*.ts`, `${TREE}/runtime/**/*.ts`]);
writeFileSync(`${OUT}/sites.json`, JSON.stringify(sites));

/** Of the tests of a file that leave something behind, a turn gets through one. */
const TURNS = 60;
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

let files = process.argv.slice(2);
let red = false;
let before = -1;
for (let turn = 0; turn < TURNS; turn++) {
  copy(TREE, SANDBOX);
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', '--config', 'test/checks/vitest.config.ts', ...files],
    {
      cwd: SANDBOX,
      stdio: ['ignore', turn === 0 ? 'inherit' : 'ignore', turn === 0 ? 'inherit' : 'ignore'],
      env: {
        ...process.env,
        CI: 'true',
        ESPALIER_CHECKS: JOURNAL,
        ESPALIER_CHECKS_TURN: `${turn}`,
      },
    },
  );
  if (turn === 0) red = status !== 0;
  const { pending, runs } = findings(read(JOURNAL));
  files = [...new Set([...pending.keys()].map((name) => name.split(' > ')[0]!))];
  console.log(`turn ${turn}: ${runs} runs without a check; ${files.length} files with more to try`);
  if (files.length === 0 || (runs === before && turn > 2)) break;
  before = runs;
}

const found = findings(read(JOURNAL));
const checks = sites.map(({ id, code }, n) => ({
  id,
  code,
  noticed: [...(found.noticed.get(n) ?? [])],
  reached: [...(found.reached.get(n) ?? [])],
}));
const codes = new Map(checks.map(({ code }) => [code, checks.filter((check) => check.code === code)]));
const few = [...codes].flatMap(([code, own]) => {
  const tests = new Set(own.flatMap(({ noticed }) => noticed)).size;
  return tests < 2 ? [`${code} (${tests}): ${own.map(({ id }) => id.split(' ')[0]).join(', ')}`] : [];
});
const unreached = checks.filter(({ reached }) => reached.length === 0);
const unnoticed = checks.filter(({ reached, noticed }) => reached.length > 0 && noticed.length === 0);
writeFileSync(
  `${OUT}/report.json`,
  JSON.stringify({ checks, few, unswitchable, once: found.once, slow: found.slow }, undefined, 1),
);

const list = (title: string, lines: readonly string[]) => {
  console.log(`\n${lines.length} ${title}${lines.length > 0 ? ':' : ''}`);
  for (const line of lines) console.log(`  ${line}`);
};
list(
  'checks that no test reaches',
  unreached.map(({ id }) => id),
);
list(
  'checks that tests reach and none misses',
  unnoticed.map(({ id, reached }) => `${id}  (${reached[0]})`),
);
list('codes that fewer than two tests miss', few);
list('places that cannot be switched off', unswitchable);
list('tests that cannot be run twice', found.once);
list('tests that take too long to be run again', found.slow);
console.log(
  `\n${sites.length} checks of ${codes.size} codes; ${found.runs} runs of a test without a check.` +
    `\n${sites.length - unreached.length - unnoticed.length} checks are missed by a test; ${codes.size - few.length} codes by two or more. All by name: out/checks/report.json`,
);
if (red) {
  console.error('some tests fail with every check in its place');
  process.exitCode = 1;
}
