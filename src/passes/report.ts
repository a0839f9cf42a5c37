/** What became of each adapter, as data and as diagnostics. */
import { diagnostic, type Place } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { resultValues, topological } from '../ir/graph.js';
import type { Module, Origin } from '../ir/types.js';
import type { AdapterOutcome, MergeReport, PassContext } from './pass.js';

export function reportOf(module: Module, ctx: PassContext): MergeReport {
  const infer = module.funcs.get('infer');
  const left = new Set<string>();
  for (const v of infer ? topological(resultValues(infer)) : []) {
    if (v.origin?.scope && dependsOnInput(v)) left.add(v.origin.scope);
  }
  const adapters = [...ctx.scopes.keys()].map((scope): AdapterOutcome => {
    if (!left.has(scope)) return { scope, state: 'merged' };
    if (ctx.adapters === 'factored') return { scope, state: 'factored' };
    const obstacle = ctx.notes.obstacles.get(scope);
    return { scope, state: 'kept', ...(obstacle ? { obstacle } : {}) };
  });
  return {
    adapters,
    regions: ctx.notes.regions,
    replaced: ctx.notes.replaced,
    diagnostics: [
      ...keptDiagnostics(adapters, ctx),
      ...biasDiagnostics(module, ctx),
      ...unfactoredDiagnostics(adapters, ctx),
    ],
  };
}

function placeOf(origin: Origin | undefined, text: string): Place {
  if (origin?.file === undefined || origin.start === undefined || origin.end === undefined) return {};
  return { primary: { span: { file: origin.file, start: origin.start, end: origin.end }, text } };
}

/** One message for each obstacle in the text: twelve blocks with one adapter have one reason. */
function keptDiagnostics(adapters: readonly AdapterOutcome[], ctx: PassContext): Diagnostic[] {
  const groups = new Map<string, { outcome: AdapterOutcome; count: number }>();
  for (const outcome of adapters) {
    if (outcome.state !== 'kept' || !outcome.obstacle) continue;
    const { op, reason, origin } = outcome.obstacle;
    const name = outcome.scope.slice(outcome.scope.lastIndexOf('@'));
    const key = [name, op, reason, origin?.file, origin?.start, origin?.end].join('\n');
    const group = groups.get(key);
    if (group) group.count++;
    else groups.set(key, { outcome, count: 1 });
  }
  return [...groups.values()].map(({ outcome, count }) => {
    const { op, reason, origin } = outcome.obstacle!;
    const at = outcome.scope.lastIndexOf('@');
    const site = outcome.scope.slice(0, at) + (count > 1 ? ` and ${count - 1} more` : '');
    const place = placeOf(origin, `${op} ends what can merge`);
    const primary = place.primary ? place : placeOf(ctx.scopes.get(outcome.scope), 'this adapter stays');
    return diagnostic('ESP0401', { adapter: outcome.scope.slice(at + 1), site, op, reason }, primary);
  });
}

function biasDiagnostics(module: Module, ctx: PassContext): Diagnostic[] {
  return ctx.notes.regions
    .filter((r) => r.newBias)
    .map((r) => {
      const origin = r.scopes.map((s) => ctx.scopes.get(s)).find((o) => o?.file !== undefined);
      return diagnostic('ESP0402', { layer: r.site || module.name }, placeOf(origin, 'its shift made the bias'));
    });
}

/** `factored` was asked for and an adapter's parameters are inside a weight all the same. */
function unfactoredDiagnostics(adapters: readonly AdapterOutcome[], ctx: PassContext): Diagnostic[] {
  if (ctx.adapters !== 'factored') return [];
  return adapters
    .filter((a) => a.state === 'merged')
    .map(({ scope }) => {
      const at = scope.lastIndexOf('@');
      const place = placeOf(ctx.scopes.get(scope), 'this adapter is part of a weight');
      return diagnostic('ESP0406', { adapter: scope.slice(at + 1), site: scope.slice(0, at) }, place);
    });
}
