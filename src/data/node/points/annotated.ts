/** From pictures with their points, as a reader finds them, to a table: pictures have to be there, and points to lie in them. */
import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError, type Span } from '../../../diagnostics/types.js';
import { openFile } from '../../../formats/node/files.js';
import { imageSize } from '../../../formats/node/images.js';
import { readAll } from '../../../formats/tensors/bytes.js';
import type { Row, Split, Table } from '../../tables.js';
import { PictureFiles } from '../files.js';

/** One picture as it is annotated. */
export interface Annotated {
  readonly split: Split;
  /** Path of the picture. */
  readonly path: string;
  readonly id: string;
  /** x, y pairs in pixels from the top left corner. */
  readonly points: readonly number[];
  /** Where it stands in a text. */
  readonly at?: Span;
}

/** @throws EspalierError ESP1024, for a file of annotations that is not as it should be */
export function refuse(file: string, problem: string, at?: Span): never {
  throw new EspalierError([
    diagnostic('ESP1024', { file, problem }, at ? { primary: { span: at, text: 'here' } } : {}),
  ]);
}

/** @throws EspalierError ESP0501 */
export const bytesOf = async (path: string): Promise<Buffer> => Buffer.from(await readAll(await openFile(path)));

/** The line of a text that holds a place. */
export function lineOf(file: string, text: string, at: number): Span {
  const start = text.lastIndexOf('\n', Math.max(0, at - 1)) + 1;
  const next = text.indexOf('\n', start);
  const end = start + text.slice(start, next < 0 ? undefined : next).trimEnd().length;
  return { file, start, end: Math.max(end, start) };
}

/** From this share of the points on, annotations are of other pictures, or in other units. */
const MOST_OUTSIDE = 0.1;
/** Points less than this far outside, in pixels, are moved onto the border: people click on it. */
const NEAR = 1;
/** How many headers of pictures are read at once. */
const AT_ONCE = 16;

/**
 * The table of annotated pictures. Points that lie outside of their picture are left out and named, in a warning.
 * @throws EspalierError ESP1025 (pictures that are not there), ESP1027 (more than a tenth of the points outside)
 */
export async function pointsTable(
  name: string,
  annotated: readonly Annotated[],
  warn: (diagnostic: Diagnostic) => void = () => {},
): Promise<Table> {
  const missing = annotated.filter(({ path }) => !existsSync(path));
  if (missing.length > 0) {
    const at = missing.find((one) => one.at)?.at;
    const place = at ? { primary: { span: at, text: 'it is named here' } } : {};
    throw new EspalierError([diagnostic('ESP1025', { name, missing: missing.map(({ path }) => path) }, place)]);
  }
  const files = new PictureFiles();
  const rows: Row[] = [];
  const outside: { id: string; count: number }[] = [];
  let all = 0;
  for (let i = 0; i < annotated.length; i += AT_ONCE) {
    const some = annotated.slice(i, i + AT_ONCE);
    const sizes = await Promise.all(some.map(({ path }) => imageSize(path)));
    for (const [k, { split, path, id, points, at }] of some.entries()) {
      const size = sizes[k];
      // One that cannot be read is named when its turn comes.
      const inside = size ? within(points, size) : points;
      all += points.length / 2;
      if (inside.length < points.length) outside.push({ id, count: (points.length - inside.length) / 2 });
      const row = { split, id, place: files.place(path), labels: [], points: Float32Array.from(inside) };
      rows.push(at ? { ...row, at } : row);
    }
  }
  const left = outside.reduce((sum, { count }) => sum + count, 0);
  if (left > 0) {
    const about = { name, left, all, pictures: outside };
    if (left > MOST_OUTSIDE * all) throw new EspalierError([diagnostic('ESP1027', { ...about, share: MOST_OUTSIDE })]);
    warn(diagnostic('ESP1026', about));
  }
  return { name, kind: 'points', rows, pictures: files.pictures(), labelled: 'labels' };
}

function within(
  points: readonly number[],
  { width, height }: { readonly width: number; readonly height: number },
): number[] {
  const along = (at: number, length: number): number | undefined => {
    // What is no number is refused as such, later.
    if (at <= -NEAR || at >= length + NEAR) return undefined;
    // The largest f32 below the length, so that the point lies in the last pixel.
    return Number.isNaN(at) ? at : Math.max(0, Math.min(at, length * (1 - 2 ** -24)));
  };
  const found: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = [along(points[i]!, width), along(points[i + 1]!, height)];
    if (x !== undefined && y !== undefined) found.push(x, y);
  }
  return found;
}

/** A file name without its folders and its ending. */
export const stem = (path: string): string => basename(path, extname(path));
