/** What an expression of a spec can be worth while compiling: numbers, words, lists, tensors being traced, sites. */
import { isBatch, showSize } from '../../../ir/batch.js';
import type { DType, Init, Value } from '../../../ir/types.js';
import type { Decl, Expr, Span } from '../../ast.js';
import type { Operator } from '../builtins/operator.js';
import type { Site } from '../sites/site.js';

export interface Inexact {
  readonly left: number;
  readonly right: number;
  readonly span: Span;
}

/** `inexact` remembers the division that did not work out, for the message where a whole number is needed. */
export interface NumVal {
  readonly kind: 'num';
  readonly value: number;
  readonly whole: boolean;
  readonly percent?: boolean;
  readonly inexact?: Inexact;
}
export interface StrVal {
  readonly kind: 'str';
  readonly value: string;
}
export interface BoolVal {
  readonly kind: 'bool';
  readonly value: boolean;
}
/** A word of a choice (`channel`); `none` is a word too. */
export interface WordVal {
  readonly kind: 'word';
  readonly name: string;
}
export interface RatioVal {
  readonly kind: 'ratio';
  readonly left: number;
  readonly right: number;
}
export interface ListVal {
  readonly kind: 'list';
  readonly items: readonly Val[];
}
export interface RecordVal {
  readonly kind: 'record';
  readonly fields: readonly (readonly [name: string, value: Val])[];
}
export interface ArrowVal {
  readonly kind: 'arrow';
  readonly from: Val;
  readonly to: Val;
}
export interface TensorVal {
  readonly kind: 'tensor';
  readonly value: Value;
}
/** A constant made by `table`; it becomes a parameter of role `constant` when a tensor is needed. */
export interface TableVal {
  readonly kind: 'table';
  readonly shape: readonly number[];
  readonly data: Float64Array;
  readonly dtype: 'f32' | 'i32' | 'bool';
  /** Path it is bound to, if any. */
  readonly name?: string;
}
export interface InitVal {
  readonly kind: 'init';
  readonly init: Init;
}
export interface SiteVal {
  readonly kind: 'site';
  readonly site: Site;
}
/** What an adapter sits on: the site below the adapter numbered `level`. */
export interface BaseVal {
  readonly kind: 'base';
  readonly site: Site;
  readonly level: number;
}
export interface OperatorVal {
  readonly kind: 'operator';
  readonly operator: Operator;
}
export interface DeclVal {
  readonly kind: 'decl';
  readonly decl: Decl;
}
/** A call that names a form, such as block(16, 16) or adamw(lr: 1e-3), with its arguments worked out. */
export interface FormVal {
  readonly kind: 'form';
  readonly name: string;
  readonly positional: readonly Val[];
  readonly named: ReadonlyMap<string, Val>;
  readonly expr: Expr;
}
/** What could not be worked out; using it is silent, since the error has been reported. */
export interface PoisonVal {
  readonly kind: 'poison';
}

export type Val =
  | NumVal
  | StrVal
  | BoolVal
  | WordVal
  | RatioVal
  | ListVal
  | RecordVal
  | ArrowVal
  | TensorVal
  | TableVal
  | InitVal
  | SiteVal
  | BaseVal
  | OperatorVal
  | DeclVal
  | FormVal
  | PoisonVal;

export const POISON: PoisonVal = { kind: 'poison' };
export const NONE: WordVal = { kind: 'word', name: 'none' };
export const num = (value: number, whole = Number.isInteger(value)): NumVal => ({ kind: 'num', value, whole });
export const bool = (value: boolean): BoolVal => ({ kind: 'bool', value });
export const tensorVal = (value: Value): TensorVal => ({ kind: 'tensor', value });
export const isNone = (v: Val): boolean => v.kind === 'word' && v.name === 'none';

export const showShape = (s: readonly number[]): string => `[${s.map(showSize).join(', ')}]`;

/** A number as people write it: at most six significant digits of a fraction; a multiple of the batch as `2b`. */
export const showNumber = (n: number): string => {
  if (isBatch(n)) return showSize(n);
  return Number.isInteger(n) ? String(n) : String(Number(n.toPrecision(6)));
};

/** Whether a number is a multiple of the batch, which is known when the program runs. */
export const isOpen = (v: Val): boolean => v.kind === 'num' && isBatch(v.value);

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
      return `${v.site.type} ${v.site.path}`;
    case 'base':
      return `the adapter's base`;
    case 'operator':
      return `the operator \`${v.operator.name}\``;
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

/** Values that stand for a tensor or can become one. */
export const isTensorLike = (v: Val): v is TensorVal | TableVal => v.kind === 'tensor' || v.kind === 'table';

/** The element type that numbers beside this value take: f32 where there is none. */
export const dtypeOf = (v: TensorVal | TableVal | undefined): DType =>
  v === undefined ? 'f32' : v.kind === 'tensor' ? v.value.type.dtype : v.dtype;
