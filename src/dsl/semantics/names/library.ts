/** Declarations in reach of a file: its own, those of the files it uses, and the standard library. */

import { nearest } from '../../../diagnostics/suggest.js';
import { EspalierError } from '../../../diagnostics/types.js';
import type { Decl, ModelDecl, SettingsDecl, SourceFile, Span, UseDecl, VariantDecl } from '../../ast.js';
import { lookup } from '../../lookup.js';
import { type Parsed, parse } from '../../parse.js';
import { STD } from '../../std.generated.js';
import type { Report } from '../report.js';

/** A declaration that can be used by name. */
export type Named = Exclude<Decl, UseDecl | SettingsDecl | ModelDecl>;

const isNamed = (d: Decl): d is Named =>
  d.kind !== 'use' && d.kind !== 'train' && d.kind !== 'deploy' && d.kind !== 'model';

/** Paths of the library's files begin with this, in spans too. */
export const STD_PREFIX = 'std/';

/** Parsed once a process; a library that does not parse is a bug of ours and shows in its own test. */
const stdFiles = new Map<string, SourceFile>();
function stdFile(name: string): SourceFile {
  let file = stdFiles.get(name);
  if (!file) {
    file = parse(`${STD_PREFIX}${name}.peft`, STD[name]!).file;
    stdFiles.set(name, file);
  }
  return file;
}

interface Loaded {
  readonly file: SourceFile;
  readonly own: Map<string, Named>;
  /** Everything in reach: own first. */
  readonly reach: Map<string, Named>;
  /** Declarations in reach that could not be read. */
  readonly lost: Set<string>;
  /** A file that it uses was not found: anything may be in there. */
  incomplete: boolean;
}

/** Where the files are that `use` names, and how they are read. */
export interface Reading {
  readonly readFile: (path: string) => string | undefined;
  /** Of any form of a spec; absent: `.peft` alone. */
  readonly parseFile?: (path: string, text: string) => Parsed;
}

export class Library {
  readonly #files = new Map<string, Loaded>();
  readonly #report: Report;
  readonly #reading: Reading;

  constructor(main: SourceFile, report: Report, reading: Reading) {
    this.#report = report;
    this.#reading = reading;
    report.damaged(main);
    this.#load(main, [main.path]);
  }

  /** The declaration that a name stands for in a file. */
  find(name: string, file: string): Named | undefined {
    return this.#files.get(file)?.reach.get(name);
  }

  /** Whether a name that nothing in reach declares may be in what could not be read, which was reported. */
  mayBeLost(name: string, file: string): boolean {
    const loaded = this.#files.get(file);
    return loaded !== undefined && (loaded.incomplete || loaded.lost.has(name));
  }

  /** Names of everything that can be called to make something, for suggestions. */
  makers(file: string, kinds: readonly Named['kind'][] = ['module', 'backbone', 'variant']): string[] {
    const reach = this.#files.get(file)?.reach ?? new Map<string, Named>();
    return [...reach.values()].filter((d) => kinds.includes(d.kind)).map((d) => d.name.name);
  }

  /** Variants in reach of a file. */
  variants(file: string): VariantDecl[] {
    return [...(this.#files.get(file)?.reach.values() ?? [])].filter((d) => d.kind === 'variant');
  }

  /** Files that were read, the main one first; the library's are not among them. */
  get userFiles(): SourceFile[] {
    return [...this.#files.values()].map((l) => l.file).filter((f) => !f.path.startsWith(STD_PREFIX));
  }

  /** What stands at a place. */
  textOf(span: Span): string | undefined {
    return this.#files.get(span.file)?.file.text.slice(span.start, span.end);
  }

  #load(file: SourceFile, chain: readonly string[]): Loaded {
    const own = new Map<string, Named>();
    const loaded: Loaded = { file, own, reach: new Map(), lost: new Set(file.damage?.names), incomplete: false };
    this.#files.set(file.path, loaded);
    for (const d of file.decls) {
      if (!isNamed(d)) continue;
      const before = own.get(d.name.name);
      if (before) this.#twice(d, before);
      else own.set(d.name.name, d);
    }
    const used: { decl: Named; std: boolean }[] = [];
    for (const d of file.decls) {
      if (d.kind !== 'use') continue;
      const std = 'std' in d.path;
      const files = this.#used(d, file, chain);
      if (files.length === 0) loaded.incomplete = true;
      for (const l of files) {
        for (const decl of l.own.values()) used.push({ decl, std });
        for (const name of l.file.damage?.names ?? []) loaded.lost.add(name);
      }
    }
    const standard = new Map<string, Named>();
    for (const { decl } of used.filter((u) => u.std)) this.#one(standard, decl);
    const theirs = new Map<string, Named>();
    for (const { decl } of used.filter((u) => !u.std)) {
      if (own.has(decl.name.name)) this.#between(own.get(decl.name.name)!, decl);
      else this.#one(theirs, decl);
    }
    for (const [name, decl] of [...theirs, ...own]) {
      const library = standard.get(name);
      if (library) this.#replaces(decl, library);
    }
    for (const [name, decl] of [...standard, ...theirs, ...own]) loaded.reach.set(name, decl);
    return loaded;
  }

  /** Takes a declaration of another file into a table, where a name is one file's. The first stays. */
  #one(table: Map<string, Named>, decl: Named): void {
    const before = table.get(decl.name.name);
    if (!before) table.set(decl.name.name, decl);
    else if (before !== decl) this.#between(decl, before);
  }

  /** Two files have one name. */
  #between(d: Named, before: Named): void {
    const [here, there] = [d.name.span.file, before.name.span.file];
    this.#report.add(
      'ESP1310',
      { name: d.name.name, files: [there, here], library: here.startsWith(STD_PREFIX) },
      {
        primary: { span: d.name.span, text: `declared in ${here}` },
        secondary: [{ span: before.name.span, text: `and in ${there}` }],
      },
    );
  }

  /** A file of the user's has a name that the library has too: it stands for the user's, which is said. */
  #replaces(d: Named, library: Named): void {
    const { file } = library.name.span;
    this.#report.add(
      'ESP1311',
      { name: d.name.name, file: d.name.span.file, library: file },
      {
        primary: { span: d.name.span, text: 'stands for this one' },
        secondary: [{ span: library.name.span, text: 'not for this one' }],
      },
    );
  }

  #twice(d: Named, before: Named): void {
    this.#report.add(
      'ESP0214',
      { name: d.name.name },
      {
        primary: { span: d.name.span, text: 'declared again' },
        secondary: [{ span: before.name.span, text: 'declared here' }],
      },
    );
  }

  #used(d: UseDecl, from: SourceFile, chain: readonly string[]): Loaded[] {
    if ('std' in d.path) {
      const [name, ...more] = d.path.std;
      if (name === undefined) return Object.keys(STD).map((n) => this.#std(n));
      if (more.length === 0 && lookup(STD, name) !== undefined) return [this.#std(name)];
      const full = d.path.std.join('.');
      const near = nearest(full, Object.keys(STD));
      this.#report.add(
        'ESP0211',
        { name: full },
        {
          primary: { span: d.span, text: 'no such part' },
          help: [
            ...(near === undefined ? [] : [`Did you mean \`use std.${near}\`?`]),
            `It has: ${Object.keys(STD).join(', ')}.`,
          ],
        },
      );
      return [];
    }
    const path = resolvePath(from.path, d.path.file);
    if (chain.includes(path)) {
      this.#report.add(
        'ESP0213',
        { chain: [...chain.slice(chain.indexOf(path)), path] },
        { primary: { span: d.span, text: 'closes the circle' } },
      );
      return [];
    }
    const known = this.#files.get(path);
    if (known) return [known];
    let text: string | undefined;
    try {
      text = this.#reading.readFile(path);
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      for (const why of error.diagnostics) {
        this.#report.push({ ...why, primary: { span: d.span, text: 'used here' } });
      }
      return [];
    }
    if (text === undefined) {
      this.#report.add('ESP0212', { path }, { primary: { span: d.span, text: 'used here' } });
      return [];
    }
    const parsed = (this.#reading.parseFile ?? parse)(path, text);
    for (const p of parsed.diagnostics) this.#report.push(p);
    this.#report.damaged(parsed.file);
    const loaded = this.#load(parsed.file, [...chain, path]);
    // Of what could not be read at all, as JSON with a mistake, nobody knows what it declares.
    const { decls, damage } = parsed.file;
    const declares = decls.length > 0 || (damage?.names.length ?? 0) > 0;
    const unread = !declares && parsed.diagnostics.some((p) => p.severity === 'error');
    return unread ? [] : [loaded];
  }

  /** The library's files see one another, so that a backbone may use the modules of another. */
  #std(name: string): Loaded {
    const file = stdFile(name);
    const known = this.#files.get(file.path);
    if (known) return known;
    const own = new Map<string, Named>();
    const loaded: Loaded = { file, own, reach: new Map(), lost: new Set(), incomplete: false };
    this.#files.set(file.path, loaded);
    for (const d of file.decls) if (isNamed(d)) own.set(d.name.name, d);
    for (const n of Object.keys(STD)) for (const d of stdFile(n).decls) if (isNamed(d)) this.#one(loaded.reach, d);
    for (const n of Object.keys(STD)) this.#std(n);
    return loaded;
  }
}

/** The file of the standard library that declares a name. */
export const standardFileOf = (name: string): string | undefined =>
  Object.keys(STD).find((file) => stdFile(file).decls.some((d) => isNamed(d) && d.name.name === name));

/** A path relative to the file it is written in, with `.` and `..` taken out. */
export function resolvePath(from: string, path: string): string {
  if (path.startsWith('/') || /^[A-Za-z]:[\\/]/.test(path)) return path;
  const parts = from.split('/').slice(0, -1);
  for (const p of path.split('/')) {
    if (p === '.' || p === '') continue;
    if (p === '..' && parts.length > 0 && parts.at(-1) !== '..' && parts.at(-1) !== '') parts.pop();
    else parts.push(p);
  }
  return parts.join('/');
}
