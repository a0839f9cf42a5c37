/** Specs that are wrong in every way that the issue names: a message with a code at the right place, and nothing written. */
import { appendFileSync, cpSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { FIXTURES, random, scratch } from '../api/support.js';
import { cli, expectNothingWritten, expectRefused, FASHION } from './support.js';

const folder = scratch();
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
/** A model with `body` below its head. */
const model = (body: string) => `use std
model M {
  base = vit(image: 8, patch: 4, dim: 8, depth: 2, heads: 2)
  head = classify(base, classes: 2)
  ${body}
}
`;

describe('compile refuses', () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ['an empty spec', '', /declares no model/],
    ['a binary spec', Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) % 256), /ESP0111/],
    ['a spec of 10 MB', `${'// padding\n'.repeat(1_000_000)}`, /ESP0110/],
    ['rank 0', model('adapt base.blocks[*].mlp.fc1 with lora(rank: 0)'), /rank must be at least 1/],
    ['a negative sparsity', model('prune base.blocks[*].mlp.fc1 with magnitude(sparsity: -10%)'), /sparsity/],
    ['a sparsity above 100%', model('prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 101%)'), /sparsity/],
    ['2:0', model('prune base.blocks[*].mlp.fc1 with magnitude(pattern: 2:0)'), /2:0/],
    ['a selector that matches nothing', model('adapt base.blocks[*].mlp.fc9 with lora(rank: 1)'), /fc9[\s\S]*fc1/],
    ['an unknown adapter', model('adapt base.blocks[*].mlp.fc1 with lorra(rank: 1)'), /lorra[\s\S]*lora/],
    ['an unknown option', model('adapt base.blocks[*].mlp.fc1 with lora(rnak: 1)'), /rnak[\s\S]*rank/],
    ['heads that do not divide', model('').replace('heads: 2', 'heads: 3'), /heads must divide dim/],
    ['a layer larger than any memory', model('').replace('dim: 8', 'dim: 100000000'), /GiB come from no file/],
    ['an unknown setting', `${model('')}deploy M {\n  bacth = [1]\n}\n`, /Did you mean `batch`/],
    ['a batch of 0', `${model('')}deploy M {\n  batch = [0]\n}\n`, /batch/],
    ['weights that are not there', model('').replace('heads: 2)', 'heads: 2) from "./nowhere"'), /nowhere/],
  ])('%s', async (name, content, message) => {
    const path = write('spec.peft', content);
    const ended = await cli('compile', path, '-o', join(folder, 'out'));
    expect(ended.err, name).toMatch(/^error\[ESP0[1-8]\d\d\]|error\[ESP09(14|12)\]/m);
    expect(ended.err).not.toContain('ESP0900');
    expect(ended.err).toMatch(message);
    expect(ended.out).toBe('');
    expect([1, 2]).toContain(ended.code);
    expectNothingWritten(folder, 'out');
  });

  test('a file that holds no masks, at the statement that names it', async () => {
    const other = new Map([['base.blocks.0.mlp.fc1.weight', storeTensor(random('w', [1]))]]);
    write('not-masks.safetensors', encodeSafetensors(other, { format: 'espalier.mask', version: '1' }));
    const prune = 'prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%) from "./not-masks.safetensors"';
    const ended = await cli('compile', write('spec.peft', model(prune)), '-o', join(folder, 'out'));
    expect(ended.err).toMatch(/error\[ESP0516\][\s\S]*spec\.peft:5:\d+[\s\S]*loaded here/);
    expect(ended.code).toBe(1);
    expectNothingWritten(folder, 'out');
  });

  test('a cyclic use', async () => {
    write('a.peft', `use "./b.peft"\n${model('')}`);
    write('b.peft', 'use "./a.peft"\n');
    const ended = await cli('compile', join(folder, 'a.peft'), '-o', join(folder, 'out'));
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/error\[ESP02\d\d\].*(cycl|uses? itself|circle)/i);
    expectNothingWritten(folder, 'out');
  });

  test.each<[string[], string, number]>([
    [['--set', 'depth=3'], 'ESP0', 1],
    [['--adapters', 'melted'], 'ESP0912', 2],
    [['--weights', 'f8'], 'ESP0912', 2],
    [['--batch', '0'], 'ESP0912', 2],
    [['--batch', '1,x'], 'ESP0912', 2],
    [['--emit', 'after:magic'], 'ESP0904', 2],
    [['--model', 'Other'], 'ESP0', 1],
  ])('%j', async (options, code, exit) => {
    const ended = await cli('compile', write('good.peft', model('')), '-o', join(folder, 'out'), ...options);
    expect(ended.err).toContain(`error[${code}`);
    expect(ended.out).toBe('');
    expect(ended.code).toBe(exit);
    expectNothingWritten(folder, 'out');
  });

  test('a folder that is something else', async () => {
    const ended = await cli('compile', write('good.peft', model('')), '-o', FIXTURES);
    expectRefused(ended, 2, 'ESP0906');
    expectNothingWritten(FIXTURES, 'program.json');
  });
});

describe('weights that are damaged', () => {
  const checkpoint = (name: string, damage: (weights: string) => void) => {
    cpSync(join(FASHION, 'vit-fashion'), join(folder, name), { recursive: true });
    damage(join(folder, name, 'model.safetensors'));
    return write(
      `${name}.peft`,
      `use std\nmodel M {\n  base = vit_auto() from "./${name}"\n  head = classify(base)\n}\n`,
    );
  };

  test.each<[string, (weights: string) => void, RegExp]>([
    ['cut', (weights) => truncateSync(weights, 100_000), /cut off|truncated|has 100,000/],
    ['shorter', (weights) => truncateSync(weights, 5), /ESP050/],
    ['longer', (weights) => appendFileSync(weights, 'tail'), /ESP050/],
    ['text', (weights) => writeFileSync(weights, 'these are not weights, but a text'), /ESP050/],
    ['nothing', (weights) => writeFileSync(weights, ''), /ESP050/],
  ])('%s', async (name, damage, message) => {
    const spec = checkpoint(name, damage);
    for (const command of ['compile', 'merge']) {
      const ended = await cli(command, spec, '-o', join(folder, 'out'));
      expect(ended.err).toMatch(/error\[ESP05\d\d\]/);
      expect(ended.err).toMatch(message);
      expect(ended.code).toBe(1);
      expectNothingWritten(folder, 'out');
    }
  });
});
