/** `train` as a person sees it: what it says before the first step, of each epoch, and of what took no part. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { FIXTURES, scratch } from '../api/support.js';
import { MODEL } from '../train/small.js';
import { cli, expectRefused } from './support.js';

const folder = scratch();
const SPEC = `${MODEL.replace('channels: 1', 'channels: 3')}train Small {
  data = images("./pictures")
  optimizer = adamw(lr: 1e-2)
  schedule = cosine(epochs: 2)
  batch = 4
  validation = 25%
  checkpoint = blocks
  corrupt = 30%
}`;

async function pictures(): Promise<void> {
  for (const [i, name] of ['dark', 'light'].entries()) {
    mkdirSync(join(folder, 'pictures', name), { recursive: true });
    const raw = { width: 8, height: 8, channels: 1 } as const;
    const png = await sharp(Buffer.alloc(64, 200 * i), { raw })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    for (let n = 0; n < 12; n++) writeFileSync(join(folder, 'pictures', name, `${n}.png`), png);
  }
  const whole = readFileSync(join(folder, 'pictures/dark/0.png'));
  writeFileSync(join(folder, 'pictures/dark/cut.png'), whole.subarray(0, 40));
}

test('says what a step takes, how epochs went, and how many images could not be read', async () => {
  await pictures();
  writeFileSync(join(folder, 'small.peft'), SPEC);
  const { code, out, err } = await cli('train', join(folder, 'small.peft'), '-o', join(folder, 'run'));
  expect(code, err).toBe(0);
  expect(out).toMatch(/^\d+ of [\d,]+ parameters are trained/);
  expect(out).toMatch(/memory: .* at the most: .* frozen, .* for a step of 4 images/);
  expect(out).toMatch(/each image leaves .* for the backward pass, with (\d+) of \1 segments computed again/);
  expect(out.match(/^epoch \d\/2: loss/gm)?.length).toBe(2);
  expect(err).toMatch(/ESP0530.*cut\.png/);
  expect(err).toMatch(/^1 image could not be read and took no part$/m);
  expectRefused(await cli('train', join(folder, 'small.peft'), '-o', join(folder, 'run')), 1, 'ESP1107');
});

test('refuses a wrong setting, and begins nothing', async () => {
  writeFileSync(join(folder, 'wrong.peft'), SPEC.replace('blocks\n', 'block\n'));
  const ended = await cli('train', join(folder, 'wrong.peft'), '-o', join(folder, 'none'));
  expectRefused(ended, 1, 'ESP0252');
  expect(ended.err).toMatch(/Did you mean `blocks`\?/);
});

test('trains, compiles and exports a graph that came as ONNX; a merge of it is an export', async () => {
  const at = (name: string) => join(folder, name);
  for (let c = 0; c < 5; c++) {
    mkdirSync(at(`five/${c}`), { recursive: true });
    const background = { r: 50 * c, g: 0, b: 200 - 50 * c };
    const png = await sharp({ create: { width: 30, height: 26, channels: 3, background } })
      .png()
      .toBuffer();
    for (let n = 0; n < 3; n++) writeFileSync(at(`five/${c}/${n}.png`), png);
  }
  const graph = join(FIXTURES, 'onnx/import/windows.onnx');
  const spec = `use std

model Graph {
  base = onnx(preprocess: [resize([24, 24]), normalize(mean: 0.5, std: 0.5)]) from "${graph}"
  adapt base.blocks[*].attn.qkv with lora(rank: 2)
}

train Graph {
  data = images("./five")
  optimizer = adamw(lr: 1e-2)
  schedule = constant(epochs: 1)
  batch = 5
  validation = 33%
}
`;
  writeFileSync(at('graph.peft'), spec);
  const trained = await cli('train', at('graph.peft'), '-o', at('graph-run'));
  expect(trained.code, trained.err).toBe(0);
  expect((await cli('compile', at('graph-run'), '-o', at('graph-program'), '--no-golden')).code).toBe(0);
  const { labels } = JSON.parse(readFileSync(at('graph-program/program.json'), 'utf8')) as { labels: string[] };
  expect(labels).toEqual(['0', '1', '2', '3', '4']);
  const merge = await cli('merge', at('graph-run'), '-o', at('graph-merged'));
  expectRefused(merge, 1, 'ESP1235');
  expect(merge.err).toContain('espalier export --onnx merged.onnx SPEC');
  expect((await cli('export', '--onnx', at('graph.onnx'), at('graph-run'))).code).toBe(0);
});
