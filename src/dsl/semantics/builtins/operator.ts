/** How a built-in operator is declared, and how the arguments of a call are put into its parameters. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { CallExpr, Span } from '../../ast.js';
import { lookup } from '../../lookup.js';
import type { ArgVal, Engine } from '../evaluate/engine.js';
import type { Val } from '../evaluate/values.js';
import type { Scope } from '../names/scope.js';
import type { Report } from '../report.js';

/** What a call hands to an operator. */
export interface Call {
  readonly engine: Engine;
  readonly name: string;
  readonly span: Span;
  readonly expr: CallExpr;
  readonly scope: Scope;
  /** The values of the comprehension, or of the positional arguments of a variadic operator. */
  readonly rest: readonly ArgVal[];
  readonly args: ReadonlyMap<string, ArgVal>;
}

/** What a call may pass. */
export interface Signature {
  readonly name: string;
  /** For people: one sentence. */
  readonly doc: string;
  /** Parameter names; `?` at the end: may be left out; `...name` first: takes all positional arguments. */
  readonly params: readonly string[];
  /** Words that stand for themselves in a parameter: `form: ['none', 'tanh', 'quick']`. */
  readonly words?: Readonly<Record<string, readonly string[]>>;
  /** May be called with generators: the body is evaluated for each combination and fills the variadic parameter. */
  readonly comprehension?: boolean;
  /** Named arguments of any name are allowed and come in `rest` (the sizes of `rearrange`). */
  readonly open?: boolean;
}

export interface Operator extends Signature {
  /** Has a meaning without parentheses too (`zeros`). */
  readonly bare?: () => Val;
  readonly run: (call: Call) => Val;
}

const plain = (p: string) => p.replace(/^\.\.\.|\?$/g, '');

/** Names of the parameters, for help lines. */
export const parameterNames = (op: Signature): string[] => op.params.map(plain);

/** Words that an argument in this parameter may be. */
export const wordsOf = (op: Signature, param: string | undefined): readonly string[] =>
  (param !== undefined && op.words && lookup(op.words, param)) || [];

/** The parameter that the i-th positional argument fills. */
export function positional(op: Signature, i: number): string | undefined {
  const first = op.params[0];
  if (first?.startsWith('...')) return plain(first);
  return op.params[i] === undefined ? undefined : plain(op.params[i]);
}

/** Puts arguments into parameters; reports unknown, doubled, missing and surplus ones. */
export function bindArguments(
  engine: Engine,
  op: Signature,
  expr: CallExpr,
  given: readonly ArgVal[],
): { args: Map<string, ArgVal>; rest: ArgVal[] } {
  const names = parameterNames(op);
  const variadic = op.params[0]?.startsWith('...') ?? false;
  const args = new Map<string, ArgVal>();
  const rest: ArgVal[] = [];
  let at = 0;
  for (const arg of given) {
    if (arg.name === undefined && variadic) {
      rest.push(arg);
      continue;
    }
    const name = arg.name ?? names[at++];
    if (name === undefined) {
      const found = given.filter((a) => a.name === undefined).length;
      engine.report.stop(
        'ESP0209',
        { of: op.name, most: names.length, found },
        { primary: { span: arg.span, text: 'one too many' } },
      );
    }
    if (!names.includes(name)) {
      if (op.open) {
        rest.push(arg);
        continue;
      }
      engine.report.stop(
        'ESP0203',
        { option: name, of: op.name },
        { primary: { span: arg.nameSpan ?? arg.span, text: 'no such option' }, help: optionHelp(name, names) },
      );
    }
    if (args.has(name)) {
      engine.report.stop(
        'ESP0208',
        { option: name, of: op.name },
        {
          primary: { span: arg.span, text: 'given again' },
          secondary: [{ span: args.get(name)!.span, text: 'first' }],
        },
      );
    }
    args.set(name, arg);
  }
  for (const p of op.params) {
    if (p.endsWith('?') || p.startsWith('...') || args.has(p)) continue;
    engine.report.stop(
      'ESP0229',
      { of: op.name, what: `the argument \`${p}\`` },
      { primary: { span: expr.span, text: `${op.name}(${op.params.join(', ')})` } },
    );
  }
  if (variadic && rest.length === 0 && expr.generators.length === 0 && !args.has(names[0]!)) {
    engine.report.stop('ESP0229', { of: op.name, what: 'an argument' }, { primary: { span: expr.span, text: op.doc } });
  }
  return { args, rest };
}

/** "did you mean" and the list of what there is. */
export function optionHelp(name: string, names: readonly string[]): string[] {
  const near = nearest(name, names);
  const lines = near === undefined ? [] : [`Did you mean \`${near}\`?`];
  if (names.length > 0) lines.push(`It has: ${names.join(', ')}.`);
  return lines;
}

/** Refuses `f(i < n: ...)` where a call takes no comprehension. */
export function noGenerators(report: Report, expr: CallExpr): void {
  const first = expr.generators[0];
  if (!first) return;
  report.stop(
    'ESP0220',
    { what: 'a comprehension', where: 'this call; sum, max, min, concat, stack and table take one' },
    { primary: { span: first.span, text: 'here' } },
  );
}
