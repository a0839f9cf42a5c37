/** What a call of something that the language has may pass: the part of it that is about names. */
import { nearest } from '../../../diagnostics/suggest.js';
import { lookup } from '../../lookup.js';

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

/** What the language has without a declaration. */
export interface Builtins {
  readonly operators: ReadonlyMap<string, Signature>;
  /** Kinds of layers, with the names of their parameters. */
  readonly layers: ReadonlyMap<string, readonly string[]>;
  /** Steps of preprocessing. */
  readonly steps: ReadonlyMap<string, Signature>;
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

/** "did you mean" and the list of what there is. */
export function optionHelp(name: string, names: readonly string[]): string[] {
  const near = nearest(name, names);
  const lines = near === undefined ? [] : [`Did you mean \`${near}\`?`];
  if (names.length > 0) lines.push(`It has: ${names.join(', ')}.`);
  return lines;
}
