/** Where comments and empty lines stood, for the formatter: it asks by position, and each comment is handed out once. */
import type { Comment, SourceFile } from '../ast.js';

export class Comments {
  private readonly all: readonly Comment[];
  private readonly taken: boolean[];
  /** Whether positions mean anything: a tree that was made by a program has no text. */
  readonly hasText: boolean;

  /** @param words the text that `spelling` is asked for: that of the file, or of what the tree was made from */
  constructor(
    private readonly file: SourceFile,
    private readonly words: string,
  ) {
    this.hasText = file.text !== '';
    this.all = this.hasText ? [...file.comments].sort((a, b) => a.span.start - b.span.start) : [];
    this.taken = this.all.map(() => false);
  }

  /** The comments that begin in [from, to) and have not been handed out. */
  take(from: number, to: number): Comment[] {
    const found: Comment[] = [];
    for (let i = this.firstAt(from); i < this.all.length && this.all[i]!.span.start < to; i++) {
      if (!this.taken[i]) found.push(this.all[i]!);
      this.taken[i] = true;
    }
    return found;
  }

  /** Whether any comment begins in [from, to). */
  any(from: number, to: number): boolean {
    const comment = this.all[this.firstAt(from)];
    return comment !== undefined && comment.span.start < to;
  }

  private firstAt(offset: number): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle]!.span.start < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private gap(from: number, to: number): string {
    return this.hasText ? this.file.text.slice(from, to).replace(/\r\n?/g, '\n') : '';
  }
  hasBreak(from: number, to: number): boolean {
    return this.gap(from, to).includes('\n');
  }
  hasBlank(from: number, to: number): boolean {
    return /\n[ \t\f\v]*\n/.test(this.gap(from, to));
  }

  /** Offset of the next `mark` from `from` on that is not inside a comment; the end of the text if there is none. `\n` finds any line end. */
  find(mark: string, from: number): number {
    const { text } = this.file;
    let comment = this.firstAt(from);
    for (let i = from; i < text.length; i++) {
      const next = this.all[comment];
      if (next && i >= next.span.start) {
        i = next.span.end - 1;
        comment++;
      } else if (text[i] === mark || (mark === '\n' && text[i] === '\r')) return i;
    }
    return text.length;
  }

  /** The words of a number as they were written, if that is what stands there. */
  spelling(start: number, end: number): string {
    return this.words.slice(start, end);
  }
}
