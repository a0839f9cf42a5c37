/** What the table of type rules has of an operator: calls that fit, and calls that are refused with the operands at fault and the sentence. */
import type { Value } from '../../../src/ir/types.js';

export interface Rule {
  readonly fits: readonly [result: string, inputs: readonly Value[], attrs: unknown][];
  readonly refused: readonly [message: string, operands: readonly number[], inputs: readonly Value[], attrs: unknown][];
}
