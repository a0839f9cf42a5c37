/** Values in messages: what they are, in a few words; and whether two are the same. */

import { isBatch, showSize } from '../../../ir/batch.js';
import { showPath } from '../../../ir/path.js';
import type { BoolVal, ListVal, NumVal, RatioVal, StrVal, Val, WordVal } from './values.js';

export const showShape = (s: readonly number[]): string => `[${s.map(showSize).join(', ')}]`;

/** A number as people write it: at most six significant digits of a fraction; a multiple of the batch as `2b`. */
export const showNumber = (n: number): string => {
  if (isBatch(n)) return showSize(n);
  return Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(6)));
};

/** For messages: what a value is, in a few words. */
export function describe(v: Val): string {
  switch (v.kind) {
    case 'num':
      return v.percent ? `${showNumber(v.value * 100)}%` : showNumber(v.value);
    case 'str':
      return JSON.stringify(v.value);
    case 'bool':
      return String(v.value);
    case 'word':
      return `\`${v.name}\``;
    case 'ratio':
      return `${v.left}:${v.right}`;
    case 'list':
      return `a list of ${v.items.length}`;
    case 'record':
      return 'a record';
    case 'arrow':
      return 'an arrow';
    case 'tensor':
      return `a tensor ${showShape(v.value.type.shape)}`;
    case 'table':
      return `a table ${showShape(v.shape)}`;
    case 'init':
      return `the start \`${v.init.kind}\``;
    case 'site':
      return `${v.site.type} ${showPath(v.site.path)}`;
    case 'base':
      return `the adapter's base`;
    case 'operator':
      return `the operator \`${v.name}\``;
    case 'decl':
      return 'name' in v.decl ? `the ${v.decl.kind} \`${v.decl.name.name}\`` : `a ${v.decl.kind}`;
    case 'form':
      return `${v.name}(...)`;
    case 'poison':
      return 'nothing';
  }
}

/**
 * Whether two compile-time values are the same; tensors and sites never are.
 * @param met lists that are being compared or were: lists may hold one another many times over
 */
export function same(a: Val, b: Val, met = new Map<Val, Set<Val>>()): boolean {
  if (a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'num':
      return a.value === (b as NumVal).value;
    case 'str':
      return a.value === (b as StrVal).value;
    case 'bool':
      return a.value === (b as BoolVal).value;
    case 'word':
      return a.name === (b as WordVal).name;
    case 'ratio':
      return a.left === (b as RatioVal).left && a.right === (b as RatioVal).right;
    case 'list': {
      const items = (b as ListVal).items;
      const others = met.get(a) ?? new Set();
      if (others.has(b)) return true;
      met.set(a, others.add(b));
      return a.items.length === items.length && a.items.every((v, i) => same(v, items[i]!, met));
    }
    default:
      return a === b;
  }
}
