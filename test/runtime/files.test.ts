/** A program's files: missing, truncated, lying, changed at random. Each is a typed error that names the file. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProgramFileError, RuntimeError } from '../../runtime/errors.js';
import { parseProgram } from '../../runtime/program/check.js';
import { bytesFile } from '../../runtime/program/files.js';
import type { Program } from '../../runtime/program/program.js';
import { readSafetensors } from '../../runtime/program/safetensors.js';
import { load } from '../../runtime/session.js';
import { defineConstants, nullDevice } from '../fuzz/device.js';
import { sealed, type Tiny, tinyProgram, withDigest } from './program.js';
import { failure, useDevice } from './sessions.js';

const on = useDevice();

describe('a folder', () => {
  const without = (tiny: Tiny, file: string): Tiny => ({
    ...tiny,
    files: new Map([...tiny.files].filter(([name]) => name !== file)),
  });
  const weights = tinyProgram().files.get('weights.safetensors') as Uint8Array;
  const lying = weights.slice();
  new DataView(lying.buffer).setBigUint64(0, 1n << 60n, true);
  const changed = (change: (program: Program) => Program): Tiny => {
    const tiny = tinyProgram();
    return sealed(change(tiny.program), tiny.files);
  };

  test.each<[string, Tiny, RegExp]>([
    ['missing WGSL', without(tinyProgram(), 'scale.wgsl'), /scale\.wgsl: is missing/],
    ['missing weights', without(tinyProgram(), 'weights.safetensors'), /weights\.safetensors: is missing/],
    ['missing golden file', without(tinyProgram(), 'golden.safetensors'), /golden\.safetensors: is missing/],
    ['truncated weights', tinyProgram({ files: { 'weights.safetensors': weights.slice(0, -4) } }), /past the end/],
    ['truncated header', tinyProgram({ files: { 'weights.safetensors': weights.slice(0, 20) } }), /header claims/],
    ['empty weights', tinyProgram({ files: { 'weights.safetensors': new Uint8Array(0) } }), /has 0 bytes/],
    ['a header that lies', tinyProgram({ files: { 'weights.safetensors': lying } }), /header claims/],
    [
      'a weight too short',
      changed((p) => ({ ...p, weights: p.weights.map((w) => ({ ...w, bytes: 32 })) })),
      /has 16 bytes, program\.json says 32/,
    ],
    [
      'a weight that no file holds',
      changed((p) => ({ ...p, weights: [...p.weights, { ...p.weights[0]!, name: 'c' }] })),
      /lacks c/,
    ],
    ['another format', changed((p) => ({ ...p, format: 'zip' }) as unknown as Program), /not an Espalier program/],
    [
      'another version',
      changed((p) => ({ ...p, version: 1 }) as unknown as Program),
      /version 1; this runtime reads version 7/,
    ],
    [
      'a version that no text can be made of',
      changed((p) => ({ ...p, version: { toString: 3 } }) as unknown as Program),
      /no version number; this runtime reads version 7/,
    ],
    ['no entries', changed((p) => ({ ...p, entries: [] })), /malformed at `entries`: expected >=1, found 0/],
    ['nothing in it', { program: null as unknown as Program, files: new Map() }, /not an Espalier program/],
    [
      'a binding past its buffer',
      changed((p) => ({ ...p, entries: p.entries.map((e) => ({ ...e, slabs: [{ bytes: 16, samples: false }] })) })),
      /binds bytes 256\.\.272 of the 16 of its arena/,
    ],
    [
      'a golden input without rows',
      changed((p) => ({ ...p, golden: { ...p.golden!, rows: 0 } })),
      /malformed at `golden.rows`: expected >=1, found 0/,
    ],
    [
      'a golden file with fewer rows than it should have',
      changed((p) => ({ ...p, golden: { ...p.golden!, rows: 4 } })),
      /golden\.safetensors: `x` is not 64 bytes of f32/,
    ],
    [
      'a kernel without a portable variant',
      tinyProgram({ portable: { features: ['subgroups'] } }),
      /kernel `scale` has no portable variant/,
    ],
    ['a kernel that is not there', changed((p) => ({ ...p, kernels: p.kernels.slice(0, 1) })), /names kernel 1 of 1/],
  ])('refuses %s', async (_, tiny, message) => {
    const error = await failure(load(tiny, { device: on.device }));
    expect(error).toBeInstanceOf(ProgramFileError);
    expect(error.message).toMatch(message);
  });

  test('refuses a folder that is not there', async () => {
    const error = await failure(load('/nowhere/at all/50%', { device: on.device }));
    expect(error).toBeInstanceOf(ProgramFileError);
    expect(error.message).toMatch(/program\.json: is missing/);
  });
});

describe('damaged files', () => {
  const weights = tinyProgram().files.get('weights.safetensors') as Uint8Array;
  const text = JSON.stringify(tinyProgram().program);
  const typed = (error: unknown) => {
    if (!(error instanceof ProgramFileError)) throw error;
  };

  test('a safetensors file with bytes changed is read or refused', async () => {
    const change = fc.tuple(fc.nat(weights.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(weights.length),
        async (changes, cut) => {
          const bytes = weights.slice(0, cut % 3 === 0 ? cut : undefined);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          const tensors = await readSafetensors('x', bytesFile(bytes)).catch(typed);
          for (const { start, end } of tensors?.values() ?? []) expect(start <= end && end <= bytes.length).toBe(true);
        },
      ),
      { numRuns: 10_000 },
    );
  });

  test('a safetensors header of any JSON is read or refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (json) => {
        const header = new TextEncoder().encode(json);
        const bytes = new Uint8Array(8 + header.length + 4);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
        bytes.set(header, 8);
        await readSafetensors('x', bytesFile(bytes)).catch(typed);
      }),
      { numRuns: 5_000 },
    );
  });

  test('a program.json with characters changed is read or refused', () => {
    const pieces = fc.constantFrom('', '{', '}', '[', ']', '"', ',', '-', '9', '1e9', 'null', '"../x"', '0.5', 'true');
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(12), pieces, (at, length, piece) => {
        try {
          parseProgram(text.slice(0, at) + piece + text.slice(at + length));
        } catch (error) {
          typed(error);
        }
      }),
      { numRuns: 10_000 },
    );
  });

  /** Everything that a JSON value holds, by its path; itself first. */
  function* places(value: unknown, path: readonly (string | number)[] = []): Iterable<readonly (string | number)[]> {
    yield path;
    if (typeof value !== 'object' || value === null) return;
    const inside = Array.isArray(value) ? value.entries() : Object.entries(value);
    for (const [key, part] of inside) yield* places(part, [...path, key]);
  }
  const ODD: readonly unknown[] = [
    ...[null, true, '', 'x', 'a', '__proto__', 'constructor', '../x', [], {}, [0], [null], { length: 2 }],
    ...[0, -1, -0, 1, 2, 3, 0.5, 256, 257, 65536, 2 ** 31, 2 ** 53, 1e308, 'read', 'weight', 'f16'],
  ];
  const GONE = Symbol('gone');
  /** A deep copy with another value at a path, or without what is there. */
  function changedAt(value: unknown, path: readonly (string | number)[], to: unknown): unknown {
    const copy: unknown = structuredClone(value);
    let at = copy as Record<string | number, unknown>;
    if (path.length === 0) return to === GONE ? undefined : to;
    for (const key of path.slice(0, -1)) at = at[key] as typeof at;
    const last = path.at(-1)!;
    if (to !== GONE) at[last] = to;
    else if (Array.isArray(at)) at.splice(Number(last), 1);
    else delete at[last];
    return copy;
  }
  /** Loads a program with the digests that it should have, on a device that only looks at what it is asked for. */
  async function taken(json: unknown, files: Tiny['files']): Promise<boolean> {
    try {
      const source = { program: withDigest(json as Program), files };
      const session = await load(source, { device: nullDevice(), golden: false });
      await session.warmup();
      session.dispose();
      return true;
    } catch (error) {
      // What the form allows and the device does not (a limit, a binding) is as typed as the rest.
      if (!(error instanceof RuntimeError)) throw error;
      return false;
    }
  }

  test('a program.json with any other value anywhere, or without it, is read or refused', async () => {
    defineConstants();
    const { program, files } = tinyProgram({ samples: 4, labels: ['a', 'b', 'c', 'd'], variants: [] });
    const whole: unknown = { ...program, preprocess: [{ step: 'resize', size: 4, filter: 'bilinear' }] };
    const paths = [...places(whole)];
    let cases = 0;
    let accepted = 0;
    for (const path of paths) {
      for (const to of [...ODD, GONE]) {
        cases++;
        if (await taken(changedAt(whole, path, to), files)) accepted++;
      }
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(paths.length - 1), fc.nat(ODD.length)), { minLength: 2, maxLength: 3 }),
        async (changes) => {
          let json = whole;
          for (const [at, to] of changes) {
            const existing = [...places(json)];
            json = changedAt(json, existing[at % existing.length]!, to === ODD.length ? GONE : ODD[to]);
          }
          cases++;
          if (await taken(json, files)) accepted++;
        },
      ),
      { numRuns: 15_000 },
    );
    expect(cases).toBeGreaterThan(20_000);
    // Names and figures that nothing is checked against may be others; nearly all else may not.
    expect(accepted).toBeGreaterThan(0.005 * cases);
    expect(accepted).toBeLessThan(0.2 * cases);
  });

  test('a file outside the folder is not read', () => {
    for (const file of [
      '../secret',
      '/etc/passwd',
      'file:///etc/passwd',
      'a/../../b',
      '..',
      'https://elsewhere/x',
      '',
    ]) {
      const outside = { ...tinyProgram().program, weightFiles: [file] };
      expect(() => parseProgram(JSON.stringify(outside)), file).toThrow(/malformed at `weightFiles.0`: expected/);
    }
  });
});
