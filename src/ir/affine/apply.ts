/**
 * From a structured matrix back to values: applied to tokens factor by factor, or multiplied out. Costs are multiply-adds a token.
 *
 * The Kronecker product is applied by vec(C X Dᵀ) = (C (x) D) vec(X) with row-major vec; a sum of kernels C_k (x) (A_k B_k) is three
 * contractions whatever the number of kernels, and no value of the size of the product exists.
 */
import type { Builder } from '../ops/builder.js';
import { sizeOf } from '../ops/shapes.js';
import type { Value } from '../types.js';
import { dense, diagonal, eye, isIntricate, type Matrix, perMatrix, product, rows, sum, transposed } from './matrix.js';

type MatrixOf<K extends Matrix['kind']> = Extract<Matrix, { kind: K }>;

/** Multiply-adds for one token when the structure is followed. */
export const applyCost = perMatrix((m: Matrix): number => {
  const add = (n: number, x: Matrix): number => n + applyCost(x);
  switch (m.kind) {
    case 'zero':
    case 'identity':
      return 0;
    case 'diagonal':
      return m.out;
    case 'dense':
      return m.out * m.in;
    case 'product':
      return applyCost(m.left) + applyCost(m.right);
    case 'sum':
      return m.terms.reduce(add, (m.terms.length - 1) * m.out);
    case 'rows':
      return m.parts.reduce(add, 0);
    case 'cols':
      return m.parts.reduce(add, (m.parts.length - 1) * m.out);
    case 'kron':
      return kronCost(m);
    case 'operator':
      return m.cost;
  }
});

/** Following a structure may cost more than the dense matrix, for the sake of what cancels or is cut later; not much more. */
const MOST_COST = 4;

/** The matrix, multiplied out where its structure is not worth following. */
export const followed = (b: Builder, m: Matrix): Matrix =>
  isIntricate(m) || applyCost(m) > MOST_COST * m.out * m.in ? dense(materialise(b, m)) : m;

function kronCost(m: MatrixOf<'kron'>): number {
  const [first, second] = splitKron(m.right);
  return m.left.in * (second ? applyCost(second) : 0) + first.in * applyCost(m.left) + m.left.out * applyCost(first);
}

/** Multiply-adds to multiply the matrix out. */
export const materialiseCost = perMatrix((m: Matrix): number => {
  if (m.source) return 0;
  const size = m.out * m.in;
  switch (m.kind) {
    case 'zero':
    case 'identity':
    case 'diagonal':
    case 'dense':
      return 0;
    case 'kron':
      return size + materialiseCost(m.left) + materialiseCost(m.right);
    case 'sum':
      return m.terms.reduce((n, x) => n + materialiseCost(x), m.terms.length * size);
    case 'rows':
    case 'cols':
      return m.parts.reduce((n, x) => n + materialiseCost(x), 0);
    case 'operator':
      return m.in * m.cost;
    case 'product':
      return productPlan(m).cost;
  }
});

/** How to multiply left · right out: as matrices, or by applying one, factored, to the rows or columns of the other. */
function productPlan(m: MatrixOf<'product'>): { how: 'dense' | 'right' | 'left'; cost: number } {
  const left = materialiseCost(m.left);
  const right = materialiseCost(m.right);
  const plans = [
    { how: 'dense' as const, cost: left + right + m.out * m.left.in * m.in },
    { how: 'right' as const, cost: left + m.out * transposedCost(m.right) },
    { how: 'left' as const, cost: right + m.in * applyCost(m.left) },
  ];
  return plans.reduce((best, p) => (p.cost < best.cost ? p : best));
}

/** Cost of applying the transpose: that of the factors seen from the other side, which differs only in the kernels' order. */
const transposedCost = perMatrix((m: Matrix): number => {
  if (m.kind === 'operator') return materialiseCost(m) + m.out * m.in;
  if (m.kind === 'kron') {
    const [first, second] = splitKron(m.right);
    return (
      m.left.out * transposedCost(first) +
      first.in * applyCost(m.left) +
      m.left.in * (second ? transposedCost(second) : 0)
    );
  }
  if (m.kind === 'product') return transposedCost(m.left) + transposedCost(m.right);
  if (m.kind === 'sum') return m.terms.reduce((n, x) => n + transposedCost(x), (m.terms.length - 1) * m.in);
  return applyCost(m);
});

/** The low-rank factors A · B of a Kronecker product's second factor; B is absent where it is not a product. */
function splitKron(m: Matrix): [first: Matrix, second: Matrix | undefined] {
  return m.kind === 'product' && m.left.kind !== 'diagonal' && m.right.kind !== 'diagonal'
    ? [m.left, m.right]
    : [m, undefined];
}

/** M as one value [out, in]. */
export function materialise(b: Builder, m: Matrix): Value {
  if (m.source) return m.source;
  switch (m.kind) {
    case 'zero':
      return b.constant(0, 'f32', [m.out, m.in]);
    case 'identity':
      return eye(b, m.out);
    case 'diagonal':
      return b.mul(eye(b, m.out), column(b, m.scale));
    case 'dense':
      return m.value;
    case 'operator':
      return b.transpose(m.run(b, eye(b, m.in)));
    case 'kron':
      return b.kron(materialise(b, m.left), materialise(b, m.right));
    case 'rows':
      return b.concat(
        m.parts.map((x) => materialise(b, x)),
        0,
      );
    case 'cols':
      return b.concat(
        m.parts.map((x) => materialise(b, x)),
        1,
      );
    case 'sum':
      return m.terms.map((x) => materialise(b, x)).reduce((x, y) => b.add(x, y));
    case 'product': {
      if (m.left.kind === 'diagonal') return b.mul(materialise(b, m.right), column(b, m.left.scale));
      if (m.right.kind === 'diagonal') return b.mul(materialise(b, m.left), m.right.scale);
      const { how } = productPlan(m);
      if (how === 'dense') return b.matmul(materialise(b, m.left), materialise(b, m.right));
      // Rows of L·R are Rᵀ applied to the rows of L; columns of L·R are L applied to the columns of R.
      if (how === 'right') return apply(b, transposed(b, m.right), materialise(b, m.left));
      return b.transpose(apply(b, m.left, b.transpose(materialise(b, m.right))));
    }
  }
}

const column = (b: Builder, scale: Value): Value =>
  scale.type.shape.length === 0 ? scale : b.reshape(scale, [scale.type.shape[0] ?? 1, 1]);

/** M applied to the last axis of x, following M's structure: [..., in] -> [..., out]. */
export function apply(b: Builder, m: Matrix, x: Value): Value {
  const lead = x.type.shape.slice(0, -1);
  switch (m.kind) {
    case 'zero':
      return b.constant(0, x.type.dtype, [...lead, m.out]);
    case 'identity':
      return x;
    case 'diagonal':
      return b.mul(x, m.scale);
    case 'dense':
      return b.linear(x, m.value);
    case 'operator':
      return b.reshape(m.run(b, b.reshape(x, [sizeOf(lead), m.in])), [...lead, m.out]);
    case 'product': {
      const [scale, rest] = scalarOf(m);
      if (scale && rest.kind !== 'dense' && rest.kind !== 'operator') return apply(b, scaleInto(b, rest, scale), x);
      return apply(b, m.left, apply(b, m.right, x));
    }
    case 'sum': {
      const kernels = kernelsOf([m]);
      if (kernels) return applyKernels(b, kernels, x);
      return m.terms.map((t) => apply(b, t, x)).reduce((p, q) => b.add(p, q));
    }
    case 'kron': {
      const kernels = kernelsOf([m]);
      return kernels ? applyKernels(b, kernels, x) : applyKron(b, m, x);
    }
    case 'rows': {
      const kernels = kernelsOf(m.parts);
      if (kernels) return applyKernels(b, kernels, x);
      return b.concat(
        m.parts.map((p) => apply(b, p, x)),
        -1,
      );
    }
    case 'cols': {
      let at = 0;
      const parts = m.parts.map((p) => {
        const cut = b.sliceAxis(x, -1, at, at + p.in);
        at += p.in;
        return apply(b, p, cut);
      });
      return parts.reduce((p, q) => b.add(p, q));
    }
  }
}

/** A scalar on either side of a product, and the other side. */
function scalarOf(m: MatrixOf<'product'>): [scale: Value | undefined, rest: Matrix] {
  if (m.left.kind === 'diagonal' && m.left.scale.type.shape.length === 0) return [m.left.scale, m.right];
  if (m.right.kind === 'diagonal' && m.right.scale.type.shape.length === 0) return [m.right.scale, m.left];
  return [undefined, m];
}

/** s·M with the scalar multiplied into M's smallest factor, which is a parameter's size, not the tokens'. */
function scaleInto(b: Builder, m: Matrix, s: Value): Matrix {
  switch (m.kind) {
    case 'dense':
      return dense(b.mul(m.value, s));
    case 'product':
      if (m.left.kind === 'diagonal') return product(b, diagonal(m.out, b.mul(m.left.scale, s)), m.right);
      return product(b, scaleInto(b, m.left, s), m.right);
    case 'kron':
      return { kind: 'kron', out: m.out, in: m.in, left: m.left, right: scaleInto(b, m.right, s) };
    case 'sum':
      return sum(
        b,
        m.terms.map((t) => scaleInto(b, t, s)),
      );
    case 'rows':
      return rows(
        b,
        m.parts.map((p) => scaleInto(b, p, s)),
      );
    case 'cols':
      return { ...withoutSource(m), parts: m.parts.map((p) => scaleInto(b, p, s)) };
    case 'identity':
    case 'diagonal':
    case 'operator':
      return product(b, diagonal(m.out, s), m);
    case 'zero':
      return m;
  }
}

function withoutSource<M extends Matrix>(m: M): M {
  const { source: _, ...rest } = m;
  return rest as M;
}

interface Kernel {
  /** [o1, i1] */
  readonly c: Value;
  /** Of each row part: [o2, r]. */
  readonly a: readonly Value[];
  /** [r, i2] */
  readonly b: Value;
}

/**
 * Row parts that are each a sum of kernels C_k (x) (A_k,p B_k) with the same C_k and B_k and one shape throughout: the form that one
 * batched contraction can apply.
 */
function kernelsOf(parts: readonly Matrix[]): Kernel[] | undefined {
  const lists = parts.map((p) => (p.kind === 'sum' ? p.terms : [p]));
  const first = lists[0]!;
  const kernels: Kernel[] = [];
  for (let k = 0; k < first.length; k++) {
    const a: Value[] = [];
    let c: Value | undefined;
    let right: Value | undefined;
    for (const list of lists) {
      const m = list[k];
      if (list.length !== first.length || m?.kind !== 'kron' || m.left.kind !== 'dense') return undefined;
      const [up, down] = splitKron(m.right);
      if (up.kind !== 'dense' || down?.kind !== 'dense') return undefined;
      c ??= m.left.value;
      right ??= down.value;
      if (c !== m.left.value || right !== down.value) return undefined;
      a.push(up.value);
    }
    kernels.push({ c: c!, a, b: right! });
  }
  const shapeOf = (k: Kernel): string => [k.c, k.b, ...k.a].map((v) => v.type.shape.join('x')).join(' ');
  const one = shapeOf(kernels[0]!);
  const same = kernels.every(
    (k) => shapeOf(k) === one && shapeOf({ ...k, a: [k.a[0]!] }) === shapeOf({ ...k, a: [k.a.at(-1)!] }),
  );
  return same ? kernels : undefined;
}

/**
 * T = X Bᵀ, U = C T, Y = U Aᵀ over all kernels at once; row parts share T and U. Axes in front stay apart, so that passes see which tokens
 * are read.
 */
function applyKernels(b: Builder, kernels: readonly Kernel[], x: Value): Value {
  const lead = x.type.shape.slice(0, -1);
  const n = kernels.length;
  const { c, a, b: down } = kernels[0]!;
  const [o1, i1] = c.type.shape as [number, number];
  const [r, i2] = down.type.shape as [number, number];
  const o2 = a[0]!.type.shape[0]!;
  const parts = a.length;
  /** [..., p, q, s] -> [..., q, p, s]; its own inverse. */
  const exchanged = (v: Value): Value => {
    const rank = v.type.shape.length;
    const front = Array.from({ length: rank - 3 }, (_, axis) => axis);
    return b.transpose(v, [...front, rank - 2, rank - 3, rank - 1]);
  };
  const downs = stack(
    b,
    kernels.map((k) => k.b),
    [n * r, i2],
  );
  const t = b.linear(b.reshape(x, [...lead, i1, i2]), downs);
  let u: Value;
  if (n === 1) {
    u = b.matmul(c, t);
  } else {
    const byKernel = exchanged(b.reshape(t, [...lead, i1, n, r]));
    const mixed = b.matmul(
      stack(
        b,
        kernels.map((k) => k.c),
        [n, o1, i1],
      ),
      byKernel,
    );
    u = b.reshape(exchanged(mixed), [...lead, o1, n * r]);
  }
  // [parts·o2, n·r]: for each part the kernels' A side by side.
  const ups = b.concat(
    Array.from({ length: parts }, (_, p) =>
      b.concat(
        kernels.map((k) => k.a[p]!),
        1,
      ),
    ),
    0,
  );
  const y = b.linear(u, ups);
  if (parts === 1) return b.reshape(y, [...lead, o1 * o2]);
  return b.reshape(exchanged(b.reshape(y, [...lead, o1, parts, o2])), [...lead, parts * o1 * o2]);
}

/** Equal shapes stacked along axis 0 and reshaped; parts cut from one parameter in order are that parameter. */
function stack(b: Builder, values: readonly Value[], shape: readonly number[]): Value {
  const whole = wholeOf(values);
  return b.reshape(whole ?? b.concat(values, 0), shape);
}

/** The value of which these are the consecutive entries along axis 0, all of them, if there is one. */
function wholeOf(values: readonly Value[]): Value | undefined {
  let whole: Value | undefined;
  for (const [k, v] of values.entries()) {
    const cut = v.op === 'reshape' ? v.inputs[0]! : v;
    if (cut.op !== 'slice') return undefined;
    const from = cut.inputs[0]!;
    whole ??= from;
    const { start, end } = cut.attrs;
    const all = from.type.shape.every((d, i) => i === 0 || (start[i] === 0 && end[i] === d));
    if (from !== whole || !all || start[0] !== k || end[0] !== k + 1) return undefined;
  }
  return whole?.type.shape[0] === values.length ? whole : undefined;
}

function applyKron(b: Builder, m: MatrixOf<'kron'>, x: Value): Value {
  const lead = x.type.shape.slice(0, -1);
  const [first, second] = splitKron(m.right);
  const grid = b.reshape(x, [...lead, m.left.in, m.right.in]);
  const narrow = second ? apply(b, second, grid) : grid;
  const turned = b.matrixTranspose(narrow);
  const mixed = b.matrixTranspose(apply(b, m.left, turned));
  return b.reshape(apply(b, first, mixed), [...lead, m.out]);
}
