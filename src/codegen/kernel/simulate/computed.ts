/** What an expression is once it is ready to be computed, its type, and where its value lies. */
import type { Type } from '../types.js';
import { type Frame, inOrder, type Run } from './frame.js';
import type { Values } from './math.js';

/** An expression that is ready to be computed. */
export interface Computed {
  readonly type: Type;
  /** Where its value is once `run` has run; what inactive threads have there is of no meaning. */
  readonly values: Values;
  /** Absent where there is nothing to do. */
  readonly run: Run | undefined;
  /** It looks at who is active: something in it can be a fault, or costs a load. */
  readonly careful: boolean;
  /** `values` is scratch that nobody else looks at. */
  readonly fresh: boolean;
  /** The same in all threads, and in `values` from the start. */
  readonly constant: boolean;
}

export const typeText = ({ scalar, lanes }: Type): string => (lanes === 1 ? scalar : `vec${lanes}<${scalar}>`);

/** @throws TypeError where a type is not what it has to be. */
export function expectType(what: string, got: Type, want: Type): void {
  if (got.scalar !== want.scalar || got.lanes !== want.lanes) {
    throw new TypeError(`${what} is ${typeText(got)}, not ${typeText(want)}`);
  }
}

/** A view of what another expression gives, or of what is there from the start. */
export function alias(type: Type, values: Values, x?: Computed): Computed {
  return { type, values, run: x?.run, careful: x?.careful ?? false, fresh: false, constant: false };
}

/** Computed into scratch, after its operands. */
export function fresh(
  type: Type,
  frame: Frame,
  careful: boolean,
  operands: readonly Computed[],
  compute: (out: Values) => void,
): Computed {
  const out = frame.scratch(type);
  const run = inOrder([...operands.map((x) => x.run), () => compute(out)]);
  return { type, values: out, run, careful: careful || operands.some((x) => x.careful), fresh: true, constant: false };
}
