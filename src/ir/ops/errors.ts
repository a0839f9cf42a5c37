/** What is thrown when operands do not fit an operator. Imports nothing, so that every rule can throw it. */
import type { OpName, TextSpan } from '../types.js';

/** Operands or attributes that an operator does not accept. The language turns it into a diagnostic with both places. */
export class ShapeError extends Error {
  /** The operator that refused. */
  readonly op: OpName;
  /** Positions of the operands at fault in the input list; empty when an attribute is. */
  readonly operands: readonly number[];
  /** The sentence without the operator's name: `[2, 3] and [4] do not broadcast`. */
  readonly reason: string;
  /** What of the operands does not fit. */
  readonly about: 'shape' | 'dtype';
  constructor(op: OpName, operands: readonly number[], reason: string, about: 'shape' | 'dtype' = 'shape') {
    super(`${op}: ${reason}`);
    this.name = 'ShapeError';
    this.op = op;
    this.operands = operands;
    this.reason = reason;
    this.about = about;
  }
}

/** An operator that has no result for the values it was given, whatever their types: an index out of range, a singular matrix. */
export class DataError extends Error {
  /** Where the spec asks for it; the interpreter, which knows the value, adds it. */
  at: TextSpan | undefined;
  constructor(
    readonly op: OpName,
    readonly reason: string,
  ) {
    super(`${op}: ${reason}`);
    this.name = 'DataError';
  }
}

/** Thrown by a rule, which need not know its operator's name; `inferType` adds it and throws `ShapeError`. */
export class Refusal extends Error {
  readonly operands: readonly number[];
  readonly about: 'shape' | 'dtype';
  constructor(reason: string, operands: readonly number[], about: 'shape' | 'dtype' = 'shape') {
    super(reason);
    this.operands = operands;
    this.about = about;
  }
}

/** Ends a rule: the operands at these positions do not fit. */
export function refuse(reason: string, ...operands: number[]): never {
  throw new Refusal(reason, operands);
}

/** Ends a rule: the element types of these operands do not fit. */
export function refuseType(reason: string, ...operands: number[]): never {
  throw new Refusal(reason, operands, 'dtype');
}
