/** What a merge says of itself: which adapters its file holds from now on, and what rounding to the types of the base did to the numbers. */

import { sha256 } from '../../../runtime/program/digest.js';
import { plainBytes } from '../../../runtime/program/files.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import { encodeAdapter } from '../../formats/adapters/adapter.js';
import { type ExportOptions, partAt, type WrittenPart, writtenPart } from '../../formats/export.js';
import type { MergedRecord } from '../../formats/merged.js';
import { decodeElements } from '../../formats/tensors/elements.js';
import { type FloatType, isFloatType, type RoundingFigures, RoundingMeter } from '../../formats/tensors/rounding.js';
import type { NamedTensor } from '../../formats/types.js';
import type { Tensor } from '../../ir/types.js';
import type { Analysis } from '../analyse.js';
import { version } from '../version.js';

/** The name of a run's file of what it trained. */
const TRAINED = 'adapter.safetensors';

/** The last part of where something was loaded from: no path of somebody's machine goes into a checkpoint. */
export function nameOf(location: string): string {
  const parts = location
    .replace(/[?#].*$/, '')
    .split(/[\\/]/)
    .filter((part) => part !== '');
  return parts.at(-1) ?? location;
}

/**
 * One record for each adapter of each file, in the order of the spec. What a run trained has the digest of the run's adapter file.
 * @param labels the classes that were trained, as that file names them
 * @throws EspalierError ESP0501 for a file that can no longer be read; NoAdapterError in a page that has no SHA-256
 */
export async function mergeRecords(
  analysis: Analysis & { readonly elaborated: Elaborated },
  labels: readonly string[] | undefined,
): Promise<readonly MergedRecord[]> {
  const { elaborated, checkpoints, trained, trainedOn } = analysis;
  const found = new Map<string, MergedRecord>();
  const add = (method: string, file: { readonly name?: string; readonly sha256?: string } = {}): void => {
    found.set(JSON.stringify([method, file.name, file.sha256]), { method, ...file, espalier: version });
  };
  const ofRun = trained && { name: TRAINED, sha256: await digest(encodeAdapter(trained, labels, trainedOn)) };
  const files = new Map<string, { readonly name: string; readonly sha256?: string }>();
  const from = new Map<string, string>();
  for (const { kind, location, adapters = [] } of elaborated.sources) {
    if (kind !== 'adapter') continue;
    for (const { id } of adapters) from.set(id, location);
    const bytes = await checkpoints.get(location)?.bytes?.();
    files.set(location, { name: nameOf(location), ...(bytes ? { sha256: await digest(bytes) } : {}) });
  }
  for (const { id, name, params } of elaborated.adapters) {
    const location = from.get(id);
    if (ofRun && Object.values(params).some((p) => trained.has(p))) add(name, ofRun);
    else add(name, location === undefined ? undefined : files.get(location));
  }
  return [...found.values()];
}

const digest = (bytes: Uint8Array): Promise<string> => sha256(plainBytes(TRAINED, bytes));

interface Places extends Pick<ExportOptions, 'base'> {
  readonly layout: readonly NamedTensor[];
  /** What the merged model reads where the plain one reads a parameter. */
  readonly pairs: ReadonlyMap<string, string>;
}

/**
 * Compares each number as it was computed with what is written, by type: of what was merged, f64 with the bytes of the file; of what was trained
 * beside it and replaces a tensor of the base, f32. Tensors that the base had are written as they are.
 */
export class WrittenRounding {
  readonly #meters = new Map<FloatType, RoundingMeter>();
  readonly #to: Pick<ExportOptions, 'base'>;
  /** Where the checkpoint has what is prepared, by its name. */
  readonly #places = new Map<string, NamedTensor[]>();
  readonly #measured = new Set<string>();

  constructor({ base, layout, pairs }: Places) {
    this.#to = { base };
    for (const place of layout) {
      const theirs = pairs.get(place.param);
      if (theirs !== undefined) this.#places.set(theirs, [...(this.#places.get(theirs) ?? []), place]);
    }
  }

  /** @param exact as it was computed, before it became f32 */
  prepared(name: string, tensor: Tensor, exact: Tensor): void {
    for (const place of this.#places.get(name) ?? []) {
      this.#measured.add(place.param);
      this.#measure({ ...writtenPart(place, tensor, this.#to), value: partAt(place, exact) });
    }
  }

  written(part: WrittenPart): void {
    if (!this.#measured.has(part.param)) this.#measure(part);
  }

  #measure({ name, value, stored }: WrittenPart): void {
    if (!isFloatType(stored.dtype)) return;
    const meter = this.#meters.get(stored.dtype) ?? new RoundingMeter(stored.dtype);
    this.#meters.set(stored.dtype, meter);
    meter.take(name, stored.shape, value.data, decodeElements(stored.data, stored.dtype)!);
  }

  /** By type, in the order in which they were met. */
  figures(): readonly RoundingFigures[] {
    return [...this.#meters.values()].map((m) => m.figures());
  }
}
