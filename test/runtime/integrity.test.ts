/** That a session runs the files it was compiled to, bit for bit, whoever hands them over and in whatever kind of memory. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { InputError, NoAdapterError, ProgramFileError, type RuntimeError } from '../../runtime/errors.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import { fileEntry, seal } from '../../runtime/program/digest.js';
import type { ProgramFiles, Source } from '../../runtime/program/files.js';
import { load, loadUnsealed } from '../../runtime/session.js';
import { needs } from '../needs.js';
import { expected, scaleWgsl, type Tiny, tinyProgram } from './program.js';

let gpu: OpenDevice;
let folder: string;
beforeAll(async () => {
  gpu = await openDevice();
  folder = await mkdtemp(join(tmpdir(), 'espalier-intact-'));
});
afterAll(async () => {
  gpu.release();
  await rm(folder, { recursive: true });
});

const X = Float32Array.of(1, -2, 3, 4);
/** What a program computes; it must be right. */
async function loads(source: Source, loading = load(source, { device: gpu.device })): Promise<void> {
  const session = await loading;
  try {
    expect((await session.run({ tensors: { x: X } })).outputs.logits).toEqual(expected(X));
  } finally {
    session.dispose();
  }
}
const refused = (source: Source): Promise<RuntimeError> => refusal(loads(source));
const refusal = (promise: Promise<unknown>): Promise<RuntimeError> =>
  promise.then(
    () => {
      throw new Error('it was taken');
    },
    (error: RuntimeError) => error,
  );

/** With a kernel that is never chosen here, for passes of several. */
const tiny = (): Tiny =>
  tinyProgram({
    samples: 4,
    labels: ['ant', 'bee', 'cat', 'dog'],
    variants: [{ name: 'rare', requires: { features: ['no-such-feature'] }, file: 'rare.wgsl', rank: 9 }],
    files: { 'rare.wgsl': scaleWgsl() },
  });

async function written(name: string): Promise<string> {
  const path = join(folder, name);
  const { program, files } = tiny();
  await mkdir(path);
  for (const [file, content] of files) await writeFile(join(path, file), content);
  await writeFile(join(path, 'program.json'), JSON.stringify(program, null, 1));
  return path;
}

describe('a folder on disk', () => {
  test('loads as it was written, and with no bit changed in any file', async () => {
    const path = await written('flips');
    await loads(path);
    const names = await readdir(path);
    expect(names.sort()).toEqual(
      ['golden.safetensors', 'program.json', 'rare.wgsl', 'scale.wgsl', 'shift.wgsl', 'weights.safetensors'].sort(),
    );
    for (const name of names) {
      const bytes = await readFile(join(path, name));
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
          const flipped = Buffer.from(bytes);
          flipped[at]! ^= 1 << bit;
          await writeFile(join(path, name), flipped);
          const error = await refused(path);
          if (!(error instanceof ProgramFileError)) throw error;
          expect(error.file).toBe(name);
        }),
        { numRuns: 60 },
      );
      await writeFile(join(path, name), bytes);
    }
    await loads(path);
  });

  test('is refused with a file of another compilation, cut short, or of the wrong kind', async () => {
    const path = await written('mixed');
    for (const [content, why] of [
      [tinyProgram({ files: { 'scale.wgsl': scaleWgsl('+ 0.0') } }).files.get('scale.wgsl')!, /has \d+ bytes/],
      [scaleWgsl().replace('0.0', '0.1'), /another compilation: its SHA-256 differs/],
      ['', /has 0 bytes, program\.json says \d+/],
    ] as const) {
      await writeFile(join(path, 'scale.wgsl'), content);
      expect((await refused(path)).message).toMatch(why);
    }
    await rm(join(path, 'scale.wgsl'));
    await mkdir(join(path, 'scale.wgsl'));
    expect((await refused(path)).message).toMatch(/scale\.wgsl: is a folder/);
  });

  test('is refused where program.json is a pipe or a device', async (context) => {
    needs(context, 'unix', process.platform !== 'win32');
    const path = await written('special');
    const file = join(path, 'program.json');
    await rm(file);
    execFileSync('mkfifo', [file]);
    expect((await refused(path)).message).toMatch(/program\.json: is not a regular file/);
    await rm(file);
    await symlink('/dev/zero', file);
    expect((await refused(path)).message).toMatch(/program\.json: is not a regular file/);
  });
});

describe('a program in memory', () => {
  test('loads from Buffers, which share their memory with others', async () => {
    const { program, files } = tiny();
    const pool = Buffer.alloc(100_000, 7);
    let at = 3;
    const buffers = new Map(
      [...files].map(([name, content]) => {
        const bytes = Buffer.from(content);
        bytes.copy(pool, at);
        const part = pool.subarray(at, at + bytes.length);
        at += bytes.length + 5;
        return [name, part] as const;
      }),
    );
    await loads({ program, files: buffers });
    const open: ProgramFiles = {
      open: async (name) => {
        const bytes = buffers.get(name)!;
        return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
      },
    };
    await loads({ program, files: open });
  });

  test('loads from shared memory', async () => {
    const { program, files } = tiny();
    const shared = [...files].map(([name, content]) => {
      const bytes = Buffer.from(content);
      const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
      copy.set(bytes);
      return [name, copy] as const;
    });
    await loads({ program, files: new Map(shared) });
  });

  test('is refused with other labels, by the digest of program.json itself', async () => {
    const { program, files } = tiny();
    const error = await refused({ program: { ...program, labels: ['ant', 'bee', 'dog', 'cat'] }, files });
    expect(error).toBeInstanceOf(ProgramFileError);
    expect(error.message).toMatch(/program\.json: was changed or damaged/);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['no files', { program: tiny().program }],
    ['files as an object', { program: tiny().program, files: {} }],
  ])('is an input error for %s', async (_, source) => {
    expect(await refused(source as Source)).toBeInstanceOf(InputError);
  });

  test('is a file error where a file is no bytes', async () => {
    const { program, files } = tiny();
    for (const content of [null, 7, [1, 2], {}]) {
      const error = await refused({ program, files: new Map([...files, ['scale.wgsl', content as never]]) });
      expect(error).toBeInstanceOf(ProgramFileError);
    }
  });

  test('loads unsealed while its files are still made, and is checked in all else', async () => {
    const { program, files } = tiny();
    const { digest: _, files: __, ...open } = program;
    const made: ProgramFiles = {
      open: async (name) => {
        const bytes = Buffer.from(files.get(name)!);
        return { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
      },
    };
    await loads('', loadUnsealed(open, made, { device: gpu.device }));
    const error = await refusal(loadUnsealed({ ...open, entries: [] }, made, { device: gpu.device }));
    expect(error).toBeInstanceOf(ProgramFileError);
  });

  test('the compiler seals it as the tests do', async () => {
    const { program, files } = tiny();
    const { digest: _, files: __, ...open } = program;
    expect(await seal(open, await Promise.all([...files].map(([name, c]) => fileEntry(name, c))))).toEqual(program);
  });
});

test('a page that is no secure context is told that it has no WebGPU', async () => {
  vi.stubGlobal('crypto', {});
  try {
    const error = await refused(tiny());
    expect(error).toBeInstanceOf(NoAdapterError);
    expect(error.help).toMatch(/https/);
  } finally {
    vi.unstubAllGlobals();
  }
});
