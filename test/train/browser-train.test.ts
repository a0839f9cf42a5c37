/**
 * The page of examples/browser-train in headless Chromium: it learns digits, its adapter is downloaded and compiled here, and both give the same
 * predictions. Real digits of MNIST, on SwiftShader in the page and on whatever GPU driver there is in Node.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Download, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSite } from '../../examples/browser-train/site.js';
import { testDigits } from '../../examples/fashion/mnist.js';
import {
  compile,
  datasetOfImages,
  load,
  nodeHost,
  type RgbaImage,
  type TrainEvent,
  trainInMemory,
} from '../../src/api/index.js';
import { launchChromium, withPage } from '../browser.js';

const CLASSES = ['0', '1'];
/** Of each class. */
const EXAMPLES = 5;
const HELD_OUT = 2;
const EPOCHS = 4;
const EXAMPLE = fileURLToPath(new URL('../../examples/', import.meta.url));
/** What the page begins with, for fewer epochs and smaller batches. */
const SPEC = readFileSync(join(EXAMPLE, 'browser-train/drawings.peft'), 'utf8')
  .replace(/epochs: \d+/, `epochs: ${EPOCHS}`)
  .replace(/batch = \d+/, 'batch = 4');

const folder = mkdtempSync(join(tmpdir(), 'espalier-page-'));
const site = join(folder, 'site');
let browser: Browser;
/** Of each class as many examples as are learnt, and those that are only tried. */
let digits: { readonly label: string; readonly learnt: readonly RgbaImage[]; readonly heldOut: readonly RgbaImage[] }[];

beforeAll(async () => {
  await buildSite(site);
  browser = await launchChromium();
  const { count, image, labels } = await testDigits();
  const all = Array.from({ length: count }, (_, i) => i);
  digits = CLASSES.map((label) => {
    const images = all.filter((i) => labels[i] === Number(label)).slice(0, EXAMPLES + HELD_OUT);
    return { label, learnt: images.slice(0, EXAMPLES).map(image), heldOut: images.slice(EXAMPLES).map(image) };
  });
});
afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

const opened = (use: (page: Page, errors: readonly string[]) => Promise<void>): Promise<void> =>
  withPage(browser, { folders: { '/': site } }, async ({ page, errors }) => {
    page.setDefaultTimeout(150_000);
    await use(page, errors);
  });

const png = async ({ data, width, height }: RgbaImage, name: string) => ({
  name,
  mimeType: 'image/png',
  buffer: await sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer(),
});

/** Gives files to a class that has so many examples already. */
async function addFiles(page: Page, label: string, images: readonly RgbaImage[], already = 0): Promise<void> {
  await page.locator(`#classes input[value="${label}"]`).check({ force: true });
  await page.setInputFiles('#files', await Promise.all(images.map((image, i) => png(image, `${label}-${i}.png`))));
  await page.locator(`button[aria-label="Take example ${already + images.length} of ${label} away"]`).waitFor();
}

async function addDigits(page: Page): Promise<void> {
  for (const { label, learnt } of digits) await addFiles(page, label, learnt);
}

const said = (page: Page, id: string, text: string | RegExp) => page.locator(id, { hasText: text }).waitFor();

/** Probabilities of the classes before and after, as the bars show them. */
async function shares(page: Page, when: 'before' | 'after'): Promise<number[]> {
  const bars = await page.getByRole('meter', { name: `, ${when}` }).all();
  return Promise.all(bars.map(async (bar) => Number(await bar.getAttribute('aria-valuenow'))));
}

async function downloaded(page: Page, button: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, page.click(button)]);
  return readFileSync(await download.path());
}

const losses = (events: readonly TrainEvent[]) => events.flatMap((e) => (e.kind === 'step' ? [e.loss] : []));
const argmax = (values: readonly number[]) => values.indexOf(Math.max(...values));
const largest = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

describe('the page', { timeout: 240_000 }, () => {
  it('learns digits as Node does, and its adapter gives the same predictions here', async () => {
    await opened(async (page, errors) => {
      await addDigits(page);
      await page.fill('#spec', SPEC);
      await page.click('#train');
      await said(page, '#doing', 'Trained');
      expect(await page.textContent('#accuracy')).toMatch(/^\d of 2$/);

      // The same steps in Node.
      const metrics = (await downloaded(page, '#metrics')).toString().trim().split('\n');
      const there = losses(metrics.map((line) => JSON.parse(line) as TrainEvent));
      const datasets = datasetOfImages(
        digits.flatMap((d) => d.learnt),
        { kind: 'class', labels: digits.flatMap((d) => d.learnt.map(() => d.label)) },
        { classes: CLASSES },
      );
      const events: TrainEvent[] = [];
      const spec = { text: SPEC, path: join(EXAMPLE, 'fashion/drawings.peft') };
      for await (const event of trainInMemory(spec, {
        host: nodeHost(),
        set: { classes: JSON.stringify(CLASSES) },
        datasets,
      }))
        events.push(event);
      const here = losses(events);
      expect(there).toHaveLength(here.length);
      expect(Math.max(...there.map((loss, i) => Math.abs(loss - here[i]!) / here[i]!))).toBeLessThan(1e-4);
      expect(there.at(-1)!).toBeLessThan(0.7 * there[0]!);

      // The files that it gives, compiled as they are.
      const out = join(folder, 'downloads');
      cpSync(join(EXAMPLE, 'fashion/vit-fashion'), join(out, 'vit-fashion'), { recursive: true });
      writeFileSync(join(out, 'adapter.safetensors'), await downloaded(page, '#adapter'));
      writeFileSync(join(out, 'drawings.peft'), await downloaded(page, '#spec-file'));
      const compiled = await compile(join(out, 'drawings.peft'));
      expect(compiled.program.labels).toEqual(CLASSES);
      const session = await load(compiled);
      let right = 0;
      for (const { label, heldOut } of digits)
        for (const [i, image] of heldOut.entries()) {
          await page.setInputFiles('#try-file', await png(image, `try-${label}-${i}.png`));
          await page.locator('#bars[aria-busy="false"]').waitFor();
          const page_ = await shares(page, 'after');
          const logits = Array.from((await session.run({ image })).outputs.logits as Float32Array);
          const sum = Math.log(logits.reduce((all, x) => all + Math.exp(x), 0));
          const found = page_.map(Math.log);
          expect(
            largest(
              found,
              logits.map((x) => x - sum),
            ),
          ).toBeLessThan(1e-4);
          expect(argmax(found)).toBe(argmax(logits));
          if (CLASSES[argmax(logits)] === label) right++;
        }
      session.dispose();
      expect(right).toBeGreaterThanOrEqual(3);
      expect(errors).toEqual([]);
    });
  });

  it('says what is missing, and what is wrong with a file or the spec', async () => {
    await opened(async (page, errors) => {
      const [zero, one] = digits as [(typeof digits)[number], (typeof digits)[number]];
      const train = async (complaint: string | RegExp) => {
        await page.click('#train');
        await said(page, '#alert', complaint);
      };
      await page.locator('#train:enabled').waitFor();
      await train('There are no examples yet');
      await page.click('#add');
      await said(page, '#alert', 'There is nothing drawn');
      await page.setInputFiles('#files', {
        name: 'notes.png',
        mimeType: 'image/png',
        buffer: Buffer.from('no picture'),
      });
      await said(page, '#alert', 'notes.png: no picture that this browser reads');
      await addFiles(page, '0', zero.learnt.slice(0, 4));
      await train('All examples are of one class, “0”');
      await addFiles(page, '1', one.learnt.slice(0, 1));
      await train('There is only one example of “1”');
      await addFiles(page, '1', one.learnt.slice(1, 2), 1);
      // Six examples, two of them held out: fewer than a batch.
      await page.fill('#spec', SPEC.replace('batch = 4', 'batch = 5'));
      await train('batch');
      await page.fill('#spec', SPEC.replace('adamw', 'adamv'));
      await train(/adamv/);
      await said(page, '#alert pre', /drawings\.peft:\d+:\d+/);
      expect(errors).toEqual([]);
    });
  });

  it('says so where there is no WebGPU', async () => {
    await opened(async (page) => {
      await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined }));
      await page.reload();
      await said(page, '#alert', 'This browser has no WebGPU');
      await said(page, '#device', 'no WebGPU');
      expect(await page.locator('#train').isDisabled()).toBe(true);
    });
  });

  it('goes on after the device was lost, from the last epoch', async () => {
    await opened(async (page) => {
      await page.locator('#train:enabled').waitFor();
      await said(page, '#device', /swiftshader/i);
      const [worker] = page.workers();
      // Whoever asks for a device gets it; the last one is that of the run.
      await worker!.evaluate(() => {
        const { requestDevice } = GPUAdapter.prototype;
        GPUAdapter.prototype.requestDevice = async function (descriptor) {
          const device = await requestDevice.call(this, descriptor);
          Object.assign(globalThis, { lastDevice: device });
          return device;
        };
      });
      await addDigits(page);
      await page.fill('#spec', SPEC.replace(/epochs: \d+/, 'epochs: 2'));
      await page.click('#train');
      await said(page, '#accuracy', / of 2/);
      await worker!.evaluate(() => (globalThis as unknown as { lastDevice: GPUDevice }).lastDevice.destroy());
      await said(page, '#alert', 'the GPU device was lost');
      await page.click('#go-on');
      await said(page, '#doing', 'Trained');
      expect(await page.locator('#alert').isHidden()).toBe(true);
      expect(await page.textContent('#step')).toBe('4 of 4');
    });
  });
});
