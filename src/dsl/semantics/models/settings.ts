/** The settings of `deploy` and `train`. Both are tables: what there is, and which values it takes. */
import type { Expr, SettingsDecl, Span } from '../../ast.js';
import type { DeploySettings, TrainSettings } from '../../elaborated.js';
import { lookup } from '../../lookup.js';
import type { Engine } from '../evaluate/engine.js';
import { noGenerators } from '../evaluate/operator.js';
import { describe, showNumber } from '../evaluate/show.js';
import type { Scope, Val } from '../evaluate/values.js';
import { optionHelp } from '../names/signature.js';

export const DEFAULT_DEPLOY: DeploySettings = {
  adapters: 'auto',
  weights: 'f32',
  batch: [1],
  limits: 'baseline',
  prepare: 'cpu',
};

const DEPLOY_WORDS = {
  adapters: ['merged', 'factored', 'auto'],
  weights: ['f32', 'f16'],
  limits: ['baseline', 'device'],
  prepare: ['cpu', 'gpu', 'load'],
} as const;
/** Batches beyond this are slips: one program is compiled for each. */
const LARGEST_BATCH = 4096;

function wrong(
  engine: Engine,
  setting: string,
  expected: string,
  found: string,
  span: Span,
  help: readonly string[] = [],
): never {
  return engine.report.stop('ESP0251', { setting, expected, found }, { primary: { span, text: 'this value' }, help });
}

/** Each setting once; unknown ones are reported with what there is. */
function each(
  engine: Engine,
  decl: SettingsDecl,
  known: readonly string[],
  take: (name: string, value: Expr) => void,
): void {
  const seen = new Map<string, Span>();
  for (const s of decl.settings) {
    const name = s.name.name;
    const before = seen.get(name);
    if (!known.includes(name)) {
      engine.report.add(
        'ESP0250',
        { block: decl.kind, name },
        { primary: { span: s.name.span, text: 'no such setting' }, help: optionHelp(name, known) },
      );
    } else if (before) {
      engine.report.add(
        'ESP0254',
        { setting: name },
        { primary: { span: s.span, text: 'set again' }, secondary: [{ span: before, text: 'set here' }] },
      );
    } else {
      seen.set(name, s.span);
      engine.report.attempt(() => take(name, s.value));
    }
  }
}

export function deploySettings(engine: Engine, decl: SettingsDecl | undefined, scope: Scope): DeploySettings {
  if (!decl) return DEFAULT_DEPLOY;
  const out: { -readonly [K in keyof DeploySettings]: DeploySettings[K] } = { ...DEFAULT_DEPLOY };
  const word = <W extends string>(setting: string, e: Expr, choices: readonly W[]): W => {
    const chosen = e.kind === 'name' ? choices.find((c) => c === e.name) : undefined;
    const text = `\`${engine.library.textOf(e.span) ?? '?'}\``;
    const help = e.kind === 'name' ? optionHelp(e.name, []).concat(nearHelp(e.name, choices)) : [];
    return chosen ?? wrong(engine, setting, choices.join(' or '), text, e.span, help);
  };
  each(engine, decl, ['adapters', 'weights', 'batch', 'limits', 'prepare'], (name, value) => {
    if (name === 'adapters') out.adapters = word(name, value, DEPLOY_WORDS.adapters);
    else if (name === 'weights') out.weights = word(name, value, DEPLOY_WORDS.weights);
    else if (name === 'limits') out.limits = word(name, value, DEPLOY_WORDS.limits);
    else if (name === 'prepare') out.prepare = word(name, value, DEPLOY_WORDS.prepare);
    else out.batch = batches(engine, engine.evaluate(value, scope), value.span);
  });
  return out;
}

const nearHelp = (name: string, choices: readonly string[]): string[] =>
  optionHelp(name, choices).filter((line) => line.startsWith('Did'));

function batches(engine: Engine, v: Val, span: Span): number[] {
  const items = v.kind === 'list' ? v.items : [v];
  const sizes = items.map((i) => engine.whole(i, '`batch`', span));
  if (sizes.length === 0) wrong(engine, 'batch', 'a number or a list of numbers', 'an empty list', span);
  for (const s of sizes)
    if (s < 1 || s > LARGEST_BATCH) wrong(engine, 'batch', `from 1 to ${LARGEST_BATCH}`, String(s), span);
  const twice = sizes.find((s, i) => sizes.indexOf(s) !== i);
  if (twice !== undefined) wrong(engine, 'batch', 'a list of different sizes', `${twice} twice`, span);
  return sizes;
}

// ---- train ---------------------------------------------------------------------------------------------------------

type Check = 'positive' | 'count' | 'share' | 'number' | 'whole' | 'bool' | 'string' | 'numbers' | 'any';

/** Forms that a setting takes, with their options. `*`: any number of positional arguments before them. */
const FORMS: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, Check>>>>>> = {
  optimizer: {
    adamw: { lr: 'positive', weight_decay: 'number', betas: 'numbers', eps: 'positive' },
    sgd: { lr: 'positive', momentum: 'share', weight_decay: 'number', nesterov: 'bool' },
  },
  schedule: {
    cosine: { epochs: 'count', warmup: 'whole', lr_min: 'number', warmup_lr: 'number' },
    step: { epochs: 'count', gamma: 'positive', every: 'count' },
    constant: { epochs: 'count', warmup: 'whole' },
  },
  loss: {
    cross_entropy: { smoothing: 'share' },
    mse: { prediction: 'any', target: 'any' },
    l1: { prediction: 'any', target: 'any' },
  },
  data: {
    images: { path: 'string', split: 'numbers', augment: 'bool' },
    points: { path: 'string', crop: 'count', split: 'numbers' },
    idx: { path: 'string', split: 'numbers' },
  },
};

const PLAIN: Readonly<Record<string, Check>> = { batch: 'count', seed: 'whole', clip: 'positive', drop_path: 'share' };
const TRAIN = [...Object.keys(FORMS), ...Object.keys(PLAIN)];

const EXPECTED: Readonly<Record<Check, string>> = {
  positive: 'a number larger than 0',
  count: 'a whole number of at least 1',
  share: 'from 0 to below 1',
  number: 'a number of at least 0',
  whole: 'a whole number of at least 0',
  bool: 'true or false',
  string: 'a string',
  numbers: 'a list of numbers',
  any: 'anything',
};

function holds(v: Val, check: Check): boolean {
  const n = v.kind === 'num' ? v.value : Number.NaN;
  switch (check) {
    case 'positive':
      return n > 0;
    case 'count':
      return v.kind === 'num' && v.whole && n >= 1;
    case 'share':
      return n >= 0 && n < 1;
    case 'number':
      return n >= 0;
    case 'whole':
      return v.kind === 'num' && v.whole && n >= 0;
    case 'bool':
      return v.kind === 'bool';
    case 'string':
      return v.kind === 'str';
    case 'numbers':
      return v.kind === 'list' && v.items.every((i) => i.kind === 'num');
    case 'any':
      return true;
  }
}

export function trainSettings(engine: Engine, decl: SettingsDecl | undefined, scope: Scope): TrainSettings | undefined {
  if (!decl) return undefined;
  const values: Record<string, unknown> = {};
  each(engine, decl, TRAIN, (name, value) => {
    const plain = lookup(PLAIN, name);
    values[name] = plain ? checked(engine, name, value, plain, scope) : form(engine, name, value, scope);
  });
  return { values, span: decl.span };
}

function checked(engine: Engine, setting: string, e: Expr, check: Check, scope: Scope): unknown {
  // What a loss adds up is worked out when training is; until then it is kept as it was written.
  if (check === 'any') return { expression: engine.library.textOf(e.span) ?? '' };
  const v = engine.evaluate(e, scope);
  if (!holds(v, check)) wrong(engine, setting, EXPECTED[check], describe(v), e.span);
  return data(v);
}

function form(engine: Engine, setting: string, e: Expr, scope: Scope): unknown {
  const forms = FORMS[setting]!;
  const name = e.kind === 'name' ? e.name : e.kind === 'call' && e.callee.kind === 'name' ? e.callee.name : undefined;
  const choices = Object.keys(forms);
  if (name === undefined)
    return wrong(
      engine,
      setting,
      `one of ${choices.join(', ')}`,
      `\`${engine.library.textOf(e.span) ?? '?'}\``,
      e.span,
    );
  const options = lookup(forms, name);
  if (!options) {
    return engine.report.stop(
      'ESP0252',
      { setting, name },
      {
        primary: { span: e.kind === 'call' ? e.callee.span : e.span, text: 'no such form' },
        help: optionHelp(name, choices),
      },
    );
  }
  const out: Record<string, unknown> = { form: name };
  if (e.kind !== 'call') return out;
  noGenerators(engine.report, e);
  const names = Object.keys(options);
  let at = 0;
  for (const a of e.args) {
    const option = a.name?.name ?? names[at++];
    const check = option === undefined ? undefined : lookup(options, option);
    if (option === undefined || !check) {
      engine.report.add(
        'ESP0203',
        { option: option ?? `argument ${at}`, of: name },
        { primary: { span: a.span, text: 'no such option' }, help: optionHelp(option ?? '', names) },
      );
    } else if (Object.hasOwn(out, option)) {
      engine.report.add('ESP0208', { option, of: name }, { primary: { span: a.span, text: 'given again' } });
    } else {
      engine.report.attempt(() => {
        out[option] = checked(engine, `${option} of ${name}`, a.value, check, scope);
      });
    }
  }
  return out;
}

/** A value as plain JSON. */
function data(v: Val): unknown {
  switch (v.kind) {
    case 'num':
    case 'str':
    case 'bool':
      return v.value;
    case 'word':
      return v.name;
    case 'list':
      return v.items.map(data);
    case 'ratio':
      return `${showNumber(v.left)}:${showNumber(v.right)}`;
    default:
      return describe(v);
  }
}
