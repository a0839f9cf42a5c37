/**
 * An adapter calls what is below it, and what that gives is not needed to trace the adapter's own operators: its type is. So the call is
 * worth a hole, and what is below is traced afterwards, not within: hundreds of adapters may lie on one layer.
 */
import { input, rewriteValues, withInputs } from '../../../ir/graph.js';
import type { TensorType, Value } from '../../../ir/types.js';
import type { Span } from '../../ast.js';
import type { ArgVal } from '../evaluate/engine.js';
import { tensorVal, type Val } from '../evaluate/values.js';
import type { Site } from './site.js';

/** A call of a site with its first `level` adapters, and what stands for its result. */
export interface Hole {
  readonly level: number;
  readonly args: readonly ArgVal[];
  readonly span: Span;
  readonly value: Value;
}

/** The adapters that are being traced, innermost last, each with the holes that it left. */
const open: { readonly site: Site; readonly level: number; readonly holes: Hole[] }[] = [];

/** Runs what the adapter `level` of a site does, with the holes that it leaves. */
export function collecting<T>(site: Site, level: number, work: () => T): { value: T; holes: readonly Hole[] } {
  const holes: Hole[] = [];
  open.push({ site, level, holes });
  try {
    return { value: work(), holes };
  } finally {
    open.pop();
  }
}

/** A hole for a call of what is below the adapter that is being traced; undefined for any other call, and where there is no type. */
export function holeFor(
  site: Site,
  level: number,
  args: readonly ArgVal[],
  span: Span,
  type: () => TensorType | undefined,
): Val | undefined {
  const adapter = open.at(-1);
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
