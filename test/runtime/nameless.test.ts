/** A user that no list of users names, as in many a container: the driver that npm carries unpacks and runs all the same. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { unpack } from '../../runtime/node/unpack.js';

vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  userInfo() {
    throw new Error('A system error occurred: uv_os_get_passwd returned ENOENT (no such file or directory)');
  },
}));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('unpacks into a folder that is its own, where the packages are read-only', async () => {
  const installed = join(folder, 'node_modules', '@sparticuz', 'chromium');
  await mkdir(join(installed, 'bin'), { recursive: true });
  await writeFile(join(installed, 'bin', 'a.br'), brotliCompressSync('a driver'));
  // Nothing can be written below a file, whoever runs this.
  await writeFile(join(folder, 'node_modules', '.cache'), '');
  vi.stubEnv('TMPDIR', folder);
  try {
    const unpacked = await unpack({ folder: installed, version: '1' }, 'x', ['a.br']);
    expect(unpacked).toBe(join(folder, `espalier-${process.getuid?.() ?? -1}`, 'x-1'));
    expect(await readFile(join(unpacked, 'a'), 'utf8')).toBe('a driver');
    if (process.platform !== 'win32') expect((await stat(join(unpacked, '..'))).mode & 0o777).toBe(0o700);
  } finally {
    vi.unstubAllEnvs();
  }
});

test('SwiftShader runs, without a home', async () => {
  const user = 54321;
  const cwd = new URL('../..', import.meta.url);
  // Only root may run a process as somebody else, who then has to be let into this folder. Elsewhere there is the test above.
  const asOther = { cwd, uid: user, gid: user };
  const look = ['-e', 'require("fs").readFileSync("package.json")'];
  if (!(await promisify(execFile)(process.execPath, look, asOther).then(Boolean, () => false))) return;
  const own = join(folder, 'tmp');
  await mkdir(own, { mode: 0o777 });
  await promisify(execFile)('chmod', ['755', folder]);
  await promisify(execFile)('chown', [String(user), own]);
  const script = `
    import { openDevice } from './runtime/node/index.ts';
    const { driver, release } = await openDevice();
    console.log(driver.name, driver.icd);
    release();`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    {
      ...asOther,
      env: { PATH: process.env.PATH, TMPDIR: own, ESPALIER_DRIVER: 'swiftshader' },
    },
  );
  expect(stdout).toContain(`swiftshader ${join(own, `espalier-${user}`)}`);
});
