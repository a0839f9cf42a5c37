/** The patterns of `rearrange`: "b n (h d) -> b h n d". Splits axes on the left, permutes, merges on the right. */
import { showShape } from '../../../ir/ops/shapes.js';

export interface Plan {
  /** Shape after splitting. */
  readonly split: readonly number[];
  readonly perm: readonly number[];
  /** Shape after merging. */
  readonly merged: readonly number[];
}

/** Why a pattern cannot be used; becomes a diagnostic. */
export class PatternError extends Error {}

type Group = readonly string[];

function side(text: string): Group[] {
  const groups: Group[] = [];
  let open: string[] | undefined;
  for (const token of text.match(/\(|\)|[A-Za-z_][A-Za-z0-9_]*|1(?![0-9])|\S/g) ?? []) {
    if (token === '(') {
      if (open) throw new PatternError('parentheses do not nest');
      open = [];
    } else if (token === ')') {
      if (!open) throw new PatternError('a parenthesis closes that was not opened');
      groups.push(open);
      open = undefined;
    } else if (/^([A-Za-z_]\w*|1)$/.test(token)) {
      if (open) open.push(token);
      else groups.push([token]);
    } else throw new PatternError(`\`${token}\` is not a name of an axis`);
  }
  if (open) throw new PatternError('a parenthesis is not closed');
  return groups;
}

const names = (groups: readonly Group[]) => groups.flat().filter((n) => n !== '1');

function once(list: readonly string[], which: string): void {
  const seen = new Set<string>();
  for (const n of list) {
    if (seen.has(n)) throw new PatternError(`\`${n}\` stands twice on the ${which}`);
    seen.add(n);
  }
}

/**
 * Works out the reshape, transpose and reshape that a pattern stands for.
 * @throws PatternError when the pattern is malformed or does not fit the shape.
 */
export function plan(pattern: string, shape: readonly number[], sizes: ReadonlyMap<string, number>): Plan {
  const halves = pattern.split('->');
  if (halves.length !== 2) throw new PatternError('it needs one `->`');
  const left = side(halves[0]!);
  const right = side(halves[1]!);
  const on = names(left);
  const onRight = names(right);
  once(on, 'left');
  once(onRight, 'right');
  for (const n of on) if (!onRight.includes(n)) throw new PatternError(`\`${n}\` is on the left only`);
  for (const n of onRight) if (!on.includes(n)) throw new PatternError(`\`${n}\` is on the right only`);
  for (const n of sizes.keys())
    if (!on.includes(n)) throw new PatternError(`it has no axis \`${n}\`, for which a size is given`);
  if (left.length !== shape.length) {
    throw new PatternError(
      `the left side has ${left.length} axes and the tensor ${showShape(shape)} has ${shape.length}`,
    );
  }
  const known = new Map(sizes);
  left.forEach((group, i) => {
    solve(group, shape[i]!, known);
  });
  const split = left.flatMap((g) => (g.length === 0 ? [1] : g.map((n) => (n === '1' ? 1 : known.get(n)!))));
  // Ones are named by where they stand, so that every axis of the split has an identity.
  const order = left.flatMap((g) => (g.length === 0 ? ['1'] : [...g]));
  const perm: number[] = [];
  for (const n of onRight) perm.push(order.indexOf(n));
  order.forEach((n, i) => {
    if (n === '1') perm.push(i);
  });
  const merged = right.map((g) => g.reduce((p, n) => p * (n === '1' ? 1 : known.get(n)!), 1));
  return { split, perm, merged };
}

/** Finds the one size of a group that is not given. */
function solve(group: Group, size: number, known: Map<string, number>): void {
  let product = 1;
  let open: string | undefined;
  for (const n of group) {
    if (n === '1') continue;
    const k = known.get(n);
    if (k !== undefined) product *= k;
    else if (open !== undefined)
      throw new PatternError(`the sizes of \`${open}\` and \`${n}\` are both open; give one of them`);
    else open = n;
  }
  const text = group.length === 1 ? `\`${group[0]}\`` : `(${group.join(' ')})`;
  if (open === undefined) {
    if (product !== size) throw new PatternError(`${text} is ${product} and the axis has ${size}`);
  } else if (product === 0 || size % product !== 0) {
    throw new PatternError(`the axis ${text} of ${size} does not divide by ${product}`);
  } else known.set(open, size / product);
}
