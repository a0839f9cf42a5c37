/** Pairs of the row parts of a layer as one pair of the layer, and the other way round: the same A, and the rows of B (of magnitudes, of biases) one after another. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { showPath } from '../../ir/path.js';
import type { StoreEntry } from '../tensors/store.js';
import type { LowRankPair } from './peft.js';

/** A module of the folder, which is a part of a layer. */
export interface PartPair {
  readonly module: string;
  readonly pair: LowRankPair;
}

/**
 * @param parts in the order of the layer's rows; undefined for what the folder does not adapt
 * @throws EspalierError ESP0523 where they are no pair of the layer; where their A differ, when it is read
 */
export function pairOfParts(file: string, site: string, parts: readonly (PartPair | undefined)[]): LowRankPair {
  const found = parts.filter((p) => p !== undefined);
  const pairs = found.map((p) => p.pair);
  const refused = (why: string): EspalierError => {
    const about = { file, site: showPath(site), parts: found.map((p) => p.module), why };
    return new EspalierError([diagnostic('ESP0523', about)]);
  };
  const [first, ...others] = pairs as [LowRankPair, ...LowRankPair[]];
  if (found.length < parts.length) throw refused('no other part of it');
  if (others.some((p) => p.rank !== first.rank)) throw refused('their ranks differ');
  if (others.some((p) => (p.m === undefined) !== (first.m === undefined)))
    throw refused('some have magnitudes and some have none');
  const A: StoreEntry = {
    ...first.A,
    read: async () => {
      const whole = await first.A.read();
      for (const p of others) {
        const { data } = await p.A.read();
        if (!whole.data.every((x: number, i: number) => x === data[i])) throw refused('each has an A of its own');
      }
      return whole;
    },
  };
  const m = pairs.flatMap((p) => p.m ?? []);
  const c = pairs.flatMap((p) => p.c ?? []);
  const factors = pairs.map((p) => p.scale / first.scale);
  return {
    ...first,
    A,
    B: inRows(
      pairs.map((p) => p.B),
      factors,
    ),
    ...(m.length > 0 ? { m: inRows(m) } : {}),
    ...(c.length > 0 ? { c: inRows(c, factors) } : {}),
  };
}

/** Tensors one after another along their first axis, each times a factor. */
function inRows(entries: readonly StoreEntry[], factors: readonly number[] = []): StoreEntry {
  const [first] = entries as [StoreEntry];
  const shape = [entries.reduce((sum, e) => sum + e.shape[0]!, 0), ...first.shape.slice(1)];
  return {
    ...first,
    shape,
    read: async () => {
      const all: number[][] = [];
      for (const [i, e] of entries.entries()) {
        const { data } = await e.read();
        all.push(Array.from(data, (x) => x * (factors[i] ?? 1)));
      }
      return { type: { dtype: 'f32', shape }, data: Float32Array.from(all.flat()) };
    },
  };
}

/**
 * A pair of a layer as pairs of its row parts, which have as many rows each: exact, since a part of the product reads a part of B alone. Each has all of A.
 * That the parts are so large the shapes of what takes them say.
 */
export function partsOfPair(pair: LowRankPair, count: number): LowRankPair[] {
  return Array.from({ length: count }, (_, i) => {
    const cut = (entry: StoreEntry): StoreEntry => {
      const rows = entry.shape[0]! / count;
      const shape = [rows, ...entry.shape.slice(1)];
      const { bytes, ...rest } = entry;
      return {
        ...rest,
        shape,
        read: async () => {
          const { data } = await entry.read();
          const size = data.length / count;
          return { type: { dtype: 'f32', shape }, data: Float32Array.from(data.subarray(i * size, (i + 1) * size)) };
        },
      };
    };
    return { ...pair, B: cut(pair.B), ...(pair.m ? { m: cut(pair.m) } : {}), ...(pair.c ? { c: cut(pair.c) } : {}) };
  });
}
