/**
 * What was merged into a checkpoint, as its file says: `espalier.merged` in the metadata is a JSON list of records, the oldest first. Merging
 * again adds to it. There is no time in it, so that the same merge writes the same bytes.
 *
 *     [{"method":"karst","name":"karst-mnist.safetensors","sha256":"5d9c...","espalier":"0.1.0"}]
 */
import * as v from 'valibot';

/** In the metadata of a safetensors file. */
export const MERGED = 'espalier.merged';

const record = v.looseObject({
  method: v.string(),
  name: v.exactOptional(v.string()),
  sha256: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  espalier: v.string(),
});
const records = v.array(record);

/** One adapter of one file that was merged. */
export interface MergedRecord {
  /** What the spec calls it: `karst`, `lora`. */
  readonly method: string;
  /** The file or folder that it came from, without the way there; absent where it was not loaded. */
  readonly name?: string;
  /** Of that file (of a PEFT folder the file of weights), in hexadecimal digits; absent where no one file holds it. */
  readonly sha256?: string;
  /** The version that merged it. */
  readonly espalier: string;
}

/**
 * What the metadata of a checkpoint say was merged into it; empty where they say nothing.
 * @returns undefined for an entry that is no such list
 */
export function mergedIn(metadata: Readonly<Record<string, string>>): readonly MergedRecord[] | undefined {
  const text = metadata[MERGED];
  if (text === undefined) return [];
  try {
    const read = v.safeParse(records, JSON.parse(text));
    return read.success ? (read.output as MergedRecord[]) : undefined;
  } catch {
    return undefined;
  }
}

/** The entry of the metadata for these; none for none. */
export const mergedEntry = (all: readonly MergedRecord[]): Readonly<Record<string, string>> =>
  all.length > 0 ? { [MERGED]: JSON.stringify(all) } : {};
