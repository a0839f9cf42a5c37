/** Named tensors that are read one at a time, wherever they lie: one file, several shards, or views of other tensors. */
import type { DType, Tensor } from '../../ir/types.js';
import type { ByteSource } from './bytes.js';
import { READ_AS, readTensor } from './elements.js';
import { readHeader, type StoredType } from './safetensors.js';

export interface StoreEntry {
  /** As stored. */
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  /** Name in the file, where it differs from the name here. */
  readonly original?: string;
  /** @throws EspalierError ESP0504, ESP0505 */
  read(): Promise<Tensor>;
  /** The bytes as they are stored; absent for what is computed from other tensors. */
  bytes?(): Promise<Uint8Array>;
}

export interface TensorStore {
  /** For messages. */
  readonly name: string;
  readonly tensors: ReadonlyMap<string, StoreEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The tensors of one safetensors file. @throws EspalierError ESP0502, ESP0503, ESP0504 */
export async function openSafetensors(source: ByteSource): Promise<TensorStore> {
  const header = await readHeader(source);
  const tensors = new Map<string, StoreEntry>();
  for (const [name, info] of header.tensors) {
    tensors.set(name, {
      dtype: info.dtype,
      shape: info.shape,
      read: () => readTensor(source, name, info),
      bytes: () => source.read(info.offset, info.bytes),
    });
  }
  return { name: source.name, tensors, metadata: header.metadata };
}

/** What an entry becomes when it is read; undefined when its dtype has no meaning here. */
export function readsAs(entry: StoreEntry): DType | undefined {
  return READ_AS[entry.dtype];
}

/** The same elements in another shape. */
export function reshaped(entry: StoreEntry, shape: readonly number[]): StoreEntry {
  const { bytes, read, ...rest } = entry;
  return {
    ...rest,
    shape,
    read: async () => {
      const { type, data } = await entry.read();
      return { type: { ...type, shape }, data };
    },
    ...(bytes ? { bytes: () => entry.bytes!() } : {}),
  };
}
