/** What the text of a program says besides what it computes: compared where programs are printed and read back. */
import { isNumber, rootsOf, topological } from '../../src/ir/graph.js';
import type { Module, Value } from '../../src/ir/types.js';

/**
 * What is known of each adapter, of each parameter (readings of it know the same) and of each value (of a number nothing is known), in
 * order, as text.
 */
export function knownOf(module: Module): string {
  const of = (v: Value) => (v.op === 'param' || v.op === 'input' || isNumber(v) ? [] : [[v.op, sorted(v.about)]]);
  const params = [...module.params.values()].map((p) => [
    p.name,
    sorted(p.about),
    p.init?.kind === 'value' ? topological([p.init.value]).flatMap(of) : [],
  ]);
  const values = [...module.funcs.values()].flatMap((f) => topological(rootsOf(f)).flatMap(of));
  return JSON.stringify([[...module.adapters.values()].map(sorted), params, values]);
}

/** Fields in one order. */
function sorted(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(sorted);
  if (typeof x !== 'object' || x === null) return x;
  return Object.entries(x)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, sorted(value)]);
}
