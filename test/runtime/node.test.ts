/** What only Node has: drivers, folders on disk, processes that end, and the diagnosis. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as errors from '../../runtime/errors.js';
import { DriverError } from '../../runtime/errors.js';
import { diagnoseDevice } from '../../runtime/node/doctor.js';
import { environment, describe as nameOf, openGpu } from '../../runtime/node/driver.js';
import { carrier, unpack, untar } from '../../runtime/node/unpack.js';
import { bundleRuntime } from '../../scripts/build-runtime.mjs';
import { CATALOGUE } from '../../src/diagnostics/catalogue.js';
import { expected, tinyProgram } from './program.js';

const child = fileURLToPath(new URL('./child.ts', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-'));
  await mkdir(join(folder, 'a folder, 50% #1'));
  const { program, files } = tinyProgram();
  for (const [name, bytes] of [...files, ['program.json', JSON.stringify(program)] as const]) {
    await writeFile(join(folder, 'a folder, 50% #1', name), bytes);
  }
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a script to its own end; it is not helped to end. */
function run(
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ code: number | null; out: string; err: string }> {
  const process_ = spawn(process.execPath, ['--import', 'tsx', ...args], {
    env: { ...process.env, ...env },
    timeout: 90_000,
  });
  const [out, err]: [string[], string[]] = [[], []];
  process_.stdout.on('data', (d: Buffer) => out.push(d.toString()));
  process_.stderr.on('data', (d: Buffer) => err.push(d.toString()));
  return new Promise((resolve) =>
    process_.on('close', (code) => resolve({ code, out: out.join(''), err: err.join('') })),
  );
}

describe('a process that loads, runs and disposes', () => {
  test.each(['swiftshader', ''])('ends by itself (driver %j)', async (driver) => {
    // Nothing in its environment but the choice: the driver is found inside the process.
    const bare = { ESPALIER_DRIVER: driver, VK_ICD_FILENAMES: '', LD_LIBRARY_PATH: '' };
    const { code, out, err } = await run([child, join(folder, 'a folder, 50% #1')], bare);
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toEqual(Array.from(expected([1, 2, 3, 4])));
  });

  test('needs nothing but the folder and npm `webgpu`', async () => {
    // Beside the checkout's node_modules, where `webgpu` is found, as in a user's project.
    const cache = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));
    await mkdir(cache, { recursive: true });
    const own = await mkdtemp(join(cache, 'espalier-'));
    const { program, files } = tinyProgram();
    const main = `import { load } from './runtime.js';
      const session = await load(new URL('.', import.meta.url));
      console.log(JSON.stringify([...(await session.run({ tensors: { x: Float32Array.of(1, 2, 3, 4) } })).outputs.logits]));
      session.dispose();`;
    const all = { 'program.json': JSON.stringify(program), 'runtime.js': await bundleRuntime(), 'main.mjs': main };
    for (const [name, bytes] of [...files, ...Object.entries(all)]) await writeFile(join(own, name), bytes);
    const { driver } = await openGpu();
    const { code, out, err } = await run([join(own, 'main.mjs')], environment(driver));
    await rm(own, { recursive: true });
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toEqual(Array.from(expected([1, 2, 3, 4])));
  });

  test('ends when loading fails, too', async () => {
    const { code, err } = await run([child, join(folder, 'absent')], { ESPALIER_DRIVER: 'swiftshader' });
    expect(code).toBe(1);
    expect(err).toMatch(/program\.json: is missing/);
  });
});

describe('drivers', () => {
  test('SwiftShader is there without anything installed by apt', async () => {
    const { adapter, driver } = await openGpu('swiftshader');
    expect(driver.name).toBe('swiftshader');
    expect(nameOf(adapter)).toMatch(/SwiftShader/);
    expect(environment(driver)).toMatchObject({
      ESPALIER_DRIVER: 'swiftshader',
      VK_ICD_FILENAMES: expect.stringMatching(/vk_swiftshader_icd\.json$/),
    });
  });

  test('an unknown name is an error that lists the known ones', async () => {
    const error = await openGpu('nvidia').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DriverError);
    expect((error as DriverError).help).toMatch(/system, lavapipe, swiftshader/);
  });

  test('the diagnosis says which and why', async () => {
    const { chosen, why, attempts, others } = await diagnoseDevice();
    expect(chosen?.description).toBeTruthy();
    expect(chosen?.limits.maxStorageBufferBindingSize).toBeGreaterThanOrEqual(128 << 20);
    expect(chosen?.features.length).toBeGreaterThan(0);
    expect(why).toMatch(/\w/);
    expect(attempts.at(-1)?.outcome).toMatch(/^chosen/);
    expect([chosen?.driver, ...others.map((o) => o.driver)]).toContain('swiftshader');
  });
});

describe('unpacking', () => {
  test('several at once get one whole folder', async () => {
    const from = await carrier();
    const root = join(folder, 'node_modules', '@x', 'chromium');
    await mkdir(join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'bin', 'a.tar.br'), brotliCompressSync(tar('lib/one.so', 'one')));
    await writeFile(join(root, 'bin', 'b.br'), brotliCompressSync(Buffer.from('two')));
    const here = { folder: root, version: '1' };
    const folders = await Promise.all(Array.from({ length: 8 }, () => unpack(here, 'x', ['a.tar.br', 'b.br'])));
    expect(new Set(folders).size).toBe(1);
    expect((await readdir(folders[0]!)).sort()).toEqual(['b', 'lib']);
    expect((await stat(join(folders[0]!, 'lib', 'one.so'))).size).toBe(3);
    // No half-made folder is left beside it.
    expect(await readdir(join(folders[0]!, '..'))).toEqual(['x-1']);
    expect(from?.version).toMatch(/^\d+\./);
  });

  test('an archive that is cut off, or leaves its folder, is refused', () => {
    expect(untar(tar('a', 'xyz')).map((f) => [f.name, Buffer.from(f.data).toString()])).toEqual([['a', 'xyz']]);
    expect(() => untar(tar('a', 'x'.repeat(2000)).subarray(0, 900))).toThrow(/damaged/);
    expect(() => untar(tar('../a', 'xyz'))).toThrow(/names \.\.\/a/);
  });
});

test('every code that the runtime throws has a page', () => {
  const made: { code: string }[] = [
    new errors.NoAdapterError('', ''),
    new errors.LimitError('x', 2, 1),
    new errors.DeviceLostError(''),
    new errors.OutOfMemoryError('', ''),
    new errors.ValidationError('', ''),
    new errors.GoldenMismatchError('', 1, 1, 0),
    new errors.ProgramFileError('', ''),
    new errors.InputError(''),
    new errors.DisposedError(),
    new errors.DriverError('', ''),
  ];
  expect(new Set(made.map((e) => e.code)).size).toBe(made.length);
  for (const { code } of made) expect(CATALOGUE).toHaveProperty(code);
});

/** A tar archive of one file. */
function tar(name: string, text: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000755', 100);
  header.write(text.length.toString(8).padStart(11, '0'), 124);
  header.write('0', 156);
  const data = Buffer.alloc(Math.ceil(text.length / 512) * 512);
  data.write(text);
  return Buffer.concat([header, data, Buffer.alloc(1024)]);
}
