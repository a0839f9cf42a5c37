/** Settings that are calls of a form with options, as tables: what there is, and which values it takes. They become plain data. */
import type { CallExpr, Expr } from '../../ast.js';
import type { FormSetting } from '../../elaborated.js';
import { lookup } from '../../lookup.js';
import type { Check, Forms, Kind } from '../../settings.js';
import type { Engine } from '../evaluate/engine.js';
import { noGenerators } from '../evaluate/operator.js';
import { describe } from '../evaluate/show.js';
import type { Scope, Val } from '../evaluate/values.js';
import { wrong } from '../models/settings.js';
import { optionHelp } from '../names/signature.js';

const EXPECTED: Readonly<Record<Kind, string>> = {
  positive: 'a number larger than 0',
  count: 'a whole number of at least 1',
  share: 'from 0 to below 1',
  part: 'from 0 to 1',
  number: 'a number of at least 0',
  whole: 'a whole number of at least 0',
  bool: 'true or false',
  string: 'a string',
  pair: 'a list of two numbers',
  shares: 'a list of numbers from 0 to below 1',
  name: 'a name',
};

const expected = (check: Check): string => (typeof check === 'string' ? EXPECTED[check] : `one of ${check.join(', ')}`);

function holds(v: Val, check: Check): boolean {
  if (typeof check !== 'string') return v.kind === 'str' && check.includes(v.value);
  const n = v.kind === 'num' ? v.value : Number.NaN;
  switch (check) {
    case 'positive':
      return n > 0;
    case 'count':
      return v.kind === 'num' && v.whole && n >= 1;
    case 'share':
      return n >= 0 && n < 1;
    case 'part':
      return n >= 0 && n <= 1;
    case 'number':
      return n >= 0;
    case 'whole':
      return v.kind === 'num' && v.whole && n >= 0;
    case 'bool':
      return v.kind === 'bool';
    case 'string':
      return v.kind === 'str';
    case 'pair':
      return v.kind === 'list' && v.items.length === 2 && v.items.every((i) => i.kind === 'num');
    case 'shares':
      return v.kind === 'list' && v.items.length > 0 && v.items.every((i) => holds(i, 'share'));
    case 'name':
      return false;
  }
}

type Plain = FormSetting['options'][string];

/** The value of a setting, as plain data. Reports and stops if it is of another kind. */
export function checked(engine: Engine, setting: string, e: Expr, check: Check, scope: Scope): Plain {
  if (e.kind === 'name' && (check === 'name' || (typeof check !== 'string' && check.includes(e.name)))) return e.name;
  // Also a word of some options, beside being a value.
  if (e.kind === 'none' && typeof check !== 'string' && check.includes(e.kind)) return e.kind;
  const v = engine.evaluate(e, scope);
  if (!holds(v, check)) wrong(engine, setting, expected(check), describe(v), e.span);
  if (v.kind === 'num' || v.kind === 'str' || v.kind === 'bool') return v.value;
  return v.kind === 'list' ? v.items.map((i) => (i.kind === 'num' ? i.value : 0)) : '';
}

/**
 * `images("./flowers", limit: 100)`: the form, and its options that are given.
 * @param needed options that have to be, of the forms that have them
 */
export function formOf(
  engine: Engine,
  setting: string,
  e: Expr,
  forms: Forms,
  scope: Scope,
  needed: readonly string[] = [],
): FormSetting {
  if (e.kind === 'none' && lookup(forms, e.kind)) return { form: e.kind, options: {}, span: e.span };
  const alone: Expr = e.kind === 'none' ? { kind: 'name', name: 'none', span: e.span } : e;
  const call: CallExpr | undefined =
    alone.kind === 'call'
      ? alone
      : alone.kind === 'name'
        ? { kind: 'call', callee: alone, generators: [], args: [], span: e.span }
        : undefined;
  const name = call?.callee.kind === 'name' ? call.callee.name : undefined;
  const choices = Object.keys(forms);
  if (!call || name === undefined) {
    const found = `\`${engine.library.textOf(e.span) ?? '?'}\``;
    return wrong(engine, setting, `one of ${choices.join(', ')}`, found, e.span);
  }
  const known = lookup(forms, name);
  if (!known) {
    const place = { primary: { span: call.callee.span, text: 'no such form' }, help: optionHelp(name, choices) };
    return engine.report.stop('ESP0252', { setting, name }, place);
  }
  noGenerators(engine.report, call);
  const names = Object.keys(known);
  const options: Record<string, Plain> = {};
  const given = new Set<string>();
  let at = 0;
  for (const a of call.args) {
    const option = a.name?.name ?? names[at++];
    const check = option === undefined ? undefined : lookup(known, option);
    if (option !== undefined) given.add(option);
    if (option === undefined || !check) {
      engine.report.add(
        'ESP0203',
        { option: option ?? `argument ${at}`, of: name },
        { primary: { span: a.span, text: 'no such option' }, help: optionHelp(option ?? '', names) },
      );
    } else if (Object.hasOwn(options, option)) {
      engine.report.add('ESP0208', { option, of: name }, { primary: { span: a.span, text: 'given again' } });
    } else {
      engine.report.attempt(() => {
        options[option] = checked(engine, `${option} of ${name}`, a.value, check, scope);
      });
    }
  }
  const missing = needed.filter((option) => lookup(known, option) && !given.has(option));
  if (missing.length > 0)
    engine.report.stop(
      'ESP0204',
      { options: missing, of: name },
      { primary: { span: call.callee.span, text: 'asked for here' } },
    );
  return { form: name, options, span: e.span };
}
