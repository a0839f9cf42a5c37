/** `compile`, `run`, `eval`, `merge`, `inspect` and `doctor` on the example, with real images and some that are not. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { STAGES } from '../../src/api/compile.js';
import { figures, type InspectedNode } from '../../src/api/index.js';
import { confusionText } from '../../src/cli/commands/use.js';
import { parseModule } from '../../src/ir/text.js';
import { scratch, vitSpec } from '../api/support.js';
import { expectFile } from '../golden.js';
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
      /kernels +\d+ kernels, \d+ dispatches at batch 1/,
      /FLOP/,
      /MiB of weights, [\d.]+ MiB at peak/,
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
    const names = ['text.png', 'empty.png', 'half.png', 'absent.png'];
    const paths = names.map((n) => join(folder, n));
    const { code, out, err } = await cli('run', program, image(0), ...paths, image(1), '--json', '--top', '1');
    expect(code).toBe(5);
    expect((JSON.parse(out) as { image: string }[]).map((r) => r.image)).toEqual([image(0), image(1)]);
    for (const name of names)
      expect(err.match(new RegExp(`error\\[ESP05\\d\\d\\].*${name}`, 'g')), name).toHaveLength(1);
    expect(err).toMatch(/it is empty/);
    expect(err).toMatch(/^4 that could not be read were skipped$/m);
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

describe('merge', () => {
  test('writes a checkpoint that compiles without the adapter', async () => {
    const out = join(folder, 'merged');
    const merged = await cli('merge', spec, '-o', out, '--json');
    expect(merged.code).toBe(0);
    expect(JSON.parse(merged.out)).toMatchObject({ layout: 'huggingface' });
    const plain = join(folder, 'plain.peft');
    writeFileSync(plain, 'use std\nmodel Digits {\n  base = vit_auto() from "./merged"\n  head = classify(base)\n}\n');
    expect((await cli('compile', plain, '-o', join(folder, 'again'), '--batch', '1')).code).toBe(0);
    const [a, b] = [
      await cli('run', program, image(5), '--json'),
      await cli('run', join(folder, 'again'), image(5), '--json'),
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
    writeFileSync(path, `${vitSpec('vit-shards', body).text}\ntrain Tiny {\n  batch = 32\n}\n`);
    const { code, err } = await cli(command, path, ...options);
    expect(code).toBe(0);
    expect(err).toContain('warning[ESP0255]: `train Tiny` is checked and not used');
    expect(err.match(/ESP0255/g)).toHaveLength(1);
  });

  test('merge: the zeros that it wrote, as text and as JSON', async () => {
    const out = join(folder, 'zeros-merged');
    writeFileSync(path, vitSpec('vit-shards', body).text);
    expect((await cli('merge', path, '-o', out)).out).toContain(
      'zeros  2,048 of 4,096 weights (50.00%) are zero in 2 pruned tensors',
    );
    const { zeros } = JSON.parse((await cli('merge', path, '-o', out, '--json')).out);
    expect(zeros).toMatchObject({ elements: 4096, before: 2048, zeros: 2048, filled: 0 });
  });
});

describe('inspect', () => {
  test('prints the tree with shapes, adapters and the names in the checkpoint', async () => {
    const { code, out } = await cli('inspect', spec);
    expect(code).toBe(0);
    for (const line of [
      /qkv {2}Linear/,
      /\.weight \[384, 128\]\n +rows 0\.\.128 {2}<- .*attention\.query\.weight\n +rows 128\.\.256 {2}<- .*key\.weight/,
      /\.weight \[128, 128\] {2}<- .*attention\.output\.dense\.weight/,
      /\+ lora/,
      // PEFT's own names, each half of each pair.
      /\+ lora\n +\.A \[8, 128\] trained {2}<- base_model\.model\..*\.0\..*q_proj\.lora_A\.weight\n +\.B .*\.0\..*q_proj\.lora_B\.weight\n/,
      /fc {2}Linear/,
    ]) {
      expect(out).toMatch(line);
    }
  });

  test('prints what adapter files call their tensors, and says of a shared one that it is one', async () => {
    const { out } = await cli('inspect', join(FASHION, 'karst.peft'));
    expect(out).toContain('.A [2, 3, 4, 16] trained  <- base.blocks.2.attn.qkv@karst.A\n');
    const path = join(folder, 'shared.peft');
    const body = `adapt base.blocks[*].attn.qkv with fact_tt(rank: 2)
  adapt base.blocks[*].mlp_branch with adaptformer(hidden: 4)`;
    writeFileSync(path, vitSpec('vit-shards', body).text);
    const tied = await cli('inspect', path);
    // Both blocks name the one tensor; what each has for itself is not called shared.
    expect(tied.out.match(/\.U \[2, 32\] trained shared by 2 sites {2}<- base@fact_tt\.U\n/g)).toHaveLength(2);
    for (const i of [0, 1]) {
      expect(tied.out).toContain(`.core [2, 2] trained  <- base.blocks.${i}.attn.qkv@fact_tt.core\n`);
      expect(tied.out).toContain(
        `.down.weight [4, 32] trained  <- base.blocks.${i}.mlp_branch@adaptformer.down.weight\n`,
      );
    }
    const { out: json } = await cli('inspect', path, '--json');
    expect([...json.matchAll(/"shared": (\d+)/g)].map((m) => m[1])).toEqual(['2', '2', '2', '2']);
  });

  test('gives the same as JSON: shapes, what is pruned or trained, and where it comes from', async () => {
    const { code, out } = await cli('inspect', join(FASHION, 'karst.peft'), '--json');
    expect(code).toBe(0);
    const nodes: InspectedNode[] = [];
    const visit = (node: InspectedNode) => {
      nodes.push(node);
      node.children.forEach(visit);
    };
    visit(JSON.parse(out) as InspectedNode);
    const weight = (path: string) => nodes.find((n) => n.path === path)!.params.find((p) => p.name === 'weight')!;
    expect(weight('base.blocks[1].mlp.fc1')).toEqual({
      name: 'weight',
      param: 'base.blocks.1.mlp.fc1.weight',
      shape: [512, 128],
      trained: false,
      pruned: true,
      from: [{ tensor: 'vit.encoder.layer.1.intermediate.dense.weight' }],
    });
    expect(weight('head.fc')).toMatchObject({ shape: [10, 128], trained: true, pruned: false, from: [] });
    expect(weight('base.blocks[0].attn.qkv').from.map((f) => f.rows)).toEqual([
      [0, 128],
      [128, 256],
      [256, 384],
    ]);
    const fc1 = nodes.find((n) => n.path === 'base.blocks[1].mlp.fc1')!;
    expect(fc1.adapters.map((a) => [a.name, a.params.map((p) => p.name).sort()])).toEqual([
      ['karst', ['A', 'B', 'C', 's', 't']],
    ]);
  });

  test('prints any stage, and lists the stages', async () => {
    expect((await cli('inspect', spec, '--emit', 'help')).out.trim().split('\n')).toEqual(
      STAGES.map((s) => `after:${s}`),
    );
    const { out } = await cli('inspect', spec, '--emit', 'after:split');
    expect([...parseModule(out).funcs.keys()].sort()).toEqual(['infer', 'prepare']);
    expectRefused(await cli('inspect', spec, '--emit', 'after:lunch'), 2, 'ESP0904');
  });

  test('draws a picture that is XML', async () => {
    const path = join(folder, 'model.svg');
    expect((await cli('inspect', join(FASHION, 'karst.peft'), '--svg', path)).code).toBe(0);
    const svg = readFileSync(path, 'utf8');
    // sharp's renderer refuses XML that is not well formed, and draws nothing for an empty picture.
    const { channels } = await sharp(Buffer.from(svg)).stats();
    expect(channels[0]!.stdev).toBeGreaterThan(5);
    // README shows it.
    expectFile('docs/digits.svg', svg);
    expect(svg).toMatch(/karst/);
    expect(svg).toMatch(/4 × \(0 to 3\)/);
    // What passes between the boxes, the two residual connections of a block, and what the marks mean.
    for (const shape of ['1 × 28 × 28', '128 × 7 × 7', '50 × 384', '50 × 512', '10'])
      expect(svg).toContain(`class="shape">${shape}<`);
    expect(svg.match(/class="plus"/g)).toHaveLength(2);
    for (const words of [
      'karst: 19.5 k parameters at 16 sites',
      'trained: 1.3 k parameters',
      'pruned by magnitude 50%',
    ])
      expect(svg).toContain(words);
    const below = join(path, 'below-a-file.svg');
    expectRefused(await cli('inspect', spec, '--svg', below), 1, 'ESP0520');
  });
});

test('doctor names the driver, its limits and features', async () => {
  const text = await cli('doctor');
  expect(text.code).toBe(0);
  expect(text.out).toMatch(/subgroups +\d+ to \d+ lanes/);
  expect(text.out).toMatch(/maxBufferSize/);
  const { chosen } = JSON.parse((await cli('doctor', '--json')).out) as {
    chosen: { driver: string; limits: Record<string, number> };
  };
  expect(['system', 'lavapipe', 'swiftshader']).toContain(chosen.driver);
  expect(chosen.limits.maxBufferSize).toBeGreaterThanOrEqual(2 ** 28);
});
