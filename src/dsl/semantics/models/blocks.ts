/**
 * The `config` blocks of a variant: one for each layout of configurations, each with what the variants that it builds on say of that layout and it does not.
 * Which of them a file is for, its first `match` tells; and which of the variants that build on this one, if one of them is for the file.
 */
import type { ConfigEntry, Expr, VariantDecl } from '../../ast.js';
import type { Fact, JsonFile } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import { Scope } from '../evaluate/values.js';
import { pathsOf } from '../names/readings.js';
import { jsonOf } from './fields.js';
import { literal, matchHolds } from './matching.js';
import { variantChain } from './variants.js';

export type Of<K extends ConfigEntry['kind']> = ConfigEntry & { readonly kind: K };

/** What a variant knows of a layout of configurations: its own entries and those that it inherits. */
export interface Config {
  readonly layout: string;
  readonly entries: readonly ConfigEntry[];
}

export const entriesOf = <K extends ConfigEntry['kind']>(
  block: { readonly entries: readonly ConfigEntry[] },
  kind: K,
) => block.entries.filter((e): e is Of<K> => e.kind === kind);

/** What makes two entries say the same thing of two variants: the nearer one counts. */
function keyOf(e: ConfigEntry): string {
  switch (e.kind) {
    case 'bind':
      return `bind ${e.name.name}`;
    case 'default':
    case 'set':
      return `field ${e.field.value}`;
    case 'labels':
      return 'labels';
    default:
      return `${e.kind} ${(pathsOf(e.field) ?? []).join(' or ')}`;
  }
}

/** The configurations that a variant reads, those of the nearest variant first. What it adds to a layout stands after what it inherits. */
export function configsOf(engine: Engine, variant: VariantDecl): Config[] {
  const layouts = new Map<string, Map<string, ConfigEntry>>();
  const chain = variantChain(engine, variant);
  for (const v of chain)
    for (const { kind, layout } of v.configs) if (kind === 'config') layouts.set(layout.name, new Map());
  for (const v of chain.reverse()) {
    for (const block of v.configs) {
      if (block.kind !== 'config') continue;
      const merged = layouts.get(block.layout.name)!;
      for (const e of block.entries) merged.set(keyOf(e), e);
    }
  }
  return [...layouts].map(([layout, merged]) => ({ layout, entries: [...merged.values()] }));
}

/** The values by which a configuration says that it is for a variant, as they are written. */
export const identifying = ({ entries }: Config): string[] =>
  (entriesOf({ entries }, 'match')[0]?.values ?? []).flatMap((v: Expr) =>
    v.kind === 'none' ? [] : [JSON.stringify(literal(v))],
  );

/** Whether a file is of the kind that a block is for. */
export function isFor({ entries }: { readonly entries: readonly ConfigEntry[] }, file: JsonFile): boolean {
  const [first] = entriesOf({ entries }, 'match');
  return first === undefined || matchHolds(file, first).holds;
}

/** Variants that build on this one and say themselves which files of a layout are theirs. */
export function publishedOf(engine: Engine, variant: VariantDecl, layout: string): VariantDecl[] {
  const { file } = variant.name.span;
  const inReach = new Set([...engine.library.variants(file), ...engine.library.variants(engine.report.mainFile)]);
  return [...inReach].filter((v) => {
    if (v === variant || !v.configs.some((c) => c.kind === 'config' && c.layout.name === layout)) return false;
    return variantChain(engine, v).includes(variant);
  });
}

/** The options that a variant fills in, and those between it and another that it builds on; of words their names. */
export function filledIn(engine: Engine, variant: VariantDecl, on: VariantDecl): Record<string, Fact> {
  const out: Record<string, Fact> = {};
  for (const v of variantChain(engine, variant)) {
    if (v === on || v.value.kind !== 'call') break;
    const scope = new Scope();
    for (const p of v.params) if (p.default) scope.set(p.name.name, engine.evaluate(p.default, scope));
    for (const { name, value } of v.value.args) {
      if (!name || name.name in out) continue;
      const json = jsonOf(engine.evaluate(value, scope));
      if (json !== undefined) out[name.name] = json as Fact;
    }
  }
  return out;
}
