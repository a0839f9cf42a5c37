/** `compile`, `run` and `eval` on the example, with real images and some that are not. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { figures } from '../../src/api/index.js';
import { confusionText } from '../../src/cli/commands/use.js';
import { scratch } from '../api/support.js';
import { child, cli, expectNothingWritten, expectRefused, FASHION, reseal } from './support.js';

const folder = scratch();
const spec = join(FASHION, 'lora.peft');
const program = join(folder, 'program');
const digits = join(FASHION, 'images', 'digits');
const image = (digit: number) => join(digits, String(digit), readdirSync(join(digits, String(digit)))[0]!);
let compiled: Awaited<ReturnType<typeof cli>>;
beforeAll(async () => {
  compiled = await cli('compile', spec, '-o', program, '--batch', '1');
});

describe('compile', () => {
  test('prints a summary', () => {
    expect(compiled.err).toBe('');
    expect(compiled.code).toBe(0);
    for (const line of [
      /parameters +[\d,]+ \([\d,]+ frozen, [\d,]+ trainable, [\d.]+%\)/,
      /lora merged at 8 sites/,
      /kernels +\d+ kernels, \d+ dispatches a pass of one image/,
      /FLOP/,
      /MiB of weights, [\d.]+ MiB in all with one image/,
      /difference \d\.\d+e-\d/,
    ]) {
      expect(compiled.out).toMatch(line);
    }
  });

  test('prints it as JSON, without warnings between', async () => {
    const { code, out } = await cli(
      'compile',
      spec,
      '-o',
      join(folder, 'json'),
      '--batch',
      '1',
      '--no-golden',
      '--json',
    );
    expect(code).toBe(0);
    const { summary, merged } = JSON.parse(out) as {
      summary: { parameters: { total: number } };
      merged: { state: string }[];
    };
    expect(summary.parameters.total).toBeGreaterThan(500_000);
    expect(merged.map((m) => m.state)).toEqual(Array.from({ length: 8 }, () => 'merged'));
    expect(existsSync(join(folder, 'json', 'golden.safetensors'))).toBe(false);
  });
});

test('two compilations into one folder: one is written, the other is told', async () => {
  const out = join(folder, 'contended');
  const ended = await Promise.all([1, 2].map(() => child('compile', spec, '-o', out, '--batch', '1', '--no-golden')));
  expect(ended.map((e) => e.code).sort()).toEqual([0, 1]);
  expect(ended.map((e) => e.err).join('')).toMatch(/error\[ESP0927\]: .*contended was written by another process/);
  expectNothingWritten(folder, '.tmp');
  expect((await cli('run', out, image(7))).code).toBe(0);
});

describe('run', () => {
  test('names the classes of an image, from a process of its own', async () => {
    const { code, out, err } = await child('run', program, image(7), '--top', '2');
    // Dawn itself says something about lavapipe's limits on standard error.
    expect(err.replaceAll(/^Warning: maxDynamic.*\n/gm, '')).toBe('');
    expect(code).toBe(0);
    expect(out).toMatch(/00\d+\.png\n {2}\d +\d+\.\d%\n {2}\d +\d+\.\d%\n$/);
    expect(out.split('\n')[1]).toMatch(/^ {2}7 /);
  });

  test('prints CSV and JSON with the same numbers', async () => {
    const csv = await cli('run', program, image(0), image(1), '--csv', '--top', '3');
    const rows = csv.out
      .trim()
      .split('\n')
      .map((line) => line.split(','));
    expect(rows[0]).toEqual(['image', 'rank', 'class', 'probability']);
    expect(rows).toHaveLength(7);
    const json = JSON.parse((await cli('run', program, image(0), image(1), '--json', '--top', '3')).out) as {
      image: string;
      classes: { label: string; probability: number }[];
    }[];
    expect(
      json.flatMap((r) => r.classes.map((c, i) => [r.image, String(i + 1), c.label, String(c.probability)])),
    ).toEqual(rows.slice(1));
    for (const { classes } of json)
      expect(classes.reduce((sum, c) => sum + c.probability, 0)).toBeLessThanOrEqual(1.000001);
  });

  test('takes 16-bit, CMYK, transparent and palette images', async () => {
    const pixels = await sharp(image(7)).greyscale().raw().toBuffer();
    const grey = () => sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } });
    await grey().toColourspace('grey16').png().toFile(join(folder, 'deep.png'));
    await grey().toColourspace('cmyk').jpeg({ quality: 100 }).toFile(join(folder, 'cmyk.jpg'));
    await grey().toColourspace('srgb').ensureAlpha(1).png().toFile(join(folder, 'alpha.png'));
    await grey().png({ palette: true }).toFile(join(folder, 'palette.png'));
    expect((await sharp(join(folder, 'deep.png')).metadata()).depth).toBe('ushort');
    expect((await sharp(join(folder, 'cmyk.jpg')).metadata()).space).toBe('cmyk');
    const names = ['deep.png', 'cmyk.jpg', 'alpha.png', 'palette.png'];
    const { code, out } = await cli('run', program, image(7), ...names.map((n) => join(folder, n)), '--json');
    expect(code).toBe(0);
    const [first, ...others] = JSON.parse(out) as {
      image: string;
      classes: { label: string; probability: number }[];
    }[];
    expect(first!.classes[0]!.label).toBe('7');
    for (const { image: path, classes } of others) {
      // CMYK and JPEG lose something; the others nothing that 8 bits hold.
      const near = basename(path) === 'cmyk.jpg' ? 0.2 : 0.005;
      expect(classes[0]!.label, path).toBe('7');
      expect(Math.abs(classes[0]!.probability - first!.classes[0]!.probability), path).toBeLessThan(near);
    }
  });

  test('names, counts and skips what is no image, and runs the others', async () => {
    writeFileSync(join(folder, 'text.png'), 'this is a text');
    writeFileSync(join(folder, 'empty.png'), '');
    writeFileSync(join(folder, 'half.png'), readFileSync(image(2)).subarray(0, 100));
    writeFileSync(
      join(folder, 'huge.svg'),
      '<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"></svg>',
    );
    const names = ['text.png', 'empty.png', 'half.png', 'absent.png', 'huge.svg'];
    const paths = names.map((n) => join(folder, n));
    const { code, out, err } = await cli('run', program, image(0), ...paths, image(1), '--json', '--top', '1');
    expect(code).toBe(5);
    expect((JSON.parse(out) as { image: string }[]).map((r) => r.image)).toEqual([image(0), image(1)]);
    for (const name of names)
      expect(err.match(new RegExp(`error\\[ESP05\\d\\d\\].*${name}`, 'g')), name).toHaveLength(1);
    expect(err).toMatch(/it is empty/);
    expect(err).toMatch(/ESP0532.*20000 x 20000/);
    expect(err).toMatch(/^5 that could not be read were skipped$/m);
    const none = await cli('run', program, paths[0]!, '--json');
    expect([none.code, JSON.parse(none.out)]).toEqual([5, []]);
    const strict = await cli('run', program, image(0), ...paths, '--strict');
    expectRefused(strict, 1, 'ESP0530');
    expect(strict.err).not.toContain('empty.png');
    expectRefused(await cli('run', program, '--strict', join(folder, 'absent.png')), 1, 'ESP0501');
  });

  test('prints results as they come', async () => {
    mkdirSync(join(folder, 'stream'));
    for (let i = 0; i < 70; i++) copyFileSync(image(7), join(folder, 'stream', `${i}.png`));
    writeFileSync(join(folder, 'stream', '68.png'), 'no image');
    for (const flag of ['--json', '--csv']) {
      const ended = await cli('run', program, join(folder, 'stream'), '--strict', '--top', '1', flag);
      // Those before it are out, and what went wrong does not stand between them.
      expect(ended.code).toBe(1);
      expect(ended.out.match(/\d+\.png/g)!.length).toBeGreaterThanOrEqual(60);
      expect(ended.out).not.toContain('ESP0530');
      expect(ended.err).toMatch(/ESP0530.*68\.png/);
    }
  });

  test('refuses what is no program, and arguments that are wrong', async () => {
    mkdirSync(join(folder, 'bare'));
    expectRefused(await cli('run', program, join(folder, 'bare')), 1, 'ESP0531');
    expectRefused(await cli('run', folder, image(0)), 2, 'ESP0905');
    expectRefused(await cli('run', join(folder, 'nowhere'), image(0)), 2, 'ESP0905');
    expectRefused(await cli('run', program, image(0), '--top', 'many'), 2, 'ESP0912');
    cpSync(program, join(folder, 'damaged'), { recursive: true });
    for (const text of ['', '{', '{"format": "espalier.program"}']) {
      writeFileSync(join(folder, 'damaged', 'program.json'), text);
      expectRefused(await cli('run', join(folder, 'damaged'), image(0)), 3, 'ESP0707');
    }
  });
});

describe('eval', () => {
  test('scores a folder of classes', async () => {
    const { code, out } = await cli('eval', program, digits, '--json');
    expect(code).toBe(0);
    const found = JSON.parse(out) as {
      images: number;
      correct: number;
      accuracy: number;
      confusion: number[][];
      classes: { label: string; support: number }[];
    };
    expect(found.images).toBe(20);
    expect(found.correct).toBeGreaterThanOrEqual(15);
    expect(found.correct).toBe(found.confusion.reduce((sum, row, i) => sum + row[i]!, 0));
    expect(found.confusion.map((row) => row.reduce((a, b) => a + b, 0))).toEqual(Array(10).fill(2));
    expect(found.classes.map((c) => c.label)).toEqual([...'0123456789']);
    const text = await cli('eval', program, digits, '--min', String(found.accuracy));
    expect(text.code).toBe(0);
    expect(text.out).toContain(`(${found.correct} of 20)`);
    expect(text.out).toMatch(/confusion \(rows: actual, columns: predicted\)/);
  });

  test('fails below the accuracy that was asked for', async () => {
    // A folder that says of a seven that it is a one.
    mkdirSync(join(folder, 'lies', '1'), { recursive: true });
    copyFileSync(image(7), join(folder, 'lies', '1', 'seven.png'));
    const ended = await cli('eval', program, join(folder, 'lies'), '--min', '0.5', '--csv');
    expect(ended.code).toBe(4);
    expect(ended.out).toMatch(/^class,images,precision,recall\n0,0,/);
  });

  test('tells classes of one name apart, or says that it cannot', async () => {
    cpSync(program, join(folder, 'cranes'), { recursive: true });
    await reseal(join(folder, 'cranes'), (p) => ({
      ...p,
      labels: p.labels!.map((label, i) => (i === 4 || i === 9 ? 'crane' : label)),
    }));
    mkdirSync(join(folder, 'birds', '7'), { recursive: true });
    copyFileSync(image(7), join(folder, 'birds', '7', 'a.png'));
    expect((await cli('eval', join(folder, 'cranes'), join(folder, 'birds'))).code).toBe(0);
    mkdirSync(join(folder, 'birds', 'crane'));
    copyFileSync(image(4), join(folder, 'birds', 'crane', 'a.png'));
    const ended = await cli('eval', join(folder, 'cranes'), join(folder, 'birds'));
    expectRefused(ended, 1, 'ESP0926');
    expect(ended.err).toMatch(/crane could be any of the classes 4, 9/);
  });

  test('gives as CSV nothing for what is not known, and of many classes the commonest confusions', async () => {
    mkdirSync(join(folder, 'one', '7'), { recursive: true });
    copyFileSync(image(7), join(folder, 'one', '7', 'seven.png'));
    const { out } = await cli('eval', program, join(folder, 'one'), '--csv');
    expect(out.split('\n')).toContain('0,0,,');
    expect(out.split('\n')).toContain('7,1,1,1');

    const labels = Array.from({ length: 40 }, (_, i) => `class ${i}`);
    const pairs = [[1, 1] as const, [3, 2] as const, [3, 2] as const, [5, 0] as const];
    const text = confusionText(figures(labels, pairs));
    expect(text).toMatch(/class 3 +class 2 +2\nclass 5 +class 0 +1$/);
    expect(confusionText(figures(labels, [[1, 1]]))).toMatch(/no confusion/);
  });

  test('scores the images that can be read, in folders and behind links, and says which were not', async () => {
    const set = join(folder, 'partly');
    mkdirSync(join(set, '7'), { recursive: true });
    copyFileSync(image(7), join(set, '7', 'good.png'));
    writeFileSync(join(set, '7', 'bad.png'), 'no image');
    symlinkSync(join(digits, '1'), join(set, '1'));
    symlinkSync(set, join(set, '7', 'circle'));
    symlinkSync(join(folder, 'nowhere'), join(set, '3'));
    const json = await cli('eval', program, set, '--json');
    expect(json.code).toBe(5);
    const found = JSON.parse(json.out) as {
      images: number;
      classes: { support: number }[];
      skipped: { path: string }[];
    };
    expect(found.images).toBe(3);
    expect(found.classes.map((c) => c.support)).toEqual([0, 2, 0, 0, 0, 0, 0, 1, 0, 0]);
    expect(found.skipped.map((s) => s.path)).toEqual([join(set, '3'), join(set, '7', 'bad.png')]);
    const text = await cli('eval', program, set, '--min', '0');
    expect([text.code, text.err.match(/error\[/g)?.length]).toEqual([5, 2]);
    expectRefused(await cli('eval', program, set, '--strict'), 1, 'ESP0501');
  });

  test('refuses folders that are no classes', async () => {
    expectRefused(await cli('eval', program, join(FASHION, 'images', 'clothes')), 1, 'ESP0921');
    expectRefused(await cli('eval', program, join(digits, '3')), 1, 'ESP0531');
    expectRefused(await cli('eval', program, digits, '--min', 'high'), 2, 'ESP0912');
  });
});
