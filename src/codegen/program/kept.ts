/** Of which weights a program stores those tiles alone that hold something. */
import type { Module, Param } from '../../ir/types.js';
import { type KeptTiles, keptTiles } from '../buffers/kept.js';
import type { PackedWeight } from '../buffers/weight-matrix.js';
import { evaluateView } from '../buffers/weights.js';
import type { GenerateOptions } from './options.js';

/**
 * Share of the tiles of a matrix up to which those that are zero are left out. Above it, what it costs to look tiles up is more than what is left out
 * (`npm run bench:sparse`).
 */
const MOST_KEPT = 0.75;

/**
 * Which tiles of a weight are stored; undefined for all.
 * @param prepared Whether the entry `prepare` writes a packed weight: then it is stored whole, since its kernels know places and no lists
 */
export function keptIn(
  { params }: Pick<Module, 'params'>,
  { mayHold }: Pick<GenerateOptions, 'mayHold'>,
  prepared: (param: Param, packed: boolean) => boolean,
): (weight: PackedWeight) => KeptTiles | undefined {
  return ({ param: name, view, layout }) => {
    const param = params.get(name)!;
    const elements = param.role === 'state' || prepared(param, true) ? undefined : mayHold?.(name);
    if (!elements) return undefined;
    const kept = keptTiles(layout, evaluateView(view, { type: param.type, data: elements }).data);
    return kept.blocks.length <= MOST_KEPT * kept.of ? kept : undefined;
  };
}
