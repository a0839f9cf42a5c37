/** What became of each adapter, as data and as diagnostics. */
import { diagnostic, type Place } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Label } from '../../diagnostics/types.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { rootsOf, topological } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import type { Module, Origin, Value } from '../../ir/types.js';
import { adaptersOf, ownersIn } from '../owners.js';
import type { AdapterOutcome, MergeReport, PassContext } from '../pass.js';

/** @param names of the functions that the passes worked on */
export function reportOf(module: Module, names: readonly string[], ctx: PassContext): MergeReport {
  const values = topological(names.flatMap((name) => rootsOf(module.funcs.get(name)!)));
  const left = new Set<string>();
  let [all, beside] = [0, 0];
  for (const v of values) {
    if (!dependsOnInput(v)) continue;
    const scopes = adaptersOf(v.origin);
    for (const scope of scopes) left.add(scope);
    const { flops } = costOf(v);
    all += flops;
    if (scopes.length > 0) beside += flops;
  }
  const adapters = [...ctx.scopes.keys()].map((scope): AdapterOutcome => {
    if (!left.has(scope)) return { scope, state: 'merged' };
    if (ctx.adapters === 'factored') return { scope, state: 'factored' };
    const obstacle = ctx.notes.obstacles.get(scope);
    return { scope, state: 'kept', ...(obstacle ? { obstacle } : {}) };
  });
  return {
    adapters,
    share: all === 0 ? 0 : beside / all,
    regions: ctx.notes.regions,
    replaced: ctx.notes.replaced,
    diagnostics: [
      ...keptDiagnostics(adapters, ctx),
      ...biasDiagnostics(module, ctx),
      ...unfactoredDiagnostics(adapters, insideOfWeights(module, values), ctx),
    ],
  };
}

function labelAt(origin: Origin | undefined, text: string): Label | undefined {
  if (origin?.file === undefined || origin.start === undefined || origin.end === undefined) return undefined;
  return { span: { file: origin.file, start: origin.start, end: origin.end }, text };
}

/**
 * The cause and the statement that put the adapter there. The statement comes first where the cause is in another file: nobody can change
 * the library, and in a spec of many statements only the statement says which adapter is meant.
 */
function placeOf(cause: Label | undefined, scope: string, ctx: PassContext): Place {
  const graft = ctx.scopes.get(scope)?.graft;
  const name = scope.slice(scope.lastIndexOf('@') + 1);
  const statement: Label | undefined = graft && { span: graft, text: `this puts \`${name}\` there` };
  const [primary, ...secondary] = [cause, statement]
    .filter((l) => l !== undefined)
    .sort((a, b) => Number(b.span.file === graft?.file) - Number(a.span.file === graft?.file));
  return primary ? { primary, secondary } : {};
}

/** `@lora` of `base.blocks.3.attn.qkv@lora`, told apart by the statement that put it there. */
function kindOf(scope: string, ctx: PassContext): string {
  const graft = ctx.scopes.get(scope)?.graft;
  return [scope.slice(scope.lastIndexOf('@')), graft?.file, graft?.start].join('\n');
}

/** `base.blocks.3.mlp` as a selector writes it: `base.blocks[3].mlp`. */
const sitePath = (key: string): string => key.replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]');

/** `base.blocks.3.attn.qkv@lora2`: an adapter and where it is. */
function parts(scope: string): { readonly adapter: string; readonly site: string } {
  const at = scope.lastIndexOf('@');
  return { adapter: scope.slice(at + 1), site: sitePath(scope.slice(0, at)) };
}

/** One of each kind, and the sites of all: twelve blocks with one adapter have one reason, which is said once. */
function grouped<T>(
  all: readonly T[],
  kind: (one: T) => string,
  siteOf: (one: T) => string,
): { readonly first: T; readonly sites: string }[] {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(kind(one), [...(groups.get(kind(one)) ?? []), one]);
  return [...groups.values()].map((group) => {
    const more = group.length > 1 ? ` and ${group.length - 1} more` : '';
    return { first: group[0]!, sites: siteOf(group[0]!) + more };
  });
}

const siteOf = ({ scope }: AdapterOutcome): string => parts(scope).site;

function keptDiagnostics(adapters: readonly AdapterOutcome[], ctx: PassContext): Diagnostic[] {
  const kept = adapters.filter((a) => a.state === 'kept' && a.obstacle);
  const kind = ({ scope, obstacle }: AdapterOutcome) => {
    const { op, reason, origin, outside } = obstacle!;
    if (outside) return kindOf(scope, ctx);
    return [kindOf(scope, ctx), op, reason, origin?.file, origin?.start, origin?.end].join('\n');
  };
  return grouped(kept, kind, siteOf).map(({ first: { scope, obstacle }, sites }) => {
    const { op, reason, origin } = obstacle!;
    const cause = labelAt(origin, `${op} ends what can merge`) ?? labelAt(ctx.scopes.get(scope), 'this adapter stays');
    const { adapter } = parts(scope);
    return diagnostic('ESP0401', { adapter, site: sites, op, reason }, placeOf(cause, scope, ctx));
  });
}

function biasDiagnostics(module: Module, ctx: PassContext): Diagnostic[] {
  const made = ctx.notes.regions
    .filter((r) => r.newBias)
    .map((r) => ({
      layer: sitePath(r.site) || module.name,
      scope: r.scopes.find((s) => ctx.scopes.get(s)?.file !== undefined) ?? '',
    }));
  const groups = grouped(
    made,
    ({ scope }) => kindOf(scope, ctx),
    ({ layer }) => layer,
  );
  return groups.map(({ first: { scope }, sites }) => {
    const cause = labelAt(ctx.scopes.get(scope), 'its shift made the bias');
    return diagnostic('ESP0402', { layer: sites }, placeOf(cause, scope, ctx));
  });
}

/** Adapters that some layer was called with the weight of, where that weight still reads an adapter's parameters. */
function insideOfWeights(module: Module, values: readonly Value[]): Set<string> {
  const prepared = new Map(module.funcs.get('prepare')?.results.map((r) => [r.name, r.value]));
  const expression = (x: Value): Value => (x.op === 'param' ? (prepared.get(x.attrs.name) ?? x) : x);
  const inside = new Set<string>();
  for (const v of values) {
    if (!v.origin?.inside) continue;
    const weights = v.inputs.filter((x) => !dependsOnInput(x)).flatMap((x) => topological([x]).map(expression));
    if (ownersIn(weights).size > 0) for (const scope of v.origin.inside) inside.add(scope);
  }
  return inside;
}

/** `factored` was asked for and an adapter's parameters are inside a weight all the same. */
function unfactoredDiagnostics(
  adapters: readonly AdapterOutcome[],
  inside: ReadonlySet<string>,
  ctx: PassContext,
): Diagnostic[] {
  if (ctx.adapters !== 'factored') return [];
  const merged = adapters.filter((a) => a.state === 'merged' && inside.has(a.scope));
  const kind = ({ scope }: AdapterOutcome) => kindOf(scope, ctx);
  return grouped(merged, kind, siteOf).map(({ first: { scope }, sites }) => {
    const cause = labelAt(ctx.scopes.get(scope), 'this adapter is part of a weight');
    return diagnostic('ESP0406', { adapter: parts(scope).adapter, site: sites }, placeOf(cause, scope, ctx));
  });
}
