/**
 * An adapter calls what is below it, and what that gives is not needed to trace the adapter's own operators: its type is. So the call is
 * worth a hole, and what is below is traced afterwards, not within: hundreds of adapters may lie on one layer.
 */
import { input, rewriteValues, withInputs } from '../../../../ir/graph.js';
import type { TensorType, Value } from '../../../../ir/types.js';
import type { Span } from '../../../ast.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { type Site, tensorVal, type Val } from '../../evaluate/values.js';
import type { Hole, Tracer } from '../memo.js';

/** Runs what the adapter `level` of a site does, with the holes that it leaves. */
export function collecting<T>(
  engine: Tracer,
  site: Site,
  level: number,
  work: () => T,
): { value: T; holes: readonly Hole[] } {
  const holes: Hole[] = [];
  const open = engine.memo.adapting;
  open.push({ site, level, holes });
  try {
    return { value: work(), holes };
  } finally {
    open.pop();
  }
}

/** A hole for a call of what is below the adapter that is being traced; undefined for any other call, and where there is no type. */
export function holeFor(
  engine: Tracer,
  site: Site,
  level: number,
  args: readonly ArgVal[],
  span: Span,
  type: () => TensorType | undefined,
): Val | undefined {
  const adapter = engine.memo.adapting.at(-1);
  if (adapter?.site !== site || adapter.level !== level + 1) return undefined;
  const found = type();
  if (!found) return undefined;
  const value = input('base', found);
  adapter.holes.push({ level, args, span, value });
  return tensorVal(value);
}

/** The tensor with each hole's result in its place. Nothing older than the first hole reads one. */
export function filled(v: Val, results: ReadonlyMap<Value, Value>): Val {
  if (v.kind !== 'tensor' || results.size === 0) return v;
  const first = [...results.keys()].reduce((least, x) => Math.min(least, x.id), Number.POSITIVE_INFINITY);
  const image = rewriteValues(
    [v.value],
    (x, inputs) => results.get(x) ?? (x.id < first ? x : withInputs(x, inputs)),
    (x) => (x.id < first ? [] : x.inputs),
  );
  return tensorVal(image(v.value));
}
