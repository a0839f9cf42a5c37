/** What is thrown when operands do not fit an operator. Imports nothing, so that every rule can throw it. */
import type { OpName } from '../types.js';

/** Operands or attributes that an operator does not accept. The language turns it into a diagnostic with both places. */
export class ShapeError extends Error {
  /** The operator that refused. */
  readonly op: OpName;
  /** Positions of the operands at fault in the input list; empty when an attribute is. */
  readonly operands: readonly number[];
  /** The sentence without the operator's name: `[2, 3] and [4] do not broadcast`. */
  readonly reason: string;
  constructor(op: OpName, operands: readonly number[], reason: string) {
    super(`${op}: ${reason}`);
    this.name = 'ShapeError';
    this.op = op;
    this.operands = operands;
    this.reason = reason;
  }
}

/** Thrown by a rule, which need not know its operator's name; `inferType` adds it and throws `ShapeError`. */
export class Refusal extends Error {
  readonly operands: readonly number[];
  constructor(reason: string, operands: readonly number[]) {
    super(reason);
    this.operands = operands;
  }
}

/** Ends a rule: the operands at these positions do not fit. */
export function refuse(reason: string, ...operands: number[]): never {
  throw new Refusal(reason, operands);
}
