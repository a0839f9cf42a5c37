/**
 * Zeros in what ships. A mask says what was pruned, and a merge may fill it in again; so zeros are counted twice, in the base with its
 * masks and in the very tensors that are packed, and the summary says both. A base that arrives sparse is counted like a masked one.
 *
 * The counter sees one tensor at a time and keeps numbers alone.
 */
import type { TensorZeros, Zeros } from '../../runtime/program/program.js';
import type { Elaborated } from '../dsl/elaborated.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { rootsOf, topological } from '../ir/graph.js';
import { OPS } from '../ir/ops/index.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { toHalf } from '../ir/run/half.js';
import type { Elements, Module, Tensor, Value } from '../ir/types.js';
import { matrixOf } from '../prune/scores.js';

/** A matrix of the base with this share of zeros is taken as pruned by whoever made it; training leaves none. */
const SPARSE = 0.1;

interface Weight {
  readonly name: string;
  readonly mask?: { readonly name: string; readonly over: 'base' | 'sum' };
  /** From the checkpoint of the backbone. */
  readonly base: boolean;
}

/**
 * Shown every parameter's tensor as it is packed, it counts the zeros of those that a mask covers or that arrived sparse.
 */
export class ZeroCounter {
  /** Parameter that ships -> the weight that it is, or is computed from. */
  readonly #weightOf: ReadonlyMap<string, Weight>;
  readonly #taken = new Map<string, TensorZeros>();
  /** The same for every parameter of the backbone, whatever it is; how many elements these are, and zeros by what ships. */
  readonly #backbone: { readonly of: ReadonlyMap<string, Weight>; readonly elements: number };
  readonly #zeros = new Map<string, number>();
  /** Names of the model's parameters in their order, in which the result is. */
  readonly #order: readonly string[];

  /**
   * @param module The optimised one: which parameters it prepares, and from what.
   * @param get The parameters as they were loaded, and the masks; asked for those of one weight at a time.
   */
  constructor(
    elaborated: Elaborated,
    module: Module,
    private readonly get: (name: string) => Tensor,
  ) {
    const masks = new Map(
      elaborated.prune.flatMap(({ over, targets }) =>
        targets.map(({ param, mask }) => [param, { name: mask, over }] as const),
      ),
    );
    const base = new Set(elaborated.sources.filter((s) => s.kind === 'backbone').flatMap((s) => s.params));
    const weights = new Map<string, Weight>();
    for (const name of multiplied(elaborated.module)) {
      const mask = masks.get(name);
      if (mask || base.has(name)) weights.set(name, { name, base: base.has(name), ...(mask ? { mask } : {}) });
    }
    this.#weightOf = shippedFor(module, weights);
    const own = [...base].map((name): [string, Weight] => [name, weights.get(name) ?? { name, base: true }]);
    const elements = own.reduce((n, [name]) => n + sizeOf(elaborated.module.params.get(name)!.type.shape), 0);
    this.#backbone = { of: shippedFor(module, new Map(own)), elements };
    this.#order = [...elaborated.module.params.keys()];
  }

  /**
   * A parameter's tensor as it goes into the program, and the type in which it is stored: small elements become zero as `f16`. A second time
   * it is the same one in another layout.
   */
  take(param: string, tensor: Tensor, stored = 'f32'): void {
    const count = (): number =>
      stored === 'f16' ? countZeros(tensor.data.map((v) => toHalf(v) & 0x7fff)) : countZeros(tensor.data);
    if (this.#backbone.of.has(param) && !this.#zeros.has(param)) this.#zeros.set(param, count());
    const weight = this.#weightOf.get(param);
    if (!weight || this.#taken.has(param)) return;
    const { data, type } = this.get(weight.name);
    if (data.length !== tensor.data.length) return;
    const own = countZeros(data);
    const arrived = weight.base && own >= SPARSE * data.length;
    if (!weight.mask && !arrived) return;
    this.#taken.set(param, {
      name: weight.name,
      elements: data.length,
      before: weight.mask ? countZeros(data, this.get(weight.mask.name).data) : own,
      zeros: this.#zeros.get(param) ?? count(),
      ...(weight.mask ? { mask: weight.mask.over } : {}),
      ...(arrived ? { arrived: isTwoOfFour(data, type.shape) ? '2:4' : 'unstructured' } : {}),
    });
  }

  /** What was counted; undefined where nothing is masked or arrived sparse. */
  result(): Zeros | undefined {
    const at = new Map(this.#order.map((name, i) => [name, i]));
    const tensors = [...this.#taken.values()].sort((a, b) => at.get(a.name)! - at.get(b.name)!);
    if (tensors.length === 0) return undefined;
    const { elements } = this.#backbone;
    const zeros = [...this.#zeros.values()].reduce((n, z) => n + z, 0);
    const sum = (of: (t: TensorZeros) => number): number => tensors.reduce((n, t) => n + of(t), 0);
    return {
      elements: sum((t) => t.elements),
      before: sum((t) => t.before),
      zeros: sum((t) => t.zeros),
      filled: sum((t) => Math.max(0, t.before - t.zeros)),
      tensors,
      ...(elements > 0 ? { backbone: { elements, zeros } } : {}),
    };
  }
}

/** Zeros of a tensor, or of its product with a mask. */
function countZeros(data: Elements, mask?: Elements): number {
  let n = 0;
  for (let i = 0; i < data.length; i++) if (data[i] === 0 || mask?.[i] === 0) n++;
  return n;
}

/** Whether of every four neighbouring inputs of an output at least two are zero. */
function isTwoOfFour(data: Elements, shape: readonly number[]): boolean {
  if (matrixOf(shape).cols % 4 !== 0) return false;
  for (let i = 0; i < data.length; i += 4) if (countZeros(data.subarray(i, i + 4)) < 2) return false;
  return true;
}

/** Parameters of at least two axes that a contraction multiplies what depends on the input by. */
function multiplied(module: Module): Set<string> {
  const weights = topological(rootsOf(module.funcs.get('infer')!)).flatMap((v) =>
    OPS[v.op].family === 'contraction' && dependsOnInput(v) ? v.inputs.filter((x) => !dependsOnInput(x)) : [],
  );
  const names = topological(weights).flatMap((v) =>
    v.op === 'param' && v.type.shape.length > 1 ? [v.attrs.name] : [],
  );
  return new Set(names);
}

/** Parameters of the optimised module by the weight that each stands for: the weight itself, or the first that a prepared one is computed from. */
function shippedFor(module: Module, weights: ReadonlyMap<string, Weight>): Map<string, Weight> {
  const found = new Map(weights);
  for (const { name, value } of module.funcs.get('prepare')?.results ?? []) {
    const seen = new Set<Value>([value]);
    for (const v of seen) {
      const weight = v.op === 'param' ? weights.get(v.attrs.name) : undefined;
      if (weight) {
        found.set(name, weight);
        break;
      }
      for (const x of v.inputs) seen.add(x);
    }
  }
  return found;
}
