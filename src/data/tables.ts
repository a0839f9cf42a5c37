/** From what a reader finds (rows with labels as they are written) to data sets: classes get their numbers, and what cannot be learnt from is refused. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError, type Span } from '../diagnostics/types.js';
import type { Dataset, Datasets, Pictures, Targets } from './types.js';

export const SPLITS = ['train', 'val', 'test'] as const;
export type Split = (typeof SPLITS)[number];

/** One item as it is listed. */
export interface Row {
  readonly split: Split;
  readonly id: string;
  /** In the table's pictures. */
  readonly place: number;
  /** Names of its classes, or the numbers to be learnt. */
  readonly labels: readonly (string | number)[];
  /** Of objects to be counted: x, y pairs. */
  readonly points?: Float32Array;
  /** Where its label is written, if it is in a text. */
  readonly at?: Span;
}

export interface Table {
  /** For messages: the folder or file. */
  readonly name: string;
  readonly kind: Targets['kind'];
  readonly rows: readonly Row[];
  readonly pictures: Pictures;
  /** What names a class there: for messages. */
  readonly labelled: 'sub-folders' | 'labels';
  /** Of numbers to be learnt: what each is called. */
  readonly columns?: readonly string[];
}

/** Classes in their order, or how many there are: labels are then numbers below. Absent: what the labels are, in order, numbers by size. */
export type GivenClasses = readonly string[] | number | undefined;

const isWhole = (label: string): boolean => /^\d+$/.test(label);
const byName = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

interface Numbering {
  readonly classes: readonly string[];
  readonly numberOf: ReadonlyMap<string, number>;
}

/** @throws EspalierError ESP0921 (labels that are no class), ESP0926 (a label that is two classes) */
function numbering(table: Table, given: GivenClasses): Numbering {
  const written = [...new Set(table.rows.flatMap((row) => row.labels.map(String)))].sort(byName);
  if (given === undefined) return { classes: written, numberOf: new Map(written.map((label, i) => [label, i])) };
  const classes = typeof given === 'number' ? Array.from({ length: given }, (_, i) => String(i)) : given;
  const numbers = new Map<string, number[]>();
  // A class may hold what the name of a folder cannot: `T-shirt/top` is found as `T-shirt_top` as well.
  for (const [i, label] of classes.entries())
    for (const name of new Set([label, label.replace(/[/\\:*?"<>|]/g, '_')]))
      numbers.set(name, [...(numbers.get(name) ?? []), i]);
  // Labels of a list that are numbers throughout are those of the classes, unless classes are called so. A folder's name is a name.
  const byNumber = table.labelled === 'labels' && written.every((label) => isWhole(label) && !numbers.has(label));
  if (byNumber) for (const i of classes.keys()) numbers.set(String(i), [i]);
  const meant = (label: string) => numbers.get(byNumber ? String(Number(label)) : label);

  const unknown = written.filter((label) => meant(label) === undefined);
  if (unknown.length > 0) {
    const row = table.rows.find(({ at, labels }) => at && labels.some((label) => unknown.includes(String(label))));
    const place = row?.at ? { primary: { span: row.at, text: 'no class is called so' } } : {};
    const args = { folder: table.name, what: table.labelled, unknown, labels: classes };
    throw new EspalierError([diagnostic('ESP0921', args, place)]);
  }
  const shared = written.find((label) => meant(label)!.length > 1);
  if (shared !== undefined)
    throw new EspalierError([
      diagnostic('ESP0926', { folder: table.name, label: shared, classes: meant(shared)!, what: table.labelled }),
    ]);
  return { classes, numberOf: new Map(written.map((label) => [label, meant(label)![0]!])) };
}

function datasetOf(table: Table, rows: readonly Row[], { classes, numberOf }: Numbering, name: string): Dataset {
  const targets = (): Targets => {
    const numbered = (row: Row) => row.labels.map((label) => numberOf.get(String(label))!);
    switch (table.kind) {
      case 'class':
        return { kind: 'class', labels: Int32Array.from(rows, (row) => numbered(row)[0]!) };
      case 'classes':
        return { kind: 'classes', labels: rows.map(numbered) };
      case 'numbers':
        return {
          kind: 'numbers',
          values: Float32Array.from(rows.flatMap((row) => row.labels as number[])),
          width: table.columns!.length,
        };
      case 'points':
        return { kind: 'points', points: rows.map((row) => row.points!) };
    }
  };
  return {
    name,
    size: rows.length,
    classes,
    ids: rows.map((row) => row.id),
    places: rows.map((row) => row.place),
    targets: targets(),
    pictures: table.pictures,
  };
}

/** All rows as one data set, whatever split they are of: for figures, not for training. @throws EspalierError ESP0921, ESP0926 */
export function wholeDataset(table: Table, given?: GivenClasses): Dataset {
  return datasetOf(table, table.rows, numberingOf(table, given), table.name);
}

function numberingOf(table: Table, given: GivenClasses): Numbering {
  if (table.kind === 'points') return { classes: [], numberOf: new Map() };
  return table.kind === 'numbers' ? { classes: table.columns!, numberOf: new Map() } : numbering(table, given);
}

/**
 * The data sets of a table, whose classes are numbered over all of its splits.
 * @throws EspalierError ESP1014 (nothing to train on), ESP1002 (one class), ESP1012 (a picture in two splits), ESP0921, ESP0926 (classes that do not fit), ESP1022,
 * ESP1023, ESP1024 (points that nothing can be learnt from)
 */
export function datasetsOf(table: Table, given?: GivenClasses, warn: (d: Diagnostic) => void = () => {}): Datasets {
  const rowsOf = (split: Split) => table.rows.filter((row) => row.split === split);
  const rows = rowsOf('train');
  if (rows.length === 0) {
    const others = SPLITS.filter((split) => rowsOf(split).length > 0);
    throw new EspalierError([diagnostic('ESP1014', { name: table.name, others })]);
  }
  const numbers = numberingOf(table, given);
  if (table.kind === 'points') checkPoints(table, rows);
  else if (table.kind !== 'numbers') checkClasses(table, rows, numbers, warn);
  checkApart(table);
  const [val, test] = (['val', 'test'] as const).map((split) => {
    const of = rowsOf(split);
    return of.length > 0 ? datasetOf(table, of, numbers, `${table.name} (${split})`) : undefined;
  });
  return {
    train: datasetOf(table, rows, numbers, table.name),
    ...(val ? { val } : {}),
    ...(test ? { test } : {}),
  };
}

function checkClasses(
  table: Table,
  rows: readonly Row[],
  { classes, numberOf }: Numbering,
  warn: (d: Diagnostic) => void,
): void {
  const there = new Set(rows.flatMap((row) => row.labels.map((label) => numberOf.get(String(label))!)));
  // Of several labels one alone can be learnt: an item has it or not.
  if (there.size === 1 && table.kind === 'class')
    throw new EspalierError([diagnostic('ESP1002', { name: table.name, label: classes[[...there][0]!]! })]);
  const absent = classes.filter((_, i) => !there.has(i));
  if (absent.length > 0) warn(diagnostic('ESP1003', { name: table.name, absent }));
}

/** More are no annotation of a person's: of 100,000 points a picture of 10 megapixels has one in each square of 10 pixels. */
const MOST_POINTS = 100_000;

/** @throws EspalierError ESP1022 (no point at all), ESP1023 (too many in a picture), ESP1024 (points that are no pairs of numbers) */
function checkPoints({ name, rows: all }: Table, train: readonly Row[]): void {
  for (const { id, points, at } of all) {
    const place = at ? { primary: { span: at, text: 'here' } } : {};
    const { length } = points!;
    if (length % 2 !== 0 || !points!.every(Number.isFinite))
      throw new EspalierError([
        diagnostic('ESP1024', { file: name, problem: `points of ${id} are no pairs of numbers` }, place),
      ]);
    if (length / 2 > MOST_POINTS)
      throw new EspalierError([diagnostic('ESP1023', { id, count: length / 2, most: MOST_POINTS }, place)]);
  }
  if (train.every(({ points }) => points!.length === 0))
    throw new EspalierError([diagnostic('ESP1022', { name, items: train.length })]);
}

/** That no picture is in two splits: what was trained on tells nothing about pictures that were not. */
function checkApart({ name, rows }: Table): void {
  const splits = new Map<number, Split>();
  for (const { place, split, id } of rows) {
    const other = splits.get(place) ?? split;
    if (other !== split) throw new EspalierError([diagnostic('ESP1012', { name, id, splits: [other, split] })]);
    splits.set(place, split);
  }
}
