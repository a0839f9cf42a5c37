/** The generator of examples/crowd: what is counted is there, and the same options give the same bytes. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { composeScene, type Scene, type SceneOptions } from '../../examples/crowd/compose.js';
import { type Material, openMaterial, SPLITS, type Split } from '../../examples/crowd/cutouts.js';
import { encodePng } from '../../examples/crowd/png.js';
import { type Annotations, DEFAULTS, type ScenesOptions, writeScenes } from '../../examples/crowd/scenes.js';
import { Draws } from '../../src/data/draws.js';
import { scratch } from '../api/support.js';

const folder = scratch();
const SMALL: ScenesOptions = {
  ...DEFAULTS,
  scenes: { train: 2, val: 1, test: 1 },
  size: 96,
  near: [10, 14],
  things: [3, 8],
};
const OPTIONS: SceneOptions = { ...DEFAULTS, distractors: 0 };
let material: Readonly<Record<Split, Material>>;
beforeAll(async () => {
  material = await openMaterial();
});

const draws = (of: number, seed = 0) => new Draws({ seed, epoch: 0, purpose: 'sample', of });
const scene = (of: number, change: Partial<SceneOptions> = {}): Scene =>
  composeScene(material.train, { ...OPTIONS, ...change }, draws(of));
/** All files of a written folder, with their bytes. */
const files = (at: string): Map<string, string> =>
  new Map(
    readdirSync(at, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(png|json)$/.test(name))
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(at, name)))
          .digest('hex'),
      ]),
  );

describe('a scene', () => {
  test('has a point where a thing was put, and nothing else is changed', () => {
    for (const kind of ['digits', 'garments', 'coins', 'sweets'] as const)
      for (let i = 0; i < 4; i++) {
        const change = { count: [kind], others: [], rotation: 0 };
        const [empty, one] = [scene(i, { ...change, things: [0, 0] }), scene(i, { ...change, things: [1, 1] })];
        expect(empty.points).toEqual([]);
        const [[x, y]] = one.points as [[number, number]];
        const [xs, ys]: [number[], number[]] = [[], []];
        for (let p = 0; p < 256 * 256; p++)
          if ([0, 1, 2].some((c) => Math.abs(one.data[3 * p + c]! - empty.data[3 * p + c]!) > 12)) {
            xs.push((p % 256) + 0.5);
            ys.push(Math.floor(p / 256) + 0.5);
          }
        expect(xs.length, `${kind} ${i}`).toBeGreaterThan(10);
        // A shadow falls to the right and below; ink is faint at its ends.
        const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
        expect(Math.abs((left + right) / 2 - x), `${kind} ${i}`).toBeLessThan(4);
        expect(Math.abs((top + bottom) / 2 - y), `${kind} ${i}`).toBeLessThan(4);
      }
  });

  test('counts each thing that is apart from the others', () => {
    for (let i = 0; i < 6; i++)
      expect(scene(i, { things: [12, 12], apart: 1.5, near: [16, 20] }).points).toHaveLength(12);
  });

  test('does not count what is hidden, by the share that is seen', () => {
    const crowd = { things: [120, 120], apart: 0, near: [40, 40], count: ['garments'] } as const;
    const counted = [0, 0.4, 0.8].map((visible) => scene(0, { ...crowd, visible }).points.length);
    expect(counted[0]).toBe(120);
    expect(counted[1]).toBeLessThan(120);
    expect(counted[2]).toBeLessThan(counted[1]!);
  });

  test('does not count what only distracts', () => {
    const counts = Array.from({ length: 8 }, (_, i) =>
      scene(i, { things: [4, 4], distractors: 30, apart: 1, near: [10, 12] }),
    );
    for (const { points } of counts) expect(points).toHaveLength(4);
    const without = scene(0, { things: [4, 4], others: [], apart: 1, near: [10, 12] });
    expect(counts[0]!.data).not.toEqual(without.data);
  });

  test('has larger things below than above, and fewer', () => {
    let [above, below] = [0, 0];
    for (let i = 0; i < 10; i++)
      for (const [, y] of scene(i, { things: [40, 40], far: [0.4, 0.4] }).points) y < 128 ? above++ : below++;
    expect(above).toBeGreaterThan(1.5 * below);
  });

  test('is the same on every machine: these are its pixels', () => {
    const { data, points } = scene(3, { things: [20, 20] });
    expect([createHash('sha256').update(data).digest('hex').slice(0, 16), points.length]).toMatchInlineSnapshot(`
      [
        "5dddf9b058a611a1",
        20,
      ]
    `);
  });

  test('is a PNG that others read', async () => {
    const picture = scene(1);
    const { data, info } = await sharp(encodePng(picture)).raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([256, 256, 3]);
    expect(Buffer.compare(data, picture.data)).toBe(0);
  });
});

test('nothing of the test split is in another one', () => {
  const bytes = (split: Split) => {
    const { things } = material[split];
    const rest = (['garments', 'coins', 'sweets'] as const).flatMap((kind) =>
      Array.from({ length: things[kind].count }, (_, i) => things[kind].cutout(i)),
    );
    return new Set(rest.map(({ data }) => Buffer.from(data).toString('base64')));
  };
  const [train, val, own] = SPLITS.map(bytes) as [Set<string>, Set<string>, Set<string>];
  expect(own.size).toBeGreaterThan(50);
  for (const other of [train, val]) expect([...own].filter((x) => other.has(x))).toEqual([]);
  for (const [i, ground] of material.test.grounds.entries())
    expect(ground.from).toBeGreaterThanOrEqual(material.train.grounds[i]!.to);
});

describe('a folder of scenes', () => {
  test('is the same for the same seed, and another for another', async () => {
    const written = await writeScenes(join(folder, 'a'), SMALL);
    await writeScenes(join(folder, 'b'), SMALL);
    await writeScenes(join(folder, 'c'), { ...SMALL, seed: 1 });
    const [a, b, c] = ['a', 'b', 'c'].map((name) => files(join(folder, name)));
    expect([...a!.keys()]).toEqual([
      'test.json',
      'test/0001.png',
      'train.json',
      'train/0001.png',
      'train/0002.png',
      'val.json',
      'val/0001.png',
    ]);
    expect(b).toEqual(a);
    for (const [name, hash] of c!) expect(hash, name).not.toBe(a!.get(name));
    for (const split of SPLITS) {
      const read = JSON.parse(readFileSync(join(folder, 'a', `${split}.json`), 'utf8')) as Annotations;
      expect(read).toEqual(written[split]);
      for (const { file, points } of read.images) {
        expect(existsSync(join(folder, 'a', file))).toBe(true);
        expect(points.length).toBeGreaterThan(0);
        for (const at of points.flat()) expect(at > 0 && at < 96).toBe(true);
      }
    }
  });

  test('is not written over what is there', async () => {
    const at = join(folder, 'full');
    mkdirSync(at);
    writeFileSync(join(at, 'mine.txt'), '');
    await expect(writeScenes(at, SMALL)).rejects.toThrow('holds something already');
    await expect(writeScenes(join(at, 'mine.txt'), SMALL)).rejects.toThrow('cannot be read');
    expect(readdirSync(at)).toEqual(['mine.txt']);
  });

  test.each([
    [{ size: 16 }, 'size is 16'],
    [{ seed: 0.5 }, 'seed is 0.5'],
    [{ scenes: { train: -1, val: 0, test: 0 } }, 'train is -1'],
    [{ things: [5, 2] as const }, 'things is 5 to 2'],
    [{ near: [1, 2] as const }, 'near is 1 to 2'],
    [{ far: [0.5, 2] as const }, 'far is 0.5 to 2'],
    [{ distractors: 1.5 }, 'distractors is 1.5'],
    [{ rotation: Number.NaN }, 'rotation is NaN'],
    [{ apart: -1 }, 'apart is -1'],
    [{ visible: 2 }, 'visible is 2'],
    [{ count: [] }, 'nothing is counted'],
    [{ others: ['digits'] as const }, 'digits are counted, and are not'],
  ])('is not written for %o', async (change, message) => {
    await expect(writeScenes(join(folder, 'refused'), { ...SMALL, ...change })).rejects.toThrow(message);
    expect(readdirSync(folder).filter((name) => name.includes('refused'))).toEqual([]);
  });

  test('is whole or not there at all', async () => {
    const broken: ScenesOptions = {
      ...SMALL,
      scenes: { train: 1, val: 0, test: 0 },
      count: ['digits', 'nothing' as never],
    };
    let failed = 0;
    for (let seed = 0; seed < 3; seed++)
      failed += await writeScenes(join(folder, `broken${seed}`), { ...broken, seed }).then(
        () => 0,
        () => 1,
      );
    expect(failed).toBeGreaterThan(0);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    const whole = readdirSync(folder).filter((name) => name.startsWith('broken'));
    expect(whole).toHaveLength(3 - failed);
  });
});
