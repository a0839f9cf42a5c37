/**
 * Scenes to count in, with the truth beside: `npx tsx examples/crowd/scenes.ts DIR --train 64 --val 16 --test 32 --size 256 --seed 0`. Pictures are
 * DIR/train/0001.png and so on, points are in DIR/train.json, val.json and test.json. The same options give the same bytes on every machine.
 */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { EspalierError, InputError, render } from '../../src/api/index.js';
import { Draws } from '../../src/data/draws.js';
import { removeOnInterrupt } from '../../src/formats/node/interrupt.js';
import { removeLeftovers, temporary } from '../../src/formats/node/leftovers.js';
import { composeScene, type SceneOptions } from './compose.js';
import { KINDS, type Kind, openMaterial, SPLITS, type Split } from './cutouts.js';
import { encodePng } from './png.js';

export interface ScenesOptions extends SceneOptions {
  /** Scenes of each split. */
  readonly scenes: Readonly<Record<Split, number>>;
  readonly seed: number;
}

export interface Annotations {
  readonly images: readonly { readonly file: string; readonly points: readonly (readonly [number, number])[] }[];
}

/** For a size of 256; sizes of things go with it. */
export const DEFAULTS = {
  scenes: { train: 64, val: 16, test: 32 },
  size: 256,
  seed: 0,
  things: [5, 50],
  count: ['digits', 'garments'],
  others: ['coins', 'sweets'],
  distractors: 4,
  near: [24, 36],
  far: [0.45, 1],
  rotation: 15,
  apart: 0.6,
  visible: 0.4,
} as const satisfies ScenesOptions;

/**
 * Writes the scenes of all splits into a folder that is not there, or is empty: all of them, or none.
 * @throws InputError for options that mean nothing, and for a folder that holds something
 */
export async function writeScenes(
  folder: string,
  options: ScenesOptions,
): Promise<Readonly<Record<Split, Annotations>>> {
  judge(options);
  const target = resolve(folder);
  const there = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new InputError(`${folder} cannot be read: ${error.message}`, 'give a folder that is not there, or is empty');
  });
  if (there.length > 0)
    throw new InputError(`${folder} holds something already`, 'give a folder that is not there, or is empty');
  const material = await openMaterial();
  await mkdir(dirname(target), { recursive: true });
  removeLeftovers(target);
  const work = temporary(target);
  const done = removeOnInterrupt(work);
  try {
    const all: Partial<Record<Split, Annotations>> = {};
    for (const [epoch, split] of SPLITS.entries()) {
      await mkdir(join(work, split), { recursive: true });
      const images: { file: string; points: readonly (readonly [number, number])[] }[] = [];
      for (let i = 0; i < options.scenes[split]; i++) {
        const draws = new Draws({ seed: options.seed, epoch, purpose: 'sample', of: i });
        const { points, ...picture } = composeScene(material[split], options, draws);
        const file = `${split}/${String(i + 1).padStart(4, '0')}.png`;
        await writeFile(join(work, file), encodePng(picture));
        images.push({ file, points });
      }
      all[split] = { images };
      await writeFile(join(work, `${split}.json`), `${JSON.stringify({ images })}\n`);
    }
    await rename(work, target);
    return all as Record<Split, Annotations>;
  } finally {
    await rm(work, { recursive: true, force: true });
    done();
  }
}

function judge(options: ScenesOptions): void {
  const { size, things, near, far, scenes, seed } = options;
  const ranged = (name: string, [least, most]: readonly [number, number], from: number, to: number, whole: boolean) => {
    const right = [least, most].every((x) => x >= from && x <= to && (!whole || Number.isInteger(x))) && least <= most;
    if (!right)
      throw new InputError(`${name} is ${least} to ${most}`, `give two numbers, ${from} to ${to}, the lesser first`);
  };
  const single = (name: string, value: number, from: number, to: number, whole = true) => {
    const right = value >= from && value <= to && (!whole || Number.isInteger(value));
    if (!right) throw new InputError(`${name} is ${value}`, `give a ${whole ? 'whole ' : ''}number, ${from} to ${to}`);
  };
  single('size', size, 32, 4096);
  single('seed', seed, 0, 2 ** 32 - 1);
  for (const split of SPLITS) single(split, scenes[split], 0, 100_000);
  ranged('things', things, 0, 10_000, true);
  ranged('near', near, 4, size, false);
  ranged('far', far, 0.05, 1, false);
  single('distractors', options.distractors, 0, 10_000);
  single('rotation', options.rotation, 0, 180, false);
  single('apart', options.apart, 0, 4, false);
  single('visible', options.visible, 0, 1, false);
  if (options.count.length === 0) throw new InputError('nothing is counted', `give some of ${KINDS.join(', ')}`);
  const both = options.count.find((kind) => options.others.includes(kind));
  if (both !== undefined) throw new InputError(`${both} are counted, and are not`, 'name each kind once');
}

function pair(text: string): readonly [number, number] {
  const numbers = text.split(',').map(Number);
  return [numbers[0]!, numbers.length > 1 ? numbers[1]! : numbers[0]!];
}

function kinds(text: string): Kind[] {
  return text
    .split(',')
    .filter((name) => name !== '')
    .map((name) => {
      const kind = KINDS.find((k) => k === name);
      if (kind === undefined) throw new InputError(`there are no ${name} to show`, `there are ${KINDS.join(', ')}`);
      return kind;
    });
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      train: text,
      val: text,
      test: text,
      size: text,
      seed: text,
      things: text,
      count: text,
      others: text,
      distractors: text,
      near: text,
      far: text,
      rotation: text,
      apart: text,
      visible: text,
    },
  });
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0)
    throw new InputError(`${positionals.length} folders were named`, 'give one, which is written');
  const number = (name: keyof typeof values, other: number) =>
    values[name] === undefined ? other : Number(values[name]);
  const size = number('size', DEFAULTS.size);
  // Things are as large in the picture as they are in one of the usual size.
  const near = DEFAULTS.near.map((n) => (n * size) / DEFAULTS.size) as unknown as readonly [number, number];
  const { train, val, test } = DEFAULTS.scenes;
  const found = await writeScenes(folder, {
    scenes: { train: number('train', train), val: number('val', val), test: number('test', test) },
    size,
    seed: number('seed', DEFAULTS.seed),
    things: values.things === undefined ? DEFAULTS.things : pair(values.things),
    count: values.count === undefined ? DEFAULTS.count : kinds(values.count),
    others: values.others === undefined ? DEFAULTS.others : kinds(values.others),
    distractors: number('distractors', DEFAULTS.distractors),
    near: values.near === undefined ? near : pair(values.near),
    far: values.far === undefined ? DEFAULTS.far : pair(values.far),
    rotation: number('rotation', DEFAULTS.rotation),
    apart: number('apart', DEFAULTS.apart),
    visible: number('visible', DEFAULTS.visible),
  });
  for (const split of SPLITS) {
    const counts = found[split].images.map(({ points }) => points.length);
    const mean = counts.reduce((a, b) => a + b, 0) / counts.length;
    if (counts.length > 0)
      console.log(
        `${split.padEnd(6)}${counts.length} scenes, ${Math.min(...counts)} to ${Math.max(...counts)} things, ${mean.toFixed(1)} on average`,
      );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await main().catch((error: Error) => {
    process.exitCode = 1;
    if (error instanceof EspalierError)
      console.error(render(error.diagnostics, { texts: () => undefined, color: false }));
    else if (error instanceof InputError) console.error(`${error.message}\n  ${error.help}`);
    else if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) console.error(error.message);
    else throw error;
  });
