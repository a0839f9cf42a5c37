/** A model: what it binds, and its statements `in`, `adapt`, `prune` and `tune`, collected and put onto the module tree. */
import { bindingOf, showPath } from '../../../ir/path.js';
import type {
  AdaptStmt,
  CallExpr,
  ModelBind,
  ModelDecl,
  ModelStmt,
  ModuleDecl,
  PruneStmt,
  Selector,
  Span,
  VariantDecl,
} from '../../ast.js';
import type { SourceFacts } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import { turns } from '../evaluate/evaluate.js';
import { noGenerators } from '../evaluate/operator.js';
import { trainedRole, untrained } from '../evaluate/parameter.js';
import { fillOptions } from '../evaluate/types.js';
import { type Graft, num, type Owner, type ParamSlot, POISON, Scope, type Site, type Val } from '../evaluate/values.js';
import { undeclared, withArticle } from '../names/undeclared.js';
import { suits, wants } from '../sites/adapters/pattern.js';
import { type Start, select, selectAll } from '../sites/selectors.js';
import { ownParams } from '../sites/walk.js';
import { askFile, labelsOf } from './asked.js';
import { readsConfigs } from './config.js';
import type { Binding, Labels, ModelPlan } from './plan.js';
import { instantiateVariant, variantChain } from './variants.js';

/** The model itself as the owner of what it binds: paths begin with the names of its bindings. */
class Root implements Owner {
  readonly key = '';
  readonly path = '';
  readonly role = 'frozen';
  readonly adapter = undefined;
  readonly children = new Map<string, Site>();
  readonly params = new Map<string, ParamSlot>();
  readonly broken = new Set<string>();
}

export function planModel(engine: Engine, decl: ModelDecl, scope: Scope): ModelPlan {
  const root = new Root();
  const labels = labelsOf(engine, decl.body);
  const { broken } = root;
  const plan: ModelPlan = {
    decl,
    scope,
    bindings: [],
    adaptations: [],
    prunings: [],
    tunings: [],
    ignored: [],
    labels,
    broken,
    statements: new Map(),
  };
  run(engine, plan, root, decl.body, { starts: [root], scope });
  return plan;
}

/** Where statements stand. */
interface Place {
  /** Where their selectors begin. */
  readonly starts: readonly Start[];
  readonly scope: Scope;
  /** The statement around them that may hold no bindings. */
  readonly inside?: '`in`' | '`for`';
}

function run(engine: Engine, plan: ModelPlan, root: Root, body: readonly ModelStmt[], place: Place): void {
  const { starts, scope } = place;
  for (const s of body) {
    engine.report.attempt(() => {
      switch (s.kind) {
        case 'model_bind':
          if (place.inside) {
            engine.report.stop(
              'ESP0220',
              { what: 'a binding', where: place.inside },
              { primary: { span: s.name.span, text: 'bind it before' } },
            );
          }
          return bind(engine, plan, root, s, scope);
        case 'in': {
          const inner = select(engine, s.selector, starts, scope).map((m) => m.site);
          return run(engine, plan, root, s.body, { starts: inner, scope, inside: '`in`' });
        }
        case 'model_for': {
          const n = turns(engine, engine.evaluate(s.generator.limit, scope), s.generator.limit);
          return engine.budget.loop(n, s.generator.span, () => {
            for (let i = 0; i < n; i++) {
              const inner = new Scope(scope);
              inner.set(s.generator.name.name, num(i));
              run(engine, plan, root, s.body, { starts, scope: inner, inside: '`for`' });
            }
          });
        }
        case 'adapt':
          return adapt(engine, plan, s, starts, scope);
        case 'prune':
          return prune(engine, plan, s, starts, scope);
        case 'tune': {
          const found = s.sites.flatMap(
            (sel) => engine.report.attempt(() => tunable(engine, sel, starts, scope)) ?? [],
          );
          const whole = new Set(found.flatMap((f) => f.whole));
          const params = [...new Set([...whole, ...found.flatMap((f) => f.single)])];
          plan.tunings.push({ stmt: s, params, whole });
          for (const p of params) p.role = trainedRole(p);
          return undefined;
        }
        case 'ignore':
          // Names of tensors are those of files, whichever site statements around this one select.
          if (place.inside)
            engine.report.stop(
              'ESP0220',
              { what: '`ignore`', where: place.inside },
              { primary: { span: s.span, text: 'it is about files as a whole: write it beside the bindings' } },
            );
          plan.ignored.push(...s.patterns);
          return undefined;
        case 'model_if': {
          const holds = engine.truth(engine.evaluate(s.condition, scope), 'a condition', s.condition.span);
          return run(engine, plan, root, (holds ? s.then : s.otherwise) ?? [], place);
        }
        case 'error':
          for (const name of s.names) {
            root.broken.add(name);
            if (!scope.own(name)) scope.set(name, POISON);
          }
          return undefined;
      }
    });
  }
}

// ---- Bindings ------------------------------------------------------------------------------------------------------

function bind(engine: Engine, plan: ModelPlan, root: Root, s: ModelBind, scope: Scope): void {
  const name = s.name.name;
  const done = engine.report.attempt(() => {
    if (scope.own(name)) {
      const first = plan.bindings.find((b) => b.name === name);
      const secondary = first ? [{ span: first.span, text: 'bound first here' }] : [];
      engine.report.stop('ESP0206', { name }, { primary: { span: s.name.span, text: 'bound again here' }, secondary });
    }
    const made = make(engine, plan, root, s, scope);
    if (made) {
      root.children.set(name, made.site);
      plan.bindings.push(made);
      scope.set(name, { kind: 'site', site: made.site });
    } else scope.set(name, engine.evaluate(s.value, scope));
    return true;
  });
  if (done) return;
  root.broken.add(name);
  if (!scope.own(name)) scope.set(name, POISON);
}

function make(engine: Engine, plan: ModelPlan, root: Root, s: ModelBind, scope: Scope): Binding | undefined {
  const { value } = s;
  if (value.kind !== 'call' || value.callee.kind !== 'name') return undefined;
  const callee = value.callee;
  if (engine.meanings.of(callee).kind === 'local') return undefined;
  const decl = engine.meanings.declared(callee);
  if (decl?.kind !== 'module' && decl?.kind !== 'backbone' && decl?.kind !== 'variant') {
    if (s.from) {
      undeclared(engine.library, engine.report, {
        what: 'backbone or variant',
        name: callee.name,
        span: callee.span,
        found: decl,
        candidates: engine.library.makers(callee.span.file),
      });
    }
    return undefined;
  }
  noGenerators(engine.report, value);
  const name = s.name.name;
  const spot = { owner: root, key: name, path: name };
  const backbone = decl.kind !== 'module';
  const from = s.from && { location: s.from.value, span: s.from.span };
  const variant = decl.kind === 'variant' ? decl : undefined;
  const { found, facts, unreadable } = askFile(engine, s.from, backbone ? 'backbone' : 'tune', variant);
  const preset = classes(decl, found?.labels ?? found?.classes ?? plan.labels);
  const before = engine.report.errors;
  const site = engine.within({}, () =>
    decl.kind === 'variant'
      ? instantiateVariant(engine, decl, value, scope, spot, facts, [])
      : engine.instantiate(decl, value, scope, spot, { facts, preset }),
  );
  warnUnused(engine, site, found, from);
  if (found?.config && from && backbone && !(variant && readsConfigs(engine, variant))) {
    const { file } = found.config;
    engine.report.add('ESP0258', { file, name: decl.name.name }, { primary: { span: from.span, text: 'named here' } });
  }
  return {
    name,
    site,
    span: s.span,
    backbone,
    ...(variant ? { variant } : {}),
    said: saidOf(engine, value, variant),
    ...(from ? { from } : {}),
    facts: found,
    sound: engine.report.errors === before && !unreadable && site.scope.own(CLASSES) !== POISON,
  };
}

/** Options by name that a call gives, and those that the variants that it goes through fill in. */
function saidOf(engine: Engine, call: CallExpr, variant: VariantDecl | undefined): ReadonlySet<string> {
  const filled = (variant ? variantChain(engine, variant) : []).map((v) => v.value).filter((v) => v.kind === 'call');
  return new Set([call, ...filled].flatMap((c) => c.args.flatMap((a) => (a.name ? [a.name.name] : []))));
}

function warnUnused(
  engine: Engine,
  site: Site,
  found: SourceFacts | undefined,
  from: { location: string; span: Span } | undefined,
): void {
  if (!found?.options || !from || site.kind !== 'module') return;
  for (const option of Object.keys(found.options)) {
    if (site.decl.params.some((p) => p.name.name === option)) continue;
    engine.report.add(
      'ESP0231',
      { option, location: from.location },
      { primary: { span: from.span, text: 'read from here' } },
    );
  }
}

/** The option by which a head takes the names or the number of its classes. */
const CLASSES = 'classes';

function classes(decl: ModuleDecl | VariantDecl, labels: Labels): ReadonlyMap<string, Val> | undefined {
  if (!labels || !decl.params.some((p) => p.name.name === CLASSES)) return undefined;
  if (labels === 'unreadable') return new Map([[CLASSES, POISON]]);
  if (typeof labels === 'number') return new Map([[CLASSES, num(labels)]]);
  return new Map([[CLASSES, { kind: 'list', items: labels.map((value) => ({ kind: 'str', value })) }]]);
}

// ---- Statements ----------------------------------------------------------------------------------------------------

function adapt(engine: Engine, plan: ModelPlan, s: AdaptStmt, starts: readonly Start[], scope: Scope): void {
  const callee = s.adapter.callee;
  const name = callee.kind === 'name' ? callee.name : '';
  const decl = callee.kind === 'name' ? engine.meanings.declared(callee) : undefined;
  const matches = s.sites.flatMap(
    (sel) => engine.report.attempt(() => ({ sel, found: select(engine, sel, starts, scope) })) ?? [],
  );
  if (decl?.kind !== 'adapter') {
    undeclared(engine.library, engine.report, {
      what: 'adapter',
      name,
      span: callee.span,
      found: decl,
      candidates: engine.library.makers(callee.span.file, ['adapter']),
      ...(decl ? { text: `${withArticle(decl.kind)}, not an adapter` } : {}),
    });
  }
  noGenerators(engine.report, s.adapter);
  const { facts, unreadable } = askFile(engine, s.from, 'adapter');
  const args = fillOptions(engine, {
    of: name,
    params: decl.params,
    args: s.adapter.args,
    scope,
    span: s.adapter.span,
    facts,
  });
  const sites = new Set<Site>();
  for (const { sel, found } of matches) {
    const fitting = found.filter((m) => suits(decl, m.site));
    for (const m of fitting) sites.add(m.site);
    const misfit = found.find((m) => !m.wild && !suits(decl, m.site)) ?? (fitting.length === 0 ? found[0] : undefined);
    if (misfit) {
      engine.report.add(
        'ESP0331',
        { adapter: name, wants: wants(decl), site: showPath(misfit.site.path), is: whatIs(misfit.site) },
        { primary: { span: sel.span, text: 'selected here' } },
      );
    }
  }
  // Sizes that an unreadable file would have fixed are guesses: nothing is traced with them.
  if (sites.size === 0 || unreadable) return;
  const shared = sharedPrefix(plan, [...sites][0]!, name);
  const grafts = [...sites].map((site) => graftOn(site, name, shared, { decl, args, span: s.span }));
  plan.adaptations.push({ stmt: s, grafts });
}

/** Shared parameters belong to a statement: two statements with one adapter do not share. */
function sharedPrefix(plan: ModelPlan, first: Site, name: string): string {
  const prefix = `${bindingOf(first.path)}@${name}`;
  const before = plan.statements.get(prefix) ?? 0;
  plan.statements.set(prefix, before + 1);
  return before > 0 ? `${prefix}${before + 1}` : prefix;
}

function graftOn(site: Site, adapter: string, shared: string, g: Pick<Graft, 'decl' | 'args' | 'span'>): Graft {
  const same = site.grafts.filter((x) => x.decl.name.name === adapter).length;
  const name = same > 0 ? `${adapter}${same + 1}` : adapter;
  const id = `${site.path}@${name}`;
  const owner: Owner = {
    path: id,
    role: 'trainable',
    adapter: id,
    children: new Map(),
    params: new Map(),
    shared: { id: shared, site: site.path },
  };
  const graft: Graft = { ...g, name, id, site, owner };
  site.grafts.push(graft);
  return graft;
}

/** What a selector of `tune` means: single parameters, and those of sites and of everything below them. */
interface Tunable {
  readonly single: readonly ParamSlot[];
  readonly whole: readonly ParamSlot[];
}

function tunable(engine: Engine, selector: Selector, starts: readonly Start[], scope: Scope): Tunable {
  const { sites: found, params: single } = selectAll(engine, selector, starts, scope);
  const bare = found.find((m) => !m.wild && (m.site.kind === 'label' || m.site.kind === 'part'));
  if (bare) {
    const primary = { span: selector.span, text: 'selected here' };
    engine.report.add('ESP0348', { site: showPath(bare.site.path), is: whatIs(bare.site) }, { primary });
  }
  const step = single.find((p) => p.type.dtype !== 'f32');
  if (step) untrained(engine, showPath(step.name), step.type.dtype, selector.span);
  // What a module counts or tells apart by stays as it is.
  return { single, whole: found.flatMap((m) => ownParams(m.site)).filter((p) => p.type.dtype === 'f32') };
}

/** A site in a sentence. */
function whatIs(site: Site): string {
  if (site.kind === 'label') return 'a labelled stretch';
  if (site.kind === 'part') return 'a part of a fused layer';
  if (site.kind === 'list') return `a list of ${site.items.length}`;
  return withArticle(site.type);
}

function prune(engine: Engine, plan: ModelPlan, s: PruneStmt, starts: readonly Start[], scope: Scope): void {
  const sites = new Set<Site>();
  for (const sel of s.sites) {
    for (const m of engine.report.attempt(() => select(engine, sel, starts, scope)) ?? []) {
      const { site } = m;
      if (site.kind === 'layer' && site.layer.weighted) sites.add(site);
      else if (!m.wild) {
        const primary = { span: sel.span, text: 'selected here' };
        if (site.kind === 'part')
          engine.report.add('ESP0341', { site: showPath(site.path), whole: showPath(site.whole.path) }, { primary });
        else engine.report.add('ESP0340', { site: showPath(site.path), is: whatIs(site) }, { primary });
      }
    }
  }
  plan.prunings.push({ stmt: s, sites: [...sites], scope });
}
