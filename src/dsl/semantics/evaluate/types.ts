/** Options: their types, the values that fit them, and how a call's arguments, a checkpoint and defaults fill them. */
import type { Arg, OptionParam, Span, TypeExpr } from '../../ast.js';
import type { Fact } from '../../elaborated.js';
import { formatType } from '../../format.js';
import { lookup } from '../../lookup.js';
import { optionHelp } from '../names/signature.js';
import { TENSOR, wordsIn } from '../names/words.js';
import { Stop } from '../report.js';
import type { Engine, Facts } from './engine.js';
import { describe, same } from './show.js';
import { isNone, isTensorLike, NONE, num, POISON, Scope, type Val } from './values.js';

const READABLE: Record<string, string> = {
  int: 'a whole number',
  float: 'a number',
  bool: 'true or false',
  string: 'a string',
  module: 'a module',
  tensor: 'a tensor',
};

function readable(t: TypeExpr): string {
  if (t.kind === 'type_name') return lookup(READABLE, t.name) ?? t.name;
  if (t.kind === 'type_list') return `a list (${formatType(t)})`;
  if (t.kind === 'type_union') return t.items.map(readable).join(' or ');
  return `one of ${t.options.map((o) => o.name).join(', ')}`;
}

/** Whether a value is of a type. */
export function fits(v: Val, t: TypeExpr): boolean {
  switch (t.kind) {
    case 'type_name':
      switch (t.name) {
        case 'int':
          return v.kind === 'num' && v.whole && Number.isSafeInteger(v.value);
        case 'float':
          return v.kind === 'num';
        case 'bool':
          return v.kind === 'bool';
        case 'string':
          return v.kind === 'str';
        case 'module':
          return v.kind === 'site';
        case TENSOR:
          return isTensorLike(v) || v.kind === 'num';
        case 'none':
          return isNone(v);
        default:
          return true;
      }
    case 'type_list':
      return v.kind === 'list' && v.items.every((i) => fits(i, t.item));
    case 'type_enum':
      return v.kind === 'word' && t.options.some((o) => o.name === v.name);
    case 'type_union':
      return t.items.some((i) => fits(v, i));
  }
}

function mustFit(engine: Engine, v: Val, option: OptionParam, of: string, span: Span): Val {
  if (fits(v, option.type)) return v;
  const what = `\`${option.name.name}\` of ${of}`;
  if (v.kind === 'num' && v.inexact && option.type.kind === 'type_name') engine.whole(v, what, span);
  const declared = option.span.file === engine.report.mainFile;
  const place = {
    primary: { span, text: `this is ${describe(v)}` },
    secondary: declared ? [{ span: option.span, text: 'declared here' }] : [],
  };
  if (option.type.kind === 'type_enum') {
    const choices = option.type.options.map((o) => o.name);
    return engine.report.stop('ESP0210', { option: option.name.name, found: describe(v), choices }, place);
  }
  const { type } = option;
  const listed = (type.kind === 'type_union' ? type.items : [type]).find((t) => t.kind === 'type_list');
  const bad = listed && v.kind === 'list' ? v.items.find((i) => !fits(i, listed.item)) : undefined;
  const found = bad ? `a list that holds ${describe(bad)}` : describe(v);
  return engine.report.stop('ESP0205', { what, expected: readable(type), found }, place);
}

export function factValue(v: Fact, type: TypeExpr): Val {
  if (v === null) return NONE;
  if (typeof v === 'number') return num(v);
  if (typeof v === 'boolean') return { kind: 'bool', value: v };
  if (typeof v === 'string') {
    return wordsIn(type).includes(v) ? { kind: 'word', name: v } : { kind: 'str', value: v };
  }
  return { kind: 'list', items: v.map((item) => factValue(item, type)) };
}

export interface OptionRequest {
  readonly of: string;
  readonly params: readonly OptionParam[];
  readonly args: readonly Arg[];
  /** Where arguments are worked out. */
  readonly scope: Scope;
  readonly span: Span;
  readonly facts?: Facts | undefined;
  /** Values fixed from outside (`--set`): they win over defaults. */
  readonly preset?: ReadonlyMap<string, Val>;
}

/**
 * Fills options: what is written, else what the checkpoint says, else the default (worked out with the options before it). What is
 * written must agree with the checkpoint. All errors of one call are reported; then it stops.
 */
export function fillOptions(engine: Engine, r: OptionRequest): Map<string, Val> {
  const { report } = engine;
  const result = new Map<string, Val>();
  const { given, bad } = assign(engine, r);
  let failed = bad;
  const missing: OptionParam[] = [];
  const disagreeing: { readonly arg: Arg; readonly option: string; readonly spec: string; readonly file: string }[] =
    [];
  // Defaults see the options before them and nothing of the caller.
  const inner = new Scope();
  for (const p of r.params) {
    const name = p.name.name;
    const v = report.attempt(() => {
      const arg = given.get(name);
      const fact = r.facts && lookup(r.facts.options, name);
      const known = fact === undefined ? undefined : factValue(fact, p.type);
      if (arg) {
        const value = mustFit(engine, engine.evaluate(arg.value, r.scope), p, r.of, arg.value.span);
        if (known && !same(value, known)) {
          disagreeing.push({ arg, option: name, spec: describe(value), file: describe(known) });
          throw new Stop();
        }
        return value;
      }
      const preset = r.preset?.get(name);
      if (preset) return preset;
      if (known) return mustFit(engine, known, p, r.of, r.facts?.span ?? r.span);
      if (p.default) {
        return mustFit(engine, engine.evaluate(p.default, inner), p, r.of, p.default.span);
      }
      // After a misspelt option, the missing one is most likely the same.
      if (!bad && !r.facts?.unreadable) missing.push(p);
      throw new Stop();
    });
    inner.set(name, v ?? POISON);
    if (v === undefined) failed = true;
    else result.set(name, v);
  }
  const [first, ...others] = disagreeing;
  if (first && r.facts) {
    const { location, span } = r.facts;
    const otherwise = { span, text: 'and this says otherwise' };
    const secondary = [...others.map(({ arg }) => ({ span: arg.span, text: 'and this' })), otherwise];
    report.add(
      'ESP0230',
      { location, options: disagreeing },
      { primary: { span: first.arg.span, text: 'the spec says this' }, secondary },
    );
  }
  if (missing.length > 0) {
    const declared = missing.map((p) => `\`${p.name.name}: ${formatType(p.type)}\``).join(', ');
    report.add(
      'ESP0204',
      { options: missing.map((p) => p.name.name), of: r.of },
      {
        primary: { span: r.span, text: `${declared} ${missing.length > 1 ? 'are' : 'is'} missing` },
        help: r.facts ? [`\`${r.facts.location}\` does not say it either.`] : [],
      },
    );
  }
  if (failed) throw new Stop();
  return result;
}

/** Arguments by option; `bad` if something is wrong with them (reported). */
function assign(engine: Engine, r: OptionRequest): { given: Map<string, Arg>; bad: boolean } {
  const { report } = engine;
  const names = r.params.map((p) => p.name.name);
  const given = new Map<string, Arg>();
  let bad = false;
  let at = 0;
  for (const arg of r.args) {
    const name = arg.name?.name ?? names[at++];
    const span = arg.name?.span ?? arg.span;
    if (name === undefined) {
      // However many are too many, it is one mistake: it is said at the first.
      if (at === names.length + 1) {
        const found = r.args.filter((a) => !a.name).length;
        report.add('ESP0209', { of: r.of, most: names.length, found }, { primary: { span, text: 'one too many' } });
      }
      bad = true;
    } else if (!names.includes(name)) {
      report.add(
        'ESP0203',
        { option: name, of: r.of },
        { primary: { span, text: 'no such option' }, help: optionHelp(name, names) },
      );
      bad = true;
    } else if (given.has(name)) {
      report.add(
        'ESP0208',
        { option: name, of: r.of },
        { primary: { span, text: 'given again' }, secondary: [{ span: given.get(name)!.span, text: 'first' }] },
      );
      bad = true;
    } else given.set(name, arg);
  }
  return { given, bad };
}
