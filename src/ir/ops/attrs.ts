/**
 * Kinds of attributes. The entries of an operator table's file list theirs as these, and everything else follows: their types (a file adds them to
 * `OpAttrs`), how the text form writes and reads them, what the verifier lets through and what the operator reference says.
 */
import type { DType } from '../types.js';

export interface Attr<T> {
  /** `shape` and `dtype` are the result's, so the text form leaves them to the type that it prints anyway. */
  readonly kind: 'number' | 'axis' | 'numbers' | 'word' | 'flag' | 'shape' | 'dtype';
  /** The words that it may be, where they are a fixed set; element types are words too. */
  readonly words?: readonly string[];
  /** How many numbers a list holds, where that is fixed. */
  readonly length?: number;
  /** Whether something is a value of this kind; whether the operator takes it, its type rule says. */
  readonly is: (x: unknown) => x is T;
}

/** The attributes of one operator. */
export type Attrs = Readonly<Record<string, Attr<unknown>>>;

/** The type of attributes that are listed. */
export type AttrsOf<A> = { readonly [K in keyof A]: A[K] extends Attr<infer T> ? T : never };

/** Of several operators, by name: what a file of the table adds to `OpAttrs`. */
export type AttrsOfEach<A> = { [O in keyof A]: AttrsOf<A[O]> };

const isNumber = (x: unknown): x is number => typeof x === 'number';
const isText = (x: unknown): x is string => typeof x === 'string';
const isList = (x: unknown): x is readonly number[] => Array.isArray(x) && x.every(isNumber);

export const number: Attr<number> = { kind: 'number', is: isNumber };
/** One of the first operand's axes. */
export const axis: Attr<number> = { kind: 'axis', is: isNumber };
export const numbers: Attr<readonly number[]> = { kind: 'numbers', is: isList };
export const pair: Attr<readonly [number, number]> = {
  kind: 'numbers',
  length: 2,
  is: (x): x is readonly [number, number] => isList(x) && x.length === 2,
};
export const four: Attr<readonly [number, number, number, number]> = {
  kind: 'numbers',
  length: 4,
  is: (x): x is readonly [number, number, number, number] => isList(x) && x.length === 4,
};
export const flag: Attr<boolean> = { kind: 'flag', is: (x): x is boolean => typeof x === 'boolean' };
/** Any text. */
export const name: Attr<string> = { kind: 'word', is: isText };
export const word = <W extends string>(...words: readonly W[]): Attr<W> => ({
  kind: 'word',
  words,
  is: (x): x is W => isText(x) && (words as readonly string[]).includes(x),
});

const DTYPES: readonly string[] = ['f32', 'f16', 'i32', 'u32', 'bool'] satisfies readonly DType[];

export const resultShape: Attr<readonly number[]> = { kind: 'shape', is: isList };
export const resultDType: Attr<DType> = {
  kind: 'dtype',
  words: DTYPES,
  is: (x): x is DType => isText(x) && DTYPES.includes(x),
};

/** How a convolution's kernel goes over its input; padding is [top, left, bottom, right]. */
export const WINDOW = { stride: pair, padding: four, dilation: pair, groups: number };
