/**
 * State dicts as `torch.save` writes them, opened without running anything: the ZIP archives of PyTorch 1.6 and later, and the pickles in a row of
 * before. Tensors are read by range, one at a time, whatever their strides. Formats: torch/serialization.py (`_save`, `_legacy_save`).
 */
import type { Diagnostic } from '../../diagnostics/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { ByteSource } from '../tensors/bytes.js';
import { fromBytes } from '../tensors/elements.js';
import { ELEMENT_BYTES } from '../tensors/safetensors.js';
import type { StoreEntry, TensorStore } from '../tensors/store.js';
import { isTensor, PickleEnds, type TorchStorage, type TorchTensor, type Unpickled, unpickle } from './pickle.js';
import { stateDict } from './state-dict.js';
import { openZip, torchError } from './zip.js';

/** A pickle names tensors and describes them; with a hundred thousand of them it has some 20 MiB. */
const MAX_PICKLE = 64 << 20;
/** `0x1950a86a20f9469cfc6c`, which legacy files begin with: LONG1, 10 bytes. */
const LEGACY = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/** Where the bytes of a storage begin; throws ESP1280 unless it has room for what the pickle says. */
type Place = (storage: TorchStorage) => Promise<number>;

/** Whether the file begins as `torch.save` and Python's `pickle` begin theirs. */
export async function isTorchFile(source: ByteSource): Promise<boolean> {
  if (source.size < 4) return false;
  const [a, b, c, d] = await source.read(0, 4);
  const zip = a === 0x50 && b === 0x4b && (c === 3 || c === 5) && d === c + 1;
  return zip || (a === 0x80 && b! >= 2 && b! <= 5 && /\.(bin|pt|pth|ckpt|pkl|tar)$/.test(source.name));
}

/**
 * Opens a state dict; reads no tensors.
 * @returns the store, and notes on which part of the file it is
 * @throws EspalierError ESP1280 for a file that is damaged or no state dict, ESP1281 for a pickle that names anything but tensors
 */
export async function openTorch(source: ByteSource): Promise<{ store: TensorStore; warnings: readonly Diagnostic[] }> {
  const start = await source.read(0, Math.min(2, source.size));
  const { value, place } = start[0] === 0x50 ? await openArchive(source) : await openLegacy(source);
  const { tensors: found, warnings } = stateDict(source.name, value);
  const tensors = new Map<string, StoreEntry>();
  for (const [name, tensor] of found) tensors.set(name, entryOf(source, name, tensor, place));
  return { store: { name: source.name, tensors, metadata: {} }, warnings };
}

interface Opened {
  readonly value: unknown;
  readonly place: Place;
}

async function openArchive(source: ByteSource): Promise<Opened> {
  const entries = await openZip(source);
  const root = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name))?.slice(0, -'data.pkl'.length);
  if (root === undefined) throw torchError(source.name, 'it is a ZIP archive without a data.pkl');
  const bytesOf = async (name: string): Promise<Uint8Array | undefined> => {
    const entry = entries.get(root + name);
    if (!entry) return undefined;
    if (entry.size > MAX_PICKLE)
      throw torchError(source.name, `its ${name} has ${entry.size.toLocaleString('en')} bytes`);
    return source.read(await entry.place(), entry.size);
  };
  const order = await bytesOf('byteorder');
  if (order && new TextDecoder().decode(order).trim() !== 'little')
    throw torchError(source.name, 'its numbers are big endian');
  const pickle = (await bytesOf('data.pkl'))!;
  const { value } = whole(source.name, () => unpickle(source.name, pickle));
  const place: Place = async (storage) => {
    const entry = entries.get(`${root}data/${storage.key}`);
    const bytes = storage.size * ELEMENT_BYTES[storage.dtype];
    if (!entry || entry.size !== bytes)
      throw torchError(
        source.name,
        `its storage ${storage.key} has ${entry ? entry.size.toLocaleString('en') : 'no'} bytes, and its pickle says ${bytes.toLocaleString('en')}`,
      );
    return entry.place();
  };
  return { value, place };
}

/** What a pickle says that is there as a whole. */
function whole(file: string, run: () => Unpickled): Unpickled {
  try {
    return run();
  } catch (error) {
    if (error instanceof PickleEnds) throw torchError(file, 'its pickle ends in the middle');
    throw error;
  }
}

/** Five pickles in a row (a number, a version, facts of the machine, the value, keys of storages), then each storage: its length and its elements. */
async function openLegacy(source: ByteSource): Promise<Opened> {
  const { name } = source;
  const begin = await source.read(0, Math.min(LEGACY.length, source.size));
  if (!LEGACY.every((byte, i) => begin[i] === byte))
    throw torchError(name, 'it is a Python pickle that torch.save did not write');
  const [, , facts, value, keys] = await legacyPickles(source);
  if (!(facts!.value instanceof Map) || facts!.value.get('little_endian') !== true)
    throw torchError(name, 'its numbers are big endian');
  if (!Array.isArray(keys!.value)) throw torchError(name, 'it has no list of storages');
  const sizes = storagesOf(value!.value);
  const places = new Map<string, number>();
  let at = keys!.end;
  for (const key of keys!.value as unknown[]) {
    const storage = sizes.get(String(key));
    // Which type a storage has that no tensor is in, nothing says.
    if (!storage) throw torchError(name, `no tensor of its state dict is in its storage ${String(key)}`);
    const bytes = storage.size * ELEMENT_BYTES[storage.dtype];
    if (at + 8 + bytes > source.size) throw torchError(name, 'it ends in the middle of a storage: it was cut off');
    const length = await source.read(at, 8);
    const said = new DataView(length.buffer, length.byteOffset, 8).getBigInt64(0, true);
    if (said !== BigInt(storage.size))
      throw torchError(name, `its storage ${storage.key} has ${said} elements, and its pickle says ${storage.size}`);
    places.set(storage.key, at + 8);
    at += 8 + bytes;
  }
  const place: Place = async ({ key }) => {
    const found = places.get(key);
    if (found === undefined) throw torchError(name, `its storage ${key} is not there`);
    return found;
  };
  return { value: value!.value, place };
}

/** How long the pickles are is seen when they end, so that more of the file is taken until they do. */
async function legacyPickles(source: ByteSource): Promise<readonly Unpickled[]> {
  for (let length = 1 << 20; ; length *= 8) {
    const bytes = await source.read(0, Math.min(length, MAX_PICKLE, source.size));
    try {
      const found: Unpickled[] = [];
      for (let i = 0; i < 5; i++) found.push(unpickle(source.name, bytes, found.at(-1)?.end ?? 0));
      return found;
    } catch (error) {
      if (!(error instanceof PickleEnds)) throw error;
      if (bytes.length < length) throw torchError(source.name, 'its pickle ends in the middle');
    }
  }
}

/** Every storage below a value, each container once. */
function storagesOf(value: unknown): Map<string, TorchStorage> {
  const found = new Map<string, TorchStorage>();
  const seen = new Set<unknown>();
  const stack = [value];
  while (stack.length > 0) {
    const at = stack.pop();
    if (isTensor(at)) found.set(at.storage.key, at.storage);
    else if ((at as TorchStorage | undefined)?.kind === 'storage')
      found.set((at as TorchStorage).key, at as TorchStorage);
    else if ((at instanceof Map || Array.isArray(at)) && !seen.has(at)) {
      seen.add(at);
      for (const inside of at.values()) stack.push(inside);
    }
  }
  return found;
}

function entryOf(source: ByteSource, name: string, tensor: TorchTensor, place: Place): StoreEntry {
  const { shape, storage } = tensor;
  const bytes = () => bytesOf(source, tensor, place);
  const stored = { dtype: storage.dtype, shape };
  return { ...stored, read: () => fromBytes(source.name, name, stored, bytes), bytes };
}

/** The elements in the order of their rows, whatever the strides are. */
async function bytesOf(source: ByteSource, tensor: TorchTensor, place: Place): Promise<Uint8Array> {
  const { storage, offset, shape, strides } = tensor;
  const width = ELEMENT_BYTES[storage.dtype];
  const start = (await place(storage)) + offset * width;
  const size = sizeOf(shape);
  if (size === 0) return new Uint8Array(0);
  const span = shape.reduce((sum, n, i) => sum + (n - 1) * strides[i]!, 1);
  const raw = await source.read(start, span * width);
  // An axis of one element may have any stride.
  let row = 1;
  const inRows = shape
    .map((_, i) => shape.length - 1 - i)
    .every((i) => {
      const fits = shape[i] === 1 || strides[i] === row;
      row *= shape[i]!;
      return fits;
    });
  if (inRows) return raw;
  const out = new Uint8Array(size * width);
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < out.length; at += width) {
    for (let b = 0; b < width; b++) out[at + b] = raw[from * width + b]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
