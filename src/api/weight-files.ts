/** The weight files of a program: what starts as a file has it. Filled tensor by tensor as weights are prepared: no weight is held both as it was and as kernels read it. */

import { HalfOverflow } from '../codegen/buffers/pack.js';
import type { WeightRecipe } from '../codegen/buffers/weights.js';
import type { Generated } from '../codegen/generate.js';
import { diagnostic, type Place } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { reserveSafetensors } from '../formats/tensors/safetensors.js';
import type { Tensor } from '../ir/types.js';

/** Largest file of weights, so that a web server and its caches take it. */
const SHARD_BYTES = 24 * 2 ** 20;

/** The bytes that kernels read. @throws EspalierError ESP0925, at that place, for a weight that f16 cannot hold. */
export function packWeight(recipe: WeightRecipe, tensor: Tensor, place: Place = {}): Uint8Array {
  try {
    return recipe.pack(tensor);
  } catch (error) {
    if (!(error instanceof HalfOverflow)) throw error;
    const { coords, value } = error;
    throw new EspalierError([diagnostic('ESP0925', { name: recipe.param, coords, value }, place)]);
  }
}

/** How a packed weight stands in a file: bytes, whatever they hold. */
export const asBytes = (bytes: number) => ({ dtype: 'U8', shape: [bytes] }) as const;

export class WeightFiles {
  readonly #byParam = new Map<string, WeightRecipe[]>();
  /** Where in the files each recipe's bytes belong. */
  readonly #places = new Map<WeightRecipe, Uint8Array>();
  readonly #missing: Set<string>;
  readonly #see: (recipe: WeightRecipe, tensor: Tensor) => void;
  readonly #placeOf: (param: string) => Place;
  /** Contents by name, in program order, each of at most `SHARD_BYTES` but for a tensor that is larger by itself. */
  readonly files: ReadonlyMap<string, Uint8Array>;

  /**
   * @param see Is shown every tensor as it is packed, once for each layout in which its numbers lie.
   * @param placeOf Where the spec says what a parameter's numbers are, for messages.
   */
  constructor(
    { weights }: Generated,
    see: (recipe: WeightRecipe, tensor: Tensor) => void = () => {},
    placeOf: (param: string) => Place = () => ({}),
  ) {
    this.#see = see;
    this.#placeOf = placeOf;
    const stored = weights.filter((r) => r.entry.start === 'file');
    for (const r of weights) this.#byParam.set(r.param, [...(this.#byParam.get(r.param) ?? []), r]);
    this.#missing = new Set(stored.map((r) => r.param));
    const shards = inShards(stored);
    const digits = (n: number) => String(n).padStart(5, '0');
    this.files = new Map(
      shards.map((recipes, i) => {
        const declared = new Map(recipes.map(({ entry }) => [entry.name, asBytes(entry.bytes)]));
        const { file, places } = reserveSafetensors(declared, { format: 'espalier.weights' });
        for (const r of recipes) this.#places.set(r, places.get(r.entry.name)!);
        const name = shards.length === 1 ? 'weights' : `weights-${digits(i + 1)}-of-${digits(shards.length)}`;
        return [`${name}.safetensors`, file] as const;
      }),
    );
  }

  /** Packs a parameter in every layout that kernels read it in; does nothing for one that none reads. @throws as `packWeight` */
  put(param: string, tensor: Tensor): void {
    for (const recipe of this.#byParam.get(param) ?? []) {
      if (!recipe.list) this.#see(recipe, tensor);
      // What a load prepares is in no file; whether halves can hold it is found out here.
      const place = this.#places.get(recipe);
      if (place || recipe.entry.dtype === 'f16') {
        const bytes = packWeight(recipe, tensor, this.#placeOf(param));
        place?.set(bytes);
      }
    }
    this.#missing.delete(param);
  }

  /** Parameters that kernels read and that were not put yet. */
  missing(): readonly string[] {
    return [...this.#missing];
  }
}

function inShards(weights: readonly WeightRecipe[]): WeightRecipe[][] {
  const shards: WeightRecipe[][] = [[]];
  let size = 0;
  for (const recipe of weights) {
    if (size > 0 && size + recipe.entry.bytes > SHARD_BYTES) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(recipe);
    size += recipe.entry.bytes;
  }
  return shards;
}
