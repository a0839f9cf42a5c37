/**
 * The page of examples/count in headless Chromium, on SwiftShader, which takes seconds for a prompt: few points are asked here, and the page says what Node does.
 * All coins: `ESPALIER_COUNT_GRID=12 npm test -- test/segmentation/page.test.ts`, some minutes.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findAll } from '../../examples/count/mobile-sam.js';
import { compileMobileSam, openMobileSam } from '../../examples/count/programs.js';
import { buildSite } from '../../examples/count/site.js';
import { decodeImage } from '../../src/api/index.js';
import { overlaySvg } from '../../src/segmentation/index.js';
import { launchChromium, withPage } from '../browser.js';
import { scratch } from '../e2e/support.js';

const GRID = Number(process.env.ESPALIER_COUNT_GRID ?? 3);
const COINS = fileURLToPath(new URL('../../examples/count/coins.png', import.meta.url));
const TIMEOUT = 1_800_000;

const folder = scratch();
const programs = join(folder, 'programs');
const site = join(folder, 'site');
let browser: Browser;

beforeAll(async () => {
  await compileMobileSam(programs, false);
  await buildSite(site, programs);
  browser = await launchChromium();
}, TIMEOUT);
afterAll(() => browser?.close());

const opened = (use: (page: Page, errors: readonly string[]) => Promise<void>): Promise<void> =>
  withPage(browser, { folders: { '/': site } }, async ({ page, errors }) => {
    page.setDefaultTimeout(TIMEOUT);
    await page.locator('#doing', { hasText: 'Choose a picture' }).waitFor();
    await use(page, errors);
  });
const said = (page: Page, id: string, text: string | RegExp) => page.locator(id, { hasText: text }).waitFor();

describe('the page', { timeout: TIMEOUT }, () => {
  it('counts what Node counts, and outlines it so', async () => {
    const sam = await openMobileSam(programs, 16);
    const picture = await decodeImage(COINS);
    const { things, prompts } = await findAll(sam, picture, picture, { grid: GRID });
    sam.encoder.dispose();
    sam.decoder.dispose();
    expect(things.length).toBeGreaterThan(2);
    if (GRID >= 12) expect(things).toHaveLength(24);

    await opened(async (page, errors) => {
      await page.fill('#grid', String(GRID));
      await page.setInputFiles('#file', COINS);
      await page.click('#count');
      await said(page, '#things', `${things.length} things`);
      expect(await page.textContent('#masks')).toBe(`of ${prompts} masks`);
      // A pixel at the border of a thing may be another on another GPU: the outlines are of one shape all the same.
      const outlines = await page.locator('#overlay svg path[fill-opacity]').all();
      expect(outlines).toHaveLength(things.length);
      const svg = overlaySvg(
        things.map(({ mask }) => mask),
        picture.width,
        picture.height,
      );
      const here = [...svg.matchAll(/<path d="([^"]*)" fill=/g)].map(([, d]) => bounds(d!));
      const there = await Promise.all(outlines.map(async (path) => bounds((await path.getAttribute('d'))!)));
      for (const [i, side] of there.flat().entries()) expect(Math.abs(side - here.flat()[i]!)).toBeLessThanOrEqual(1);
      expect(errors).toEqual([]);
    });
  });

  it('says what is wrong with a picture or the grid', async () => {
    await opened(async (page, errors) => {
      expect(await page.locator('#count').isDisabled()).toBe(true);
      await page.setInputFiles('#file', {
        name: 'notes.png',
        mimeType: 'image/png',
        buffer: Buffer.from('no picture'),
      });
      await said(page, '#alert', 'notes.png: no picture that this browser reads');
      expect(await page.locator('#count').isDisabled()).toBe(true);
      await page.click('#coins');
      await page.locator('#count:enabled').waitFor();
      expect(await page.locator('#alert').isHidden()).toBe(true);
      await page.fill('#grid', '0');
      await page.locator('#ask').evaluate((form: HTMLFormElement) => form.dispatchEvent(new SubmitEvent('submit')));
      await said(page, '#alert', '`grid` is 0. give a whole number of at least 1');
      await said(page, '#doing', 'not counted');
      expect(errors).toEqual([]);
    });
  });
});

/** Left, top, right and bottom of the places of a path. */
function bounds(d: string): number[] {
  const places = [...d.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const);
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
