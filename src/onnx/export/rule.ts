/** What it takes to write an operator of the IR as nodes of ONNX. */
import type { Decomposing } from '../../ir/ops/index.js';
import type { OpName, ValueOf } from '../../ir/types.js';
import type { Emitter } from './emitter.js';

/**
 * Writes a value whose operands have the names `x`, and gives its name: undefined where the version of ONNX has no such operator, and the value is
 * written as what it decomposes to.
 */
export type Write<O extends OpName> = (e: Emitter, v: ValueOf<O>, x: readonly string[]) => string | undefined;

/** Why an operator cannot be written at all. */
export interface Cannot {
  readonly cannot: string;
}

/** `decompose`: always as what it decomposes to. */
export type ExportRule<O extends OpName> = Write<O> | Cannot | (O extends Decomposing ? 'decompose' : never);

/** Rules of some operators. */
export type ExportRules = { readonly [O in OpName]?: ExportRule<O> };
