/** Mask files: safetensors with a tensor of zeros and ones for each masked weight, named `<weight>#mask`. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Tensor } from '../../ir/types.js';
import { storeTensor } from '../tensors/elements.js';
import { encodeSafetensors, type StoredTensor } from '../tensors/safetensors.js';
import type { TensorStore } from '../tensors/store.js';

const FORMAT = 'espalier.mask';

/** Whether the file says that it holds masks. */
export function isMaskFile(store: TensorStore): boolean {
  return store.metadata.format === FORMAT;
}

/**
 * A mask file. Masks are kept as one byte an element.
 * @param about Further metadata: how the masks were found.
 */
export function encodeMasks(
  masks: ReadonlyMap<string, Tensor>,
  about: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, mask] of masks)
    tensors.set(name, storeTensor({ type: mask.type, data: Uint8Array.from(mask.data) }, 'BOOL'));
  return encodeSafetensors(tensors, { ...about, format: FORMAT, version: '1' });
}

/**
 * All masks of a file as f32 zeros and ones.
 * @throws EspalierError ESP0516 when something else is in the file.
 */
export async function readMasks(store: TensorStore): Promise<Map<string, Tensor>> {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0516', { file: store.name, problem })]);
  if (!isMaskFile(store)) throw wrong('its metadata do not say "format": "espalier.mask"');
  if (store.metadata.version !== '1') throw wrong(`this Espalier reads version "1"`);
  const masks = new Map<string, Tensor>();
  for (const [name, entry] of store.tensors) {
    if (!name.endsWith('#mask')) throw wrong(`tensor "${name}" is not named after a weight ("...#mask")`);
    const { type, data } = await entry.read();
    const mask = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const v = data[i]!;
      if (v !== 0 && v !== 1) throw wrong(`"${name}" holds ${v}; a mask holds zeros and ones`);
      mask[i] = v;
    }
    masks.set(name, { type: { dtype: 'f32', shape: type.shape }, data: mask });
  }
  return masks;
}
