/** The report of a run's folder: its figures as data, and a page of them. The run may have ended, be under way, or have been killed. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { densityOverlay, placedDensity, type Seen } from '../../counting/index.js';
import { resized, withoutAlpha } from '../../data/images/resize.js';
import { openDatasets } from '../../data/node/open.js';
import type { Raster } from '../../data/types.js';
import { EspalierError } from '../../diagnostics/types.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { type RunReport, reportFrom } from '../report/figures.js';
import { type ChartLibrary, reportPage, type Thumbnail, type Thumbnails } from '../report/page.js';
import type { CountPrediction } from '../train/run.js';
import { nodeHost } from './host.js';
import { isLocked } from './lock.js';
import { candidatesOf, eventsOf, predictionsOf, readRun } from './run-folder.js';
import { dataSpecOf } from './train.js';

/**
 * What a run's folder says, as data.
 * @param run the folder of a run, whether it has ended or not
 * @throws EspalierError ESP1104 for a folder that is none
 */
export function reportOf(run: string): RunReport {
  const facts = readRun(run);
  return reportFrom(facts, eventsOf(run), predictionsOf(run), isLocked(run), candidatesOf(run));
}

/**
 * Writes the report of a run as one HTML page that needs nothing else, and gives its path and figures.
 * @param path by default `report.html` in the run's folder
 * @throws EspalierError ESP1104 for a folder that is no run, ESP0520 where the page cannot be written
 */
export async function writeReport(
  run: string,
  path: string = join(run, 'report.html'),
): Promise<{ readonly path: string; readonly report: RunReport }> {
  const report = reportOf(run);
  await writeFileAtomic(path, reportPage(report, await chartLibrary(), await thumbnailsOf(report)));
  return { path, report };
}

async function chartLibrary(): Promise<ChartLibrary> {
  const require = createRequire(import.meta.url);
  const files = [require.resolve('uplot/dist/uPlot.iife.min.js'), require.resolve('uplot/dist/uPlot.min.css')];
  const [script, style] = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return { script: script!, style: style! };
}

// ---- Pictures --------------------------------------------------------------------------------------------------------

/** So many mistakes are shown, spread over all of them. */
const PICTURES = 48;
/** Of counts so many that are most wrong. */
const WORST = 12;
/** Pixels of the longer side, of those and of these. */
const SIDE = 96;
const COUNTED_SIDE = 192;

/** The pictures of some mistakes, or of the worst counts, from where the run read them; they are shown where that can still be read. */
async function thumbnailsOf({ facts, evaluation, counting }: RunReport): Promise<Thumbnails> {
  const data = facts.settings.data as Readonly<Record<string, Record<string, unknown>>> | undefined;
  const [form, options] = Object.entries(data ?? {})[0] ?? [];
  const found = evaluation ?? counting;
  if (!found || form === undefined || !options) return 'The data were given in code, so their pictures are not here.';
  try {
    const sets = await openDatasets(dataSpecOf({ form, options }, facts.spec, facts.data.classes, nodeHost()));
    const set = found.split === 'test' ? sets.test : (sets.val ?? sets.train);
    const number = new Map(set?.ids.map((id, i) => [id, i]));
    const shown = new Map<string, Thumbnail>();
    const read = async (item: string): Promise<Raster | undefined> => {
      const i = number.get(item);
      return i === undefined ? undefined : set!.pictures.read(set!.places[i]!);
    };
    for (const { item } of evaluation ? spreadOver(evaluation.wrong) : []) {
      const picture = await read(item);
      if (picture) shown.set(item, thumbnail(picture));
    }
    for (const one of counting?.worst.slice(0, WORST) ?? []) {
      const picture = await read(one.item);
      if (picture) shown.set(one.item, one.density ? overlay(picture, one, one.density) : thumbnail(picture));
    }
    return shown;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return `Their pictures cannot be read any more: ${error.diagnostics[0]!.message}.`;
  }
}

function spreadOver<T>(wrong: readonly T[]): readonly T[] {
  if (wrong.length <= PICTURES) return wrong;
  return wrong.filter(
    (_, i) => Math.floor((i * PICTURES) / wrong.length) !== Math.floor(((i - 1) * PICTURES) / wrong.length),
  );
}

/** A picture with where the model counted over it. */
function overlay(picture: Raster, { count, predicted }: CountPrediction, seen: Seen): Thumbnail {
  const density = placedDensity(picture, seen);
  const drawn = densityOverlay(picture, density, { count: predicted, truth: count, longest: COUNTED_SIDE });
  const pixels = Buffer.alloc(3 * drawn.width * drawn.height);
  for (let p = 0; p < drawn.width * drawn.height; p++)
    for (let c = 0; c < 3; c++) pixels[3 * p + c] = drawn.data[4 * p + c]!;
  return { width: drawn.width, height: drawn.height, pixels: pixels.toString('base64') };
}

function thumbnail(picture: Raster): Thumbnail {
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const from = { x: 0, y: 0, width: picture.width, height: picture.height };
  const small = resized(withoutAlpha(picture, false), {
    from,
    width,
    height,
    filter: 'bilinear',
    gray: false,
    keep: { x: 0, y: 0, width, height },
  });
  const pixels = Buffer.alloc(3 * width * height);
  for (let p = 0; p < width * height; p++)
    for (let c = 0; c < 3; c++) pixels[3 * p + c] = small.data[p * small.channels + (small.channels === 1 ? 0 : c)]!;
  return { width, height, pixels: pixels.toString('base64') };
}
