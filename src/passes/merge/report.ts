/** What became of each adapter, as data and as diagnostics. */

import { diagnostic, type Place } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Label } from '../../diagnostics/types.js';
import { adaptersOf } from '../../ir/about.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { rootsOf, topological } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import { showPath } from '../../ir/path.js';
import type { Adapter, Module, TextSpan, Value } from '../../ir/types.js';
import { ownersIn } from '../owners.js';
import type { AdapterOutcome, MergeReport, PassContext } from '../pass.js';

/** @param names of the functions that the passes worked on */
export function reportOf(module: Module, names: readonly string[], ctx: PassContext): MergeReport {
  const values = topological(names.flatMap((name) => rootsOf(module.funcs.get(name)!)));
  const left = new Set<string>();
  let [all, beside] = [0, 0];
  for (const v of values) {
    if (!dependsOnInput(v)) continue;
    const ids = adaptersOf(v.about);
    for (const id of ids) left.add(id);
    const { flops } = costOf(v);
    all += flops;
    if (ids.length > 0) beside += flops;
  }
  const adapters = [...module.adapters.values()].flatMap(({ id, name, site }): AdapterOutcome[] => {
    if (site === undefined) return [];
    const which = { id, name, site };
    if (!left.has(id)) return [{ ...which, state: 'merged' }];
    if (ctx.adapters === 'factored') return [{ ...which, state: 'factored' }];
    const obstacle = ctx.notes.obstacles.get(id);
    return [{ ...which, state: 'kept', ...(obstacle ? { obstacle } : {}) }];
  });
  return {
    adapters,
    share: all === 0 ? 0 : beside / all,
    ...(adapters.some((a) => a.state === 'kept') ? { priced: ctx.device } : {}),
    regions: ctx.notes.regions,
    replaced: ctx.notes.replaced,
    diagnostics: [
      ...keptDiagnostics(adapters, module, ctx),
      ...biasDiagnostics(module, ctx),
      ...unfactoredDiagnostics(adapters, insideOfWeights(module, values), module, ctx),
    ],
  };
}

const labelAt = (at: TextSpan | undefined, text: string): Label | undefined => at && { span: at, text };

/**
 * The cause and the statement that put the adapter there. The statement comes first where the cause is in another file: nobody can change
 * the library, and in a spec of many statements only the statement says which adapter is meant.
 */
function placeOf(cause: Label | undefined, adapter: Adapter | undefined): Place {
  const graft = adapter?.graft;
  const statement = labelAt(graft, `this puts \`${adapter?.name}\` there`);
  const [primary, ...secondary] = [cause, statement]
    .filter((l) => l !== undefined)
    .sort((a, b) => Number(b.span.file === graft?.file) - Number(a.span.file === graft?.file));
  return primary ? { primary, secondary } : {};
}

/** Adapters of one statement that are called the same. */
const kindOf = (adapter: Adapter | undefined): string =>
  [adapter?.name, adapter?.graft?.file, adapter?.graft?.start].join('\n');

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

const siteOf = ({ site }: AdapterOutcome): string => showPath(site);

function keptDiagnostics(adapters: readonly AdapterOutcome[], module: Module, ctx: PassContext): Diagnostic[] {
  const kept = adapters.filter((a) => a.state === 'kept' && a.obstacle);
  const kind = ({ id, obstacle }: AdapterOutcome) => {
    const { op, reason, at, outside } = obstacle!;
    const adapter = kindOf(module.adapters.get(id));
    return outside ? adapter : [adapter, op, reason, at?.file, at?.start, at?.end].join('\n');
  };
  return grouped(kept, kind, siteOf).map(({ first: { id, name, obstacle }, sites }) => {
    const { op, reason, at } = obstacle!;
    const cause = labelAt(at, `${op} ends what can merge`) ?? labelAt(ctx.places.get(id), 'this adapter stays');
    return diagnostic('ESP0401', { adapter: name, site: sites, op, reason }, placeOf(cause, module.adapters.get(id)));
  });
}

function biasDiagnostics(module: Module, ctx: PassContext): Diagnostic[] {
  const made = ctx.notes.regions
    .filter((r) => r.newBias)
    .map((r) => ({
      layer: showPath(r.site) || module.name,
      id: r.adapters.find((a) => ctx.places.has(a)) ?? '',
    }));
  const groups = grouped(
    made,
    ({ id }) => kindOf(module.adapters.get(id)),
    ({ layer }) => layer,
  );
  return groups.map(({ first: { id }, sites }) => {
    const cause = labelAt(ctx.places.get(id), 'its shift made the bias');
    return diagnostic('ESP0402', { layer: sites }, placeOf(cause, module.adapters.get(id)));
  });
}

/** Adapters that some layer was called with the weight of, where that weight still reads an adapter's parameters. */
function insideOfWeights(module: Module, values: readonly Value[]): Set<string> {
  const prepared = new Map(module.funcs.get('prepare')?.results.map((r) => [r.name, r.value]));
  const expression = (x: Value): Value => (x.op === 'param' ? (prepared.get(x.attrs.name) ?? x) : x);
  const inside = new Set<string>();
  for (const v of values) {
    if (!v.about?.inside) continue;
    const weights = v.inputs.filter((x) => !dependsOnInput(x)).flatMap((x) => topological([x]).map(expression));
    if (ownersIn(weights).size > 0) for (const id of v.about.inside) inside.add(id);
  }
  return inside;
}

/** `factored` was asked for and an adapter's parameters are inside a weight all the same. */
function unfactoredDiagnostics(
  adapters: readonly AdapterOutcome[],
  inside: ReadonlySet<string>,
  module: Module,
  ctx: PassContext,
): Diagnostic[] {
  if (ctx.adapters !== 'factored') return [];
  const merged = adapters.filter((a) => a.state === 'merged' && inside.has(a.id));
  const kind = ({ id }: AdapterOutcome) => kindOf(module.adapters.get(id));
  return grouped(merged, kind, siteOf).map(({ first: { id, name }, sites }) => {
    const cause = labelAt(ctx.places.get(id), 'this adapter is part of a weight');
    return diagnostic('ESP0406', { adapter: name, site: sites }, placeOf(cause, module.adapters.get(id)));
  });
}
