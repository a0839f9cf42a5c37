/** Structural equality: two programs are equal when they compute the same expressions, whatever their values' ids and what else is known of them. */
import { postorder, rootsOf } from './graph.js';
import { attrsKey } from './intern.js';
import { showType } from './ops/shapes.js';
import { showAttrs } from './text/print.js';
import type { Func, Module, Param, Value } from './types.js';

/** Gives equal expressions equal numbers, across functions and modules. */
export class Numbering {
  private readonly classes = new Map<string, number>();
  private readonly known = new Map<Value, number>();

  of(root: Value): number {
    for (const v of postorder([root], (x) => x.inputs.filter((y) => !this.known.has(y)))) {
      if (this.known.has(v)) continue;
      const key = `${v.op}${showAttrs(v)}:${showType(v.type)}(${v.inputs.map((x) => this.known.get(x)).join(',')})`;
      let n = this.classes.get(key);
      if (n === undefined) {
        n = this.classes.size;
        this.classes.set(key, n);
      }
      this.known.set(v, n);
    }
    return this.known.get(root)!;
  }
}

export function equalFuncs(a: Func, b: Func, numbering = new Numbering()): boolean {
  const same = (x: readonly unknown[], y: readonly unknown[]): boolean =>
    x.length === y.length && x.every((one, i) => one === y[i]);
  const numbers = (values: readonly Value[]): number[] => values.map((v) => numbering.of(v));
  return (
    a.name === b.name &&
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
