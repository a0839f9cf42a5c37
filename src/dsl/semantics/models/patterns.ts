/** Patterns of tensor names: `{i + 1}` stands for an index of the path, `*` for any characters. */
import type { Expr, StringLit } from '../../ast.js';
import type { Engine } from '../evaluate/engine.js';

/** Indices of the path by their names. */
export type Indices = ReadonlyMap<string, number>;

interface Pattern {
  /** Reports indices that only the pattern or only the path has. */
  check(inPath: readonly string[], path: Expr): void;
  at(indices: Indices): string;
}

const HOLE = /\{([^{}]*)\}/g;

/** `2 * i + 1`: terms that are added, each with its sign and its factors. */
type Index = readonly { readonly sign: 1 | -1; readonly factors: readonly (string | number)[] }[];

export function readPattern(engine: Engine, literal: StringLit): Pattern {
  const { value: pattern, span } = literal;
  const holes = new Map<string, Index>();
  for (const [, text = ''] of pattern.matchAll(HOLE)) {
    const index = readIndex(text);
    if (!index) {
      return engine.report.stop('ESP0256', { text: `{${text}}` }, { primary: { span, text: 'in this name' } });
    }
    holes.set(text, index);
  }
  const factors = [...holes.values()].flat().flatMap((term) => term.factors);
  const inPattern = factors.filter((f) => typeof f === 'string');
  return {
    check: (inPath, path) => {
      for (const name of new Set([...inPath, ...inPattern])) {
        if (inPath.includes(name) && inPattern.includes(name)) continue;
        engine.report.stop('ESP0235', { name, pattern }, { primary: { span: path.span, text: 'in this entry' } });
      }
    },
    at: (indices) => pattern.replace(HOLE, (_, text: string) => String(worth(holes.get(text)!, indices))),
  };
}

/** Sums, differences and products of names and whole numbers; undefined for anything else. */
function readIndex(text: string): Index | undefined {
  const words = text.match(/[A-Za-z_]\w*|\d+|[-+*]|\S/g) ?? [];
  const isFactor = (word: string | undefined) => word !== undefined && /^\w/.test(word);
  const form = words.every((word, i) => (i % 2 === 0 ? isFactor(word) : /^[-+*]$/.test(word)));
  if (!form || words.length % 2 === 0) return undefined;
  const terms: { sign: 1 | -1; factors: (string | number)[] }[] = [];
  for (let i = 0; i < words.length; i += 2) {
    const factor = /^\d/.test(words[i]!) ? Number(words[i]) : words[i]!;
    if (words[i - 1] === '*') terms.at(-1)!.factors.push(factor);
    else terms.push({ sign: words[i - 1] === '-' ? -1 : 1, factors: [factor] });
  }
  return terms;
}

const worth = (index: Index, indices: Indices): number =>
  index.reduce((sum, { sign, factors }) => {
    const values = factors.map((f) => (typeof f === 'number' ? f : indices.get(f)!));
    return sum + sign * values.reduce((product, x) => product * x, 1);
  }, 0);

/** Names of the indices of a path: `i` and `j` in `stages[i].blocks[j].norm`. */
export function indicesIn(e: Expr): string[] {
  if (e.kind === 'member') return indicesIn(e.object);
  if (e.kind !== 'index') return [];
  const item = e.indices[0];
  return [...indicesIn(e.object), ...(item?.kind === 'at' && item.value.kind === 'name' ? [item.value.name] : [])];
}

/** The pattern with `*` for each index. */
export const patternOf = (pattern: string): string => pattern.replace(HOLE, '*');

/** A name with its prefix and, if that may be missing, without it. */
export const spellings = (name: string, prefix: string | undefined): string[] =>
  prefix && name.startsWith(prefix) ? [name, name.slice(prefix.length)] : [name];
