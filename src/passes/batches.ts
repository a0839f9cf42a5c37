/**
 * One model at several batch sizes: one set of parameters serves all. A table that is not the same for each gets a name for each; a
 * parameter that is not the same for each is refused.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { paramRef, rewriteFunc, withInputs } from '../ir/graph.js';
import { sameShape, sameType } from '../ir/ops/shapes.js';
import type { Func, Module, Param } from '../ir/types.js';

/** The modules with every name standing for one parameter in all of them. */
export function toldApart(modules: readonly Module[]): Module[] {
  const known = new Map<string, Param>();
  return modules.map((module) => {
    const renamed = new Map<string, Param>();
    const params = new Map<string, Param>();
    for (const [name, p] of module.params) {
      const first = known.get(name);
      if (first && !sameParam(first, p)) {
        if (!p.data) refuse(first, p);
        const other = { ...p, name: freeName(name, p, [known, module.params]) };
        renamed.set(name, other);
        known.set(other.name, other);
        params.set(other.name, other);
        continue;
      }
      known.set(name, p);
      params.set(name, p);
    }
    if (renamed.size === 0) return module;
    const renameIn = (func: Func): Func =>
      rewriteFunc(func, (v, inputs) => {
        const other = v.op === 'param' ? renamed.get(v.attrs.name) : undefined;
        return other ? paramRef(other, v.origin) : withInputs(v, inputs);
      });
    return { ...module, params, funcs: new Map([...module.funcs].map(([name, f]) => [name, renameIn(f)])) };
  });
}

const sameParam = (a: Param, b: Param): boolean =>
  sameType(a.type, b.type) &&
  (a.data === b.data || (a.data?.every((x: number, i: number) => Object.is(x, b.data?.[i])) ?? false));

/** One that is not taken, or that stands for an equal table already. */
function freeName(name: string, p: Param, taken: readonly ReadonlyMap<string, Param>[]): string {
  for (let n = 2; ; n++) {
    const free = `${name}~${n}`;
    const others = taken.flatMap((t) => t.get(free) ?? []);
    if (others.every((o) => sameParam(o, p))) return free;
  }
}

function refuse(first: Param, second: Param): never {
  const { name, origin } = second;
  const [a, b] = [first.type.shape, second.type.shape];
  const span =
    origin?.file !== undefined && origin.start !== undefined && origin.end !== undefined
      ? { file: origin.file, start: origin.start, end: origin.end }
      : undefined;
  if (sameShape(a, b)) throw new Error(`parameter ${name} is declared differently for two batch sizes`);
  throw new EspalierError([
    diagnostic('ESP0606', { name, first: a, second: b }, span ? { primary: { span, text: 'declared here' } } : {}),
  ]);
}
