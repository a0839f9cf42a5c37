/** What checkpoints of every variant in reach hold: to say of a file that does not fit which one it looks like. */
import type { TensorType } from '../ir/types.js';
import type { ModelDecl, NamesBlock, SourceFile, Span, VariantDecl } from './ast.js';
import type { CheckpointName, ElaborateOptions } from './elaborated.js';
import { BUILTINS } from './semantics/builtins/builtins.js';
import { Scope } from './semantics/evaluate/values.js';
import { makeEngine } from './semantics/make-engine.js';
import { planModel } from './semantics/models/model.js';
import { blocksOf, layoutsOf, shareNamed } from './semantics/models/names.js';
import { Library } from './semantics/names/library.js';
import { resolveNames } from './semantics/names/resolve.js';
import { Exhausted, Report } from './semantics/report.js';
import { ownParams } from './semantics/sites/walk.js';

/** The tensors of a variant's checkpoints, in one layout. */
export interface KnownLayout {
  readonly variant: string;
  readonly layout: string;
  readonly names: readonly CheckpointName[];
  /** Types of the parameters that the names are of. */
  readonly types: ReadonlyMap<string, TensorType>;
}

/** Tensors of a file whose names are looked at before anything is made, and the share of them that a variant's layout could have named. */
const LOOKED_AT = 32;
const NAMED = 0.5;

/**
 * Every layout of every variant in reach of a file that says all of its options itself and could be what a checkpoint is in, by the names of its tensors.
 * Makes each of them, without tracing it.
 */
export function knownLayouts(
  file: SourceFile,
  options: ElaborateOptions,
  tensors: ReadonlyMap<string, unknown>,
): KnownLayout[] {
  const declared = file.decls.filter((d) => d.kind !== 'model' && d.kind !== 'train' && d.kind !== 'deploy');
  const variants = namedLike(file, options, [...tensors.keys()]);
  const span: Span = { file: file.path, start: 0, end: 0 };
  const models = variants.map((name): ModelDecl => {
    const callee = { kind: 'name' as const, name, span };
    const value = { kind: 'call' as const, callee, generators: [], args: [], span };
    return {
      kind: 'model',
      name: { name: `(${name})`, span },
      params: [],
      body: [{ kind: 'model_bind', name: { name: 'base', span }, value, span }],
      span,
    };
  });
  const all: SourceFile = { ...file, decls: [...declared, ...models] };
  const { library, meanings } = resolved(all, options);
  return models.flatMap((decl, i) => {
    const report = new Report(file.path);
    const engine = makeEngine(report, library, meanings, options);
    try {
      const plan = planModel(engine, decl, new Scope());
      const [b] = plan.bindings;
      if (!b || report.failed) return [];
      const types = new Map(ownParams(b.site).map((p) => [p.name, p.type]));
      const layouts = [...layoutsOf(engine, plan, b)];
      return report.failed
        ? []
        : layouts.map(([layout, { names }]) => ({ variant: variants[i]!, layout, names, types }));
    } catch (error) {
      if (error instanceof Exhausted) return [];
      throw error;
    }
  });
}

function resolved(file: SourceFile, options: ElaborateOptions) {
  const library = new Library(file, new Report(file.path), options);
  return { library, meanings: resolveNames(library, new Report(file.path), BUILTINS) };
}

/** Variants of which some layout names most of a file's tensors. Families share their names' blocks, each of which is looked at once. */
function namedLike(file: SourceFile, options: ElaborateOptions, tensors: readonly string[]): string[] {
  const { library, meanings } = resolved(file, options);
  const engine = makeEngine(new Report(file.path), library, meanings, options);
  const step = Math.max(1, tensors.length / LOOKED_AT);
  const some = tensors.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const known = new Map<NamesBlock, boolean>();
  const fits = (variant: VariantDecl, block: NamesBlock): boolean => {
    const found = known.get(block) ?? shareNamed(engine, variant, block, some) >= NAMED;
    known.set(block, found);
    return found;
  };
  return library
    .variants(file.path)
    .filter((v) => blocksOf(engine, v).some((block) => fits(v, block)))
    .map((v) => v.name.name);
}
