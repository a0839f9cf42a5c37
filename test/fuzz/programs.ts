/** The kind `program`: folders of compiled programs, changed, loaded and run on a device that only checks what it is asked. */

import { parseProgram } from '../../runtime/program/check.js';
import { load, type Session } from '../../runtime/session.js';
import { compile } from '../../src/api/compile.js';
import { copyProgram, sealed, tinyProgram } from '../runtime/program.js';
import { Broken, type Kind, outcomeOfError } from './case.js';
import { defineConstants, nullDevice } from './device.js';
import { type Files, memoryHost } from './host.js';
import { mutateBytes, mutateJson, mutateJsonText, someNumber, someString } from './mutate.js';
import type { Random } from './random.js';

defineConstants();

const encode = (content: string | Uint8Array): Uint8Array =>
  typeof content === 'string' ? new TextEncoder().encode(content) : content;
const folder = (files: ReadonlyMap<string, string | Uint8Array>): Files =>
  Object.fromEntries([...files].map(([name, content]) => [name, encode(content)]));
const tiny = ({ program, files }: ReturnType<typeof tinyProgram>): Files => ({
  ...folder(files),
  'program.json': encode(JSON.stringify(program)),
});

const SPEC = `use std
model M {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)
  head = classify(base, classes: ["a", "b"])
}
deploy M {
  batch = [1, 2]
}
`;
const FOLDERS: readonly Files[] = [
  tiny(tinyProgram()),
  tiny(tinyProgram({ samples: 4, labels: ['a', 'b', 'c', 'd'] })),
  tiny(
    copyProgram(
      [
        { step: 'resize', size: 4, filter: 'bilinear' },
        { step: 'crop', size: [3, 3] },
        { step: 'normalize', mean: [0.5], std: [0.5] },
      ],
      1,
      3,
      3,
    ),
  ),
  folder((await compile({ text: SPEC, path: 'spec.peft' }, { host: memoryHost() })).files),
];

/** What somebody may hand to `run`. */
function anyInput(random: Random): unknown {
  const shape = () => ({
    width: random.pick([1, 2, 8, 0, -1, 1.5, 'x', someNumber(random)]),
    height: random.pick([1, 2, 8, 0]),
  });
  const image = (): unknown =>
    random.pick([
      null,
      1,
      'x',
      {},
      [],
      { data: null, width: 1, height: 1 },
      { data: { bytes: 4 * 64 }, width: 8, height: 8 },
      { data: { bytes: random.below(300) }, ...shape() },
    ]);
  const values = (): unknown =>
    random.pick([
      null,
      1,
      [],
      [1, 2, 3, 4],
      { floats: 4 },
      { floats: 64 },
      { floats: random.below(20) },
      { ints: 4 },
      someString(random),
    ]);
  return random.weighted<() => unknown>([
    [1, () => random.pick([null, 0, 'x', [], {}, true, { image: null }, { images: null }, { tensors: null }])],
    [3, () => ({ image: image() })],
    [2, () => ({ images: Array.from({ length: random.below(4) }, image) })],
    [1, () => ({ images: random.pick([{}, 'xy', 3, { length: 2 }]) })],
    [3, () => ({ tensors: { [random.pick(['x', 'pixels', 'image', someString(random)])]: values() } })],
    [1, () => ({ tensors: random.pick([[], 'x', 3, { pixels: { floats: 64 }, more: 1 }]) })],
    [1, () => ({ image: image(), tensors: {}, images: [] })],
    [2, () => ({ tensors: { [random.pick(['x', 'pixels'])]: { floats: 4 * random.pick([1, 2, 16]) } } })],
    [2, () => ({ images: [{ data: { bytes: 4 * 64 }, width: 8, height: 8 }] })],
  ])();
}

/** JSON has no typed arrays: `{ floats: 4 }` stands for one. */
function revive(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(revive);
  const { floats, ints, bytes } = value as { floats?: number; ints?: number; bytes?: number };
  if (typeof floats === 'number') return new Float32Array(floats);
  if (typeof ints === 'number') return new Int32Array(ints);
  if (typeof bytes === 'number') return new Uint8Array(bytes);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]));
}

/** The folder with the digests of what it holds now; as it is where there is no program to put them into. */
function resealed(files: Files): Files {
  const { 'program.json': text, ...rest } = files;
  try {
    const { program: json } = sealed(JSON.parse(new TextDecoder().decode(text)), new Map(Object.entries(rest)));
    return { ...rest, 'program.json': encode(JSON.stringify(json)) };
  } catch {
    return files;
  }
}

export const program: Kind = {
  weight: 12,
  make(random) {
    const files: Record<string, Uint8Array> = { ...random.pick(FOLDERS) };
    const names = Object.keys(files);
    const json: unknown = JSON.parse(new TextDecoder().decode(files['program.json']));
    const name = random.chance(0.8) ? 'program.json' : random.pick(names);
    if (name === 'program.json')
      files[name] = mutateJsonText(random, random.chance(0.2) ? mutateJson(random, json) : json);
    else if (random.chance(0.1)) delete files[name];
    else files[name] = mutateBytes(random, files[name]!);
    // Most are given the digests that they should have, or nothing but those would be looked at.
    return { mode: random.pick(['', 'portable', 'golden']), files: random.chance(0.8) ? resealed(files) : files };
  },
  async run(files, mode) {
    const text = new TextDecoder().decode(files['program.json'] ?? new Uint8Array());
    const options = { device: nullDevice(), golden: mode === 'golden', portable: mode === 'portable' };
    const session = await load({ program: parseProgram(text), files: new Map(Object.entries(files)) }, options);
    await session.warmup();
    session.dispose();
    return [];
  },
};

const sessions = new Map<string, Promise<Session>>();
const sessionOf = (at: number): Promise<Session> => {
  const files = FOLDERS[at]!;
  const text = new TextDecoder().decode(files['program.json']);
  const made =
    sessions.get(text) ??
    load(
      { program: parseProgram(text), files: new Map(Object.entries(files)) },
      { device: nullDevice(), golden: false },
    );
  sessions.set(text, made);
  return made;
};

export const input: Kind = {
  weight: 4,
  make: (random) => ({
    mode: String(random.below(FOLDERS.length)),
    files: { 'input.json': new TextEncoder().encode(JSON.stringify(anyInput(random)) ?? 'null') },
  }),
  async run(files, mode) {
    const session = await sessionOf(Number(mode));
    const given = revive(JSON.parse(new TextDecoder().decode(files['input.json'])));
    const ran = await session.run(given as never).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (ran === undefined) return [];
    // A bad input is the caller's: whatever it was, the session goes on and says so by its type.
    const outcome = outcomeOfError(ran);
    if (outcome.kind === 'refused' && outcome.codes[0] !== 'ESP0708')
      throw new Broken(`an input was refused as ${outcome.codes[0]}`);
    throw ran;
  },
};
