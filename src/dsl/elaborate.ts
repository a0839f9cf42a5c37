/**
 * Elaboration: what a parsed spec means. Names are resolved, options become numbers, modules a tree, statements masks and adapters on
 * it, and the forward a graph over IR values. Errors are collected; the value is absent if there is one.
 */

import type { Checked, Diagnostic } from '../diagnostics/types.js';
import { adaptersOf } from '../ir/about.js';
import { input } from '../ir/graph.js';
import { bindingOf, showPath } from '../ir/path.js';
import type { Adapter, Func, Module, Param, Value } from '../ir/types.js';
import type { ModelDecl, SettingsDecl, SourceFile, Span } from './ast.js';
import type { Elaborated, ElaborateOptions, SiteNode } from './elaborated.js';
import { BUILTINS } from './semantics/builtins/builtins.js';
import { forwardOf } from './semantics/evaluate/block.js';
import type { ArgVal, Engine } from './semantics/evaluate/engine.js';
import { describe } from './semantics/evaluate/show.js';
import { isTensorLike, type ModuleSite, Scope, type Val } from './semantics/evaluate/values.js';
import { makeEngine } from './semantics/make-engine.js';
import { checkWeight } from './semantics/models/bytes.js';
import { planModel } from './semantics/models/model.js';
import { modelOptions, theModel } from './semantics/models/options.js';
import type { Binding, ModelPlan } from './semantics/models/plan.js';
import { classDefaults, stepsOf, stepsText } from './semantics/models/processor.js';
import { deploySettings } from './semantics/models/settings.js';
import { sourcesOf } from './semantics/models/sources.js';
import { coloursOf, isPicture, preprocessOf } from './semantics/models/variants.js';
import { Library } from './semantics/names/library.js';
import { resolveNames } from './semantics/names/resolve.js';
import { Exhausted, Report, Stop } from './semantics/report.js';
import { inputType } from './semantics/sites/input.js';
import { pruneJobs } from './semantics/sites/masks/prune.js';
import { appliedAdapter, siteNode } from './semantics/sites/tree.js';
import { below } from './semantics/sites/walk.js';
import { type Outputs, trainSettings } from './semantics/train/train.js';

/**
 * Works out the model of a file.
 * Never throws for a bad spec: the diagnostics say what is wrong, and `value` is there only if nothing is.
 */
export function elaborate(file: SourceFile, options: ElaborateOptions): Checked<Elaborated> {
  const report = new Report(file.path);
  const library = new Library(file, report, options);
  const meanings = resolveNames(library, report, BUILTINS);
  const engine = makeEngine(report, library, meanings, options);
  const value = bounded(() =>
    report.attempt(() => elaborateModel(engine, file, theModel(engine, file, options.model))),
  );
  return { ...(value && !report.failed ? { value } : {}), diagnostics: report.diagnostics };
}

/** All that is wrong with a file: its names, and every model in it. A file without models is a library, and fine. */
export function check(file: SourceFile, options: ElaborateOptions): Diagnostic[] {
  const report = new Report(file.path);
  const library = new Library(file, report, options);
  const meanings = resolveNames(library, report, BUILTINS);
  const models = file.decls.filter((d): d is ModelDecl => d.kind === 'model');
  const chosen = options.model === undefined ? models : models.filter((m) => m.name.name === options.model);
  if (options.model !== undefined && chosen.length === 0) {
    report.attempt(() => theModel(makeEngine(report, library, meanings, options), file, options.model));
  }
  for (const m of chosen) {
    const engine = makeEngine(report, library, meanings, options);
    bounded(() => report.attempt(() => elaborateModel(engine, file, m)));
  }
  return report.diagnostics;
}

/** Undefined when the spec asked for more work than is reasonable, which was reported. */
function bounded<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (e) {
    if (e instanceof Exhausted) return undefined;
    throw e;
  }
}

function elaborateModel(engine: Engine, file: SourceFile, decl: ModelDecl): Elaborated | undefined {
  const { report, options } = engine;
  const scope = new Scope();
  for (const [name, v] of modelOptions(engine, decl, options.set)) scope.set(name, v);
  const plan = planModel(engine, decl, scope);
  const prune = pruneJobs(engine, plan.prunings);
  const settings = settingsOf(file, decl.name.name);
  const deploy = deploySettings(engine, settings.deploy, scope);
  const last = plan.bindings.at(-1);
  if (!last) {
    if (report.failed || plan.broken.size > 0 || decl.body.some((s) => s.kind === 'error')) return undefined;
    return report.stop('ESP0241', { name: decl.name.name }, { primary: { span: decl.name.span, text: 'this model' } });
  }
  const outputs = report.attempt(() => traceModel(engine, plan));
  const infer = outputs?.infer;
  const fresh = () => makeEngine(new Report(file.path), engine.library, engine.meanings, options);
  const params = engine.params.slots.values();
  const train = trainSettings({ engine, fresh, scope, outputs, params, prunings: plan.prunings }, settings.train);
  if (infer && !report.failed) checkReached(engine, plan);
  // Names maps of a model that could not be made would only echo that.
  const sources = plan.bindings.every((b) => b.sound)
    ? report.attempt(() => sourcesOf(engine, plan, fresh))
    : undefined;
  if (sources) checkWeight(engine, plan, sources);
  const backbone = plan.bindings.find((b) => b.backbone);
  const preprocess = infer && backbone ? preprocessing(engine, backbone, infer) : undefined;
  if (!infer || !sources || report.failed) return undefined;
  const labels = labelsOf(plan);
  return {
    name: decl.name.name,
    module: moduleOf(engine, plan, infer),
    root: rootNode(decl.name.name, plan),
    sources,
    ignored: plan.ignored.map(({ value, span }) => ({ pattern: value, span })),
    prune,
    adapters: plan.adaptations.flatMap((a) => a.grafts.map(appliedAdapter)),
    deploy,
    ...(train ? { train } : {}),
    ...(preprocess ? { preprocess } : {}),
    ...(labels ? { labels } : {}),
    // A head with other classes than the checkpoint's is another question.
    ...(plan.bindings.some((b) => b.facts?.several && b.facts.labels?.join('\n') === labels?.join('\n'))
      ? { several: true }
      : {}),
    inputs: infer.inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', type: v.type })),
    at: { file: file.path, start: decl.span.start, end: decl.span.end },
  };
}

/** The blocks of settings for one model; names and doubles were checked with the other names. */
function settingsOf(file: SourceFile, model: string): { deploy?: SettingsDecl; train?: SettingsDecl } {
  const of = (kind: 'train' | 'deploy') =>
    file.decls.find((d): d is SettingsDecl => d.kind === kind && d.model.name === model);
  const deploy = of('deploy');
  const train = of('train');
  return { ...(deploy ? { deploy } : {}), ...(train ? { train } : {}) };
}

// ---- Tracing -------------------------------------------------------------------------------------------------------

/** `infer`: every binding that no other one takes is a result, for any batch; one whose forward ends in a record is a result for each field. */
function traceModel(engine: Engine, plan: ModelPlan): Outputs {
  if (plan.bindings.some((b) => !b.sound)) throw new Stop();
  const taken = new Set(plan.bindings.flatMap((b) => [...modulesOf(b)]));
  const ends = plan.bindings.filter((b) => !taken.has(b.site));
  const inputs = new Map<string, Value>();
  const names = new Set<string>();
  const called = new Map<string, Val>();
  const calls: { readonly site: ModuleSite; readonly args: readonly ArgVal[]; readonly span: Span }[] = [];
  const results = ends.flatMap((b) => {
    const site = b.site as ModuleSite;
    const forward = forwardOf(site.decl.body);
    if (forward?.params.length === 0) {
      engine.report.stop(
        'ESP0243',
        { name: b.name },
        { primary: { span: b.span, text: 'this one' }, secondary: [{ span: forward.span, text: 'its forward' }] },
      );
    }
    const args = (forward?.params ?? []).map((p, i) => {
      const name = p.name.name;
      let v = inputs.get(name);
      if (!v) {
        const type = inputType(engine, site, p, i);
        v = engine.trace(`the input ${name}`, b.span, [], () => input(name, type));
        inputs.set(name, v);
      }
      return { value: { kind: 'tensor', value: v } as Val, span: b.span };
    });
    const out = engine.callSite(site, args, b.span);
    calls.push({ site, args, span: b.span });
    const last = forward?.body.statements.at(-1);
    called.set(b.name, out);
    const named = (own: string, v: Val, what: string) => {
      const name = names.has(own) ? `${b.name}_${own}` : own;
      names.add(name);
      if (!isTensorLike(v) && v.kind !== 'num') {
        engine.report.stop(
          'ESP0205',
          { what, expected: 'a tensor', found: describe(v) },
          { primary: { span: last?.span ?? b.span, text: `this is ${describe(v)}` } },
        );
      }
      return { name, value: engine.tensor(v, b.span) };
    };
    if (out.kind === 'record') {
      return out.fields.map(([field, v]) => named(field, v, `\`${field}\` of the result of \`${b.name}\``));
    }
    const own = last?.kind === 'expr' && last.value.kind === 'name' ? last.value.name : b.name;
    return [named(own, out, `the result of \`${b.name}\``)];
  });
  const infer: Func = { name: 'infer', inputs: [...inputs.values()], results, updates: [] };
  const tap: Outputs['tap'] = (site, span) => {
    const [first] = calls;
    return engine.tapped(first!.site, first!.args, [{ site, span }], first!.span)[0]!;
  };
  return { infer, bindings: called, tap };
}

/** Modules that a binding was given as options: it calls them. */
function* modulesOf(b: Binding): Generator<unknown> {
  if (b.site.kind !== 'module') return;
  for (const name of b.site.scope.ownNames()) {
    const v = b.site.scope.own(name);
    if (v?.kind === 'site' && bindingOf(v.site.path) !== b.name) yield v.site;
  }
}

/** A statement on a module that is never called would silently do nothing. */
function checkReached(engine: Engine, plan: ModelPlan): void {
  for (const a of plan.adaptations) {
    for (const g of a.grafts) {
      if (g.body instanceof Scope) continue;
      engine.report.add(
        'ESP0336',
        { what: 'an adapter is put on', site: showPath(g.site.path) },
        { primary: { span: a.stmt.span, text: 'this statement' } },
      );
    }
  }
  for (const p of plan.prunings) {
    for (const s of p.sites) {
      if (s.called) continue;
      engine.report.add(
        'ESP0336',
        { what: 'a mask is put on', site: showPath(s.path) },
        { primary: { span: p.stmt.span, text: 'this statement' } },
      );
    }
  }
}

// ---- Results -------------------------------------------------------------------------------------------------------

function moduleOf(engine: Engine, plan: ModelPlan, infer: Func): Module {
  const params = new Map<string, Param>();
  for (const s of engine.params.slots.values()) {
    params.set(s.name, {
      name: s.name,
      type: s.type,
      role: s.role,
      ...(s.init ? { init: s.init } : {}),
      ...(s.role === 'statistic' && s.momentum !== undefined ? { momentum: s.momentum } : {}),
      ...(s.data ? { data: s.data } : {}),
      ...(s.value.about ? { about: s.value.about } : {}),
    });
  }
  const adapters = new Map<string, Adapter>();
  const having = new Set([...params.values()].flatMap((p) => adaptersOf(p.about)));
  for (const { id, name, site, span, owner } of plan.adaptations.flatMap((a) => a.grafts)) {
    const shared = owner.shared!.id;
    if (having.has(shared)) adapters.set(shared, { id: shared, name });
    adapters.set(id, { id, name, site: site.path, graft: { file: span.file, start: span.start, end: span.end } });
  }
  return { name: plan.decl.name.name, adapters, params, funcs: new Map([['infer', infer]]) };
}

function rootNode(name: string, plan: ModelPlan): SiteNode {
  return {
    path: '',
    type: name,
    kind: 'module',
    detail: '',
    params: {},
    adapters: [],
    children: plan.bindings.map((b) => siteNode(b.site)),
  };
}

function preprocessing(engine: Engine, b: Binding, infer: Func): Elaborated['preprocess'] {
  const { shape } = infer.inputs[0]?.type ?? { shape: [] };
  const [, channels = 3, height = 0, width = 0] = shape;
  // What takes no pictures has no use for steps from one.
  if (shape.length !== 4) return undefined;
  const site = b.site.kind === 'module' ? b.site : undefined;
  const model = { variant: b.variant, site, channels, size: [height, width] as const, sized: b.said.has('image') };
  // Files say nothing of it.
  const colours = b.variant && site && coloursOf(engine, b.variant, site);
  const said = b.facts && b.from && stepsOf(engine, model, b.facts, b.from.span);
  if (said) return said === 'failed' ? undefined : [...(colours ?? []), ...said];
  if (!b.variant || b.site.kind !== 'module') return undefined;
  // Pictures have 1 channel or 3: a model of others is given tensors, and however many it has, nothing is listed for each.
  const own = b.facts && b.from && classDefaults(engine, model, b.facts, b.from.span);
  const others = own ?? preprocessOf(engine, b.variant, b.site, channels);
  if ((!others && !colours) || !isPicture(channels)) return undefined;
  const steps = [...(colours ?? []), ...(others ?? [])];
  if (b.facts?.config && b.from) {
    const args = {
      location: b.from.location,
      variant: b.variant.name.name,
      own: own !== undefined,
      steps: stepsText(steps),
    };
    engine.report.add('ESP1304', args, { primary: { span: b.from.span, text: 'named here' } });
  }
  return steps;
}

/** Names of classes: what the last binding took as its option `classes`, if they are names. */
function labelsOf(plan: ModelPlan): readonly string[] | undefined {
  for (const b of [...plan.bindings].reverse()) {
    for (const s of below(b.site)) {
      const v = s.kind === 'module' ? s.scope.own('classes') : undefined;
      if (v?.kind !== 'list') continue;
      const names = v.items.flatMap((i) => (i.kind === 'str' ? [i.value] : []));
      if (names.length === v.items.length && names.length > 0) return names;
    }
  }
  return undefined;
}
