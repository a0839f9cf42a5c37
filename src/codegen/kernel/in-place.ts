/**
 * Kernels that write over what they read. WebGPU forbids that bindings of one dispatch overlap where one is writable, so such a kernel has one
 * binding for both, and is right only if no element is read after another thread may have written it. Proved is the plain case: there is one
 * store, and every load comes before it in the same call of the same function, in the same turn of the same loop, at the same address. A thread
 * then reads just those elements that it goes on to write, which no other thread writes.
 */
import type { Index } from '../read/indexing.js';
import type { Kernel, KernelFunction, Stmt } from './types.js';
import { bodiesOf, eachExpr, withExprs, withOperands } from './walk.js';

interface Site {
  /** The body of the function, and those in it that lead to the statement. */
  readonly bodies: readonly (readonly Stmt[])[];
  /** Of these, how many up to the innermost loop's, counted from the outside. */
  readonly loop: number;
  /** Place of the statement among all of its function. */
  readonly order: number;
  readonly at: Index;
  /** Whether the access may be of another element than the address says, or of none. */
  readonly open: boolean;
}

interface Sites {
  readonly loads: Site[];
  readonly stores: Site[];
}

interface Function_ {
  readonly body: readonly Stmt[];
  readonly inputs: readonly { readonly name: string }[];
}

/**
 * Why `result` could not be written in the place of `operand`; undefined if it could. The two may be one buffer, which the kernel reads and
 * writes: then this is why that is not known to be right.
 */
export function notInPlace(kernel: Kernel, operand: string, result: string): string | undefined {
  const functions: Function_[] = [
    { body: kernel.main, inputs: kernel.inputs },
    ...kernel.functions.map((f) => ({ body: f.body, inputs: f.params })),
  ];
  let store: { readonly site: Site; readonly of: Function_ } | undefined;
  const loads: { readonly site: Site; readonly of: Function_ }[] = [];
  for (const of of functions) {
    const found = sitesIn(of.body, operand, result);
    for (const site of found.loads) loads.push({ site, of });
    for (const site of found.stores) {
      if (store) return 'it is written at several places';
      store = { site, of };
    }
  }
  if (!store) return 'it is not written';
  if (store.site.open) return 'not all that is read is written';
  const { site: to, of } = store;
  for (const { site, of: reader } of loads) {
    if (reader !== of) return 'it is read in another function than it is written in';
    if (site.at.key !== to.at.key) return 'other elements are read than are written';
    if (site.open) return 'what is read may lie outside';
    if (site.order > to.order) return 'it is read after it was written';
    // Whoever reads comes to the store too, in the same turn of every loop.
    const together = to.bodies.every((b, i) => b === site.bodies[i]);
    if (!together || site.loop > to.bodies.length) return 'it is not written wherever it is read';
    if (leaves(of.body, site.order, to.order)) return 'it is not written wherever it is read';
  }
  return loads.length > 0 ? ambiguous(of, to.at) : undefined;
}

function sitesIn(body: readonly Stmt[], operand: string, result: string): Sites {
  const found: Sites = { loads: [], stores: [] };
  let order = 0;
  const visit = (list: readonly Stmt[], above: readonly (readonly Stmt[])[], loop: number): void => {
    const bodies = [...above, list];
    for (const s of list) {
      const here = { bodies, loop, order: order++ };
      eachExpr(s, (e) => {
        if (e.kind === 'load' && e.buffer === operand) found.loads.push({ ...here, at: e.at, open: e.speculative });
      });
      if (s.kind === 'store' && s.buffer === result) {
        const open = s.when.some((c) => !(c.index.lo >= 0 && c.index.hi < c.below));
        found.stores.push({ ...here, at: s.at, open });
      }
      for (const inner of bodiesOf(s)) visit(inner, bodies, s.kind === 'for' ? bodies.length + 1 : loop);
    }
  };
  visit(body, [], 0);
  return found;
}

/** Whether a statement after one place and before another may end the function. */
function leaves(body: readonly Stmt[], from: number, to: number): boolean {
  let order = 0;
  let found = false;
  const visit = (list: readonly Stmt[]): void => {
    for (const s of list) {
      const here = order++;
      if (s.kind === 'return' && here > from && here < to) found = true;
      for (const inner of bodiesOf(s)) visit(inner);
    }
  };
  visit(body);
  return found;
}

/** The same address is the same place only if each of its names stands for one value. */
function ambiguous({ body, inputs }: Function_, at: Index): string | undefined {
  const values = new Map<string, number>(inputs.map((p) => [p.name, 1]));
  const visit = (list: readonly Stmt[]): void => {
    for (const s of list) {
      if (s.kind === 'let' || s.kind === 'for') values.set(s.name, (values.get(s.name) ?? 0) + 1);
      // A variable has many.
      if (s.kind === 'var') values.set(s.name, 2);
      for (const inner of bodiesOf(s)) visit(inner);
    }
  };
  visit(body);
  const several = namesIn(at).find((name) => (values.get(name) ?? 1) > 1);
  return several === undefined ? undefined : `${several} stands for several values`;
}

function namesIn(x: Index): string[] {
  return x.terms.flatMap(({ atom }) => (atom.kind === 'var' ? [atom.name] : namesIn(atom.of)));
}

/** The kernel with every load of `operand` one of `result`, in whose place it lies. Functions that do not read it are the same ones. */
export function inPlace(kernel: Kernel, operand: string, result: string): Kernel {
  const reads = (body: readonly Stmt[]): boolean => sitesIn(body, operand, result).loads.length > 0;
  const over = (body: readonly Stmt[]): Stmt[] => body.map((s) => withExprs(s, expr));
  const expr: Parameters<typeof withExprs>[1] = (e) =>
    e.kind === 'load' && e.buffer === operand ? { ...e, buffer: result } : withOperands(e, expr);
  const functions = kernel.functions.map((f): KernelFunction => (reads(f.body) ? { ...f, body: over(f.body) } : f));
  const main = reads(kernel.main) ? over(kernel.main) : kernel.main;
  return { ...kernel, buffers: kernel.buffers.filter((b) => b.name !== operand), functions, main };
}
