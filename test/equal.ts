/** Structural equality of whole programs. */
import { Numbering } from '../src/ir/equal.js';
import { rootsOf } from '../src/ir/graph.js';
import { attrsKey } from '../src/ir/intern.js';
import { showType } from '../src/ir/ops/shapes.js';
import type { Func, Module, Param, Value } from '../src/ir/types.js';

export function equalFuncs(a: Func, b: Func, numbering = new Numbering()): boolean {
  const same = (x: readonly unknown[], y: readonly unknown[]): boolean =>
    x.length === y.length && x.every((one, i) => one === y[i]);
  const numbers = (values: readonly Value[]): number[] => values.map((v) => numbering.of(v));
  return (
    a.name === b.name &&
    a.after === b.after &&
    same(
      a.results.map((r) => r.name),
      b.results.map((r) => r.name),
    ) &&
    same(
      a.updates.map((u) => u.state),
      b.updates.map((u) => u.state),
    ) &&
    same(numbers(a.inputs), numbers(b.inputs)) &&
    same(numbers(rootsOf(a)), numbers(rootsOf(b)))
  );
}

function equalParams(a: Param, b: Param, numbering: Numbering): boolean {
  if (a.name !== b.name || a.role !== b.role || showType(a.type) !== showType(b.type)) return false;
  if (a.parts?.join() !== b.parts?.join()) return false;
  if (a.init?.kind === 'value' && b.init?.kind === 'value') {
    if (numbering.of(a.init.value) !== numbering.of(b.init.value)) return false;
  } else if (attrsKey(a.init) !== attrsKey(b.init)) return false;
  if (a.data?.length !== b.data?.length || a.data?.constructor !== b.data?.constructor) return false;
  return a.data?.every((x: number, i: number) => Object.is(x, b.data![i])) ?? true;
}

/** Same parameters in the same order, same functions; what is known of values besides is not compared. */
export function equalModules(a: Module, b: Module): boolean {
  const numbering = new Numbering();
  const [p, q] = [[...a.params.values()], [...b.params.values()]];
  const [f, g] = [[...a.funcs.values()], [...b.funcs.values()]];
  return (
    a.name === b.name &&
    p.length === q.length &&
    f.length === g.length &&
    p.every((x, i) => equalParams(x, q[i]!, numbering)) &&
    f.every((x, i) => equalFuncs(x, g[i]!, numbering))
  );
}
