/** The schema, which is made of the checker's table, beside what is read: good documents fit it, and bad ones do not. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { convertSpec, specSchema } from '../../../src/dsl/json/index.js';
import { SETTINGS } from '../../../src/dsl/settings.js';
import { cli } from '../../cli/support.js';

const validate = new Ajv2020({ strict: true, strictTuples: false, allowUnionTypes: true }).compile(specSchema());

const errorsOf = (document: unknown): string[] =>
  validate(document) ? [] : validate.errors!.map((e) => `${e.instancePath} ${e.message}`);

const model = { name: 'M', body: [] };

describe('fits', () => {
  const examples = readdirSync('examples', { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.peft'));

  test.each(examples.sort())('examples/%s', (path) => {
    const text = readFileSync(join('examples', path), 'utf8');
    expect(errorsOf(JSON.parse(convertSpec(path, text, 'json').text))).toEqual([]);
  });

  test('whatever a setting may be, as it is converted', () => {
    const text = `train M {
  data = points("./x", format: coco, sigma: 4, kernel: n)
  augment = [crop([0.5, 1], ratio: [75%, 2]), cut, flip(n), rand_augment(colors: true)]
  loss = mean(prediction - target)
  optimizer = adamw
  groups = group("head", lr: 0.1)
  schedule = cosine(epochs: 3)
  save = every(steps: 10)
  cache = auto(folder: path, memory: 10)
  checkpoint = none
  batch = 2 * n
  clip = 0.5
  validation = 10%
  adapters = if a { b } else { c }
}

deploy M {
  batch = [n]
}
`;
    const json = JSON.parse(convertSpec('a.peft', text, 'json').text);
    expect(errorsOf(json)).toEqual([]);
    expect(json.train).toMatchObject({ batch: { $expr: '2 * n' }, cache: { auto: { folder: { $expr: 'path' } } } });
  });
});

describe('does not fit', () => {
  test.each<[string, unknown]>([
    ['a number', 3],
    ['an unknown section', { modle: model }],
    ['a model without a body', { model: { name: 'M' } }],
    ['a name that is none', { model: { name: 'M M', body: [] } }],
    ['a statement of two kinds', { model: { name: 'M', body: [{ tune: 'a', adapt: 'b' }] } }],
    ['a statement that lacks something', { model: { name: 'M', body: [{ adapt: 'a' }] } }],
    ['an empty selector', { model: { name: 'M', body: [{ tune: '' }] } }],
    ['a call of two things', { model: { name: 'M', body: [{ name: 'x', value: { f: [], g: [] } }] } }],
    ['arguments that are none', { model: { name: 'M', body: [{ name: 'x', value: { f: 3 } }] } }],
    ['an unknown setting', { model, deploy: { bacth: 1 } }],
    ['a setting of the other block', { model, deploy: { seed: 1 } }],
    ['an unknown word', { model, deploy: { weights: 'f8' } }],
    ['a batch of none', { model, deploy: { batch: 0 } }],
    ['a list of no batches', { model, deploy: { batch: [] } }],
    ['a number as a string', { model, train: { seed: '3' } }],
    ['a share of one', { model, train: { validation: 1 } }],
    ['a negative norm', { model, train: { clip: -1 } }],
    ['an unknown form', { model, train: { data: { image: ['./x'] } } }],
    ['an unknown option of a form', { model, train: { data: { images: { paths: './x' } } } }],
    ['too many arguments of a form', { model, train: { save: { every: [1, 2] } } }],
    ['an unknown word of an option', { model, train: { data: { images: { path: './x', format: 'folder' } } } }],
    ['a pair of three', { model, train: { augment: { crop: [[1, 2, 3]] } } }],
    ['an optimizer that is a number', { model, train: { optimizer: 3 } }],
  ])('%s', (_, document) => expect(errorsOf(document)).not.toEqual([]));

  test('any setting that the checker does not have, or one that has another kind of value', () => {
    for (const [block, table] of Object.entries(SETTINGS)) {
      for (const name of Object.keys(table)) {
        expect(errorsOf({ model, [block]: { [name]: { $expr: 'x' } } }), name).toEqual([]);
        expect(errorsOf({ model, [block]: { [`${name}_`]: { $expr: 'x' } } }), name).not.toEqual([]);
        expect(errorsOf({ model, [block]: { [name]: { a: [], b: [] } } }), name).not.toEqual([]);
      }
    }
  });
});

test('is printed by `espalier schema`, and lies in docs', async () => {
  const { out, code } = await cli('schema');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual(specSchema());
  // After a change of the table: npx tsx src/cli/main.ts schema > docs/spec.schema.json
  expect(readFileSync('docs/spec.schema.json', 'utf8')).toBe(out);
});
