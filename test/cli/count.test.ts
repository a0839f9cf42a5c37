/** `count` on pictures, folders of them, and what is none. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { scratch } from '../api/support.js';
import { compileCounter } from '../counting/support.js';
import { cli, expectRefused } from './support.js';

const folder = scratch();
const pictures = join(folder, 'pictures');
let program = '';
const white = async (path: string, width: number, height: number): Promise<void> => {
  const pixels = { width, height, channels: 3, background: '#fff' } as const;
  await sharp({ create: pixels }).png().toFile(path);
};
beforeAll(async () => {
  program = await compileCounter(folder, 'normalize(mean: 0, std: 1)');
  mkdirSync(join(pictures, 'more'), { recursive: true });
  await white(join(pictures, 'a.png'), 20, 10);
  await white(join(pictures, 'more', 'a.png'), 30, 20);
});

describe('count', () => {
  test('prints a line for each picture, and the sum', async () => {
    const { code, out, err } = await cli('count', program, pictures);
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(out.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, ' '))).toEqual([
      'count tiles image',
      `200.0 1 ${join(pictures, 'a.png')}`,
      `600.0 4 ${join(pictures, 'more', 'a.png')}`,
      '800.0 in 2 pictures',
      '',
    ]);
  });

  test('says the same as JSON and CSV', async () => {
    const json = JSON.parse((await cli('count', program, pictures, '--json')).out) as {
      image: string;
      count: number;
      tiles: number;
    }[];
    expect(json.map(({ image, tiles }) => [image, tiles])).toEqual([
      [join(pictures, 'a.png'), 1],
      [join(pictures, 'more', 'a.png'), 4],
    ]);
    expect(json[0]!.count).toBeCloseTo(200, 2);
    const csv = (await cli('count', program, pictures, '--csv')).out.trim().split('\n');
    expect(csv[0]).toBe('image,count,tiles,overlay');
    expect(csv.slice(1).map((line) => Number(line.split(',')[1]))).toEqual(json.map((r) => r.count));
  });

  test('draws each picture, also several of one name', async () => {
    const out = join(folder, 'drawn', 'here');
    const { code, out: said } = await cli('count', program, pictures, '-o', out, '--json');
    expect(code).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['a-2.count.png', 'a.count.png']);
    const overlays = (JSON.parse(said) as { overlay: string }[]).map((r) => r.overlay);
    expect(overlays).toEqual([join(out, 'a.count.png'), join(out, 'a-2.count.png')]);
    const { width, height } = await sharp(overlays[0]).metadata();
    expect(width).toBe(20 * Math.floor(768 / 20));
    expect(height).toBeGreaterThan(10 * Math.floor(768 / 20));
    // Again, over what is there.
    expect((await cli('count', program, pictures, '-o', out)).code).toBe(0);
    expect(readdirSync(out)).toHaveLength(2);
  });

  test('names what cannot be read, and counts the rest', async () => {
    const bad = join(folder, 'bad');
    mkdirSync(bad);
    writeFileSync(join(bad, 'a.png'), 'no picture');
    copyFileSync(join(pictures, 'a.png'), join(bad, 'b.png'));
    const ended = await cli('count', program, bad, '--csv');
    expect(ended.code).toBe(5);
    expect(ended.err).toMatch(/ESP0530[\s\S]*a\.png/);
    expect(ended.out.split('\n')).toHaveLength(3);
    const strict = await cli('count', program, join(bad, 'a.png'), '--strict');
    expectRefused(strict, 1, 'ESP0530');
  });

  test('refuses programs that give something else', async () => {
    for (const results of ['map: map, count: total', 'density: map, sum: total', 'density: total, count: map']) {
      const other = await compileCounter(folder, 'normalize(mean: 0, std: 1)', results);
      const ended = await cli('count', other, pictures, '-o', join(folder, 'none'));
      expectRefused(ended, 1, 'ESP1250');
      expect(ended.err).toMatch(/Bright gives .* \[b(, 1, 8, 12)?\], /);
    }
    expect(existsSync(join(folder, 'none'))).toBe(false);
  });

  test('refuses an output that cannot be written, before it counts', async () => {
    expectRefused(await cli('count', program, pictures, '-o', join(pictures, 'a.png')), 1, 'ESP0520');
    expect((await cli('count', program, pictures, '--csv', '--json')).out).toContain('ESP0922');
    expectRefused(await cli('count', join(folder, 'nothing'), pictures), 2, 'ESP0905');
  });

  test('names a picture with colours where the model takes none', async () => {
    const gray = await compileGray();
    const { code, err } = await cli('count', gray, join(pictures, 'a.png'));
    expect(code).toBe(5);
    expect(err).toMatch(/ESP0708[\s\S]*a\.png/);
  });
});

async function compileGray(): Promise<string> {
  return compileCounter(folder, 'normalize(mean: 0, std: 1)', 'density: map, count: total', 1);
}
