/**
 * On which weights an adapter was trained, as its file says: `espalier.base` in the metadata of a safetensors file. It holds a few numbers of some weights of the base,
 * not a digest: a copy of the base in halves is the same base, and of another one it can be said how far away it is. Names are those of our parameters without the
 * name that a spec gives the base, so shards, prefixes and layouts of checkpoints play no part.
 *
 *     {"name":"vit-base","weights":{"blocks.0.attn.qkv.weight":{"shape":[2304,768],"values":[0.0123,-0.0456]}}}
 */
import * as v from 'valibot';
import type { Tensor } from '../../ir/types.js';

/** In the metadata of a safetensors file. */
export const TRAINED_ON = 'espalier.base';

/** So many weights, evenly spread over the base, and so many numbers of each are kept: some 6 KB. */
const WEIGHTS = 48;
const NUMBERS = 12;

/** Halves with 8 binary digits (bfloat16) are at most 2^-8 of a number away from it; those of IEEE lose what is below 2^-25. */
const RELATIVE = 0.004;
const ABSOLUTE = 2 ** -24;

const record = v.looseObject({
  name: v.string(),
  weights: v.record(v.string(), v.looseObject({ shape: v.array(v.number()), values: v.array(v.number()) })),
});

export interface TrainedOn {
  /** What the base is called: a repository, or the last part of a path. */
  readonly name: string;
  readonly weights: Readonly<Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>>;
}

/** How far a base is from the one of a record. */
export interface OtherWeights {
  /** Weights that both have. */
  readonly compared: number;
  readonly differing: readonly string[];
  /** The median over the numbers of those of the difference, in parts of the larger of the two. */
  readonly apart: number;
}

/** A record of some weights of a base. @param weights by name, in the order of the model */
export function trainedOn(name: string, weights: ReadonlyMap<string, Tensor>): TrainedOn {
  const all = [...weights];
  const count = Math.min(all.length, WEIGHTS);
  const chosen = Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
  const entries = chosen.map(([weight, { type, data }]) => {
    const values = places(data.length, NUMBERS).map((at) => Number(data[at]!.toPrecision(6)));
    return [weight, { shape: [...type.shape], values }] as const;
  });
  return { name, weights: Object.fromEntries(entries) };
}

/** Indices that are spread over all elements, and along no axis in equal steps. */
function places(size: number, count: number): number[] {
  const golden = (Math.sqrt(5) - 1) / 2;
  return Array.from({ length: count }, (_, i) => Math.floor((((i + 1) * golden) % 1) * size));
}

/** The entry of a file's metadata for this record; none for none. */
export const trainedOnEntry = (on: TrainedOn | undefined): Readonly<Record<string, string>> =>
  on ? { [TRAINED_ON]: JSON.stringify(on) } : {};

/** What a file's metadata say of the base. @returns `unreadable` for an entry that is no such record; undefined where there is none */
export function trainedOnIn(metadata: Readonly<Record<string, string>>): TrainedOn | 'unreadable' | undefined {
  const text = metadata[TRAINED_ON];
  if (text === undefined) return undefined;
  try {
    const read = v.safeParse(record, JSON.parse(text));
    return read.success ? (read.output as TrainedOn) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

/** Undefined where all weights that both have are the same, as far as halves would show. @param get a weight of the base at hand; undefined if it has none of this name */
export function otherWeights(on: TrainedOn, get: (name: string) => Tensor | undefined): OtherWeights | undefined {
  const differing: string[] = [];
  const apart: number[] = [];
  let compared = 0;
  for (const [name, { shape, values }] of Object.entries(on.weights)) {
    const weight = get(name);
    if (!weight || String(weight.type.shape) !== String(shape)) continue;
    compared++;
    const pairs = places(weight.data.length, values.length).map((at, i) => [weight.data[at]!, values[i]!] as const);
    const same = pairs.every(([a, b]) => Math.abs(a - b) <= RELATIVE * Math.max(Math.abs(a), Math.abs(b)) + ABSOLUTE);
    if (same) continue;
    differing.push(name);
    for (const [a, b] of pairs) apart.push(a === b ? 0 : Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b)));
  }
  if (differing.length === 0) return undefined;
  return { compared, differing, apart: apart.toSorted((a, b) => a - b)[Math.floor(apart.length / 2)]! };
}
