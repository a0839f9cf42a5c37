/** Declarations in reach of a file: its own, those of the files it uses, and the standard library. */

import { nearest } from '../../../diagnostics/suggest.js';
import { EspalierError } from '../../../diagnostics/types.js';
import type { Decl, ModelDecl, SettingsDecl, SourceFile, Span, UseDecl, VariantDecl } from '../../ast.js';
import { lookup } from '../../lookup.js';
import { parse } from '../../parse.js';
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

export class Library {
  readonly #files = new Map<string, Loaded>();
  readonly #report: Report;
  readonly #readFile: (path: string) => string | undefined;

  constructor(main: SourceFile, report: Report, readFile: (path: string) => string | undefined) {
    this.#report = report;
    this.#readFile = readFile;
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
    for (const { decl } of used.filter((u) => u.std)) loaded.reach.set(decl.name.name, decl);
    const foreign = new Map<string, Named>();
    for (const { decl } of used.filter((u) => !u.std)) {
      const name = decl.name.name;
      const before = own.get(name) ?? foreign.get(name);
      if (before && before !== decl) this.#twice(own.has(name) ? before : decl, own.has(name) ? decl : before);
      foreign.set(name, decl);
      loaded.reach.set(name, decl);
    }
    for (const [name, d] of own) loaded.reach.set(name, d);
    return loaded;
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
      text = this.#readFile(path);
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
    const parsed = parse(path, text);
    for (const p of parsed.diagnostics) this.#report.push(p);
    this.#report.damaged(parsed.file);
    return [this.#load(parsed.file, [...chain, path])];
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
    for (const n of Object.keys(STD)) {
      for (const d of stdFile(n).decls) if (isNamed(d)) loaded.reach.set(d.name.name, d);
    }
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
