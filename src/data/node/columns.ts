/** Paths and labels in columns: .csv files, and Hugging Face's metadata.csv and metadata.jsonl. */
import { dirname, join } from 'node:path';
import { CsvError, type CsvErrorCode, parse } from 'csv-parse/sync';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError, type Span } from '../../diagnostics/types.js';
import { openFile } from '../../formats/node/files.js';
import { readAll } from '../../formats/tensors/bytes.js';
import type { Row, Split, Table } from '../tables.js';
import { splitNamed } from './class-folders.js';
import { PictureFiles } from './files.js';

export interface Columns {
  /** Of paths, relative to the file. Default: `file_name`, `file`, `path`, `image` or `filename`, the first there is. */
  readonly image?: string;
  /** Of labels. Default: `label`, `labels` or `class`, the first there is. */
  readonly label?: string;
  /** Between several labels of one item, which then may have any number of them. Absent: each has one. */
  readonly separator?: string;
  /** Columns of numbers to be learnt, in place of labels. */
  readonly numbers?: readonly string[];
  /** Of the names of splits. Default: `split`, if there is one. */
  readonly split?: string;
}

interface Line {
  readonly values: Readonly<Record<string, unknown>>;
  readonly at: Span;
}

/** What a column of paths is called. */
export const IMAGE_COLUMNS = ['file_name', 'file', 'path', 'image', 'filename'];
const LABEL = ['label', 'labels', 'class'];

/** @throws EspalierError ESP0501, ESP1008, ESP1013 */
export async function readColumns(
  name: string,
  sources: readonly { readonly file: string; readonly split: Split }[],
  columns: Columns,
): Promise<Table> {
  const files = new PictureFiles();
  const rows: Row[] = [];
  for (const { file, split } of sources) {
    const bytes = Buffer.from(await readAll(await openFile(file)));
    const { lines, names } = file.endsWith('.jsonl') ? jsonLines(file, bytes) : csvLines(file, bytes);
    const pick = picker(file, names, columns);
    const wrong: EspalierError[] = [];
    for (const line of lines) {
      try {
        const { path, labels, split: said } = pick(line);
        const place = files.place(join(dirname(file), path));
        rows.push({ split: said ?? split, id: path, place, labels, at: line.at });
      } catch (error) {
        if (!(error instanceof EspalierError)) throw error;
        wrong.push(error);
      }
    }
    // All that is wrong in a file, as far as anyone reads on.
    if (wrong.length > 0) throw new EspalierError(wrong.slice(0, 20).flatMap((error) => error.diagnostics));
  }
  const { numbers, separator } = columns;
  return {
    name,
    kind: numbers ? 'numbers' : separator !== undefined ? 'classes' : 'class',
    rows,
    pictures: files.pictures(),
    labelled: 'labels',
    ...(numbers ? { columns: numbers } : {}),
  };
}

function refused(file: string, problem: string, at?: Span): EspalierError {
  const place = at ? { primary: { span: at, text: 'this line' } } : {};
  return new EspalierError([diagnostic('ESP1008', { file, problem }, place)]);
}

/** How a line becomes an item. @throws EspalierError ESP1013 for a column that is not there */
function picker(file: string, names: readonly string[], columns: Columns) {
  const missing = (column: string) => new EspalierError([diagnostic('ESP1013', { file, column, columns: names })]);
  const column = (given: string | undefined, usual: readonly string[], what: string): string => {
    if (given !== undefined) {
      if (!names.includes(given)) throw missing(`\`${given}\``);
      return given;
    }
    const found = usual.find((name) => names.includes(name));
    if (found === undefined) throw missing(what);
    return found;
  };
  const image = column(columns.image, IMAGE_COLUMNS, 'of paths');
  const { numbers, separator } = columns;
  const label = numbers ? undefined : column(columns.label, LABEL, 'of labels');
  for (const number of numbers ?? []) column(number, [], '');
  const split =
    columns.split === undefined && !names.includes('split') ? undefined : column(columns.split, ['split'], '');
  return ({ values, at }: Line) => {
    const wrong = (problem: string) => refused(file, problem, at);
    const text = (name: string): string => {
      const value = values[name];
      return value === undefined || value === null ? '' : String(value).trim();
    };
    const path = text(image);
    if (path === '') throw wrong(`a line has no path in \`${image}\``);
    const said = split === undefined ? undefined : splitNamed(text(split));
    if (split !== undefined && said === undefined)
      throw wrong(`\`${split}\` is "${text(split)}", and is train, val or test`);
    return { path, split: said, labels: numbers ? numbers.map((name) => numberIn(name)) : labelsIn(label!) };

    function numberIn(name: string): number {
      const value = text(name) === '' ? Number.NaN : Number(text(name));
      if (!Number.isFinite(value)) throw wrong(`${path} has no number in \`${name}\``);
      return value;
    }
    function labelsIn(name: string): string[] {
      const value = values[name];
      if (separator === undefined) {
        if (text(name) === '') throw wrong(`${path} has no label`);
        return [text(name)];
      }
      const list = Array.isArray(value) ? value.map(String) : text(name).split(separator);
      return [...new Set(list.map((one) => one.trim()).filter((one) => one !== ''))];
    }
  };
}

const REASONS: Partial<Record<CsvErrorCode, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quoted value does not end',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'a line has another number of values than the first',
  CSV_RECORD_INCONSISTENT_COLUMNS: 'a line has another number of values than there are columns',
  CSV_INVALID_CLOSING_QUOTE: 'a quoted value goes on after its end',
};

/** The lines of a .csv with a header, and the names of its columns. @throws EspalierError ESP1008 */
export function csvLines(file: string, bytes: Buffer): { lines: Line[]; names: string[] } {
  let names: string[] = [];
  type Parsed = { readonly record: Record<string, string>; readonly info: { readonly bytes: number } };
  let parsed: Parsed[];
  try {
    parsed = parse(bytes, {
      bom: true,
      info: true,
      skip_empty_lines: true,
      columns: (header: string[]) => {
        names = header.map((column) => column.trim());
        return names;
      },
    }) as unknown as Parsed[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const { lines: line } = error as { lines?: number };
    throw refused(file, REASONS[error.code] ?? error.message, lineAt(file, bytes, line));
  }
  if (names.length === 0) throw refused(file, 'it has no line of column names');
  // A line is where the one before it ended, to where it ends itself.
  let end = parsed.length > 0 ? endOfHeader(bytes, parsed[0]!.info.bytes) : 0;
  const places = new Places(file, bytes);
  const lines = parsed.map(({ record, info }) => {
    const at = places.span(end, info.bytes);
    end = info.bytes;
    return { values: record, at };
  });
  return { lines, names };
}

/** Where the first line of values begins: a header may hold line breaks in quotes. */
function endOfHeader(bytes: Buffer, first: number): number {
  let quoted = false;
  for (let i = 0; i < first; i++) {
    if (bytes[i] === 34) quoted = !quoted;
    else if (bytes[i] === 10 && !quoted) return i + 1;
  }
  return 0;
}

function jsonLines(file: string, bytes: Buffer): { lines: Line[]; names: string[] } {
  const places = new Places(file, bytes);
  const names = new Set<string>();
  const lines: Line[] = [];
  for (let start = 0; start < bytes.length; ) {
    const next = bytes.indexOf(10, start);
    const end = next < 0 ? bytes.length : next + 1;
    const text = bytes.subarray(start, end).toString().trim();
    const at = places.span(start, end);
    start = end;
    if (text === '') continue;
    let values: unknown;
    try {
      values = JSON.parse(text);
    } catch {}
    if (typeof values !== 'object' || values === null || Array.isArray(values))
      throw refused(file, 'a line is no JSON object', at);
    for (const name of Object.keys(values)) names.add(name);
    lines.push({ values: values as Line['values'], at });
  }
  return { lines, names: [...names] };
}

/** Places in a text by bytes that only grow, as places by characters. */
class Places {
  private readonly file: string;
  private readonly bytes: Buffer;
  private byte = 0;
  private character = 0;

  constructor(file: string, bytes: Buffer) {
    this.file = file;
    this.bytes = bytes;
  }

  /** Of a line, without the break at its end. */
  span(from: number, to: number): Span {
    const start = this.at(from);
    const text = this.bytes.subarray(from, to).toString();
    this.byte = to;
    this.character = start + text.length;
    const shown = text.trim();
    const begin = start + text.indexOf(shown);
    return { file: this.file, start: begin, end: begin + shown.length };
  }

  private at(byte: number): number {
    return this.character + this.bytes.subarray(this.byte, byte).toString().length;
  }
}

function lineAt(file: string, bytes: Buffer, line: number | undefined): Span | undefined {
  if (line === undefined) return undefined;
  const lines = bytes.toString().split('\n');
  if (line > lines.length) return undefined;
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  return { file, start, end: start + lines[line - 1]!.trimEnd().length };
}
