/** The weight files of a program, filled tensor by tensor as weights are prepared: no weight is held both as it was and as kernels read it. */
import type { Generated } from '../codegen/generate.js';
import { HalfOverflow } from '../codegen/pack.js';
import type { WeightRecipe } from '../codegen/weights.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { encodeSafetensors, type StoredTensor } from '../formats/safetensors.js';
import type { Tensor } from '../ir/types.js';

/** Largest file of weights, so that a web server and its caches take it. */
const SHARD_BYTES = 24 * 2 ** 20;

/** @throws EspalierError ESP0925 for a weight that f16 cannot hold. */
export function packWeight(recipe: WeightRecipe, tensor: Tensor): StoredTensor {
  try {
    const data = recipe.pack(tensor);
    return { dtype: 'U8', shape: [data.byteLength], data };
  } catch (error) {
    if (!(error instanceof HalfOverflow)) throw error;
    const { row, column, value } = error;
    throw new EspalierError([diagnostic('ESP0925', { name: recipe.param, row, column, value })]);
  }
}

export class WeightFiles {
  readonly #recipes: readonly WeightRecipe[];
  readonly #byParam = new Map<string, WeightRecipe[]>();
  readonly #packed = new Map<WeightRecipe, StoredTensor>();

  /** @param see Is shown every tensor as it is packed, once for each layout. */
  constructor(
    { weights }: Generated,
    private readonly see: (recipe: WeightRecipe, tensor: Tensor) => void = () => {},
  ) {
    this.#recipes = weights;
    for (const r of weights) this.#byParam.set(r.param, [...(this.#byParam.get(r.param) ?? []), r]);
  }

  /** Packs a parameter in every layout that kernels read it in; does nothing for one that none reads. @throws as `packWeight` */
  put(param: string, tensor: Tensor): void {
    for (const recipe of this.#byParam.get(param) ?? []) {
      this.see(recipe, tensor);
      this.#packed.set(recipe, packWeight(recipe, tensor));
    }
  }

  /** Parameters that were not put yet. */
  missing(): string[] {
    return [...this.#byParam.keys()].filter((p) => this.#byParam.get(p)!.some((r) => !this.#packed.has(r)));
  }

  /** Shards of at most `SHARD_BYTES` (a larger tensor has one of its own), in program order. Empties this. */
  finish(): Map<string, Uint8Array> {
    const shards: WeightRecipe[][] = [[]];
    let size = 0;
    for (const recipe of this.#recipes) {
      if (size > 0 && size + recipe.entry.bytes > SHARD_BYTES) {
        shards.push([]);
        size = 0;
      }
      shards.at(-1)!.push(recipe);
      size += recipe.entry.bytes;
    }
    const digits = (n: number) => String(n).padStart(5, '0');
    return new Map(
      shards.map((recipes, i) => {
        const tensors = new Map(recipes.map((r) => [r.entry.name, this.#packed.get(r)!]));
        for (const r of recipes) this.#packed.delete(r);
        const name = shards.length === 1 ? 'weights' : `weights-${digits(i + 1)}-of-${digits(shards.length)}`;
        return [`${name}.safetensors`, encodeSafetensors(tensors, { format: 'espalier.weights' })] as const;
      }),
    );
  }
}
