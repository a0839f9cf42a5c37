/** What compiling and evaluating refuse: for each check a case that only this check refuses (`npm run checks`). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../runtime/errors.js';
import type { Session } from '../../runtime/session.js';
import { analyse } from '../../src/api/analyse.js';
import { compile } from '../../src/api/index.js';
import { evaluateFolder } from '../../src/api/node/programs.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { failure, host, random, randomAdapter, scratch, vitSpec } from './support.js';

const folder = scratch();
const lora = 'adapt base.blocks[*].mlp.fc1 with lora(rank: 2)';
const prune = 'prune base.blocks[*].mlp.fc1 with magnitude(sparsity: 50%)';

/** One layer on what `forward` makes of x: [b, 4]. */
const spec = (forward: string, deploy = '') => ({
  text: `module A() {
  fc = Linear(4 -> 4)
  forward(x: [b, 4]) { ${forward} }
}
model M {
  base = A()
}
${deploy}`,
  path: 'm.peft',
});
const refused = async (work: () => Promise<unknown>, code: string, words: RegExp): Promise<void> => {
  const { codes, text } = await failure(work);
  expect(codes).toEqual([code]);
  expect(text).toMatch(words);
};

test.each([
  ['a gather beyond the axis', 'gather(fc(x), table(i < 2: 7), axis: 1)', /index 7 is outside an axis of 4/],
  ['a singular matrix', 'x @ solve(full([4, 4], 0), full([4, 4], 1))', /singular/],
])('what the data makes undefined: %s', (_, forward, words) =>
  refused(() => compile(spec(forward), { host }), 'ESP0317', words),
);

test.each([0, 4097, 2.5])('a batch of %d', (batch) =>
  refused(() => compile(spec('fc(x)'), { host, batch: [batch] }), 'ESP0912', /--batch/),
);
test('no batch', () => refused(() => compile(spec('fc(x)'), { host, batch: [] }), 'ESP0912', /--batch/));

describe('weights', () => {
  /** The adapter with something changed in it. */
  const changed = async (name: string, change: (t: Awaited<ReturnType<typeof randomAdapter>>) => void) => {
    const params = await randomAdapter(vitSpec('vit-shards', lora));
    change(params);
    const file = join(folder, `${name}.safetensors`);
    writeFileSync(file, encodeAdapter(params));
    return vitSpec('vit-shards', `${lora} from "${file}"`);
  };
  const half = (site: number, letter: string) => `base.blocks.${site}.mlp.fc1@lora.${letter}`;

  test.each([70_000, -1e6])('of %d in halves', async (value) => {
    const large = await changed(`halves${value}`, (t) => {
      t.get(half(0, 'B'))!.data[0] = value;
    });
    await refused(
      () => compile(large, { host, weights: 'f16', adapters: 'factored', golden: false }),
      'ESP0925',
      /halve|half|f16/,
    );
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY])('of %d', async (value) => {
    const bad = await changed(`odd${value}`, (t) => {
      t.get(half(1, 'A'))!.data[3] = value;
    });
    await refused(() => compile(bad, { host, golden: false }), 'ESP0518', /base\.blocks\.1\.mlp\.fc1@lora\.A/);
  });

  test('of another shape, too few and too many', async () => {
    const bad = await changed('shapes', (t) => {
      t.set(half(0, 'A'), random('a', [3, 2]));
    });
    await refused(() => compile(bad, { host, golden: false }), 'ESP0510', /base\.blocks\.0\.mlp\.fc1@lora\.A/);
    const fewer = await changed('fewer', (t) => t.delete(half(0, 'A')));
    await refused(() => compile(fewer, { host, golden: false }), 'ESP0510', /missing/);
  });

  test('of something else altogether', async () => {
    const other = await changed('other', (t) => {
      t.clear();
      t.set('x', random('x', [2]));
    });
    await refused(() => compile(other, { host, golden: false }), 'ESP0511', /none of the/);
  });
});

test.each([
  [65536, 16384],
  [16384, 131072],
])('a weight of %d x %d, which no array holds', async (rows, columns) => {
  const file = join(folder, 'small.safetensors');
  writeFileSync(file, encodeSafetensors(new Map([['w', storeTensor(random('w', [1]))]])));
  const text = `module A() {\n  fc = Linear(${columns} -> ${rows}, bias: false)\n  forward(x: [b, ${columns}]) { fc(x) }\n}\nmodel M {\n  base = A() from "${file}"\n}\n`;
  await refused(() => compile({ text, path: 'm.peft' }, { host }), 'ESP0604', /base\.fc\.weight/);
});

test('a library has no model to merge', async () => {
  const library = { text: 'criterion mine(weight) = abs(weight)\n', path: 'l.peft' };
  const { value } = await analyse(library, { host, library: true });
  await refused(async () => value!.plain(), 'ESP0914', /l\.peft/);
});

test.each([0, 1])('masks that lack that of block %d', async (block) => {
  const mask = (i: number) =>
    [`base.blocks.${i}.mlp.fc1.weight#mask`, storeTensor(tensor([64, 32], new Float32Array(64 * 32).fill(1)))] as const;
  const file = join(folder, `masks${block}.safetensors`);
  writeFileSync(file, encodeSafetensors(new Map([mask(1 - block)]), { format: 'espalier.mask', version: '1' }));
  await refused(
    () => compile(vitSpec('vit-shards', `${prune} from "${file}"`), { host, golden: false }),
    'ESP0516',
    new RegExp(`has no base\\.blocks\\.${block}`),
  );
});

test.each(['too small', 'too large'])('an image that the program finds %s is named', async (why) => {
  mkdirSync(join(folder, 'pictures', 'cat'), { recursive: true });
  const path = join(folder, 'pictures', 'cat', 'a.png');
  await sharp(Buffer.alloc(3), { raw: { width: 1, height: 1, channels: 3 } })
    .png()
    .toFile(path);
  const run = async ({ images }: { images: unknown[] }) => {
    if (images.length > 0) throw new InputError(`the image is ${why}`, 'crop it');
  };
  const session = {
    program: { name: 'm', labels: ['cat', 'dog'], entries: [{ samples: 1, outputs: [{ name: 'y', shape: [1, 2] }] }] },
    run,
  };
  await refused(
    () => evaluateFolder(session as unknown as Session, join(folder, 'pictures')),
    'ESP0708',
    new RegExp(`a\\.png: the image is ${why}`),
  );
});

describe('evaluating', () => {
  const session = (labels?: string[]) =>
    ({
      program: { name: 'm', labels, entries: [{ outputs: [{ name: 'y', shape: [1, labels?.length ?? 1] }] }] },
    }) as unknown as Session;
  const classes = (name: string, ...of: string[]): string => {
    for (const label of of) {
      mkdirSync(join(folder, name, label), { recursive: true });
      writeFileSync(join(folder, name, label, 'a.png'), 'not looked at');
    }
    return join(folder, name);
  };
  test.each<[string, string, RegExp, () => Promise<unknown>]>([
    ['a program without classes', 'ESP0920', /m/, () => evaluateFolder(session(), classes('a', 'cat'))],
    ['the same, of no images', 'ESP0920', /m/, () => evaluateFolder(session(), folder)],
    [
      'a folder that is no class',
      'ESP0921',
      /dog/,
      () => evaluateFolder(session(['cat', 'bird']), classes('b', 'cat', 'dog')),
    ],
    [
      'none that is',
      'ESP0921',
      /dog, horse/,
      () => evaluateFolder(session(['cat', 'bird']), classes('c', 'dog', 'horse')),
    ],
    ['a name of two classes', 'ESP0926', /cat/, () => evaluateFolder(session(['cat', 'cat']), classes('d', 'cat'))],
    [
      'names that are one as folders',
      'ESP0926',
      /a_b/,
      () => evaluateFolder(session(['a/b', 'a:b', 'c']), classes('e', 'a_b', 'c')),
    ],
  ])('%s', (_, code, words, work) => refused(work, code, words));
});
