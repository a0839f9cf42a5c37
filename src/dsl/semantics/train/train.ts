/** What a `train` block says: the loss as a function of the model, optimisers and schedule as functions of the library or the user, the rest as data. */
import { EspalierError } from '../../../diagnostics/types.js';
import { matches } from '../../../ir/glob.js';
import { input, topological } from '../../../ir/graph.js';
import { showType } from '../../../ir/ops/shapes.js';
import type { Func, Value } from '../../../ir/types.js';
import type { Arg, CallExpr, Expr, FunctionDecl, SettingsDecl, Span } from '../../ast.js';
import type { FormSetting, StepPlace, TrainGroup, TrainSettings } from '../../elaborated.js';
import { type Forms, NEEDED, type Setting, TRAIN } from '../../settings.js';
import { callFunction } from '../evaluate/calls.js';
import type { Engine } from '../evaluate/engine.js';
import { describe } from '../evaluate/show.js';
import { num, type ParamSlot, Scope, type Site, tensorVal, type Val } from '../evaluate/values.js';
import { eachSetting, nearHelp, wrong } from '../models/settings.js';
import { DEFAULT_LOSS, PREDICTION, TARGET } from '../names/words.js';
import { Exhausted, Stop } from '../report.js';
import type { Pruning } from '../sites/masks/settings.js';
import { checked, formOf } from './forms.js';
import { makeOptimizer, optimizerOf } from './optimizer.js';
import { searchOf } from './search.js';

/** What the model computes, as the loss sees it. */
export interface Outputs {
  readonly infer: Func;
  /** What each binding gives that no other one takes: a tensor, or a record of them. */
  readonly bindings: ReadonlyMap<string, Val>;
  /** What a site gives where the model gives its first result. Reports and stops where it gives nothing there. */
  readonly tap: (site: Site, span: Span) => Val;
}

const CACHE_MIB = 1024;

const DEFAULTS = {
  batch: 32,
  seed: 0,
  accumulate: 1,
  keep: 2,
  validation: 0.1,
  splitSeed: 0,
  corrupt: 0.1,
  checkpoint: { kind: 'none' },
  adapters: 'factored',
  order: 'shuffled',
  augment: [],
  cache: { memory: CACHE_MIB * 2 ** 20 },
} as const;

type Known = { -readonly [K in keyof TrainSettings]?: TrainSettings[K] };

/** What is asked of an engine that nothing else has spent of. */
export interface TrainContext {
  readonly engine: Engine;
  /** The same, with nothing spent: what is worked out while training, again and again, is counted each time by itself. */
  readonly fresh: () => Engine;
  readonly scope: Scope;
  /** What the model computes; absent where it could not be traced, which was reported. */
  readonly outputs: Outputs | undefined;
  readonly params: Iterable<ParamSlot>;
  readonly prunings: readonly Pruning[];
}

export function trainSettings(context: TrainContext, decl: SettingsDecl | undefined): TrainSettings | undefined {
  if (!decl) return undefined;
  const { engine, scope } = context;
  const out: Known = { ...DEFAULTS };
  const given = new Map<string, Expr>();
  const numbers: Record<string, unknown> = {};
  // Words of settings are joined by `_`, those of fields by capitals.
  const field = (name: string): string => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  eachSetting(engine, decl, Object.keys(TRAIN), (name, value) => {
    given.set(name, value);
    const setting = (TRAIN as Readonly<Record<string, Setting>>)[name]!;
    if (setting.is === 'value') numbers[field(name)] = checked(engine, name, value, setting.check, scope);
    else if (name === 'adapters') out.adapters = word(engine, name, value, TRAIN.adapters.words);
    else if (name === 'order') out.order = word(engine, name, value, TRAIN.order.words);
    else if (name === 'data') out.data = formOf(engine, name, value, TRAIN.data.forms, scope, NEEDED.data);
    else if (name === 'save')
      out.saveSteps = formOf(engine, name, value, TRAIN.save.forms, scope, NEEDED.save).options.steps as number;
    else if (name === 'checkpoint') out.checkpoint = checkpointOf(engine, value, scope);
    else if (name === 'augment') out.augment = listOf(engine, name, value, TRAIN.augment.forms, scope);
    else if (name === 'cache') out.cache = cacheOf(engine, value, scope);
  });
  const missing = ['optimizer', 'schedule'].filter((name) => !given.has(name));
  if (missing.length > 0) {
    const about = { settings: missing, model: decl.model.name };
    engine.report.add('ESP0263', about, { primary: { span: decl.model.span, text: 'set here' } });
  }
  const { report } = engine;
  const schedule = given.get('schedule');
  const planned = schedule && report.attempt(() => scheduleOf(context, schedule));
  const optimizer = given.get('optimizer');
  const groups = optimizer && report.attempt(() => groupsOf(context, optimizer, given.get('groups')));
  const loss = report.attempt(() => lossOf(context, given.get('loss'), decl.span));
  const search = planned && report.attempt(() => searchOf(engine, context.prunings, planned.epochs, tapOf(context)));
  const cache = given.get('cache');
  if (search && cache && out.cache) {
    report.add('ESP1139', {}, { primary: { span: cache.span, text: 'kept here' } });
  }
  if (!planned || !groups || !loss || report.failed) return undefined;
  const found = { ...DEFAULTS, ...out, ...numbers, ...planned, groups, loss, span: decl.span };
  if (!search) return found;
  const { settings, feature } = search;
  return { ...found, search: settings, ...(feature ? { observed: observedOf(loss, feature) } : {}) };
}

const tapOf =
  ({ outputs }: TrainContext) =>
  (site: Site, span: Span): Val => {
    if (!outputs) throw new Stop();
    return outputs.tap(site, span);
  };

function observedOf({ inputs, results }: Func, feature: Value): Func {
  return { name: 'observe', inputs, results: [results[0]!, { name: 'feature', value: feature }], updates: [] };
}

function word<W extends string>(engine: Engine, setting: string, e: Expr, choices: readonly W[]): W {
  const chosen = e.kind === 'name' ? choices.find((c) => c === e.name) : undefined;
  const text = `\`${engine.library.textOf(e.span) ?? '?'}\``;
  return (
    chosen ??
    wrong(engine, setting, choices.join(' or '), text, e.span, e.kind === 'name' ? nearHelp(e.name, choices) : [])
  );
}

function cacheOf(engine: Engine, e: Expr, scope: Scope): TrainSettings['cache'] {
  const { form, options } = formOf(engine, 'cache', e, TRAIN.cache.forms, scope);
  if (form === 'none') return undefined;
  const { memory = CACHE_MIB, folder } = options as { readonly memory?: number; readonly folder?: string };
  return { memory: memory * 2 ** 20, ...(folder === undefined ? {} : { folder }) };
}

function listOf(engine: Engine, setting: string, e: Expr, forms: Forms, scope: Scope): FormSetting[] {
  const items = e.kind === 'list' ? e.items : [e];
  return items.map((item) => formOf(engine, setting, item, forms, scope));
}

function checkpointOf(engine: Engine, e: Expr, scope: Scope): TrainSettings['checkpoint'] {
  const { form, options } = formOf(engine, 'checkpoint', e, TRAIN.checkpoint.forms, scope, NEEDED.checkpoint);
  if (form === 'auto') return { kind: 'auto', bytes: Number(options.memory) * 2 ** 20 };
  return { kind: form === 'blocks' ? 'blocks' : 'none' };
}

// ---- Schedules -------------------------------------------------------------------------------------------------------

function calledFunction(engine: Engine, e: Expr): { decl: FunctionDecl; call: CallExpr } | undefined {
  const call: CallExpr = e.kind === 'call' ? e : { kind: 'call', callee: e, generators: [], args: [], span: e.span };
  const decl = call.callee.kind === 'name' ? engine.meanings.declared(call.callee) : undefined;
  return decl?.kind === 'function' ? { decl, call } : undefined;
}

/** The rate is what a function gives of the epoch, or of the step: it asks by the names of its parameters. */
function scheduleOf({ engine, fresh, scope }: TrainContext, e: Expr): Pick<TrainSettings, 'rate' | 'epochs'> {
  const found = calledFunction(engine, e);
  if (!found) {
    const near = e.kind === 'call' && e.callee.kind === 'name' ? e.callee.name : e.kind === 'name' ? e.name : '';
    const candidates = engine.library.makers(e.span.file, ['function']);
    return wrong(
      engine,
      'schedule',
      'a call of a function',
      `\`${engine.library.textOf(e.span) ?? '?'}\``,
      e.span,
      nearHelp(near, candidates),
    );
  }
  const { decl, call } = found;
  const given = call.args.find((a) => a.name?.name === 'epochs');
  if (!given || !decl.params.some((p) => p.name.name === 'epochs')) {
    return wrong(
      engine,
      'schedule',
      'a call that says `epochs`',
      `\`${engine.library.textOf(e.span) ?? '?'}\``,
      e.span,
    );
  }
  const epochs = checked(engine, 'epochs', given.value, 'count', scope) as number;
  // A stage of a run has epochs of its own.
  const rest: CallExpr = { ...call, args: call.args.filter((a) => a !== given) };
  const known = new Map<string, number>();
  const stepwise = decl.params.some((p) => p.name.name === 'step' || p.name.name === 'steps');
  const rate = (lr: number, at: StepPlace): number => {
    const key = `${lr} ${at.epoch} ${at.epochs ?? epochs} ${stepwise ? `${at.step} ${at.steps}` : ''}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    const now = fresh();
    const value = said(now, () => {
      const preset = new Map(Object.entries({ lr, epochs, ...at }).map(([name, n]): [string, Val] => [name, num(n)]));
      const v = callFunction(now, decl, rest, scope, preset);
      if (v.kind === 'num' && v.value >= 0 && Number.isFinite(v.value)) return v.value;
      return wrong(now, 'schedule', `a number of at least 0 at epoch ${at.epoch}`, describe(v), e.span);
    });
    if (!stepwise) known.set(key, value);
    return value;
  };
  tryRate(engine, () => rate(1e-3, { epoch: 0, step: 0, steps: epochs * 100 }));
  return { rate, epochs };
}

/** A first rate, so that what is wrong with the schedule is said with everything else. */
function tryRate(engine: Engine, rate: () => number): void {
  try {
    rate();
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    for (const d of error.diagnostics) engine.report.push(d);
  }
}

/** What goes wrong where nobody collects diagnostics any more is thrown with them. */
function said<T>(engine: Engine, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Stop || error instanceof Exhausted)) throw error;
    const errors = engine.report.diagnostics.filter((d) => d.severity === 'error');
    throw errors.length > 0 ? new EspalierError(errors) : error;
  }
}

// ---- Optimisers ------------------------------------------------------------------------------------------------------

/** The trainable parameters, each in one group: the last whose pattern it fits, or the rest. */
function groupsOf(
  { engine, fresh, scope, params }: TrainContext,
  optimizer: Expr,
  groups: Expr | undefined,
): TrainGroup[] {
  const trained = [...params].filter((p) => p.role === 'trainable');
  if (trained.length === 0) {
    engine.report.stop('ESP0264', {}, { primary: { span: optimizer.span, text: 'nothing to move' } });
  }
  const written = groups === undefined ? [] : groups.kind === 'list' ? groups.items : [groups];
  const rules = written.map((e) => ruleOf(engine, e, scope));
  const of = new Map<ParamSlot, number>();
  rules.forEach(({ pattern, span }, i) => {
    const found = trained.filter((p) => fitsPattern(pattern, p.name));
    if (found.length === 0) {
      const some = trained.slice(0, 3).map((p) => p.name);
      engine.report.add('ESP0265', { pattern, some }, { primary: { span, text: 'matches nothing that is trained' } });
    }
    for (const p of found) of.set(p, i);
  });
  const found = optimizerOf(engine, optimizer);
  return [undefined, ...rules].flatMap((rule, i): TrainGroup[] => {
    const own = trained.filter((p) => (of.get(p) ?? -1) === i - 1);
    const made = makeOptimizer(engine, found, scope, rule?.args);
    // What is wrong with its formula is said now, for a weight of each type.
    const types = new Map(own.map((p) => [showType(p.type), p.type]));
    for (const type of types.values()) dryRun(made.optimizer, type);
    if (own.length === 0) return [];
    const late = {
      states: made.optimizer.states,
      step: (at: Parameters<typeof made.optimizer.step>[0]) => lateStep(fresh(), found, scope, rule?.args, at),
    };
    return [{ name: made.name, lr: made.lr, optimizer: late, params: own.map((p) => p.name) }];
  });
}

function lateStep(
  engine: Engine,
  found: ReturnType<typeof optimizerOf>,
  scope: Scope,
  args: readonly Arg[] | undefined,
  at: Parameters<TrainGroup['optimizer']['step']>[0],
): ReturnType<TrainGroup['optimizer']['step']> {
  return said(engine, () => makeOptimizer(engine, found, scope, args).optimizer.step(at));
}

function dryRun(optimizer: TrainGroup['optimizer'], type: ParamSlot['type']): void {
  const scalar = { dtype: 'f32', shape: [] } as const;
  const states = new Map([...optimizer.states.keys()].map((name) => [name, input(name, type)]));
  optimizer.step({
    weight: input('weight', type),
    gradient: input('gradient', type),
    rate: input('rate', scalar),
    count: input('count', scalar),
    states,
  });
}

interface Rule {
  readonly pattern: string;
  readonly args: readonly Arg[];
  readonly span: Span;
}

/** `group("head", lr: 1e-2)` */
function ruleOf(engine: Engine, e: Expr, scope: Scope): Rule {
  const call = e.kind === 'call' && e.callee.kind === 'name' && e.callee.name === 'group' ? e : undefined;
  const [first, ...args] = call?.args ?? [];
  const pattern = first && !first.name ? engine.evaluate(first.value, scope) : undefined;
  if (!call || pattern?.kind !== 'str') {
    return wrong(
      engine,
      'groups',
      'a list of `group("pattern", option: value)`',
      `\`${engine.library.textOf(e.span) ?? '?'}\``,
      e.span,
    );
  }
  return { pattern: pattern.value, args, span: first!.span };
}

/** Whether a parameter is named by a path with `*` in it, as specs write paths, or is below what is. */
function fitsPattern(pattern: string, name: string): boolean {
  const plain = pattern.replace(/\[([^\]]*)\]/g, '.$1').replace(/\*+/g, '*');
  return [plain, `${plain}.*`, `${plain}@*`].some((p) => matches(p, name));
}

// ---- Losses ----------------------------------------------------------------------------------------------------------

/** `prediction` is the first result, `target` of its type; a call of a function need not give them, and a binding stands for its result. */
function lossOf({ engine, scope, outputs }: TrainContext, e: Expr | undefined, block: Span): Func {
  if (!outputs) throw new Stop();
  const { infer, bindings } = outputs;
  const first = infer.results[0]!.value;
  const target = input(TARGET, first.type);
  const inner = new Scope(scope);
  for (const [name, v] of bindings) inner.set(name, v);
  const known = new Map<string, Val>([
    [PREDICTION, tensorVal(first)],
    [TARGET, tensorVal(target)],
  ]);
  for (const [name, v] of known) inner.set(name, v);
  const value = e
    ? engine.tensor(lossValue(engine, e, inner, known), e.span)
    : defaultLoss(engine, block, inner, known);
  const span = e?.span ?? block;
  if (value.type.shape.length > 0 || value.type.dtype !== 'f32') {
    wrong(engine, 'loss', 'one number for a batch', `${showType(value.type)}`, span, ['Take the `mean` of it.']);
  }
  if (!reads(value, target)) {
    wrong(engine, 'loss', 'computed from `target`', 'one that does not read it', span);
  }
  return {
    name: 'loss',
    inputs: [...infer.inputs, target],
    results: [{ name: 'loss', value }, ...infer.results],
    updates: [],
  };
}

function lossValue(engine: Engine, e: Expr, scope: Scope, known: ReadonlyMap<string, Val>): Val {
  const found = calledFunction(engine, e);
  return found ? callFunction(engine, found.decl, found.call, scope, known) : engine.evaluate(e, scope);
}

function defaultLoss(engine: Engine, block: Span, scope: Scope, known: ReadonlyMap<string, Val>): Value {
  const decl = engine.library.find(DEFAULT_LOSS, block.file);
  if (decl?.kind !== 'function') {
    return engine.report.stop(
      'ESP0263',
      { settings: ['loss'], model: '' },
      { primary: { span: block, text: 'set here' } },
    );
  }
  const callee = { kind: 'name', name: DEFAULT_LOSS, span: block } as const;
  const call: CallExpr = { kind: 'call', callee, generators: [], args: [], span: block };
  return engine.tensor(callFunction(engine, decl, call, scope, known), block);
}

const reads = (value: Value, of: Value): boolean => topological([value]).includes(of);
