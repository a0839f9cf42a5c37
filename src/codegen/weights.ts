/** The weights of a program: which parameters kernels read, in which layout, and how a parameter's tensor becomes those bytes. */
import type { StorageType, WeightEntry } from '../../runtime/program.js';
import { topological } from '../ir/graph.js';
import type { Reference } from '../ir/ops/define.js';
import { OPS } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { toFloat32 } from '../ir/tensor.js';
import { showAttrs } from '../ir/text.js';
import type { OpName, Param, Tensor, Value } from '../ir/types.js';
import { elementOf, type PackedWeight } from './kernel.js';
import { packedBytes, packTiles } from './pack.js';
import { scalarOf } from './reader.js';

export interface WeightRecipe {
  readonly entry: WeightEntry;
  /** Parameter of the module that the bytes are made from. */
  readonly param: string;
  /**
   * The bytes that kernels read, `entry.bytes` of them.
   * @throws HalfOverflow if f16 storage cannot hold a weight.
   * @throws RangeError if the tensor has another shape than the parameter.
   */
  readonly pack: (tensor: Tensor) => Uint8Array;
}

/** Buffers are padded to whole vec4. */
export const padded = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** Collects recipes while kernels are built; equal uses of a parameter share one. */
export class Weights {
  private readonly byUse = new Map<string, WeightRecipe>();
  private readonly names = new Set<string>();

  constructor(private readonly dtype: 'f32' | 'f16') {}

  recipes(): WeightRecipe[] {
    return [...this.byUse.values()];
  }

  /** Row-major, in the parameter's own element type. */
  rows(param: Param): WeightEntry {
    return this.use(`rows ${param.name}`, () => {
      const element = elementOf(scalarOf(param.type.dtype));
      const bytes = padded(sizeOf(param.type.shape) * 4);
      const entry = this.entry(param.name, element, param.type.shape, 'rows', bytes);
      return { entry, param: param.name, pack: (t) => packRows(check(t, param), element, bytes) };
    });
  }

  tiles(param: Param, packed: PackedWeight): WeightEntry {
    const { view, n, k, transposed } = packed;
    return this.use(`tiles ${n} ${k} ${transposed} ${viewText(view)}`, () => {
      const entry = this.entry(param.name, this.dtype, [n, k], 'tiles:16x32', packedBytes(n, k, this.dtype));
      return {
        entry,
        param: param.name,
        pack: (t) => packTiles(matrixOf(packed, check(t, param)), n, k, this.dtype),
      };
    });
  }

  private entry(
    name: string,
    dtype: StorageType,
    shape: readonly number[],
    layout: string,
    bytes: number,
  ): WeightEntry {
    // A parameter that is read in two layouts is stored twice.
    let unique = name;
    for (let i = 2; this.names.has(unique); i++) unique = `${name}~${i}`;
    this.names.add(unique);
    return { name: unique, dtype, shape, layout, bytes };
  }

  private use(key: string, make: () => WeightRecipe): WeightEntry {
    let recipe = this.byUse.get(key);
    if (!recipe) {
      recipe = make();
      this.byUse.set(key, recipe);
    }
    return recipe.entry;
  }
}

function check(tensor: Tensor, param: Param): Tensor {
  if (tensor.data.length !== sizeOf(param.type.shape)) {
    throw new RangeError(`${param.name} has ${tensor.data.length} elements, not [${param.type.shape.join(', ')}]`);
  }
  return tensor;
}

function packRows(t: Tensor, element: 'f32' | 'i32' | 'u32', bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  const view = { f32: Float32Array, i32: Int32Array, u32: Uint32Array }[element];
  new view(out.buffer).set(t.data);
  return out;
}

/** Text that two views share exactly when they take the same elements in the same order. */
function viewText(view: Value): string {
  return topological([view])
    .map((v) => (v.op === 'param' ? v.attrs.name : `${v.op}${showAttrs(v)} ${v.type.shape.join('x')}`))
    .join(' | ');
}

function evaluateView(view: Value, param: Tensor): Tensor {
  return topological([view]).reduce((x, v): Tensor => {
    if (v.op === 'param') return { type: v.type, data: param.data };
    const reference = OPS[v.op].reference as Reference<OpName>;
    return reference([x], v.attrs, v.type);
  }, param);
}

/** The view as [n, k]: as it is for linear and convolutions, whose weights start with the outputs; transposed for matmul. */
function matrixOf({ view, transposed, n, k }: PackedWeight, param: Tensor): ArrayLike<number> {
  const t = evaluateView(view, param);
  if (!transposed) return toFloat32(t);
  const out = new Float32Array(n * k);
  for (let i = 0; i < k; i++) for (let j = 0; j < n; j++) out[j * k + i] = t.data[i * n + j]!;
  return out;
}
