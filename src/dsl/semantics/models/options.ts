/** A model's options: defaults and what `--set` gives them; and which model of a file is meant. */

import { nearest } from '../../../diagnostics/suggest.js';
import { isBatch } from '../../../ir/batch.js';
import type { ModelDecl, SourceFile, TypeExpr } from '../../ast.js';
import { formatType } from '../../format.js';
import type { Engine } from '../evaluate/engine.js';
import { fillOptions, fits } from '../evaluate/types.js';
import { NONE, Scope, type Val } from '../evaluate/values.js';
import { optionHelp } from '../names/signature.js';
import { wordsIn } from '../names/words.js';

/** The model to compile: the one asked for, or the only one. */
export function theModel(engine: Engine, file: SourceFile, name: string | undefined): ModelDecl {
  const models = file.decls.filter((d): d is ModelDecl => d.kind === 'model');
  const names = models.map((m) => m.name.name);
  if (name !== undefined) {
    const found = models.find((m) => m.name.name === name);
    if (found) return found;
    const near = nearest(name, names);
    engine.report.stop(
      'ESP0238',
      { name },
      {
        help: [
          ...(near === undefined ? [] : [`Did you mean \`${near}\`?`]),
          ...(names.length > 0 ? [`The file has: ${names.join(', ')}.`] : []),
        ],
      },
    );
  }
  const [first, second] = models;
  if (!first) {
    return engine.report.stop('ESP0236', {}, { primary: { span: { file: file.path, start: 0, end: 0 }, text: '' } });
  }
  if (second) {
    engine.report.stop(
      'ESP0237',
      { models: names },
      { primary: { span: second.name.span, text: 'a second one' }, help: [`Choose with --model ${names[0]}.`] },
    );
  }
  return first;
}

export function modelOptions(
  engine: Engine,
  decl: ModelDecl,
  set: Readonly<Record<string, string>> | undefined,
): Map<string, Val> {
  const preset = new Map<string, Val>();
  const names = decl.params.map((p) => p.name.name);
  for (const [option, text] of Object.entries(set ?? {})) {
    const p = decl.params.find((q) => q.name.name === option);
    if (!p) {
      engine.report.add(
        'ESP0239',
        { option, model: decl.name.name },
        { help: names.length > 0 ? optionHelp(option, names) : ['The model has no options.'] },
      );
      continue;
    }
    const v = read(text, p.type);
    if (v === undefined) {
      engine.report.add(
        'ESP0240',
        { option, text, expected: formatType(p.type) },
        { secondary: [{ span: p.span, text: 'declared here' }] },
      );
    } else preset.set(option, v);
  }
  return fillOptions(engine, {
    of: decl.name.name,
    params: decl.params,
    args: [],
    scope: new Scope(),
    span: decl.name.span,
    preset,
  });
}

/** The value that a text is for a type: 4, 1e-3, 50%, true, a word, or the text itself for a string; [a, b] or a, b for a list. */
export function read(text: string, type: TypeExpr): Val | undefined {
  const t = text.trim();
  if (type.kind === 'type_union') {
    for (const item of type.items) {
      const v = read(text, item);
      if (v) return v;
    }
    return undefined;
  }
  if (type.kind === 'type_list') {
    const inner = (/^\[(.*)\]$/s.exec(t)?.[1] ?? t).trim();
    const items = inner === '' ? [] : inner.split(',').map((part) => read(part.trim(), type.item));
    return items.every((v) => v !== undefined) ? { kind: 'list', items } : undefined;
  }
  const v = readOne(t, text, type);
  return v && fits(v, type) ? v : undefined;
}

function readOne(t: string, text: string, type: TypeExpr): Val | undefined {
  if (wordsIn(type).includes(t)) return { kind: 'word', name: t };
  if (type.kind !== 'type_name') return undefined;
  if (type.name === 'none') return t === 'none' ? NONE : undefined;
  if (type.name === 'string') return { kind: 'str', value: text };
  if (type.name === 'bool') return t === 'true' || t === 'false' ? { kind: 'bool', value: t === 'true' } : undefined;
  const m = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(%?)$/.exec(t);
  // The last is the batch, which nothing else may be taken for.
  if (!m || isBatch(Number(m[1]))) return undefined;
  const value = Number(m[1]) / (m[2] ? 100 : 1);
  const percent = m[2] === '%';
  return { kind: 'num', value, whole: !percent && Number.isInteger(value), ...(percent ? { percent } : {}) };
}
