/** Where parameters come from: one source for each `from`, with the names that its tensors have in each known layout. */

import { nearest } from '../../../diagnostics/suggest.js';
import type { Expr, IndexExpr, NamesBlock } from '../../ast.js';
import type { CheckpointName, Source } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import type { ParamSlot, Site } from '../evaluate/values.js';
import { appliedAdapter } from '../sites/tree.js';
import { below, graftParams, ownParams } from '../sites/walk.js';
import type { Binding, ModelPlan, Tuning } from './model.js';
import { variantChain } from './variants.js';

const identity = (params: readonly string[]): CheckpointName[] => params.map((param) => ({ param, tensor: param }));

export function sourcesOf(engine: Engine, plan: ModelPlan): Source[] {
  const sources: Source[] = [];
  // What `tune` names is trained, or comes from its own file: the backbone's file need not have it.
  const namesOf = (tunings: readonly Tuning[]) => new Set(tunings.flatMap((t) => t.params.map((p) => p.name)));
  const tuned = namesOf(plan.tunings);
  const elsewhere = namesOf(plan.tunings.filter((t) => t.stmt.from));
  for (const b of plan.bindings) {
    if (!b.from) continue;
    if (b.backbone) sources.push(backbone(engine, plan, b, tuned, elsewhere));
    else {
      const params = ownParams(b.site).map((p) => p.name);
      sources.push({ ...b.from, kind: 'tune', params, layouts: { espalier: identity(params) } });
    }
  }
  for (const a of plan.adaptations) {
    if (!a.stmt.from) continue;
    const params = [...new Set(a.grafts.flatMap((g) => [...graftParams(g.owner).values()]))];
    const { value, span } = a.stmt.from;
    const adapters = a.grafts.map(appliedAdapter);
    sources.push({ location: value, span, kind: 'adapter', params, adapters, layouts: { espalier: identity(params) } });
  }
  for (const t of plan.tunings) {
    if (!t.stmt.from) continue;
    const params = t.params.map((p) => p.name);
    const { value, span } = t.stmt.from;
    // A tuned head may also come in the backbone's own layout (a checkpoint that was fine-tuned as a whole).
    const layouts = new Map([['espalier', identity(params)]]);
    for (const b of plan.bindings) {
      if (!b.backbone || !b.variant) continue;
      for (const [layout, names] of layoutsOf(engine, plan, b)) {
        const ours = names.filter((n) => params.includes(n.param));
        if (!layouts.has(layout)) layouts.set(layout, ours);
      }
    }
    sources.push({ location: value, span, kind: 'tune', params, layouts: Object.fromEntries(layouts) });
  }
  for (const p of plan.prunings) {
    if (!p.stmt.from) continue;
    const params = p.sites.flatMap((s) => (s.kind === 'layer' && s.mask ? [s.mask.slot.name] : []));
    const { value, span } = p.stmt.from;
    sources.push({ location: value, span, kind: 'mask', params, layouts: { espalier: identity(params) } });
  }
  return sources;
}

function backbone(
  engine: Engine,
  plan: ModelPlan,
  b: Binding,
  tuned: ReadonlySet<string>,
  elsewhere: ReadonlySet<string>,
): Source {
  const own = ownParams(b.site).map((p) => p.name);
  const all = layoutsOf(engine, plan, b);
  const prefix = `${b.name}.`;
  // A head that the backbone's checkpoint has a name for comes from there, unless it is tuned.
  const mapped = [...all.values()].flat().map((n) => n.param);
  const foreign = [...new Set(mapped)].filter((p) => !p.startsWith(prefix) && !tuned.has(p) && !elsewhere.has(p));
  const params = [...own.filter((p) => !elsewhere.has(p)), ...foreign];
  const wanted = new Set(params);
  const layouts = new Map([['espalier', identity(params)]]);
  const optional = new Set<string>();
  for (const [layout, names] of all) {
    layouts.set(
      layout,
      names.filter((n) => wanted.has(n.param)),
    );
    for (const n of names) if (!wanted.has(n.param)) optional.add(n.tensor.replace(/\.(weight|bias)$/, ''));
  }
  for (const v of b.variant ? variantChain(engine, b.variant) : []) {
    for (const block of v.names)
      for (const e of block.entries) if (isOutside(plan, b, e.path)) optional.add(e.pattern.value);
  }
  return {
    ...b.from!,
    kind: 'backbone',
    params,
    layouts: Object.fromEntries(layouts),
    ...(optional.size > 0 ? { optional: [...optional] } : {}),
  };
}

/** An entry that names something of the model which this model does not have (a head that another one would have). */
function isOutside(plan: ModelPlan, b: Binding, path: Expr): boolean {
  const root = rootName(path);
  if (root === undefined || b.site.children.has(root) || b.site.params.has(root)) return false;
  return !plan.bindings.some((x) => x.name === root);
}

function rootName(e: Expr): string | undefined {
  if (e.kind === 'name') return e.name;
  if (e.kind === 'member' || e.kind === 'index') return rootName(e.object);
  return undefined;
}

/** Every layout of a variant and of those it builds on; the nearest one that has a layout gives it. */
function layoutsOf(engine: Engine, plan: ModelPlan, b: Binding): Map<string, CheckpointName[]> {
  const out = new Map<string, CheckpointName[]>();
  for (const v of b.variant ? variantChain(engine, b.variant) : []) {
    for (const block of v.names) {
      const name = block.layout.name;
      if (!out.has(name)) out.set(name, engine.report.attempt(() => layout(engine, plan, b, block)) ?? []);
    }
  }
  return out;
}

/** What is at a path of the model, for a names map. */
type Found = { readonly site: Site } | { readonly param: ParamSlot };

function layout(engine: Engine, plan: ModelPlan, b: Binding, block: NamesBlock): CheckpointName[] {
  const names: CheckpointName[] = [];
  for (const e of block.entries) {
    const root = rootName(e.path);
    // `head.fc` in a model without a head: the checkpoint may hold it, the model does not want it.
    if (isOutside(plan, b, e.path)) {
      if (root !== undefined && plausible(b, root)) unknown(engine, block, e.path, b.site);
      continue;
    }
    for (const { found, tensor } of expand(engine, plan, b, block, e.path, e.pattern.value)) {
      if ('param' in found) names.push({ param: found.param.name, tensor });
      else names.push(...siteNames(found.site, tensor));
    }
  }
  const mapped = new Set(names.map((n) => n.param));
  // What no entry names keeps its own path.
  for (const p of ownParams(b.site)) {
    if (!mapped.has(p.name)) names.push({ param: p.name, tensor: p.name.slice(b.name.length + 1) });
  }
  bijection(engine, block, names);
  return names;
}

/** A root that is close to a name of the backbone is a misspelling, not a part of another model. */
const plausible = (b: Binding, root: string): boolean =>
  nearest(root, [...b.site.children.keys(), ...b.site.params.keys()]) !== undefined;

function siteNames(site: Site, tensor: string): CheckpointName[] {
  if (site.kind === 'part') {
    return [...site.whole.params.entries()].map(([short, p]) => ({
      param: p.name,
      tensor: `${tensor}.${short}`,
      rows: site.rows,
    }));
  }
  return [...below(site)].flatMap((s) =>
    [...s.params.entries()].map(([short, p]) => ({
      param: p.name,
      tensor: `${tensor}${s.key.slice(site.key.length)}.${short}`,
    })),
  );
}

/** All places that a path with indices means, each with the pattern's text for it. */
function expand(
  engine: Engine,
  plan: ModelPlan,
  b: Binding,
  block: NamesBlock,
  path: Expr,
  pattern: string,
): { found: Found; tensor: string }[] {
  const used = indexNames(path);
  const inPattern = [...pattern.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!);
  for (const name of new Set([...used, ...inPattern])) {
    if (used.includes(name) && inPattern.includes(name)) continue;
    engine.report.stop('ESP0235', { name, pattern }, { primary: { span: path.span, text: 'in this entry' } });
  }
  return walk(engine, plan, b, block, path, new Map()).map(({ found, env }) => ({
    found,
    tensor: pattern.replace(/\{(\w+)\}/g, (_, n: string) => String(env.get(n))),
  }));
}

function indexNames(e: Expr): string[] {
  if (e.kind === 'member') return indexNames(e.object);
  if (e.kind !== 'index') return [];
  const item = e.indices[0];
  return [...indexNames(e.object), ...(item?.kind === 'at' && item.value.kind === 'name' ? [item.value.name] : [])];
}

type Env = ReadonlyMap<string, number>;

function walk(
  engine: Engine,
  plan: ModelPlan,
  b: Binding,
  block: NamesBlock,
  e: Expr,
  env: Env,
): { found: Found; env: Env }[] {
  if (e.kind === 'name') {
    // Of other roots `layout` has spoken.
    return [{ found: (inside(b.site, e.name) ?? topLevel(plan, e.name))!, env }];
  }
  if (e.kind === 'member') {
    return walk(engine, plan, b, block, e.object, env).map((o) => {
      const found = 'site' in o.found ? inside(o.found.site, e.member.name) : undefined;
      return found ? { found, env: o.env } : unknown(engine, block, e, 'site' in o.found ? o.found.site : undefined);
    });
  }
  if (e.kind === 'index')
    return walk(engine, plan, b, block, e.object, env).flatMap((o) => element(engine, block, e, o));
  return unknown(engine, block, e, undefined);
}

function element(
  engine: Engine,
  block: NamesBlock,
  e: IndexExpr,
  o: { found: Found; env: Env },
): { found: Found; env: Env }[] {
  const site = 'site' in o.found && o.found.site.kind === 'list' ? o.found.site : undefined;
  const item = e.indices[0];
  if (!site || item?.kind !== 'at' || e.indices.length !== 1) return unknown(engine, block, e, undefined);
  if (item.value.kind === 'number') {
    const one = site.items[item.value.value];
    return one ? [{ found: { site: one }, env: o.env }] : unknown(engine, block, e, site);
  }
  if (item.value.kind !== 'name') return unknown(engine, block, e, undefined);
  const name = item.value.name;
  return site.items.map((s, i) => ({ found: { site: s }, env: new Map(o.env).set(name, i) }));
}

function inside(site: Site, name: string): Found | undefined {
  const child = site.children.get(name);
  if (child) return { site: child };
  const param = site.params.get(name);
  return param && { param };
}

function topLevel(plan: ModelPlan, name: string): Found | undefined {
  const b = plan.bindings.find((x) => x.name === name);
  return b && { site: b.site };
}

function unknown(engine: Engine, block: NamesBlock, e: Expr, at: Site | undefined): never {
  const path = engine.library.textOf(e.span) ?? '?';
  const last = e.kind === 'member' ? e.member.name : e.kind === 'name' ? e.name : '';
  const near = at && nearest(last, [...at.children.keys(), ...at.params.keys()]);
  return engine.report.stop(
    'ESP0233',
    { path, layout: block.layout.name },
    { primary: { span: e.span, text: 'no such path' }, help: near === undefined ? [] : [`Did you mean \`${near}\`?`] },
  );
}

/** Each row of each parameter has one place, and each tensor one use. */
function bijection(engine: Engine, block: NamesBlock, names: readonly CheckpointName[]): void {
  const fail = (what: string): never =>
    engine.report.stop(
      'ESP0234',
      { layout: block.layout.name, what },
      { primary: { span: block.span, text: 'in this map' } },
    );
  const tensors = new Set<string>();
  const places = new Map<string, CheckpointName[]>();
  for (const n of names) {
    if (tensors.has(n.tensor)) fail(`the tensor \`${n.tensor}\` has two uses`);
    tensors.add(n.tensor);
    const list = places.get(n.param) ?? [];
    places.set(n.param, list);
    list.push(n);
  }
  for (const [param, list] of places) {
    if (list.length === 1 && !list[0]!.rows) continue;
    if (list.some((n) => !n.rows)) fail(`\`${param}\` is named as a whole and in parts`);
    let at = 0;
    for (const n of [...list].sort((a, c) => a.rows![0] - c.rows![0])) {
      if (n.rows![0] !== at)
        fail(
          n.rows![0] < at
            ? `rows of \`${param}\` are named twice`
            : `rows ${at} to ${n.rows![0]} of \`${param}\` have no name`,
        );
      at = n.rows![1];
    }
    const size = engine.params.get(param)?.type.shape[0] ?? at;
    if (at !== size) fail(`rows ${at} to ${size} of \`${param}\` have no name`);
  }
}
