/** The settings of `deploy`, and what reading a block of settings takes. */
import type { Expr, SettingsDecl, Span } from '../../ast.js';
import type { DeploySettings } from '../../elaborated.js';
import { DEPLOY } from '../../settings.js';
import type { Engine } from '../evaluate/engine.js';
import type { Scope, Val } from '../evaluate/values.js';
import { optionHelp } from '../names/signature.js';

export const DEFAULT_DEPLOY: DeploySettings = {
  adapters: 'auto',
  weights: 'f32',
  batch: [1],
  limits: 'baseline',
  prepare: 'cpu',
};

/** Batches beyond this are slips: one program is compiled for each. */
const LARGEST_BATCH = 4096;

/** Reports a value that a setting cannot have. */
export function wrong(
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
export function eachSetting(
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
  eachSetting(engine, decl, Object.keys(DEPLOY), (name, value) => {
    if (name === 'adapters') out.adapters = word(name, value, DEPLOY.adapters.words);
    else if (name === 'weights') out.weights = word(name, value, DEPLOY.weights.words);
    else if (name === 'limits') out.limits = word(name, value, DEPLOY.limits.words);
    else if (name === 'prepare') out.prepare = word(name, value, DEPLOY.prepare.words);
    else out.batch = batches(engine, engine.evaluate(value, scope), value.span);
  });
  return out;
}

export const nearHelp = (name: string, choices: readonly string[]): string[] =>
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
