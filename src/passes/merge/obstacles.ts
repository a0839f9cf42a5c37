/** Says, for each adapter of which something is left, which operator stands in its way. */
import { adaptersOf } from '../../ir/about.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { isRuled } from '../../ir/affine/rules.js';
import { isView } from '../../ir/ops/index.js';
import { Summary } from '../../ir/summary.js';
import type { Value } from '../../ir/types.js';
import type { ObstacleNote, PassContext } from '../pass.js';
import { below, type Solution } from './regions.js';

/** `before` maps values of the rebuilt function to those that the solution speaks of. */
export function noteObstacles(
  results: readonly Value[],
  before: ReadonlyMap<Value, Value>,
  s: Solution,
  ctx: PassContext,
): void {
  const left = new Map<string, Value[]>();
  const summary = new Summary(results);
  for (const v of summary.order) {
    if (!dependsOnInput(v)) continue;
    for (const id of adaptersOf(v.about)) left.set(id, [...(left.get(id) ?? []), v]);
  }
  const why = new Map<string, ObstacleNote>();
  for (const [v, end] of s.ends) {
    for (const id of adaptersOf(v.about)) if (!why.has(id)) why.set(id, noteOf(end.value, end.reason));
  }
  for (const [id, values] of left) {
    ctx.notes.obstacles.set(id, why.get(id) ?? outside(id, values, summary, (v) => reasonOf(before.get(v) ?? v, s)));
  }
}

function noteOf(v: Value, reason: string): ObstacleNote {
  return { op: v.op, reason, ...(v.about?.at ? { at: v.about.at } : {}) };
}

/** The adapter itself is affine: what reads it is not, and no layer lies between. */
function outside(
  adapter: string,
  values: readonly Value[],
  summary: Summary,
  reason: (reader: Value) => string,
): ObstacleNote {
  const seen = new Set<Value>(values);
  const queue = [...values];
  for (const v of queue) {
    for (const r of summary.readers(v)) {
      if (seen.has(r)) continue;
      if (!adaptersOf(r.about).includes(adapter) && !isView(r) && r.op !== 'add') {
        return { ...noteOf(r, reason(r)), outside: true };
      }
      seen.add(r);
      queue.push(r);
    }
  }
  const last = values.at(-1)!;
  return { ...noteOf(last, 'it is a result of the model, and no layer below takes all of it in'), outside: true };
}

/** Why the form ended at an operator that reads the adapter's result. */
function reasonOf(reader: Value, s: Solution): string {
  const end = s.ends.get(reader);
  if (end && isRuled(reader)) return end.reason;
  const stopped = reader.inputs.map((x) => s.stops.get(below(x))).find((r) => r !== undefined);
  return stopped ?? 'it reads what the adapter adds, and no layer lies between that could take the change';
}
