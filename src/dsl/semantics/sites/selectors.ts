/** Selectors: which sites a statement of a model means. */

import { nearest } from '../../../diagnostics/suggest.js';
import { showPath } from '../../../ir/path.js';
import type { IndexItem, Selector, SelectorStep, Span } from '../../ast.js';
import type { Engine } from '../evaluate/engine.js';
import { at, bounds } from '../evaluate/indexing.js';
import { type ModuleSite, type ParamSlot, POISON, type Scope, type Site } from '../evaluate/values.js';
import { Stop } from '../report.js';

export interface Match {
  readonly site: Site;
  /** Reached by a wildcard as its last step: left out where it does not fit. */
  readonly wild: boolean;
}

/** Where selectors begin: the model's own bindings, or the sites that an `in` selects. */
export interface Start {
  readonly path: string;
  readonly children: ReadonlyMap<string, Site>;
  readonly params?: ReadonlyMap<string, ParamSlot>;
  /** Names whose making failed: selecting them is silent. */
  readonly broken?: ReadonlySet<string>;
}

/** Remembers why a search ended, for the message when nothing matches. */
interface Miss {
  readonly step: SelectorStep;
  readonly at: Start;
}

interface Search {
  readonly misses: Miss[];
  /** The options of `{a, b}` that were tried: whether one ever matched, and why it did not last time. */
  readonly tried: Map<Selector, { readonly hit: boolean; readonly miss?: Miss | undefined }>;
  /** Whether the last name may be a parameter's. */
  readonly params: boolean;
}

const asStart = (site: Site): Start => site;

/** Names in it whose making failed, which was reported. */
function brokenIn(at: Start): string[] {
  const own = 'scope' in at ? (at as ModuleSite).scope : undefined;
  return [...(at.broken ?? []), ...(own?.ownNames().filter((n) => own.own(n) === POISON) ?? [])];
}

/**
 * All sites that a selector matches, each once, in the order of the tree. Reports and stops if there is none.
 */
export function select(engine: Engine, selector: Selector, starts: readonly Start[], scope: Scope): Match[] {
  return find(engine, selector, starts, scope, false).sites;
}

/** Sites and single parameters: what `tune` may name. */
export interface Found {
  readonly sites: readonly Match[];
  readonly params: readonly ParamSlot[];
}

/** All sites and parameters that a selector matches, each once. Reports and stops if there is none. */
export const selectAll = (engine: Engine, selector: Selector, starts: readonly Start[], scope: Scope): Found =>
  find(engine, selector, starts, scope, true);

function find(engine: Engine, selector: Selector, starts: readonly Start[], scope: Scope, params: boolean) {
  const search: Search = { misses: [], tried: new Map(), params };
  const sites = new Map<Site, Match>();
  const slots = new Set<ParamSlot>();
  for (const s of starts) {
    for (const m of walk(engine, selector.steps, s, scope, search)) {
      if ('param' in m) {
        slots.add(m.param);
        continue;
      }
      const before = sites.get(m.site);
      if (!before || (before.wild && !m.wild)) sites.set(m.site, m);
    }
  }
  if (sites.size + slots.size === 0) none(engine, selector, search);
  // Each of `{a, b}` is there to select something, somewhere.
  for (const [option, { hit, miss }] of search.tried) {
    if (!hit) engine.report.attempt(() => none(engine, option, { ...search, misses: miss ? [miss] : [] }));
  }
  return { sites: [...sites.values()], params: [...slots] };
}

function* walk(
  engine: Engine,
  steps: readonly SelectorStep[],
  at: Start,
  scope: Scope,
  search: Search,
): Generator<Match | { readonly param: ParamSlot }> {
  const [step, ...rest] = steps;
  if (!step) return;
  const go = function* (site: Site, wild: boolean): ReturnType<typeof walk> {
    if (rest.length === 0) yield { site, wild };
    else yield* walk(engine, rest, asStart(site), scope, search);
  };
  switch (step.kind) {
    case 'name': {
      const child = at.children.get(step.name);
      const param = search.params && rest.length === 0 ? at.params?.get(step.name) : undefined;
      if (child) yield* go(child, false);
      else if (param) yield { param };
      else if (brokenIn(at).includes(step.name)) throw new Stop();
      else search.misses.push({ step, at });
      return;
    }
    case 'any': {
      // Labels and row parts are named, never met by chance.
      const all = [...at.children.values()].filter((c) => c.kind !== 'label' && c.kind !== 'part');
      if (all.length === 0) search.misses.push({ step, at });
      for (const c of all) yield* go(c, true);
      return;
    }
    case 'deep': {
      if (rest.length === 0) {
        for (const c of descendants(at)) yield { site: c, wild: true };
        return;
      }
      yield* walk(engine, rest, at, scope, search);
      for (const c of descendants(at)) yield* walk(engine, rest, asStart(c), scope, search);
      return;
    }
    case 'index': {
      const list = 'kind' in at && (at as Site).kind === 'list' ? [...at.children.values()] : undefined;
      if (!list) {
        search.misses.push({ step, at });
        return;
      }
      const picked = step.all ? [...list.keys()] : step.items.flatMap((i) => indices(engine, i, list.length, scope));
      for (const i of picked) yield* go(list[i]!, false);
      return;
    }
    case 'oneof':
      for (const o of step.options) {
        let hit = search.tried.get(o)?.hit ?? false;
        for (const m of walk(engine, [...o.steps, ...rest], at, scope, search)) {
          hit = true;
          yield m;
        }
        search.tried.set(o, { hit, miss: search.misses.at(-1) });
      }
  }
}

function* descendants(at: Start): Generator<Site> {
  for (const c of at.children.values()) {
    if (c.kind === 'label' || c.kind === 'part') continue;
    yield c;
    yield* descendants(asStart(c));
  }
}

function indices(engine: Engine, item: IndexItem, size: number, scope: Scope): number[] {
  if (item.kind === 'new') return [];
  if (item.kind === 'range') {
    const [a, b] = bounds(engine, item, size, 'a list', scope);
    return Array.from({ length: b - a }, (_, i) => a + i);
  }
  return [at(engine, item.value, size, 'a list', scope)];
}

/** The message shows the step that found nothing, and what there is in its place. */
function none(engine: Engine, selector: Selector, { misses, params }: Search): never {
  const miss = misses.at(-1);
  const help: string[] = [];
  let span: Span = selector.span;
  if (miss) {
    span = miss.step.span;
    const names = [...miss.at.children.keys(), ...(params ? (miss.at.params?.keys() ?? []) : []), ...brokenIn(miss.at)];
    const isList = 'kind' in miss.at && (miss.at as Site).kind === 'list';
    if (miss.step.kind === 'name' && miss.at.params?.has(miss.step.name)) {
      const why = params ? 'nothing is below it' : 'only `tune` selects single parameters';
      help.push(`\`${miss.step.name}\` is a parameter: ${why}.`);
    }
    const near = miss.step.kind === 'name' ? nearest(miss.step.name, names) : undefined;
    if (near !== undefined) help.push(`Did you mean \`${near}\`?`);
    const where = miss.at.path === '' ? 'The model' : `\`${showPath(miss.at.path)}\``;
    if (isList) help.push(`${where} is a list of ${names.length}; write ${showPath(miss.at.path)}[*] for all of it.`);
    else if (names.length > 0) help.push(`${where} has: ${names.slice(0, 12).join(', ')}.`);
    else help.push(`${where} has nothing in it.`);
  }
  return engine.report.stop(
    'ESP0330',
    { selector: engine.library.textOf(selector.span) ?? 'the selector' },
    { primary: { span, text: 'nothing here' }, help },
  );
}
