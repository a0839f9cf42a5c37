/** What the files say that a model's statements name, configurations read as the model's variants read them. */
import type { ModelStmt, StringLit, VariantDecl } from '../../ast.js';
import type { SourceFacts } from '../../elaborated.js';
import type { Engine, Facts } from '../evaluate/engine.js';
import { readFacts } from './config.js';
import type { Labels } from './plan.js';

export interface Asked {
  readonly found?: SourceFacts | undefined;
  /** For `fillOptions`. */
  readonly facts?: Facts | undefined;
  readonly unreadable: boolean;
}

type Kind = 'backbone' | 'adapter' | 'tune';

/** What a file says, its configuration read as a variant reads it; `unreadable` where that went wrong too. */
function ask(engine: Engine, from: StringLit, kind: Kind, variant: VariantDecl | undefined) {
  const found = engine.options.facts?.(from.value, kind);
  if (!found || found === 'unreadable' || !variant) return found;
  return engine.report.attempt(() => readFacts(engine, variant, found, from.span)) ?? ('unreadable' as const);
}

/** What the file that a `from` names says. */
export function askFile(engine: Engine, from: StringLit | undefined, kind: Kind, variant?: VariantDecl): Asked {
  const found = from && ask(engine, from, kind, variant);
  if (!from || !found) return { unreadable: false };
  const place = { location: from.value, span: from.span };
  if (found === 'unreadable') return { facts: { ...place, options: {}, unreadable: true }, unreadable: true };
  return { found, facts: found.options && { ...place, options: found.options }, unreadable: false };
}

/** What came with a tuned head, else with an adapter, else with the backbone. */
export function labelsOf(engine: Engine, body: readonly ModelStmt[]): Labels {
  const found: Record<Kind, Labels> = { tune: undefined, adapter: undefined, backbone: undefined };
  const kinds = { tune: 'tune', adapt: 'adapter', model_bind: 'backbone' } as const;
  const statements = [...flat(body)];
  const variants = statements.map((s) => variantOf(engine, s));
  for (const [i, s] of statements.entries()) {
    if ((s.kind !== 'tune' && s.kind !== 'adapt' && s.kind !== 'model_bind') || !s.from) continue;
    const kind = kinds[s.kind];
    // A head that was tuned as part of a whole model has that model's configuration.
    const asked = ask(engine, s.from, kind, variants[i] ?? variants.find((v) => v !== undefined));
    found[kind] ??= asked === 'unreadable' ? asked : (asked?.labels ?? asked?.classes);
  }
  return found.tune ?? found.adapter ?? found.backbone;
}

/** Statements with those inside of others. */
function* flat(body: readonly ModelStmt[]): Generator<ModelStmt> {
  for (const s of body) {
    yield s;
    if (s.kind === 'in' || s.kind === 'model_for') yield* flat(s.body);
    else if (s.kind === 'model_if') yield* flat([...s.then, ...(s.otherwise ?? [])]);
  }
}

/** The variant that a binding fills in. */
function variantOf(engine: Engine, s: ModelStmt): VariantDecl | undefined {
  const callee = s.kind === 'model_bind' && s.value.kind === 'call' ? s.value.callee : undefined;
  const decl = callee?.kind === 'name' ? engine.meanings.declared(callee) : undefined;
  return decl?.kind === 'variant' ? decl : undefined;
}
