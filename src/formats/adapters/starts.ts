/**
 * Pairs that started as a part of the base's weight (PiSSA, arXiv 2404.02948; OLoRA, arXiv 2406.01775), and whose base lost that part: as pairs of the base
 * itself. W - s B0 A0 + s B A = W + s [B, -B0] [A; A0], of twice the rank, as the library `peft` writes them when it is asked to convert them.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Tensor } from '../../ir/types.js';
import type { StoreEntry } from '../tensors/store.js';
import { columnPart, type Part, singularPart } from './leading.js';
import type { LowRankPair, PeftAdapter } from './peft.js';
import type { Start } from './peft-config.js';

/** Reads the weight of a module [out, in]; undefined where the base has no file. */
export type WeightOf = (module: string) => Tensor | undefined;

/** The pair of a module as one of the base. @throws EspalierError ESP1291 when it is read, where the part cannot be known */
export function pairOfBase(peft: PeftAdapter, module: string, pair: LowRankPair, weightOf: WeightOf): LowRankPair {
  const { start } = peft;
  if (!start) return pair;
  const { rank, scale, A, B } = pair;
  const [rows, columns] = [B.shape[0]!, A.shape[1]!];
  let known: Part | undefined;
  const part = (): Part => {
    known ??= partOf(start.from, weightOf(module), rows, columns, rank);
    if (known) return known;
    const why = `and which part of the weight of ${module} that is its numbers do not say`;
    throw new EspalierError([diagnostic('ESP1291', { file: peft.name, init: start.init, why })]);
  };
  const longer = (
    entry: StoreEntry,
    shape: readonly number[],
    put: (out: Float32Array, of: Tensor) => void,
  ): StoreEntry => {
    const { bytes, ...rest } = entry;
    return {
      ...rest,
      shape,
      read: async () => {
        const data = new Float32Array(shape[0]! * shape[1]!);
        put(data, await entry.read());
        return { type: { dtype: 'f32', shape }, data };
      },
    };
  };
  return {
    ...pair,
    rank: 2 * rank,
    A: longer(A, [2 * rank, columns], (out, { data }) => {
      out.set(data);
      out.set(part().A, rank * columns);
    }),
    B: longer(B, [rows, 2 * rank], (out, { data }) => {
      const first = part().B;
      for (let i = 0; i < rows; i++)
        for (let r = 0; r < rank; r++) {
          out[i * 2 * rank + r] = data[i * rank + r]!;
          out[i * 2 * rank + rank + r] = -SCALED[start.from](first[i * rank + r]!, scale);
        }
    }),
  };
}

/** s B0 A0 is the part itself, or the part times s: peft divides singular values by the scale, and takes columns as they are. */
const SCALED: Readonly<Record<Start, (x: number, scale: number) => number>> = {
  singular: (x, scale) => x / scale,
  columns: (x) => x,
};

const PARTS = { singular: singularPart, columns: columnPart };

function partOf(
  start: Start,
  weight: Tensor | undefined,
  rows: number,
  columns: number,
  rank: number,
): Part | undefined {
  if (!weight || weight.data.length !== rows * columns) return undefined;
  return PARTS[start](weight.data, rows, columns, rank);
}
