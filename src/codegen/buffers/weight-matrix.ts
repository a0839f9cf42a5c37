/**
 * Weights of matrix products that are packed when they are loaded. A product reads a matrix out of a parameter; what is stored is that parameter
 * (or a part of it) by a tiled layout, which the first product that reads it chooses. Whatever way round another product reads the same matrix
 * (x·Wᵀ and dy·W), it reads the same buffer.
 */
import { rootsOf, topological } from '../../ir/graph.js';
import { isView, traitsOf } from '../../ir/ops/index.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { showAttrs } from '../../ir/text/print.js';
import type { Func, Value, ValueOf } from '../../ir/types.js';
import type { KeptTiles } from './kept.js';
import { type Layout, tiles } from './layout.js';
import { packedBytes, type Storage } from './pack.js';

/** The parameter that a value is a view of. */
export function viewedParam(v: Value): string | undefined {
  let x = v;
  while (isView(x)) x = x.inputs[0]!;
  return x.op === 'param' ? x.attrs.name : undefined;
}

/** A matrix that a product reads: the elements of `view`, in row-major order, as `shape`. */
export interface WeightMatrix {
  readonly view: Value;
  readonly shape: readonly [number, number];
  /** The axis that the product sums over; its columns are the other one. */
  readonly inputs: 0 | 1;
}

/** A matrix, where its elements lie, and as what they are stored. */
export interface PackedWeight {
  readonly param: string;
  readonly view: Value;
  readonly layout: Layout;
  readonly storage: Storage;
  /** The tiles that are stored, where others are zero and left out. */
  readonly kept?: KeptTiles;
}

/** The matrix of a product, if its second operand is one matrix that comes from a parameter alone. */
export function weightMatrix(v: Value): WeightMatrix | undefined {
  const weight = v.inputs[1];
  if (!weight || viewedParam(weight) === undefined) return undefined;
  const { shape } = weight.type;
  if (v.op === 'matmul') {
    if (sizeOf(shape.slice(0, -2)) > 1) return undefined;
    return unviewed(weight, shape.slice(-2) as [number, number], 0);
  }
  if (traitsOf(v).holds !== 'layer' || ('groups' in v.attrs && v.attrs.groups > 1)) return undefined;
  return unviewed(weight, [shape[0]!, sizeOf(shape.slice(1))], 1);
}

/** The matrix without changes of shape and transpositions on the way to it. */
function unviewed(view: Value, shape: readonly [number, number], inputs: 0 | 1): WeightMatrix {
  if (view.op === 'reshape') return unviewed(view.inputs[0]!, shape, inputs);
  if (view.op === 'transpose' && exchanges(view, shape[0])) {
    return unviewed(view.inputs[0]!, [shape[1], shape[0]], inputs === 0 ? 1 : 0);
  }
  return { view, shape, inputs };
}

/** Whether a transposition exchanges the two axes of its result seen as a matrix of `rows`. */
function exchanges(v: ValueOf<'transpose'>, rows: number): boolean {
  const perm = v.attrs.perm.filter((_, i) => v.type.shape[i]! > 1);
  const order = [...perm].sort((a, b) => a - b);
  const first = order.indexOf(perm[0]!);
  if (!perm.every((p, i) => p === order[(first + i) % perm.length])) return false;
  return sizeOf(perm.slice(0, perm.length - first).map((p) => v.inputs[0]!.type.shape[p]!)) === rows;
}

/** Text that two views share exactly when they take the same elements in the same order. */
export function viewText(view: Value): string {
  return topological([view])
    .map((v) => (v.op === 'param' ? v.attrs.name : `${v.op}${showAttrs(v)} ${v.type.shape.join('x')}`))
    .join(' | ');
}

/** The bytes that one binding holds, and how packed weights are stored. */
export interface PackingLimits {
  readonly binding: number;
  readonly weights: 'f32' | 'f16';
}

/** A packed weight is bound whole; lower.ts sees to it that it fits, save for a weight of few outputs and a million inputs. */
export const fits = (layout: Layout, { binding, weights }: PackingLimits): boolean =>
  packedBytes(layout, weights) <= binding;

/** Whether a product reads its weight packed, as one matrix of tiles. */
export function readsPacked(v: Value, limits: PackingLimits): boolean {
  const matrix = weightMatrix(v);
  return matrix !== undefined && fits(tiles(matrix.shape, matrix.inputs === 0 ? 1 : 0), limits);
}

/** The layouts of the packed weights of some functions. */
export class WeightLayouts {
  private readonly outputs = new Map<string, 0 | 1>();
  /** Matrices that products read both ways round. */
  private readonly turned = new Set<string>();
  private readonly made = new Map<string, PackedWeight>();

  /** @param keptOf The tiles of a matrix that are to be stored; undefined for all */
  constructor(
    private readonly storage: Storage,
    private readonly keptOf: (weight: PackedWeight) => KeptTiles | undefined = () => undefined,
  ) {}

  /** Products of a function: the first of all that reads a matrix chooses its layout. */
  add(func: Func): void {
    for (const v of topological(rootsOf(func))) {
      const matrix = weightMatrix(v);
      if (!matrix) continue;
      const key = keyOf(matrix);
      const outputs = matrix.inputs === 0 ? 1 : 0;
      if (!this.outputs.has(key)) this.outputs.set(key, outputs);
      if (this.outputs.get(key) === outputs) continue;
      if (this.made.get(key)?.kept) throw new Error(`${key} is read across after its tiles were chosen`);
      this.turned.add(key);
    }
  }

  of(matrix: WeightMatrix): PackedWeight {
    const key = keyOf(matrix);
    const known = this.made.get(key);
    if (known) return { ...known, view: matrix.view };
    const outputs = this.outputs.get(key);
    if (outputs === undefined) throw new Error('a matrix of another function');
    const weight: PackedWeight = {
      param: viewedParam(matrix.view)!,
      view: matrix.view,
      layout: tiles(matrix.shape, outputs),
      storage: this.storage,
    };
    // Tiles that are left out are those of strips of outputs, which one way round alone are followed.
    const kept = this.turned.has(key) ? undefined : this.keptOf(weight);
    const made = kept ? { ...weight, kept } : weight;
    this.made.set(key, made);
    return made;
  }
}

const keyOf = ({ view, shape }: WeightMatrix): string => `${shape.join('x')} ${viewText(view)}`;
