/** The weights of a program: which parameters kernels read, in which layout, and how a parameter's tensor becomes those bytes. */
import type { StorageType, WeightEntry } from '../../../runtime/program/program.js';
import { topological } from '../../ir/graph.js';
import type { Reference } from '../../ir/ops/define.js';
import { OPS } from '../../ir/ops/index.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { partsOf } from '../../ir/parts.js';
import type { Module, OpName, Param, Tensor, Value } from '../../ir/types.js';
import { ELEMENT_BYTES } from '../kernel/uses.js';
import { elementOf } from '../kernel.js';
import { scalarOf } from '../read/reader.js';
import { type KeptList, packKept } from './kept.js';
import { TILE_K, TILE_N } from './layout.js';
import { pack, packedBytes, storageBytes } from './pack.js';
import { type PackedWeight, viewText } from './weight-matrix.js';

export interface WeightRecipe {
  readonly entry: WeightEntry;
  /** Parameter of the module that the bytes are made from. */
  readonly param: string;
  /** How they lie there, if not row by row. */
  readonly packed?: PackedWeight;
  /** It holds no numbers of the tensor, but where those lie that another recipe holds. */
  readonly list?: KeptList;
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

  /** The state that others lie in, and where each does, by their names. */
  private readonly within = new Map<string, { readonly whole: Param; readonly start: number }>();

  /**
   * @param prepared Whether the entry `prepare` writes a parameter's tensor, in the layout asked for (default: a file has all)
   */
  constructor(
    private readonly module: Pick<Module, 'params'>,
    private readonly prepared: (param: Param, packed: boolean) => boolean = () => false,
  ) {
    for (const whole of module.params.values())
      for (const { param, start } of partsOf(module, whole)) this.within.set(param.name, { whole, start });
  }

  recipes(): WeightRecipe[] {
    return [...this.byUse.values()];
  }

  /** Row-major, in the parameter's own element type. A state that others lie in comes with them, and each of them with it. */
  rows(param: Param): WeightEntry {
    const { whole = param } = this.within.get(param.name) ?? {};
    const found = this.rowsAlone(whole);
    const parts = new Map(partsOf(this.module, whole).map((p) => [p.param.name, this.rowsAlone(p.param)]));
    return parts.get(param.name) ?? found;
  }

  private rowsAlone(param: Param): WeightEntry {
    return this.use(`rows ${param.name}`, () => {
      const element = elementOf(scalarOf(param.type.dtype));
      const bytes = padded(sizeOf(param.type.shape) * 4);
      const entry = this.entry(param, element, param.type.shape, 'rows', bytes);
      return { entry, param: param.name, pack: (t) => packRows(check(t, param), element, bytes) };
    });
  }

  packed(param: Param, packed: PackedWeight): WeightEntry {
    const { view, layout, storage, kept } = packed;
    return this.use(`packed ${layout.text} ${viewText(view)}`, () => {
      // Outputs, which the first digit counts, before inputs.
      const shape = layout.digits[0]!.axis === 0 ? layout.shape : layout.shape.toReversed();
      const name = `${kept ? 'kept' : 'tiles'}:${TILE_K}x${TILE_N}`;
      const bytes = kept ? kept.blocks.length * TILE_K * TILE_N * storageBytes(storage) : packedBytes(layout, storage);
      const dense = (t: Tensor): Uint8Array =>
        pack(evaluateView(view, check(t, param)).data, layout, storage, view.type.shape);
      return {
        entry: this.entry(param, storage, shape, name, bytes),
        param: param.name,
        packed,
        pack: kept ? (t) => packKept(dense(t), kept) : dense,
      };
    });
  }

  /** Which tiles of a packed weight are stored. */
  keptList(param: Param, { layout, kept, view }: PackedWeight, list: KeptList): WeightEntry {
    return this.use(`${list} ${layout.text} ${viewText(view)}`, () => {
      const numbers = kept![list];
      const bytes = padded(4 * numbers.length);
      const out = new Uint8Array(bytes);
      new Uint32Array(out.buffer).set(numbers);
      return {
        entry: this.entry(param, 'u32', [numbers.length], list, bytes),
        param: param.name,
        list,
        pack: () => out,
      };
    });
  }

  private entry(
    param: Param,
    dtype: StorageType,
    shape: readonly number[],
    layout: string,
    bytes: number,
  ): WeightEntry {
    // A parameter that is read in two layouts is stored twice.
    let name = param.name;
    for (let i = 2; this.names.has(name); i++) name = `${param.name}~${i}`;
    this.names.add(name);
    const zeros = param.role === 'state' && (param.init?.kind === 'zeros' || param.parts !== undefined);
    const start = this.prepared(param, layout !== 'rows') ? 'prepare' : zeros ? 'zeros' : 'file';
    const own = this.within.get(param.name);
    const within = own ? { within: { weight: own.whole.name, offset: own.start * ELEMENT_BYTES } } : {};
    return { name, parameter: param.name, dtype, shape, layout, bytes, start, ...within };
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

/** The elements of a view of a parameter. */
export function evaluateView(view: Value, param: Tensor): Tensor {
  return topological([view]).reduce((x, v): Tensor => {
    if (v.op === 'param') return { type: v.type, data: param.data };
    const reference = OPS[v.op].reference as Reference<OpName>;
    return reference([x], v.attrs, v.type);
  }, param);
}
