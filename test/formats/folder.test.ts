/** Folders that are the old one or the new one at every instant: processes killed with SIGKILL, and processes that write into one folder. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outputState, writeFolderAtomic } from '../../src/formats/node/folder.js';
import { restoreFolder } from '../../src/formats/node/leftovers.js';
import { writeFileAtomic } from '../../src/formats/node/writing.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const stale = (name: string) => name.endsWith('.wgsl') || name === 'program.json' || name === 'weights';
/** A folder's worth of one version: every file says which, and one has it in its name. */
const version = (v: string) =>
  new Map([
    ['program.json', v],
    ['k.wgsl', v],
    [`only-${v}.wgsl`, v],
    ['weights', v.repeat(100_000)],
  ]);

/** A process that writes versions, and ends itself with SIGKILL before or after its n-th change of the file system. */
const WRITER = `
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { outputState, writeFolderAtomic } from './src/formats/node/folder.ts';
const [target, versions, at, side] = process.argv.slice(2);
let calls = 0;
const die = () => process.kill(process.pid, 'SIGKILL');
for (const [from, names] of [[fs, ['renameSync', 'rmSync']], [promises, ['mkdir', 'chmod', 'open', 'rename', 'rm']]]) {
  for (const name of names) {
    const real = from[name];
    from[name] = (...args) => {
      const mine = calls++ === Number(at);
      if (mine && side === 'before') die();
      const result = real(...args);
      if (!mine || side !== 'after') return result;
      if (!(result instanceof Promise)) die();
      return result.finally(die);
    };
  }
}
syncBuiltinESMExports();
const stale = ${stale.toString()};
const version = ${version.toString()};
const since = outputState(target, 'program.json');
console.log('ready');
try {
  // An endless list is for one that is killed from outside.
  for (let i = 0; i === 0 || versions.length > 1; i++) {
    await writeFolderAtomic(target, version(versions[i % versions.length]), { stale, ...(versions.length > 1 ? {} : { since }) });
  }
  console.log('calls', calls);
} catch (error) {
  console.log(String(error.message));
  process.exitCode = 1;
}
`;

let scratch: string;
let writer: string;
beforeAll(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), 'espalier-folder-')));
  writer = join(scratch, 'writer.mjs');
  await build({
    stdin: { contents: WRITER, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: writer,
    logLevel: 'warning',
  });
});
afterAll(() => rm(scratch, { recursive: true }));

let dir: string;
let out: string;
beforeEach(async () => {
  dir = await mkdtemp(join(scratch, 'case-'));
  out = join(dir, 'out');
});
afterEach(() => rm(dir, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly said: string;
}
/** Starts a writer; `until` gets its process once it is about to write. */
function write(args: readonly string[], until?: (kill: () => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, [writer, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    if (said === '') until?.(() => child.kill('SIGKILL'));
    said += data.toString();
  });
  return new Promise((done) => child.on('close', (code) => done({ code, said })));
}

/** Which version the folder is, of which every file has to be. */
async function wholeVersion(): Promise<string> {
  const entries = await readdir(out, { withFileTypes: true });
  const names = entries.flatMap((e) => (!e.isDirectory() && stale(e.name) ? [e.name] : [])).sort();
  const is = await readFile(join(out, 'program.json'), 'utf8');
  expect(names).toEqual([...version(is).keys()].sort());
  for (const [name, content] of version(is)) expect((await readFile(join(out, name), 'utf8')) === content).toBe(true);
  return is;
}

/** The older version, with what is somebody else's beside it. */
async function older(): Promise<void> {
  await writeFolderAtomic(out, version('a'));
  await writeFile(join(out, 'notes.txt'), 'mine');
  await mkdir(join(out, 'sub.wgsl'));
  await writeFile(join(out, 'sub.wgsl', 'deep.txt'), 'mine too');
}

async function expectTidy(): Promise<void> {
  expect(await readdir(dir)).toEqual(['out']);
  expect(await readFile(join(out, 'notes.txt'), 'utf8')).toBe('mine');
  expect(await readFile(join(out, 'sub.wgsl', 'deep.txt'), 'utf8')).toBe('mine too');
}

describe('killed with SIGKILL', () => {
  test('before and after each change of the file system: old or new, and the next run tidies up', async () => {
    await older();
    const { said } = await write([out, 'b', '-1']);
    const calls = Number(/calls (\d+)/.exec(said)![1]);
    expect(calls).toBeGreaterThan(8);
    const seen = new Map<string, number>();
    let nameless = 0;
    for (let at = 0; at < calls; at++) {
      for (const side of ['before', 'after']) {
        await rm(dir, { recursive: true });
        await older();
        expect((await write([out, 'b', String(at), side])).code).toBe(null);
        if (!(await readdir(dir)).includes('out')) {
          nameless++;
          restoreFolder(out);
        }
        const is = await wholeVersion();
        seen.set(is, (seen.get(is) ?? 0) + 1);
        await writeFolderAtomic(out, version('c'), { stale });
        expect(await wholeVersion()).toBe('c');
        await expectTidy();
      }
    }
    expect([...seen.keys()].sort()).toEqual(['a', 'b']);
    // The one instant between two renames was met, from both sides.
    expect(nameless).toBe(2);
  });

  test('at random instants', async () => {
    await older();
    for (let i = 0; i < 40; i++) {
      await write([out, 'abcdefg'], (kill) => setTimeout(kill, Math.random() * 60));
      restoreFolder(out);
      expect('abcdefg').toContain(await wholeVersion());
    }
    await writeFolderAtomic(out, version('z'), { stale });
    expect(await wholeVersion()).toBe('z');
    await expectTidy();
  });

  test('while a file is written: the next one removes what is left', async () => {
    await writeFile(join(dir, 'out'), 'before');
    const machine =
      (await write([join(dir, 'other'), 'b', '1', 'after'])) && (await readdir(dir)).find((n) => n.endsWith('.tmp'))!;
    await writeFile(join(dir, machine.replace('.other.', '.out.')), 'half');
    await writeFileAtomic(join(dir, 'out'), 'after');
    expect((await readdir(dir)).sort()).toEqual([machine, 'out'].sort());
  });
});

describe('leftovers', () => {
  const name = (machine: string, pid: number) => `.out.${machine}-${pid}-0123456789ab.tmp`;

  test('of a process that lives, here or on another machine, stay; of one that ended, or a day ago, go', async () => {
    await write([out, 'b', '1', 'after']);
    const [own] = (await readdir(dir)).filter((n) => n.endsWith('.tmp'));
    const here = /^\.out\.([0-9a-f]{8})-/.exec(own!)![1]!;
    const alive = [name(here, process.ppid), name('00000000', 1)];
    for (const n of [...alive, name('00000000', 2)]) await mkdir(join(dir, n));
    await utimes(join(dir, name('00000000', 2)), 0, 0);
    // Somebody else's, whatever it looks like.
    await writeFile(join(dir, '.out.swp.tmp'), '');
    await writeFolderAtomic(out, version('c'), { stale });
    expect((await readdir(dir)).sort()).toEqual([...alive, '.out.swp.tmp', 'out'].sort());
  });
});

describe('two writers of one folder', () => {
  test('the one that ends later is told, and changes nothing', async () => {
    for (const existing of [false, true]) {
      if (existing) await older();
      const since = outputState(out, 'program.json');
      await writeFolderAtomic(out, version('b'), { stale, since });
      const late = writeFolderAtomic(out, version('c'), { stale, since });
      await expect(late).rejects.toThrow(/ESP0927: .*out was written by another process/);
      expect(await wholeVersion()).toBe('b');
    }
    await expectTidy();
  });

  test('at the same time: one wins, the others get a message, the folder is whole', async () => {
    for (let round = 0; round < 6; round++) {
      if (round % 2 === 1) await older();
      const ended = await Promise.all(['b', 'c', 'd'].map((v) => write([out, v, '-1'])));
      for (const { code, said } of ended) expect(code === 0 || said.includes('ESP0927'), said).toBe(true);
      const winners = ended.filter((e) => e.code === 0);
      expect(winners.length).toBeGreaterThan(0);
      expect('bcd').toContain(await wholeVersion());
      if (round % 2 === 1) await expectTidy();
      await rm(out, { recursive: true });
    }
  });
});

describe('another process, between two steps of this one', () => {
  /** What the other one does just before this one's first renaming from or to `out`. */
  async function meanwhile(change: () => void): Promise<string> {
    const real = fs.renameSync;
    fs.renameSync = (from, to) => {
      fs.renameSync = real;
      syncBuiltinESMExports();
      change();
      real(from, to);
    };
    syncBuiltinESMExports();
    try {
      const since = outputState(out, 'program.json');
      await writeFolderAtomic(out, version('c'), { stale, since });
      return 'written';
    } catch (error) {
      return String((error as Error).message);
    } finally {
      fs.renameSync = real;
      syncBuiltinESMExports();
    }
  }

  test('makes the folder', async () => {
    await rm(out, { recursive: true, force: true });
    const said = await meanwhile(() => {
      fs.mkdirSync(out);
      fs.writeFileSync(join(out, 'program.json'), 'b');
    });
    expect(said).toMatch(/ESP0927/);
    expect(await readdir(out)).toEqual(['program.json']);
  });

  test('takes it away', async () => {
    await older();
    expect(await meanwhile(() => fs.renameSync(out, `${out}-elsewhere`))).toMatch(/ESP0927/);
    await rm(`${out}-elsewhere`, { recursive: true });
  });

  test('writes it', async () => {
    await older();
    expect(await meanwhile(() => fs.writeFileSync(join(out, 'program.json'), 'later'))).toMatch(/ESP0927/);
    expect(await readFile(join(out, 'program.json'), 'utf8')).toBe('later');
  });

  test('wrote it, and it cannot be moved', async () => {
    await older();
    const since = outputState(out, 'program.json');
    await writeFile(join(out, 'program.json'), 'later');
    const cwd = process.cwd();
    process.chdir(out);
    try {
      await expect(writeFolderAtomic('.', version('c'), { stale, since })).rejects.toThrow('ESP0927');
    } finally {
      process.chdir(cwd);
    }
    expect(await readFile(join(out, 'program.json'), 'utf8')).toBe('later');
  });
});

describe('where a folder cannot be moved', () => {
  test('its files are: the current folder', async () => {
    await older();
    const cwd = process.cwd();
    process.chdir(out);
    try {
      await writeFolderAtomic('.', version('b'), { stale });
      // The folder that the shell stands in is still the one with the name.
      expect((await readdir('.')).sort()).toEqual((await readdir(out)).sort());
    } finally {
      process.chdir(cwd);
    }
    expect(await wholeVersion()).toBe('b');
    await expectTidy();
  });

  test('a link to a folder stays one', async () => {
    await older();
    await symlink('out', join(dir, 'link'));
    await writeFolderAtomic(join(dir, 'link'), version('b'), { stale });
    expect(await wholeVersion()).toBe('b');
    expect((await readdir(dir)).sort()).toEqual(['link', 'out']);
  });
});
