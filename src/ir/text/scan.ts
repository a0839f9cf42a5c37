/** Tokens of the text form, with the line for errors. `//` starts a comment. */
import { BATCH, isBatch } from '../batch.js';

/** The text is not that of a module. */
export class TextError extends Error {
  /** From 1. */
  readonly line: number;
  constructor(message: string, line: number) {
    super(`line ${line}: ${message}`);
    this.name = 'TextError';
    this.line = line;
  }
}

const TOKEN =
  /[ \t\r]*(?:\/\/[^\n]*)?(?:(\n)|([@%](?:"(?:[^"\\\n]|\\.)*"|[A-Za-z0-9_][\w.@#/$-]*))|("(?:[^"\\\n]|\\.)*")|(->|[()[\]{},:=])|([1-9]\d*b\b)|(-?(?:inf\b|nan\b|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?!\w)))|([A-Za-z_]\w*))/gy;

type Kind = 'name' | 'string' | 'punctuation' | 'batches' | 'number' | 'word' | 'end';

export class Scanner {
  /** Line of the token that was taken last. */
  line = 1;
  private readonly text: string;
  private at = 0;
  private nextLine = 1;
  private kind: Kind = 'end';
  private token = '';

  constructor(text: string) {
    this.text = text;
    this.advance();
  }

  fail(message: string): never {
    throw new TextError(message, this.line);
  }

  private advance(): void {
    this.line = this.nextLine;
    for (;;) {
      TOKEN.lastIndex = this.at;
      const m = TOKEN.exec(this.text);
      if (!m) {
        const rest = this.text.slice(this.at).replace(/^[ \t\r]*(?:\/\/[^\n]*)?/, '');
        if (rest !== '') throw new TextError(`unexpected ${JSON.stringify(rest.slice(0, 12))}`, this.nextLine);
        this.kind = 'end';
        this.token = '';
        return;
      }
      this.at = TOKEN.lastIndex;
      if (m[1]) {
        this.nextLine++;
        continue;
      }
      const found = (
        [
          [m[2], 'name'],
          [m[3], 'string'],
          [m[4], 'punctuation'],
          [m[5], 'batches'],
          [m[6], 'number'],
          [m[7], 'word'],
        ] as const
      ).find(([t]) => t !== undefined)!;
      this.token = found[0]!;
      this.kind = found[1];
      return;
    }
  }

  private expected(what: string): never {
    const found = this.kind === 'end' ? 'the end of the text' : this.token;
    throw new TextError(`expected ${what}, found ${found}`, this.nextLine);
  }

  private take(): string {
    const token = this.token;
    this.advance();
    return token;
  }

  /** Whether the next token starts like this. */
  sees(start: string): boolean {
    return this.kind !== 'end' && this.kind !== 'string' && this.token.startsWith(start);
  }

  tryPunctuation(p: string): boolean {
    if (this.kind !== 'punctuation' || this.token !== p) return false;
    this.advance();
    return true;
  }

  punctuation(p: string): void {
    if (!this.tryPunctuation(p)) this.expected(p);
  }

  tryKeyword(word: string): boolean {
    if (this.kind !== 'word' || this.token !== word) return false;
    this.advance();
    return true;
  }

  keyword(word: string): void {
    if (!this.tryKeyword(word)) this.expected(word);
  }

  word(): string {
    if (this.kind !== 'word') this.expected('a word');
    return this.take();
  }

  wordOrString(): string {
    return this.kind === 'string' ? this.unquote(this.take()) : this.word();
  }

  /** A name after its sigil. */
  name(sigil: '@' | '%'): string {
    if (this.kind !== 'name' || !this.token.startsWith(sigil)) this.expected(`a name with ${sigil}`);
    const name = this.take().slice(1);
    return name.startsWith('"') ? this.unquote(name) : name;
  }

  private unquote(token: string): string {
    try {
      return JSON.parse(token) as string;
    } catch {
      return this.fail(`${token} is not a string`);
    }
  }

  number(): number {
    if (this.kind !== 'number' && !(this.kind === 'word' && (this.token === 'inf' || this.token === 'nan'))) {
      this.expected('a number');
    }
    const token = this.take();
    if (token.endsWith('inf')) return token.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    return token === 'nan' ? Number.NaN : Number(token);
  }

  /** `12:40` */
  range(): readonly [start: number, end: number] {
    const start = this.number();
    this.punctuation(':');
    return [start, this.number()];
  }

  /** A number or a multiple of the batch: `3`, `b`, `197b`. */
  private size(): number {
    if (this.tryKeyword('b')) return BATCH;
    if (this.kind === 'batches') return Number(this.take().slice(0, -1)) * BATCH;
    const size = this.number();
    return isBatch(size) ? this.fail(`${size} stands for the batch, which is written b`) : size;
  }

  /** `[1, 2, 3]` */
  numbers(): number[] {
    return this.list(() => this.number());
  }

  /** `[1, 2, 3]`, `[b, 197, 768]` */
  sizes(): number[] {
    return this.list(() => this.size());
  }

  private list(element: () => number): number[] {
    const list: number[] = [];
    this.punctuation('[');
    if (this.tryPunctuation(']')) return list;
    do list.push(element());
    while (this.tryPunctuation(','));
    this.punctuation(']');
    return list;
  }

  end(): void {
    if (this.kind !== 'end') this.expected('param, func or the end');
  }
}
