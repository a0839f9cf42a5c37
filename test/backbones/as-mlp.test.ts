/** AS-MLP of the library on a file by the names of its authors' (`test/reference/make_asmlp.py`): the numbers, adapters, the way back. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import { compile } from '../../src/api/index.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { FIXTURES, host, randomAdapter, readTensors, scratch } from '../api/support.js';
import { codes } from '../dsl/semantics/helper.js';
import { type Case, specOf, testAdapters, testNumbers, testSizes } from './family.js';
import { adapted, expectMerge } from './support.js';

const FOLDER = join(FIXTURES, 'asmlp');
const folder = scratch();
const SIZES = 'image: 24, dim0: 12, depths: [2, 1]';
const classifier: Case = {
  name: 'classifier',
  base: `as_mlp_auto(${SIZES}, shift_size: 5)`,
  from: join(FOLDER, 'model.safetensors'),
  head: 'classify(base, classes: 5)',
  reference: join(FOLDER, 'reference.safetensors'),
  gpu: true,
};
const SITES =
  'base.stages[*].blocks[*].{axial_shift.conv1, axial_shift.conv2_1, axial_shift.conv2_2, axial_shift.conv3, mlp.fc1, mlp.fc2}';
const CHANGES = /(axial_shift\.conv\w+|mlp\.fc\d)\.(weight|bias)$/;

describe('AS-MLP', () => {
  testNumbers([classifier]);

  testAdapters(classifier, SITES, CHANGES, 18, false);

  test('ALoRE, before each layer, merges into that layer', async () => {
    const s = await adapted(
      (body) => specOf(classifier, body),
      folder,
      'alore',
      `  adapt ${SITES} with alore(experts: 2, rank: 2)`,
    );
    const { pixels, logits } = Object.fromEntries(await readTensors(classifier.reference));
    const changed = await expectMerge(s, specOf(classifier), classifier.from, pixels!, logits!, CHANGES);
    expect(changed.filter((n) => n.endsWith('weight'))).toHaveLength(18);
    const { report } = await compile(s, { host });
    expect(new Set(report.map((a) => a.state))).toEqual(new Set(['merged']));
  });

  // Each place of what an adapter gives is moved by the channel that it is in: what comes after is no layer of places any more.
  test('an adapter before the shift does not merge across it, and gives what is written', async () => {
    const own = `adapter mixed(rank: int) on base: (x: [b, h, w, dim]) {\n  A = param [rank, dim] normal(0.3)\n  B = param [dim, rank] normal(0.3)\n  forward(x) { base(x + x @ A.T @ B.T) }\n}\n`;
    const of = (body: string) => {
      const { text, path } = specOf(classifier, body);
      return { text: text.replace('model M', `${own}model M`), path };
    };
    const graft = '  adapt base.stages[*].blocks[*].axial_shift.{across, along} with mixed(rank: 2)';
    const file = join(folder, 'mixed.safetensors');
    writeFileSync(file, encodeAdapter(await randomAdapter(of(graft))));
    const s = of(`${graft} from "${file}"`);
    const { report, check } = await compile(s, { host });
    expect(report).toHaveLength(6);
    expect(report.map((a) => a.state).filter((state) => state === 'merged')).toEqual([]);
    expect(check.model!.difference).toBeLessThan(1e-7);
  });

  test('how far channels are moved no file shows: what is taken for it is said', async () => {
    const bare = { ...classifier, base: `as_mlp_auto(${SIZES})` };
    const { warnings } = await analyseModel(specOf(bare), { host });
    expect(warnings.map((w) => [w.code, w.message.replace(/`.*?`/, 'it')])).toEqual([
      ['ESP0541', 'it does not show all that its model computes; taken for it: shift_size: 5'],
    ]);
  });

  test('says how the authors preprocess', async () => {
    const { elaborated } = await analyseModel(
      { text: 'use std\nmodel M {\n  base = as_mlp_tiny()\n}\n', path: 's.peft' },
      { host },
    );
    expect(elaborated.preprocess).toEqual([
      { step: 'resize', size: 256, filter: 'bicubic' },
      { step: 'crop', size: [224, 224] },
      { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    ]);
  });

  test.each([
    ['an even shift', 'shift_size: 4'],
    ['a grid that cannot be halved', 'image: 200'],
  ])('%s is refused', (_, option) => {
    expect(codes(`use std\nmodel M {\n  base = as_mlp_tiny(${option})\n}\n`)).toEqual(['ESP0223']);
  });

  // As PyTorch counts them; with 1000 classes the 28, 50 and 88 million of the paper.
  testSizes(Object.entries(JSON.parse(readFileSync(join(FOLDER, 'counts.json'), 'utf8')) as Record<string, number>));
});
