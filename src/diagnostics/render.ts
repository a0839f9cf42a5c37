/** Diagnostics for people: message, place, the source with what is meant marked, and help. */
export { type DiagnosticJson, toJson } from './json.js';

import { Lines, printable, show, sliceColumns } from './text.js';
import type { Diagnostic, Label, Severity } from './types.js';

export interface RenderOptions {
  /** The text of a file that a span names; undefined when it is not known. */
  readonly texts: (file: string) => string | undefined;
  /** ANSI colours. */
  readonly color: boolean;
  /** Columns that source lines may take; 120 unless told. Longer lines are cut around what is marked. */
  readonly width?: number;
}

type Style = 'error' | 'warning' | 'note' | 'mark' | 'gutter' | 'bold';
const ANSI: Readonly<Record<Style, string>> = {
  error: '1;31',
  warning: '1;33',
  note: '1;36',
  mark: '1;34',
  gutter: '1;34',
  bold: '1',
};

/** Something marked on one line. */
interface Mark {
  /** Columns as shown, half open, at least one. */
  from: number;
  to: number;
  readonly text: string;
  readonly primary: boolean;
}

class Renderer {
  private readonly known = new Map<string, Lines | undefined>();

  constructor(private readonly options: RenderOptions) {}

  private paint(style: Style, text: string): string {
    return this.options.color && text !== '' ? `\u001b[${ANSI[style]}m${text}\u001b[0m` : text;
  }

  private lines(file: string): Lines | undefined {
    if (!this.known.has(file)) {
      const text = this.options.texts(file);
      this.known.set(file, text === undefined ? undefined : new Lines(text));
    }
    return this.known.get(file);
  }

  one(d: Diagnostic): string {
    const head = `${this.paint(d.severity, `${d.severity}[${d.code}]`)}${this.paint('bold', `: ${printable(d.message)}`)}`;
    const out = [head];
    const labels = d.primary ? [d.primary, ...d.secondary] : d.secondary;
    const files = [...new Set(labels.map((label) => label.span.file))];
    const last = Math.max(0, ...labels.map((label) => this.lines(label.span.file)?.position(label.span.end).line ?? 0));
    const gutter = ' '.repeat(String(last).length);
    for (const file of files) {
      const own = labels.filter((label) => label.span.file === file);
      out.push(...this.frame(file, own, d.primary, d.severity, gutter, file === files[0]));
    }
    for (const help of d.help) {
      const [first = '', ...rest] = printable(help).split('\n');
      out.push(`${gutter} ${this.paint('gutter', '=')} ${this.paint('bold', 'help')}: ${first}`);
      for (const line of rest) out.push(`${gutter}         ${line}`);
    }
    return out.join('\n');
  }

  private frame(
    file: string,
    labels: readonly Label[],
    primary: Label | undefined,
    severity: Severity,
    gutter: string,
    first: boolean,
  ): string[] {
    const lines = this.lines(file);
    const at = labels[0]!;
    const arrow = this.paint('gutter', first ? '-->' : ':::');
    // A label without text or extent names the file as a whole.
    const whole = at.text === '' && at.span.start === at.span.end && labels.length === 1;
    if (!lines || whole) return [`${gutter}${arrow} ${printable(file)}`];
    const position = lines.position(at.span.start);
    const out = [`${gutter}${arrow} ${printable(file)}:${position.line}:${position.column}`];
    const bar = `${gutter} ${this.paint('gutter', '|')}`;
    out.push(bar);
    const marks = new Map<number, Mark[]>();
    for (const label of labels) this.addMarks(marks, lines, label, label === primary);
    let before: number | undefined;
    for (const line of [...marks.keys()].sort((a, b) => a - b)) {
      if (before !== undefined && line - before === 2)
        out.push(...this.source(lines, before + 1, [], severity, gutter));
      else if (before !== undefined && line - before > 2) out.push(this.paint('gutter', '...'));
      out.push(...this.source(lines, line, marks.get(line)!, severity, gutter));
      before = line;
    }
    out.push(bar);
    return out;
  }

  /** A span over several lines is marked on its first and its last one. */
  private addMarks(marks: Map<number, Mark[]>, lines: Lines, label: Label, primary: boolean): void {
    const length = lines.text.length;
    const start = Math.max(0, Math.min(label.span.start, length));
    const end = Math.max(start, Math.min(label.span.end, length));
    const first = lines.lineOf(start);
    const last = end > start ? lines.lineOf(end - 1) : first;
    const add = (line: number, from: number, to: number, text: string) => {
      const { columns } = show(lines.line(line));
      const at = (offset: number) => columns[Math.max(0, Math.min(offset, columns.length - 1))]!;
      const mark = { from: at(from), to: Math.max(at(from) + 1, at(to)), text: printable(text), primary };
      marks.set(line, [...(marks.get(line) ?? []), mark]);
    };
    const base = lines.start(first);
    if (first === last) add(first, start - base, end - base, label.text);
    else {
      add(first, start - base, lines.line(first).length, '');
      const text = lines.line(last);
      add(last, text.length - text.trimStart().length, end - lines.start(last), label.text);
    }
  }

  private source(lines: Lines, line: number, marks: Mark[], severity: Severity, gutter: string): string[] {
    const width = Math.max(40, (this.options.width ?? 120) - gutter.length - 3);
    const shown = show(lines.line(line));
    const total = shown.columns.at(-1)!;
    let text = shown.text;
    if (total > width) {
      const focus = marks.find((mark) => mark.primary) ?? marks[0];
      const from = Math.max(0, Math.min((focus?.from ?? 0) - Math.floor(width / 3), total - width));
      text = `${from > 0 ? '...' : ''}${sliceColumns(text, from + (from > 0 ? 3 : 0), from + width - (from + width < total ? 3 : 0))}${from + width < total ? '...' : ''}`;
      for (const mark of marks) {
        mark.from = Math.max(0, Math.min(mark.from - from, width - 1));
        mark.to = Math.max(mark.from + 1, Math.min(mark.to - from, width));
      }
    }
    const number = String(line + 1).padStart(gutter.length);
    const bar = this.paint('gutter', '|');
    const out = [`${this.paint('gutter', number)} ${bar} ${text}`.trimEnd()];
    for (const row of this.markRows(marks, severity)) out.push(`${gutter} ${bar} ${row}`);
    return out;
  }

  /** The rows under a source line: the marks, the text of the rightmost beside it, and the others hung below. */
  private markRows(marks: Mark[], severity: Severity): string[] {
    if (marks.length === 0) return [];
    const ordered = [...marks].sort((a, b) => a.from - b.from || a.to - b.to);
    const style = (mark: Mark): Style => (mark.primary ? severity : 'mark');
    const last = ordered.reduce((a, b) => (b.to >= a.to ? b : a));
    const row = new Row();
    // Secondary marks first, so that the primary one lies on top.
    for (const mark of [...ordered].sort((a, b) => Number(a.primary) - Number(b.primary))) {
      row.put(mark.from, (mark.primary ? '^' : '-').repeat(mark.to - mark.from), style(mark));
    }
    if (last.text !== '') row.put(last.to + 1, last.text, style(last));
    const rows = [row];
    const hung = ordered.filter((mark) => mark !== last && mark.text !== '');
    if (hung.length > 0) {
      const stems = new Row();
      for (const mark of hung) stems.put(mark.from, '|', style(mark));
      rows.push(stems);
    }
    for (let i = hung.length - 1; i >= 0; i--) {
      const hanging = new Row();
      for (const mark of hung.slice(0, i)) hanging.put(mark.from, '|', style(mark));
      hanging.put(hung[i]!.from, hung[i]!.text, style(hung[i]!));
      rows.push(hanging);
    }
    return rows.map((r) => r.text((s, text) => this.paint(s, text)));
  }
}

/** A row of cells that are written over each other. */
class Row {
  private readonly cells: { readonly text: string; readonly style: Style }[] = [];

  put(column: number, text: string, style: Style): void {
    let at = column;
    for (const character of text) this.cells[at++] = { text: character, style };
  }

  text(paint: (style: Style, text: string) => string): string {
    let out = '';
    let run = '';
    let style: Style | undefined;
    const flush = () => {
      out += style ? paint(style, run) : run;
      run = '';
    };
    for (let i = 0; i < this.cells.length; i++) {
      const cell = this.cells[i];
      if (cell?.style !== style) {
        flush();
        style = cell?.style;
      }
      run += cell?.text ?? ' ';
    }
    flush();
    return out;
  }
}

/** Renders diagnostics one after another, with an empty line between two. Ends without a line break. */
export function render(diagnostics: readonly Diagnostic[], options: RenderOptions): string {
  const renderer = new Renderer(options);
  return diagnostics.map((d) => renderer.one(d)).join('\n\n');
}
