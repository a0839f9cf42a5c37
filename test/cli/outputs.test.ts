/** What `run` and `eval` make of programs that are no classifiers: embeddings, numbers, several labels; on real images. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { topClasses } from '../../runtime/index.js';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { scratch } from '../api/support.js';
import { cli, expectRefused, FASHION, reseal } from './support.js';

const folder = scratch();
const digits = join(FASHION, 'images', 'digits');
const images = ['0', '7'].map((digit) => join(digits, digit, readdirSync(join(digits, digit))[0]!));
const embeddings = join(folder, 'embeddings');
const tokens = join(folder, 'tokens');

interface Printed {
  readonly image: string;
  readonly classes: readonly { label: string; probability: number }[];
  readonly number?: { label: string; value: number };
  readonly outputs: Record<string, { shape: number[]; values: (number | string)[] }>;
}
const printed = (text: string) => JSON.parse(text) as Printed[];

beforeAll(async () => {
  for (const [path, head] of [
    [embeddings, '  out = embedding(base)\n'],
    [tokens, ''],
  ] as const) {
    const spec = `${path}.peft`;
    writeFileSync(spec, `use std\nmodel E {\n  base = vit_auto() from "${FASHION}/vit-fashion"\n${head}}\n`);
    const { code, err } = await cli('compile', spec, '-o', path, '--batch', '1', '--no-golden');
    expect(`${code} ${err}`).toBe('0 ');
  }
});

describe('run of a program that gives embeddings', () => {
  test('prints shape, range and first values', async () => {
    const { code, out } = await cli('run', embeddings, ...images);
    expect(code).toBe(0);
    const number = '-?[\\d.]+(e-\\d+)?';
    const line = `  embedding +\\[\\d+\\] +${number} to ${number}, mean ${number}: (${number} ){6}\\.\\.\\.`;
    for (const image of images) expect(out).toMatch(new RegExp(`${image}\\n${line}`));
    expect(out).not.toContain('%');
  });

  test('as JSON, CSV, safetensors and npy: the same numbers with the same names', async () => {
    const json = printed((await cli('run', embeddings, ...images, '--json')).out);
    expect(json.map((j) => [j.image, j.classes])).toEqual(images.map((image) => [image, []]));
    const { shape, values } = json[1]!.outputs.embedding!;
    expect(shape).toEqual([values.length]);
    expect(values).not.toEqual(json[0]!.outputs.embedding!.values);

    const [head, ...rows] = (await cli('run', embeddings, ...images, '--csv')).out.trim().split('\n');
    expect(head!.split(',')).toHaveLength(1 + values.length);
    expect(head).toMatch(/^image,embedding\.0,embedding\.1,/);
    expect(rows[1]!.split(',').slice(1).map(Number)).toEqual(values);

    const path = join(folder, 'out.safetensors');
    expect((await cli('run', embeddings, ...images, '-o', path)).out).toBe(`2 images: wrote ${path}\n`);
    const source = await openFile(path);
    const store = await openSafetensors(source);
    expect(JSON.parse(store.metadata.images!)).toEqual(images);
    const { type, data } = await store.tensors.get('embedding')!.read();
    expect(type.shape).toEqual([2, values.length]);
    expect(Array.from(data as Float32Array).slice(values.length)).toEqual(values);
    await source.close?.();

    const array = join(folder, 'out.npy');
    await cli('run', embeddings, ...images, '-o', array);
    expect(readFileSync(join(folder, 'out.txt'), 'utf8')).toBe(images.map((i) => `${i}\n`).join(''));
    const file = readFileSync(array);
    const start = 10 + file.readUInt16LE(8);
    expect(start % 64).toBe(0);
    expect(file.subarray(1, 6).toString()).toBe('NUMPY');
    expect(file.subarray(10, start).toString()).toContain(
      `{'descr': '<f4', 'fortran_order': False, 'shape': (2, ${values.length}), }`,
    );
    expect(file.readFloatLE(start + 4 * values.length)).toBe(values[0]);
    expect(file.length).toBe(start + 8 * values.length);
  });

  test('refuses files of another kind, and several outputs in one array', async () => {
    expectRefused(await cli('run', embeddings, ...images, '-o', join(folder, 'out.csv')), 1, 'ESP1270');
    const two = join(folder, 'two.npy');
    const json = JSON.parse(readFileSync(join(tokens, 'program.json'), 'utf8')) as {
      entries: { outputs: { name: string }[] }[];
    };
    expect(json.entries[0]!.outputs).toHaveLength(1);
    const { OutputFile } = await import('../../src/api/node/outputs/outputs.js');
    const entry = { ...json.entries[0]!, outputs: [{ name: 'a' }, { name: 'b' }] };
    const session = { program: { ...json, entries: [entry] } } as unknown as ConstructorParameters<
      typeof OutputFile
    >[1];
    expect(() => new OutputFile(two, session)).toThrow(/ESP1271.*a, b/);
    expect(() => new OutputFile(`${two}.safetensors`, session)).not.toThrow();
  });
});

describe('eval by nearest neighbours', () => {
  const knn = (k: number, dir = embeddings, ...more: string[]) =>
    cli('eval', dir, digits, '--knn', String(k), '--train', digits, ...more);

  test('a picture is its own nearest one; of more the most votes count', async () => {
    const one = JSON.parse((await knn(1, embeddings, '--json')).out) as {
      accuracy: number;
      images: number;
      correct: number;
    };
    expect(one.accuracy).toBe(1);
    const many = JSON.parse((await knn(one.images, embeddings, '--json')).out) as { accuracy: number };
    expect(many.accuracy).toBeGreaterThan(0.1);
    const text = (await cli('eval', embeddings, digits, '--knn', '1', '--train', digits)).out;
    expect(text).toContain(`accuracy 100.0% (${one.images} of ${one.images})`);
  });

  test('refuses what has no vectors, more neighbours than pictures, and options that belong together', async () => {
    expectRefused(await knn(1, tokens), 1, 'ESP1272');
    expectRefused(await knn(100_000), 1, 'ESP1273');
    expectRefused(await cli('eval', embeddings, digits, '--knn', '3'), 2, 'ESP0922');
    expectRefused(await cli('eval', embeddings, digits, '--train', digits), 2, 'ESP0922');
    expectRefused(await cli('eval', embeddings, digits), 1, 'ESP0920');
  });
});

describe('an embedding without a direction', () => {
  test.each([
    ['zeros', '0 * base(pixels)[:, 0]'],
    ['numbers that are not finite', 'exp(abs(base(pixels)[:, 0]) + 1000)'],
  ])('%s: the picture is named', async (name, vector) => {
    const spec = join(folder, `${name}.peft`);
    const own = `module own(base: module) {\n  forward(pixels) {\n    embedding = ${vector}\n    embedding\n  }\n}\n`;
    writeFileSync(
      spec,
      `use std\n${own}model E {\n  base = vit_auto() from "${FASHION}/vit-fashion"\n  out = own(base)\n}\n`,
    );
    const path = join(folder, name);
    expect((await cli('compile', spec, '-o', path, '--batch', '1', '--no-golden')).code).toBe(0);
    const { code, err } = await cli('eval', path, digits, '--knn', '1', '--train', digits);
    expect(code).toBe(1);
    expect(err).toContain('ESP1274');
    expect(err).toMatch(/\d\/[^/]+\.png/);
  });
});

describe('labels that are no choice among all', () => {
  test('several at once have a probability each, one output is a number; neither is scored by folders of classes', async () => {
    const spec = join(folder, 'several.peft');
    writeFileSync(
      spec,
      `use std\nmodel E {\n  base = vit_auto() from "${FASHION}/vit-fashion"\n  head = classify(base)\n}\n`,
    );
    const path = join(folder, 'several');
    await cli('compile', spec, '-o', path, '--batch', '1', '--no-golden');
    await reseal(path, (program) => ({ ...program, several: true }));
    const [first] = printed((await cli('run', path, images[0]!, '--json')).out);
    const logits = first!.outputs.logits!.values as number[];
    for (const { label, probability } of first!.classes) {
      const { index } = topClasses(logits, undefined, 10, true).find((c) => c.probability === probability)!;
      expect(probability).toBeCloseTo(1 / (1 + Math.exp(-logits[index]!)), 6);
      expect(label).not.toBe('');
    }
    expectRefused(await cli('eval', path, digits), 1, 'ESP0521');

    const one = join(folder, 'one.peft');
    writeFileSync(
      one,
      `use std\nmodel E {\n  base = vit_auto() from "${FASHION}/vit-fashion"\n  head = classify(base, classes: ["age"])\n  tune head\n}\n`,
    );
    const regression = join(folder, 'one');
    await cli('compile', one, '-o', regression, '--batch', '1', '--no-golden');
    const [number] = printed((await cli('run', regression, images[0]!, '--json')).out);
    expect(number!.number).toEqual({ label: 'age', value: number!.outputs.logits!.values[0] });
    expect((await cli('run', regression, images[0]!)).out).toMatch(/\n {2}age +-?[\d.e-]+\n$/);
    expectRefused(await cli('eval', regression, digits), 1, 'ESP0521');
  });
});
