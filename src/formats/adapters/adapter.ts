/** Espalier's own adapter file: safetensors with the names of our parameters and metadata that say what it is. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Tensor } from '../../ir/types.js';
import { storeTensor } from '../tensors/elements.js';
import { encodeSafetensors, type StoredTensor } from '../tensors/safetensors.js';
import type { TensorStore } from '../tensors/store.js';
import { type TrainedOn, trainedOnEntry } from './trained-on.js';

const FORMAT = 'espalier.adapter';

/** Whether the file says that it is an adapter file. */
export function isAdapterFile(store: TensorStore): boolean {
  return store.metadata.format === FORMAT;
}

/** Class names of an adapter file, if it has them. @throws EspalierError ESP0515 */
export function adapterLabels(store: TensorStore): string[] | undefined {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0515', { file: store.name, problem })]);
  const { version } = store.metadata;
  if (version !== '1')
    throw wrong(
      `its version is ${version === undefined ? 'not given' : JSON.stringify(version)}; this Espalier reads "1"`,
    );
  return labelsIn(store);
}

/** Class names in a file's metadata, if it has them. @throws EspalierError ESP0515 */
export function labelsIn(store: TensorStore): string[] | undefined {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0515', { file: store.name, problem })]);
  const { labels } = store.metadata;
  if (labels === undefined) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(labels);
  } catch {
    throw wrong('its labels are not JSON');
  }
  if (!Array.isArray(list) || list.length === 0 || !list.every((l) => typeof l === 'string')) {
    throw wrong('its labels are not a list of strings');
  }
  return list;
}

/** The entry of a file's metadata for class names. */
export const labelsEntry = (labels: readonly string[] | undefined): Readonly<Record<string, string>> =>
  labels ? { labels: JSON.stringify(labels) } : {};

/**
 * An adapter file of the parameters, each under its own name, as f32.
 * @param on the base that they were trained on, so that another one is noticed
 */
export function encodeAdapter(
  params: ReadonlyMap<string, Tensor>,
  labels?: readonly string[],
  on?: TrainedOn,
): Uint8Array {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of params) tensors.set(name, storeTensor(tensor));
  return encodeSafetensors(tensors, {
    format: FORMAT,
    version: '1',
    ...labelsEntry(labels),
    ...trainedOnEntry(on),
  });
}
