/**
 * A kernel for a number of samples: what the uniform says becomes a number, and so does every size that holds the batch. The verifier and the
 * simulator look at kernels so.
 */
import { BATCH, isBatch, parted, sizeAt } from '../../ir/batch.js';
import { constIndex, div, type Index, mod, scale, sum, variable } from '../read/indexing.js';
import { SAMPLES, u32 } from './expr.js';
import type { Condition, Expr, Kernel, LoweredKernel, Stmt } from './types.js';
import { eachExpr, eachStmt, withExprs, withOperands } from './walk.js';

const isSamples = (e: Expr): boolean => e.kind === 'name' && e.name === SAMPLES;

/** Whether the kernel's text names the uniform. */
export function usesSamples({ main, functions }: Pick<Kernel, 'main' | 'functions'>): boolean {
  let found = false;
  for (const body of [main, ...functions.map((f) => f.body)]) {
    eachStmt(body, (s) => {
      eachExpr(s, (e) => {
        if (isSamples(e)) found = true;
      });
    });
  }
  return found;
}

/** The kernel with its sizes for `samples`. */
export function kernelAt<K extends Kernel | LoweredKernel>(kernel: K, samples: number): K {
  const { forBatch, ...rest } = kernel;
  const at = (x: Index): Index => (forBatch ? indexAt(x, samples) : x);
  const condition = (c: Condition): Condition =>
    forBatch ? { index: at(c.index), below: sizeAt(c.below, samples) } : c;
  const expr = (e: Expr): Expr => {
    if (isSamples(e)) return u32(samples);
    if (e.kind === 'address') return { ...e, index: at(e.index) };
    if (e.kind === 'below') return { ...e, ...condition(e) };
    if (e.kind === 'load') return { ...e, at: at(e.at) };
    return withOperands(e, expr);
  };
  const stmt = (s: Stmt): Stmt => stores(withExprs(s, expr));
  /** Addresses of stores, which are no expressions. */
  const stores = (s: Stmt): Stmt => {
    const all = (body: readonly Stmt[]): Stmt[] => body.map(stores);
    if (s.kind === 'store') return { ...s, at: at(s.at), when: s.when.map(condition) };
    if (s.kind === 'for' || s.kind === 'block') return { ...s, body: all(s.body) };
    if (s.kind !== 'if') return s;
    const cases = s.cases.map((c) => ({ ...c, body: all(c.body) }));
    return { ...s, cases, ...(s.otherwise ? { otherwise: all(s.otherwise) } : {}) };
  };
  const count = <T extends { readonly count: number }>(x: T): T => ({ ...x, count: sizeAt(x.count, samples) });
  return {
    ...(rest as K),
    buffers: kernel.buffers.map(count),
    ...('windows' in kernel ? { windows: kernel.windows.map(count) } : {}),
    functions: kernel.functions.map((f) => ({ ...f, body: f.body.map(stmt) })),
    main: kernel.main.map(stmt),
  };
}

function indexAt(x: Index, samples: number): Index {
  const { times, rest } = parted(x.constant);
  const terms = x.terms.map(({ atom, coeff }) => {
    if (atom.kind === 'var') return scale(variable(atom.name, extentAt(atom.hi + 1, samples)), coeff);
    return scale((atom.kind === 'div' ? div : mod)(indexAt(atom.of, samples), atom.by), coeff);
  });
  return sum(constIndex(times * samples + rest), ...terms);
}

/** The extent of a variable that counts a size, or its parts: ceil(k·b / by) for a small `by`. */
function extentAt(extent: number, samples: number): number {
  if (extent < BATCH / 256) return extent;
  for (let by = 1; by <= 256; by *= 2) {
    const of = extent * by - ((extent * by) % BATCH);
    if (isBatch(of) && Math.ceil(of / by) === extent) return Math.ceil(sizeAt(of, samples) / by);
  }
  return extent;
}
