/** `merge` on the example, and what commands say of what they ignore or change. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratch, vitSpec } from '../api/support.js';
import { cli, expectNothingWritten, expectRefused, FASHION } from './support.js';

const folder = scratch();
const spec = join(FASHION, 'lora.peft');
const five = join(FASHION, 'images', 'digits', '5');

describe('merge', () => {
  test('writes a checkpoint that compiles without the adapter', async () => {
    const out = join(folder, 'merged');
    const merged = await cli('merge', spec, '-o', out, '--json');
    expect(merged.code).toBe(0);
    expect(JSON.parse(merged.out)).toMatchObject({ layout: 'huggingface' });
    const plain = join(folder, 'plain.peft');
    writeFileSync(plain, 'use std\nmodel Digits {\n  base = vit_auto() from "./merged"\n  head = classify(base)\n}\n');
    expect((await cli('compile', plain, '-o', join(folder, 'again'), '--batch', '1')).code).toBe(0);
    const program = join(folder, 'program');
    expect((await cli('compile', spec, '-o', program, '--batch', '1')).code).toBe(0);
    const picture = join(five, readdirSync(five)[0]!);
    const [a, b] = [
      await cli('run', program, picture, '--json'),
      await cli('run', join(folder, 'again'), picture, '--json'),
    ];
    const of = (ended: { out: string }) =>
      (JSON.parse(ended.out) as { classes: { label: string; probability: number }[] }[])[0]!.classes;
    expect(of(b).map((c) => c.label)).toEqual(of(a).map((c) => c.label));
    for (const [i, c] of of(b).entries()) expect(c.probability).toBeCloseTo(of(a)[i]!.probability, 4);
  });

  test('never writes over the base, nor weights that are not finite', async () => {
    cpSync(FASHION, join(folder, 'fashion'), { recursive: true });
    const own = join(folder, 'fashion', 'lora.peft');
    const base = join(folder, 'fashion', 'vit-fashion');
    const before = readFileSync(join(base, 'model.safetensors'));
    const onto = await cli('merge', own, '-o', base);
    expectRefused(onto, 2, 'ESP0906');
    expect(readFileSync(join(base, 'model.safetensors'))).toEqual(before);
    // What merge wrote, it may write again.
    const out = join(folder, 'fashion', 'merged');
    for (let i = 0; i < 2; i++) expect((await cli('merge', own, '-o', out)).code).toBe(0);
    // A configuration of the base that is no longer there is not of the new one.
    expect(readdirSync(out).sort()).toEqual(['config.json', 'model.safetensors', 'preprocessor_config.json']);
    rmSync(join(base, 'preprocessor_config.json'));
    expect((await cli('merge', own, '-o', out)).code).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['config.json', 'model.safetensors']);

    const adapter = join(folder, 'fashion', 'adapters', 'lora-mnist', 'adapter_model.safetensors');
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const bytes = readFileSync(adapter);
      bytes.writeFloatLE(value, bytes.length - 4);
      writeFileSync(adapter, bytes);
      for (const command of ['merge', 'compile']) {
        const ended = await cli(command, own, '-o', join(folder, 'none'));
        expectRefused(ended, 1, 'ESP0518');
        expect(ended.err).toMatch(/holds NaN or infinite values:\n.*: 1 of \d+ elements/);
        expectNothingWritten(folder, 'none');
      }
    }
  });

  test('refuses a model without weights', async () => {
    const bare = join(folder, 'bare.peft');
    writeFileSync(
      bare,
      'use std\nmodel M {\n  base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n  head = classify(base, classes: 2)\n}\n',
    );
    expectRefused(await cli('merge', bare, '-o', join(folder, 'none')), 1, 'ESP0918');
    expectNothingWritten(folder, 'none');
  });
});

describe('what a command ignores or changes, it says', () => {
  const path = join(folder, 'ignored.peft');
  const body = `in base.blocks[*] {
    prune mlp.fc1 with magnitude(sparsity: 50%)
    adapt mlp.fc1 with ssf()
  }`;

  test.each([
    ['check', []],
    ['inspect', []],
    ['compile', ['-o', join(folder, 'ignored-program'), '--no-golden']],
    ['merge', ['-o', join(folder, 'ignored-merged')]],
  ])('%s: a `train` block', async (command, options) => {
    writeFileSync(
      path,
      `${vitSpec('vit-shards', body).text}\ntrain Tiny {\n  optimizer = adamw()\n  schedule = cosine(epochs: 2)\n}\n`,
    );
    const { code, err } = await cli(command, path, ...options);
    expect(code).toBe(0);
    // What training is to do is checked, and changes nothing of what is done here.
    expect(err).not.toMatch(/`train|ESP02/);
  });

  test('merge: the zeros that it wrote, as text and as JSON', async () => {
    const out = join(folder, 'zeros-merged');
    writeFileSync(path, vitSpec('vit-shards', body).text);
    expect((await cli('merge', path, '-o', out)).out).toMatch(
      /zeros +2,048 of 4,096 weights \(50\.00%\) are zero in 2 pruned tensors/,
    );
    const { zeros } = JSON.parse((await cli('merge', path, '-o', out, '--json')).out);
    expect(zeros).toMatchObject({ elements: 4096, before: 2048, zeros: 2048, filled: 0 });
  });
});
