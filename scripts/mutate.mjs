/**
 * `npm run mutate`: changes the sources of the passes and of the runtime, one place at a time (Stryker), and counts the changes that no test notices.
 *
 *   npm run mutate -- --minutes 30                 a random sample, in rounds of a few declarations each, for about that long
 *   npm run mutate -- --seed 2 --minutes 30        another sample
 *   npm run mutate -- src/passes/narrow.ts         all of some files (`file.ts:10-20`: of some lines)
 *
 * Prints the score (noticed / all) and where each change that went unnoticed is; all of them stay in out/mutate/unnoticed.txt.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Node, Project } from 'ts-morph';
import { driverEnvironment, fail, runToEnd } from './with-driver.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    driver: { type: 'string', default: 'swiftshader' },
  },
});
/** Declarations of one round: a round starts with a run of all tests, which takes about as long as some ten changes. */
const ROUND = 8;
const REPORT = 'out/mutate/report.json';

/** Functions and methods of the sources, as `file:line-line`: what lies outside of them is tables and types. */
function declarations() {
  const project = new Project({ skipAddingFilesFromTsConfig: true });
  const files = ['src/passes/**/*.ts', 'runtime/*.ts', '!runtime/*.wgsl.ts'];
  return project.addSourceFilesAtPaths(files).flatMap((file) =>
    file
      .getDescendants()
      .filter(
        (node) =>
          Node.isFunctionDeclaration(node) || Node.isMethodDeclaration(node) || Node.isConstructorDeclaration(node),
      )
      .filter((node) => node.getBody() !== undefined)
      .map(
        (node) =>
          `${file.getFilePath().slice(process.cwd().length + 1)}:${node.getStartLineNumber()}-${node.getEndLineNumber()}`,
      ),
  );
}

/** The same order for the same seed (mulberry32, Fisher and Yates). */
function shuffled(list, seed) {
  let a = seed >>> 0;
  const below = (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

const stryker = join(
  dirname(createRequire(import.meta.url).resolve('@stryker-mutator/core/package.json')),
  'bin/stryker.js',
);
const { env } = await driverEnvironment(values.driver).catch(fail);

/** The changes of some places and what became of each. */
async function round(places) {
  rmSync(REPORT, { force: true });
  const code = await runToEnd(process.execPath, [stryker, 'run', '--mutate', places.join(',')], { ...env, CI: 'true' });
  if (code !== 0) fail(new Error(`Stryker ended with ${code}`));
  const { files } = JSON.parse(readFileSync(REPORT, 'utf8'));
  return Object.entries(files).flatMap(([file, { source, mutants }]) =>
    mutants.map(({ status, location, replacement, mutatorName }) => ({
      status,
      key: JSON.stringify([file, location, mutatorName, replacement]),
      // A place that no test reaches, and one whose tests all pass, are the same to whoever breaks it.
      where: `${file}:${location.start.line}: ${mutatorName}: ${source.split('\n')[location.start.line - 1].trim()}  =>  ${(replacement ?? '').replace(/\s+/g, ' ').slice(0, 100)}`,
    })),
  );
}

mkdirSync('out/mutate', { recursive: true });
const end = Date.now() + 60_000 * Number(values.minutes);
const places = positionals.length > 0 ? positionals : shuffled(declarations(), Number(values.seed));
/** By place and change: Stryker's report holds those of earlier rounds too. */
const results = new Map();
let done = 0;
do {
  const some = positionals.length > 0 ? places : places.slice(done, done + ROUND);
  for (const result of await round(some)) results.set(result.key, result);
  done += some.length;
  const judged = [...results.values()].filter(
    ({ status }) => status !== 'Ignored' && status !== 'CompileError' && status !== 'RuntimeError',
  );
  const noticed = judged.filter(({ status }) => status === 'Killed' || status === 'Timeout');
  const unnoticed = judged.filter((r) => !noticed.includes(r));
  writeFileSync('out/mutate/unnoticed.txt', unnoticed.map(({ status, where }) => `${status} ${where}\n`).join(''));
  const score = judged.length === 0 ? 'nothing to change' : `${((100 * noticed.length) / judged.length).toFixed(1)}%`;
  console.log(
    `${done} of ${places.length} places, ${judged.length} changes, ${noticed.length} noticed: ${score}; the others: out/mutate/unnoticed.txt`,
  );
} while (done < places.length && Date.now() < end);
