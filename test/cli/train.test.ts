/** `train` as a person sees it: what it says before the first step, of each epoch, and of what took no part. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { scratch } from '../api/support.js';
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
