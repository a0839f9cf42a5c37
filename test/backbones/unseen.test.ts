/**
 * What a bare file does not show, of every family of the library: an option that differs from one checkpoint of a layout to another, that changes what
 * a model computes and no tensor's name or shape, stands in `unseen` of that layout. Families, layouts and options are those that are declared.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { libraryFiles } from '../../scripts/embed-std.js';
import type {
  Decl,
  Expr,
  ModelDecl,
  ModuleDecl,
  NamesBlock,
  OptionParam,
  Span,
  VariantDecl,
} from '../../src/dsl/ast.js';
import { parse } from '../../src/dsl/parse.js';
import { BUILTINS } from '../../src/dsl/semantics/builtins/builtins.js';
import { Scope } from '../../src/dsl/semantics/evaluate/values.js';
import { makeEngine } from '../../src/dsl/semantics/make-engine.js';
import { planModel } from '../../src/dsl/semantics/models/model.js';
import { hiddenAmong } from '../../src/dsl/semantics/models/unseen.js';
import { Library } from '../../src/dsl/semantics/names/library.js';
import { resolveNames } from '../../src/dsl/semantics/names/resolve.js';
import { Report } from '../../src/dsl/semantics/report.js';

const files = [...libraryFiles()].map(([name, path]) => parse(`std/${name}.peft`, readFileSync(path, 'utf8')).file);
const decls: readonly Decl[] = files.flatMap((f) => f.decls);
const variants = decls.filter((d): d is VariantDecl => d.kind === 'variant');
const textOf = ({ file, start, end }: Span): string => files.find((f) => f.path === file)!.text.slice(start, end);

/** The call of a variant: what it builds on, and the options that it fills in. */
function callOf(v: VariantDecl) {
  if (v.value.kind !== 'call' || v.value.callee.kind !== 'name') throw new Error(`${v.name.name} is no call`);
  const filled = v.value.args.flatMap((a) => (a.name ? [[a.name.name, textOf(a.value.span)] as const] : []));
  return { of: v.value.callee.name, filled: new Map(filled) };
}
const chainOf = (v: VariantDecl): VariantDecl[] => {
  const next = variants.find((x) => x.name.name === callOf(v).of);
  return next ? [v, ...chainOf(next)] : [v];
};
const optionsOf = (v: VariantDecl): readonly OptionParam[] => {
  const { of } = callOf(chainOf(v).at(-1)!);
  return decls.find((d): d is ModuleDecl => d.kind === 'backbone' && d.name.name === of)!.params;
};

type Options = ReadonlyMap<string, string>;

/** What calls of a variant make, and how to make engines for more of that; undefined where there is no such model. */
function make(variant: string, calls: readonly Options[]) {
  const models = calls.map((options, i) => {
    const args = [...options].map(([name, value]) => `${name}: ${value}`);
    return `model M${i} {\n  base = ${variant}(${args.join(', ')})\n}\n`;
  });
  const { file } = parse('s.peft', `use std\n${models.join('')}`);
  const library = new Library(file, new Report(file.path), { readFile: () => undefined });
  const meanings = resolveNames(library, new Report(file.path), BUILTINS);
  const fresh = () => makeEngine(new Report(file.path), library, meanings, { readFile: () => undefined });
  const found = file.decls.filter((d): d is ModelDecl => d.kind === 'model');
  return found.flatMap((decl) => {
    const engine = fresh();
    const site = engine.report.attempt(() => planModel(engine, decl, new Scope()).bindings[0])?.site;
    return site?.kind === 'module' && !engine.report.failed ? [{ site, fresh }] : [];
  });
}

/** Published models of a variant, with few blocks: what variants of the same layouts fill in; where there are none, those of the variant below. */
function published(v: VariantDecl): Options[] {
  const few = [
    { depth: '1', depths: '[2, 1]' },
    { depth: '1', depths: '[2, 1, 1, 1]' },
  ].map((sizes) => Object.entries(sizes).filter(([name]) => optionsOf(v).some((p) => p.name.name === name)));
  const said = new Set(chainOf(v).flatMap((y) => [...callOf(y).filled.keys()]));
  return chainOf(v).flatMap((root) =>
    variants.flatMap((x) => {
      const chain = chainOf(x);
      const own = chain.slice(0, Math.max(0, chain.indexOf(root))).toReversed();
      if (!chain.includes(root) || own.some((y) => y.params.length > 0)) return [];
      const filled = own.flatMap((y) => [...callOf(y).filled]).filter(([name]) => root === v || !said.has(name));
      return few.map((sizes) => new Map([...filled, ...sizes]));
    }),
  );
}

/** The names of a variant in each layout: its own, and those that it inherits. */
function layoutsOf(v: VariantDecl): NamesBlock[] {
  const blocks = chainOf(v).flatMap((x) => x.names);
  return blocks.filter((b, i) => blocks.findIndex((x) => x.layout.name === b.layout.name) === i);
}

/** Whether a configuration's value is always the same. */
const isFixed = (value: Expr): boolean =>
  value.kind !== 'string' && value.kind !== 'call' && !textOf(value.span).includes('"');

/**
 * Options in which checkpoints of a layout differ from what is taken for them, or from one another: a configuration of that layout says them, or else one of
 * another layout reads them from its files; or the name of an architecture says them; where there are no configurations, all.
 */
function differing(v: VariantDecl, layout: string): ReadonlySet<string> {
  const all = chainOf(v).flatMap((x) => x.configs.filter((c) => c.kind === 'config'));
  const own = all.filter((c) => c.layout.name === layout);
  if (all.length === 0) return new Set(optionsOf(v).map((p) => p.name.name));
  const entries = (own.length > 0 ? own : all).flatMap((c) => c.entries);
  const binds = entries.flatMap((e) =>
    e.kind === 'bind' && (own.length > 0 || !isFixed(e.value)) ? [e.name.name] : [],
  );
  const sized = entries.some((e) => e.kind === 'sizes');
  const below = sized ? variants.filter((x) => isPublished(x, v)) : [];
  return new Set([...binds, ...below.flatMap((x) => [...callOf(x).filled.keys()])]);
}

/** Whether one variant is a size of another, not a family of its own. */
function isPublished(x: VariantDecl, of: VariantDecl): boolean {
  const chain = chainOf(x);
  const at = chain.indexOf(of);
  return at > 0 && chain.slice(0, at).every((y) => !isFamily(y));
}
/** A variant with names or with configurations of its own that say more than which files are theirs. */
function isFamily(v: VariantDecl): boolean {
  return v.names.length > 0 || v.configs.some((c) => c.kind === 'config' && c.entries.some((e) => e.kind === 'bind'));
}

/** Options among some of which nothing shows, as the variant is published or for other images than its tables are for. */
function hidden(v: VariantDecl, among: readonly string[]): ReadonlySet<string> {
  const own = published(v).find((options) => make(v.name.name, [options]).length > 0);
  if (!own) throw new Error(`no variant fills in what ${v.name.name} needs`);
  const names = new Set(optionsOf(v).map((p) => p.name.name));
  const standard = optionsOf(v).find((p) => p.name.name === 'patch')?.default;
  const patch = Number(own.get('patch') ?? (standard ? textOf(standard.span) : 4));
  const place = (sides: Readonly<Record<string, number>>): Options =>
    new Map([
      ...own,
      ...Object.entries(sides).flatMap(([name, side]) => (names.has(name) ? [[name, `${patch * side}`] as const] : [])),
    ]);
  const found = new Set<string>();
  for (const { site, fresh } of make(v.name.name, [
    place({ table_image: 8, image: 8 }),
    place({ table_image: 8, image: 12 }),
  ])) {
    const open = among.filter((o) => !found.has(o));
    for (const o of hiddenAmong(fresh, site, open)) found.add(o);
  }
  return found;
}

const families = variants.filter(isFamily);

test.each(families.map((v) => [v.name.name, v] as const))('%s', (_, v) => {
  const open = layoutsOf(v).map((block) => {
    const said = block.entries.flatMap((e) => (e.kind === 'unseen' ? e.options.map((o) => o.name) : []));
    return [block.layout.name, [...differing(v, block.layout.name)].filter((o) => !said.includes(o))] as const;
  });
  const found = hidden(v, [...new Set(open.flatMap(([, options]) => options))]);
  const forgotten = open.map(([layout, options]) => [layout, options.filter((o) => found.has(o))]);
  expect(forgotten).toEqual(open.map(([layout]) => [layout, []]));
});
