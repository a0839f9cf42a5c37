/** The benchmark does what it times: two checkouts compile and run a small product. What they take is not looked at. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test, vi } from 'vitest';
import { parseArguments } from '../../bench/arguments.js';
import { type Checkout, cliOf } from '../../bench/checkouts.js';
import { compilations, forwardPasses } from '../../bench/subjects.js';
import { ROOT } from '../cli/support.js';

// lavapipe takes its time to compile kernels on a busy machine.
vi.setConfig({ testTimeout: 300_000 });

const temporary = mkdtempSync(join(tmpdir(), 'espalier-bench-test-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

/** What a built checkout has: a command line. This one runs the sources, on the arguments that `change` makes. */
function checkout(name: string, change: string): Checkout {
  const made = { name, folder: join(temporary, name) };
  mkdirSync(dirname(cliOf(made)), { recursive: true });
  const url = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);
  writeFileSync(cliOf(made).replace(/main\.js$/, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(
    cliOf(made),
    `import { register } from ${url('node_modules/tsx/dist/esm/api/index.mjs')};
register();
process.argv = process.argv.map((arg) => ${change});
await import(${url('src/cli/main.ts')});
`,
  );
  return made;
}

const old = checkout('old', 'arg');
const same = checkout('same', 'arg');
// A product of other shape, with as many inputs and results.
const other = checkout('other', "({ 'm=4': 'm=2', 'n=3': 'n=6', 'k=8': 'k=16' })[arg] ?? arg");
const broken = checkout('broken', "arg.replace('m=', 'rows=')");
const folders = (c: Checkout) => join(temporary, `out-${c.name}`);
const [product] = parseArguments(['4x3x8']).subjects;

test("a forward pass, by each version's own folder", async () => {
  const prepared = await forwardPasses([old, old, same], product!, 'wall', folders);
  try {
    for (const c of [old, same]) expect(existsSync(join(folders(c), 'runtime.js'))).toBe(true);
    expect(prepared.contestants).toHaveLength(3);
    expect(prepared.runs).toBeGreaterThan(1);
    for (const c of prepared.contestants) expect(await c.measure()).toBeGreaterThan(0);
    expect(prepared.difference!()).toBe(0);
  } finally {
    prepared.close();
  }
});

test('versions that compute something else are noticed', async () => {
  const prepared = await forwardPasses([old, other], product!, 'cpu', folders);
  try {
    expect(prepared.difference!()).toBeGreaterThan(0.01);
  } finally {
    prepared.close();
  }
});

test('a compilation, in time and in processor time', async () => {
  for (const clock of ['wall', 'cpu'] as const) {
    const { contestants } = compilations([same], product!, clock, folders);
    expect(await contestants[0]!.measure(), clock).toBeGreaterThan(0.05);
    expect(existsSync(folders(same))).toBe(false);
  }
});

test('a version that cannot compile the spec is named, with what it says', async () => {
  const { contestants } = compilations([broken], product!, 'wall', folders);
  const failure = expect(contestants[0]!.measure()).rejects;
  await failure.toThrow('broken does not compile product.peft:\nerror[');
  await failure.toThrow('rows');
});
