/** The settings of `deploy` and `train`. */
import { describe, expect, it } from 'vitest';
import { explain } from '../../../src/diagnostics/explain.js';
import { rendered } from './helper.js';
import { tiny } from './tiny.js';

const messages = (more: string): string[] =>
  rendered(`use std\nmodel M {\n  base = vit_base_patch16()\n}\n${more}\n`).split('\n');

describe('settings', () => {
  it('have defaults', () => {
    const defaults = { adapters: 'auto', weights: 'f32', batch: [1], limits: 'baseline', prepare: 'cpu' };
    expect(tiny('').deploy).toEqual(defaults);
  });
  it.each(['deploy', 'train'])('of %s are all on the page about unknown ones', (block) => {
    const help = messages(`${block} M {\n  nonsense = 1\n}`).find((line) => line.includes('It has: '))!;
    const names = help
      .replace(/.*It has: /, '')
      .replace('.', '')
      .split(', ');
    expect(names.length).toBeGreaterThan(4);
    const [, page = ''] = explain('ESP0250')!.split(`\`${block}\` has:`);
    for (const name of names) expect(page).toMatch(new RegExp(`^ +${name} `, 'm'));
  });
  it('of deploy', () => {
    const more =
      'deploy M {\n  adapters = factored\n  weights = f16\n  batch = [1, 8]\n  limits = device\n  prepare = load\n}';
    expect(tiny('', {}, more).deploy).toEqual({
      adapters: 'factored',
      weights: 'f16',
      batch: [1, 8],
      limits: 'device',
      prepare: 'load',
    });
  });
  it('of train', () => {
    const more = `train M {
  data = images("flowers/", limit: 1000, test_limit: 200)
  order = balanced
  save = every(steps: 100)
  split_seed = 7
  corrupt = 20%
  augment = [crop(scale: [0.5, 1]), flip(50%)]
  optimizer = adamw(lr: 1e-3, weight_decay: 1e-4)
  groups = [group("head", lr: 1e-2), group("*.bias", weight_decay: 0)]
  schedule = cosine(epochs: 100, warmup: 10)
  loss = cross_entropy(smoothing: 10%)
  batch = 16
  seed = 42
  checkpoint = auto(memory: 2048)
}`;
    const body = '  head = classify(base, classes: 4)\n  tune head';
    const train = tiny(body, {}, more).train!;
    const { data, augment, batch, seed, epochs, accumulate, keep, groups, order, saveSteps, splitSeed } = train;
    const plain = ({ form, options }: { form: string; options: object }) => ({ form, ...options });
    expect(plain(data!)).toEqual({
      form: 'images',
      path: 'flowers/',
      limit: 1000,
      test_limit: 200,
    });
    expect({ order, saveSteps, splitSeed }).toEqual({ order: 'balanced', saveSteps: 100, splitSeed: 7 });
    expect(augment.map(plain)).toEqual([
      { form: 'crop', scale: [0.5, 1] },
      { form: 'flip', probability: 0.5 },
    ]);
    expect({ batch, seed, epochs, accumulate, keep }).toEqual({
      batch: 16,
      seed: 42,
      epochs: 100,
      accumulate: 1,
      keep: 2,
    });
    expect(train.corrupt).toBe(0.2);
    expect(train.checkpoint).toEqual({ kind: 'auto', bytes: 2 ** 31 });
    // The last group that a name fits has it.
    expect(groups.map(({ name, lr, params }) => ({ name, lr, params }))).toEqual([
      { name: 'adamw', lr: 1e-2, params: ['head.fc.weight'] },
      { name: 'adamw', lr: 1e-3, params: ['head.fc.bias'] },
    ]);
    expect(train.rate(1e-3, { epoch: 5, step: 0, steps: 1 })).toBeCloseTo(1e-5 + 0.5 * (1e-3 - 1e-5));
    expect(train.loss.inputs.map((v) => v.op === 'input' && v.attrs.name)).toEqual(['pixels', 'target']);
  });
  it('of what is kept of frozen parts, in MiB', () => {
    const cacheOf = (line: string) => {
      const more = `train M {\n  optimizer = adamw()\n  schedule = constant(epochs: 2)\n  ${line}\n}`;
      return tiny('  head = classify(base, classes: 4)\n  tune head', {}, more).train!.cache;
    };
    expect(cacheOf('')).toEqual({ memory: 1024 * 2 ** 20 });
    expect(cacheOf('cache = none')).toBeUndefined();
    expect(cacheOf('cache = auto')).toEqual({ memory: 1024 * 2 ** 20 });
    expect(cacheOf('cache = auto(memory: 0.5, folder: "./kept")')).toEqual({ memory: 2 ** 19, folder: './kept' });
  });
});
