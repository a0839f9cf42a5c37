/** Names maps of variants: which tensor of a checkpoint each parameter is, in each layout that the variant knows. */
import { nearest } from '../../../diagnostics/suggest.js';
import { matches } from '../../../ir/glob.js';
import { sameShape } from '../../../ir/ops/shapes.js';
import type { Expr, IndexExpr, NameEntry, NamesBlock, VariantDecl } from '../../ast.js';
import type { Bypassed, CheckpointName } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import type { ParamSlot, Site } from '../evaluate/values.js';
import { boundBy } from '../names/bound.js';
import { backboneOf } from '../names/readings.js';
import { below, ownParams } from '../sites/walk.js';
import { type Indices, indicesIn, patternOf, readPattern, spellings } from './patterns.js';
import type { Binding, ModelPlan } from './plan.js';
import { variantChain } from './variants.js';

/** One layout of a model's checkpoints. */
export interface Layout {
  readonly names: readonly CheckpointName[];
  /** Tensors that a checkpoint may have and that this model does not take; `*` stands for any characters. */
  readonly ignored: readonly string[];
}

/**
 * The options that a checkpoint without a configuration does not show, by the layout of which it has most tensors: its variant says which they are.
 */
export function unseenIn(engine: Engine, plan: ModelPlan, b: Binding, tensors: ReadonlySet<string>): readonly string[] {
  let most = 0;
  let unseen: readonly string[] = [];
  const blocks = blocksOf(engine, b.variant);
  for (const [layout, { names }] of layoutsOf(engine, plan, b)) {
    const hits = names.filter((n) => [n.tensor, ...(n.also ?? [])].some((name) => tensors.has(name))).length;
    if (hits <= most) continue;
    most = hits;
    const block = blocks.find((x) => x.layout.name === layout);
    unseen = block?.entries.flatMap((e) => (e.kind === 'unseen' ? e.options.map((o) => o.name) : [])) ?? [];
  }
  return unseen;
}

/** Modules that a variant's layouts name as those whose weights Python's networks read themselves. */
export const bypassedIn = (engine: Engine, variant: VariantDecl | undefined): readonly Bypassed[] =>
  blocksOf(engine, variant)
    .flatMap((block) => block.entries)
    .flatMap((e) => (e.kind === 'bypassed' ? [{ module: e.module.value, beside: e.beside.value }] : []));

/** Every layout of a variant and of those it builds on; the nearest one that has a layout gives it. */
export function layoutsOf(engine: Engine, plan: ModelPlan, b: Binding): Map<string, Layout> {
  const out = new Map<string, Layout>();
  for (const block of blocksOf(engine, b.variant)) {
    const names = engine.report.attempt(() => layout(engine, plan, b, block)) ?? [];
    out.set(block.layout.name, { names, ignored: ignoredBy(block, (e) => isOutside(plan, b, e.path)) });
  }
  return out;
}

export function blocksOf(engine: Engine, variant: VariantDecl | undefined): NamesBlock[] {
  const nearest = new Map<string, NamesBlock>();
  for (const v of variant ? variantChain(engine, variant) : []) {
    for (const block of v.names) if (!nearest.has(block.layout.name)) nearest.set(block.layout.name, block);
  }
  return [...nearest.values()];
}

const entriesOf = (block: NamesBlock): NameEntry[] => block.entries.filter((e): e is NameEntry => e.kind === 'name');

/** All spellings of a name: with the prefix and without it; one that no entry is written with may stand before every name. */
function spellingsIn(block: NamesBlock): (name: string) => readonly string[] {
  const prefix = block.entries.find((e) => e.kind === 'prefix')?.name.value;
  if (prefix === undefined) return (name) => [name];
  const written = block.entries.flatMap((e) =>
    e.kind === 'name' ? e.patterns : e.kind === 'ignore' ? e.patterns : [],
  );
  if (written.some((p) => p.value.startsWith(prefix))) return (name) => spellings(name, prefix);
  return (name) => [name, `${prefix}${name}`];
}

function ignoredBy(block: NamesBlock, outside: (e: NameEntry) => boolean): string[] {
  const named = block.entries.flatMap((e) => (e.kind === 'ignore' ? e.patterns.map((p) => p.value) : []));
  const unwanted = entriesOf(block).filter(outside).flatMap(tensorsOf);
  return [...named, ...unwanted].flatMap(spellingsIn(block));
}

/** Patterns of the tensors that an entry may name: a module's, or one tensor. */
export const tensorsOf = (e: NameEntry): string[] =>
  e.patterns.flatMap((p) => [patternOf(p.value), `${patternOf(p.value)}.*`]);

/** Which share of some tensors has names that a variant's layout could give: those of its entries, and for the rest those of the backbone itself. */
export function shareNamed(
  engine: Engine,
  variant: VariantDecl,
  block: NamesBlock,
  tensors: readonly string[],
): number {
  const own = backboneOf((e) => engine.meanings.declared(e), variant)?.body.flatMap(boundBy) ?? [];
  const written = [...entriesOf(block).flatMap(tensorsOf), ...own.flatMap((name) => [name, `${name}.*`])];
  const patterns = written.flatMap(spellingsIn(block));
  const named = tensors.filter((tensor) => patterns.some((p) => matches(p, tensor)));
  return named.length / Math.max(1, tensors.length);
}

/** Patterns of what a layout names beside the backbone itself: the heads that its checkpoints may have. */
export function headTensors(engine: Engine, variant: VariantDecl, layout: string): string[] {
  const block = blocksOf(engine, variant).find((b) => b.layout.name === layout);
  const own = new Set(backboneOf((e) => engine.meanings.declared(e), variant)?.body.flatMap(boundBy));
  if (!block) return [];
  const heads = entriesOf(block).filter((e) => !own.has(rootName(e.path) ?? ''));
  return heads.flatMap(tensorsOf).flatMap(spellingsIn(block));
}

/** An entry that names something of the model which this model does not have (a head that another one would have). */
function isOutside(plan: ModelPlan, b: Binding, path: Expr): boolean {
  const root = rootName(path);
  if (root === undefined || b.site.children.has(root) || b.site.params.has(root)) return false;
  if (b.site.kind === 'module' && b.site.decl.body.flatMap(boundBy).includes(root)) return false;
  const top = plan.bindings.find((x) => x.name === root);
  // A map in another file, the library's, cannot mean a name of this spec that only looks like one of its own.
  return !top || !isIn(top.site, path, path.span.file === top.span.file);
}

/** Whether another part of the model, a head, has what a path names: one of another kind need not. What is close to something that it has is a misspelling. */
function isIn(top: Site, path: Expr, near: boolean): boolean {
  if (path.kind !== 'member') return true;
  const { name } = path.member;
  if (path.object.kind !== 'name') return isIn(top, path.object, near);
  return (
    inside(top, name) !== undefined ||
    (near && nearest(name, [...top.children.keys(), ...top.params.keys()]) !== undefined)
  );
}

/** Parts of the model that a checkpoint has tensors for under their name, and that have nothing of what these are for: a head of another kind. */
export function strangersIn(
  engine: Engine,
  plan: ModelPlan,
  b: Binding,
  tensors: ReadonlySet<string>,
): { readonly part: Binding; readonly path: string; readonly tensor: string }[] {
  return blocksOf(engine, b.variant).flatMap((block) =>
    entriesOf(block).flatMap((e) => {
      const part = plan.bindings.find((x) => x.name === rootName(e.path) && x !== b);
      const tensor =
        part && isOutside(plan, b, e.path) ? held(tensorsOf(e).flatMap(spellingsIn(block)), tensors) : undefined;
      const path = engine.library.textOf(e.path.span);
      return part && tensor !== undefined && path !== undefined ? [{ part, path, tensor }] : [];
    }),
  );
}

const held = (patterns: readonly string[], tensors: ReadonlySet<string>): string | undefined =>
  [...tensors].find((t) => patterns.some((p) => matches(p, t)));

export function rootName(e: Expr): string | undefined {
  if (e.kind === 'name') return e.name;
  if (e.kind === 'member' || e.kind === 'index') return rootName(e.object);
  return undefined;
}

// ---- From paths to parameters --------------------------------------------------------------------------------------

/** A parameter as an entry's path shows it: some rows, other unit axes, transposed. */
interface View {
  readonly param: ParamSlot;
  readonly rows?: readonly [start: number, end: number];
  readonly shape: readonly number[];
  readonly transposed: boolean;
}
/** What is at a path of the model, and the indices that led there. */
interface Found {
  readonly at: { readonly site: Site } | View;
  readonly indices: Indices;
}

/** What the walk of one entry needs. */
interface Walk {
  readonly engine: Engine;
  readonly plan: ModelPlan;
  readonly b: Binding;
  readonly block: NamesBlock;
  readonly entry: NameEntry;
}

function layout(engine: Engine, plan: ModelPlan, b: Binding, block: NamesBlock): CheckpointName[] {
  const names: CheckpointName[] = [];
  const spell = spellingsIn(block);
  for (const entry of entriesOf(block)) {
    const w: Walk = { engine, plan, b, block, entry };
    const root = rootName(entry.path);
    // `head.fc` in a model without a head: the checkpoint may hold it, the model does not want it.
    if (isOutside(plan, b, entry.path)) {
      if (root !== undefined && plausible(b, root)) unknown(w, entry.path, b.site);
      continue;
    }
    const [first, ...others] = entry.patterns.map((p) => readPattern(engine, p));
    const used = indicesIn(entry.path);
    for (const pattern of [first!, ...others]) pattern.check(used, entry.path);
    for (const { at, indices } of walk(w, entry.path, new Map())) {
      const tensor = first!.at(indices);
      const also = [...spell(tensor), ...others.flatMap((p) => spell(p.at(indices)))];
      const spelled = (leaf: string) => ({
        tensor: `${tensor}${leaf}`,
        also: [...new Set(also)].filter((s) => s !== tensor).map((s) => `${s}${leaf}`),
      });
      if ('param' in at) names.push({ ...placed(at), ...spelled('') });
      else names.push(...ofSite(at.site).map(({ leaf, ...place }) => ({ ...place, ...spelled(leaf) })));
    }
  }
  const mapped = new Set(names.map((n) => n.param));
  // What no entry names keeps its own path.
  for (const p of ownParams(b.site)) {
    if (mapped.has(p.name)) continue;
    const tensor = p.name.slice(b.name.length + 1);
    const [, ...also] = spell(tensor);
    names.push({ param: p.name, tensor, ...(also.length > 0 ? { also } : {}) });
  }
  bijection(engine, block, names);
  return names.map(({ also, ...n }) => ({ ...n, ...(also && also.length > 0 ? { also } : {}) }));
}

function placed({ param, rows, shape, transposed }: View): Pick<CheckpointName, 'param' | 'rows' | 'stored'> {
  const plain = rows ? [rows[1] - rows[0], ...param.type.shape.slice(1)] : param.type.shape;
  const stored = transposed || !sameShape(plain, shape) ? { stored: { shape, transposed } } : {};
  return { param: param.name, ...(rows ? { rows } : {}), ...stored };
}

/** A root that is close to a name of the backbone is a misspelling, not a part of another model. */
const plausible = (b: Binding, root: string): boolean =>
  nearest(root, [...b.site.children.keys(), ...b.site.params.keys()]) !== undefined;

type OfSite = Pick<CheckpointName, 'param' | 'rows'> & { readonly leaf: string };

/** All parameters of a site and of what is below it; `leaf`: what follows the site's name. */
function ofSite(site: Site): OfSite[] {
  if (site.kind === 'part') {
    return [...site.whole.params].map(([short, p]) => ({ param: p.name, leaf: `.${short}`, rows: site.rows }));
  }
  return [...below(site)].flatMap((s) =>
    [...s.params].map(([short, p]) => ({ param: p.name, leaf: `${s.path.slice(site.path.length)}.${short}` })),
  );
}

function walk(w: Walk, e: Expr, indices: Indices): Found[] {
  if (e.kind === 'name') {
    const top = w.plan.bindings.find((x) => x.name === e.name);
    const at = inside(w.b.site, e.name) ?? (top && { site: top.site });
    // Of other roots `layout` has spoken; what the backbone binds under a condition may not be there.
    if (at) return [{ at, indices }];
    return w.entry.optional && binds(w.b.site, e.name) ? [] : unknown(w, e, w.b.site);
  }
  if (e.kind === 'member') {
    const objects = walk(w, e.object, indices);
    const { name } = e.member;
    // Items of a list need not be of one kind: what some of them have is not unknown to the others.
    const known = objects.some(
      ({ at }) => !('param' in at) && (inside(at.site, name) !== undefined || binds(at.site, name)),
    );
    return objects.flatMap((o) => {
      if ('param' in o.at) return name === 'T' ? { ...o, at: transposed(w, e, o.at) } : unknown(w, e, undefined);
      const at = inside(o.at.site, name);
      if (at) return [{ at, indices: o.indices }];
      return known && w.entry.optional ? [] : unknown(w, e, o.at.site);
    });
  }
  if (e.kind !== 'index') return unknown(w, e, undefined);
  return walk(w, e.object, indices).flatMap((o) =>
    'param' in o.at ? [{ ...o, at: reshaped(w, e, o.at) }] : element(w, e, o.at.site, o.indices),
  );
}

/** What a module binds, though perhaps under a condition that does not hold here: an entry for it may be `optional`. */
const binds = (at: Site, name: string): boolean => at.kind === 'module' && at.decl.body.flatMap(boundBy).includes(name);

function transposed(w: Walk, e: Expr, v: View): View {
  if (v.shape.length !== 2 || v.transposed) return unknown(w, e, undefined);
  return { ...v, shape: [v.shape[1]!, v.shape[0]!], transposed: true };
}

/** `gamma[new, :, new]` adds unit axes, `[0]` takes one away. */
function reshaped(w: Walk, e: IndexExpr, v: View): View {
  const shape: number[] = [];
  let axis = 0;
  for (const item of e.indices) {
    if (item.kind === 'new') shape.push(1);
    else {
      const size = v.shape[axis++];
      const whole = item.kind === 'range' && !item.start && !item.end;
      const unit = item.kind === 'at' && item.value.kind === 'number' && item.value.value === 0 && size === 1;
      if (size === undefined || !(whole || unit)) return unknown(w, e, undefined);
      if (whole) shape.push(size);
    }
  }
  return { ...v, shape: [...shape, ...v.shape.slice(axis)] };
}

function element(w: Walk, e: IndexExpr, list: Site, indices: Indices): Found[] {
  const item = e.indices[0];
  if (list.kind !== 'list' || item?.kind !== 'at' || e.indices.length !== 1) return unknown(w, e, undefined);
  if (item.value.kind === 'number') {
    const one = list.items[item.value.value];
    return one ? [{ at: { site: one }, indices }] : unknown(w, e, list);
  }
  if (item.value.kind !== 'name') return unknown(w, e, undefined);
  const { name } = item.value;
  return list.items.map((site, i) => ({ at: { site }, indices: new Map(indices).set(name, i) }));
}

function inside(site: Site, name: string): Found['at'] | undefined {
  const child = site.children.get(name);
  if (child) return { site: child };
  const param = (site.kind === 'part' ? site.whole : site).params.get(name);
  if (!param) return undefined;
  const { shape } = param.type;
  if (site.kind !== 'part') return { param, shape, transposed: false };
  const [start, end] = site.rows;
  return { param, rows: [start, end], shape: [end - start, ...shape.slice(1)], transposed: false };
}

function unknown(w: Walk, e: Expr, at: Site | undefined): never {
  const { engine } = w;
  const path = engine.library.textOf(e.span) ?? '?';
  const last = e.kind === 'member' ? e.member.name : e.kind === 'name' ? e.name : '';
  const near = at && nearest(last, [...at.children.keys(), ...at.params.keys()]);
  const some = at !== undefined && binds(at, last);
  return engine.report.stop(
    'ESP0233',
    { path, layout: w.block.layout.name },
    {
      primary: { span: e.span, text: some ? 'not here with these options' : 'no such path' },
      help: [
        ...(some ? ['Write `optional` before an entry that not every model, or not every item of a list, has.'] : []),
        ...(near === undefined || some ? [] : [`Did you mean \`${near}\`?`]),
      ],
    },
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
    for (const tensor of [n.tensor, ...(n.also ?? [])]) {
      if (tensors.has(tensor)) fail(`the tensor \`${tensor}\` has two uses`);
      tensors.add(tensor);
    }
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
