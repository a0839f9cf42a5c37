/** Types by name, and the words that their choices hold: names that stand for themselves. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { Ident, NameExpr, OptionParam, TypeExpr } from '../../ast.js';
import { type Report, Stop } from '../report.js';

export const TYPE_NAMES = ['int', 'float', 'bool', 'string', 'module'];
/** What an expression of a loss may name besides the model's bindings: the model's first result, and what the data say. */
export const PREDICTION = 'prediction';
export const TARGET = 'target';
/** The loss of a `train` that gives none. */
export const DEFAULT_LOSS = 'cross_entropy';
/** What only an argument of a function may be. */
export const TENSOR = 'tensor';

/** Element types that an input or a parameter may say it has. */
export const ELEMENT_TYPES = ['f32', 'i32', 'u32', 'bool'] as const;
export type ElementType = (typeof ELEMENT_TYPES)[number];

export const isElementType = (name: string): name is ElementType => (ELEMENT_TYPES as readonly string[]).includes(name);

/** What is written before a shape, f32 if nothing is. @throws Stop for what is none, which was reported */
export function elementType(written: Ident | undefined): ElementType {
  if (!written) return 'f32';
  if (isElementType(written.name)) return written.name;
  throw new Stop();
}

/** `none` where a type is expected: it is one beside others. */
export const isNoneType = (t: TypeExpr): boolean => t.kind === 'type_name' && t.name === 'none';

/** The words that a type's choices hold. */
export function wordsIn(t: TypeExpr): string[] {
  if (t.kind === 'type_enum') return t.options.map((o) => o.name);
  if (t.kind === 'type_union') return t.items.flatMap(wordsIn);
  if (t.kind === 'type_list') return wordsIn(t.item);
  return [];
}

export const wordsOfParams = (params: readonly OptionParam[]): Set<string> =>
  new Set(params.flatMap((p) => wordsIn(p.type)));

/** Reports a name before a shape that is no element type. */
export function checkElementType(report: Report, dtype: Ident | undefined): void {
  if (!dtype || isElementType(dtype.name)) return;
  const near = nearest(dtype.name, ELEMENT_TYPES);
  report.add(
    'ESP0210',
    { option: 'element type', found: `\`${dtype.name}\``, choices: ELEMENT_TYPES },
    {
      primary: { span: dtype.span, text: 'what the elements are' },
      help: near === undefined ? [] : [`Did you mean \`${near}\`?`],
    },
  );
}

/** A name where a word of a choice is expected, and neither is one. */
export function notAWord(report: Report, e: NameExpr, option: string, choices: readonly string[]): never {
  const near = nearest(e.name, choices);
  return report.stop(
    'ESP0210',
    { option, found: `\`${e.name}\``, choices },
    {
      primary: { span: e.span, text: 'not a choice' },
      help: near === undefined ? [] : [`Did you mean \`${near}\`?`],
    },
  );
}
