/** What was counted, as text, and drawn over the picture. */
import sharp from 'sharp';
import type { RawImage } from '../../runtime/index.js';
import { type AutomaticOptions, overlaySvg, type Reason, type Thing } from '../../src/segmentation/index.js';
import type { Found } from './mobile-sam.js';

/** Small pictures are drawn larger, so that numbers can be read: the longer side has at least so many pixels. */
const DRAWN = 768;

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Why masks were left out, most first. */
function reasons(dropped: Found['dropped'], filters: Required<AutomaticOptions>): string[] {
  const why: Readonly<Record<Reason, string>> = {
    iou: `of a predicted IoU of at most ${filters.iou}`,
    empty: 'empty',
    stability: `that depend on the threshold (stability below ${filters.stability} at ${filters.offset} logits)`,
    small: `of less than ${percent(filters.area[0])} of the picture`,
    large: `of more than ${percent(filters.area[1])} of the picture`,
    repeated: `of a thing that another shows better (IoU above ${filters.overlap})`,
    part: `of parts of things (more than ${percent(filters.contained)} inside)`,
  };
  return (Object.entries(dropped) as [Reason, number][])
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, count]) => `${String(count).padStart(5)} ${why[reason]}`);
}

export function describe(found: Found, options: Required<AutomaticOptions>): string {
  const { grid, batch } = options;
  const { things, prompts, times, dropped } = found;
  return [
    `  encoder   ${seconds(found.encoder)}, at 1024x1024`,
    `  decoder   ${seconds(times.decoder)} for ${prompts} prompts, a grid of ${grid}x${grid} points, ${batch} at a time`,
    `  filters   ${seconds(times.filters)}; of ${prompts} masks they leave out`,
    ...reasons(dropped, options).map((line) => `            ${line}`),
    `  things    ${things.length}${things.length === 0 ? ': no mask is left' : ''}`,
  ].join('\n');
}

/** The picture with outlines and numbers, as PNG. */
export async function draw({ data, width, height }: RawImage, things: readonly Thing[]): Promise<Buffer> {
  const scale = Math.max(1, Math.ceil(DRAWN / Math.max(width, height)));
  const svg = overlaySvg(
    things.map(({ mask }) => mask),
    width,
    height,
  );
  // An SVG of so many dots an inch has as many pixels a unit as the picture then has.
  const overlay = await sharp(Buffer.from(svg), { density: 72 * scale })
    .png()
    .toBuffer();
  return sharp(data, { raw: { width, height, channels: 4 } })
    .removeAlpha()
    .resize(width * scale, height * scale)
    .composite([{ input: overlay }])
    .png()
    .toBuffer();
}
