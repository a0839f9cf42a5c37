/** What in reach of a spec fits a checkpoint or an adapter of someone else's: variants by configurations, heads and adapters by what they hold. */
import { matches } from '../ir/glob.js';
import type { AdapterDecl, Expr, ModuleDecl, NamesEntry, Stmt } from './ast.js';
import type { ElaborateOptions, JsonFile } from './elaborated.js';
import { parse } from './parse.js';
import { BUILTINS } from './semantics/builtins/builtins.js';
import { makeEngine } from './semantics/make-engine.js';
import { configsOf, entriesOf, isFor } from './semantics/models/blocks.js';
import { blocksOf, rootName, tensorsOf } from './semantics/models/names.js';
import { variantChain } from './semantics/models/variants.js';
import { boundBy } from './semantics/names/bound.js';
import { Library } from './semantics/names/library.js';
import { backboneOf, pathsOf } from './semantics/names/readings.js';
import { resolveNames } from './semantics/names/resolve.js';
import { Report } from './semantics/report.js';
import { suitsType } from './semantics/sites/adapters/pattern.js';

const PATH = 'folder.peft';

/** A head that a checkpoint may have, as bindings of a model say it, the likeliest first. */
export interface FittingHead {
  /** As the variant's names call it: `head`. */
  readonly name: string;
  /** `classify(base, pool: mean)` */
  readonly values: readonly string[];
}

export interface Fitting {
  /** Variants that read a configuration, those that leave most to it first. */
  variants(config: JsonFile): string[];
  /** The field of a configuration that says what it is of, as most variants look for it, and its value; undefined where it has none. */
  kind(config: JsonFile): { readonly field: string; readonly value: string } | undefined;
  /** @param rows of each tensor that there is, by its name */
  heads(variant: string, rows: ReadonlyMap<string, number>): FittingHead | undefined;
  /** An adapter of layers of a type (`Linear`) that has parameters and options of these names: of several that with fewest others. */
  adapter(layer: string, params: readonly string[], options: readonly string[]): string | undefined;
}

/** Over the library, whose names a spec has that begins with `use std`. */
export function fitting(): Fitting {
  const options: ElaborateOptions = { readFile: () => undefined };
  const use = parse(PATH, 'use std\n').file;
  const all = new Library(use, new Report(PATH), options).variants(PATH);
  // A name means something where something names it.
  const models = all.map((v, i) => `model M${i} {\n  base = ${v.name.name}()\n}\n`).join('');
  const { file } = parse(PATH, `use std\n${models}`);
  const library = new Library(file, new Report(file.path), options);
  const meanings = resolveNames(library, new Report(file.path), BUILTINS);
  const engine = makeEngine(new Report(file.path), library, meanings, options);
  const variants = library.variants(file.path);
  const find = (kinds: Parameters<Library['makers']>[1]) =>
    library.makers(file.path, kinds).map((name) => library.find(name, file.path)!);
  return {
    variants(config) {
      const layouts = (v: (typeof variants)[number]) =>
        v.configs.flatMap((c) => (c.kind === 'config' ? [c.layout.name] : []));
      // Only those that themselves say which files are theirs: what builds on them reads the same ones.
      const fits = variants.filter((v) =>
        configsOf(engine, v).some(
          (c) => layouts(v).includes(c.layout) && entriesOf(c, 'match').length > 0 && isFor(c, config),
        ),
      );
      const depth = (name: string) => variantChain(engine, variants.find((v) => v.name.name === name)!).length;
      return fits.map((v) => v.name.name).toSorted((a, b) => depth(a) - depth(b));
    },
    kind({ json }) {
      const asked = new Map<string, number>();
      for (const config of variants.flatMap((v) => v.configs)) {
        const [first] = entriesOf(config, 'match');
        for (const field of (first && pathsOf(first.field)) ?? []) asked.set(field, (asked.get(field) ?? 0) + 1);
      }
      const fields = [...asked].toSorted(([, a], [, b]) => b - a).map(([field]) => field);
      return fields.flatMap((field) => {
        const value = json[field];
        return typeof value === 'string' ? [{ field, value }] : [];
      })[0];
    },
    heads(name, rows) {
      const variant = variants.find((v) => v.name.name === name);
      const own = new Set(variant && backboneOf((e) => meanings.declared(e), variant)?.body.flatMap(boundBy));
      const held = (patterns: readonly string[]) =>
        [...rows.keys()].find((tensor) => patterns.some((p) => matches(p, tensor)));
      const blocks = variant ? blocksOf(engine, variant) : [];
      for (const { entries } of blocks) {
        const found = entries.flatMap((e) => {
          const root = e.kind === 'name' ? rootName(e.path) : undefined;
          const part = e.kind === 'name' ? partOf(e.path) : undefined;
          return e.kind === 'name' && root !== undefined && part && !own.has(root) && held(tensorsOf(e)) !== undefined
            ? [{ root, part, tensor: held(tensorsOf(e))! }]
            : [];
        });
        const [first] = found;
        if (!first) continue;
        const said = entries.flatMap((e) => saidBy(e, held, rows, (span) => library.textOf(span)));
        const parts = new Set(found.filter((f) => f.root === first.root).map((f) => f.part));
        const modules = find(['module']).filter((d): d is ModuleDecl => d.kind === 'module' && takesModule(d));
        const values = modules
          .filter((d) => [...parts].every((part) => d.body.flatMap(boundBy).includes(part)))
          .flatMap((d) => callsOf(d, rows.get(first.tensor)));
        return { name: first.root, values: [...said, ...values] };
      }
      return undefined;
    },
    adapter(layer, params, wanted) {
      const fits = find(['adapter'])
        .filter((d): d is AdapterDecl => d.kind === 'adapter' && suitsType(d, layer))
        .map((d) => ({ d, own: d.body.flatMap(paramsOf) }))
        .filter(
          ({ d, own }) =>
            params.every((p) => own.includes(p)) && wanted.every((o) => d.params.some((p) => p.name.name === o)),
        );
      return fits.toSorted((a, b) => a.own.length - b.own.length)[0]?.d.name.name;
    },
  };
}

/** `fc` of `head.fc.weight.T`: what of a head an entry is about. */
function partOf(path: Expr): string | undefined {
  if (path.kind !== 'member') return undefined;
  return path.object.kind === 'name' ? path.member.name : partOf(path.object);
}

/** What an entry says outright, `rows` as a number; also with the number of classes, where the file does not say it. */
function saidBy(
  e: NamesEntry,
  held: (patterns: readonly string[]) => string | undefined,
  rows: ReadonlyMap<string, number>,
  textOf: (span: Expr['span']) => string | undefined,
): string[] {
  if (e.kind !== 'head') return [];
  const tensor = held([e.tensor.value, `${e.tensor.value}.*`]);
  const text = tensor === undefined ? undefined : textOf(e.value.span);
  if (tensor === undefined || text === undefined) return [];
  return [text.replace(/\brows\b/g, String(rows.get(tensor)))];
}

const takesModule = (d: ModuleDecl): boolean => {
  const type = d.params[0]?.type;
  return type?.kind === 'type_name' && type.name === 'module';
};

/** A module on `base` with its defaults; and, where it has one more option that it needs, with as much of it as the tensor has rows. */
function callsOf(d: ModuleDecl, rows: number | undefined): string[] {
  const [, ...others] = d.params;
  const needed = others.filter((p) => !p.default);
  const name = d.name.name;
  if (needed.length > 1) return [];
  const bare = `${name}(base)`;
  return needed[0] && rows !== undefined ? [bare, `${name}(base, ${needed[0].name.name}: ${rows})`] : [bare];
}

/** Names of parameters that a statement makes. */
function paramsOf(s: Stmt): string[] {
  if (s.kind === 'if_stmt') return [...s.then, ...(s.otherwise ?? [])].flatMap(paramsOf);
  return s.kind === 'bind' && s.value.kind === 'param' ? s.names.map((n) => n.name) : [];
}
