/**
 * Reads safetensors, as much of it as a program's own files need: the header is checked against the file's length before anything is read. The
 * compiler's reader (src/formats/tensors) is another one on purpose: it takes files of anybody, accounts for every byte of them and says what is
 * wrong by the catalogue, which is three times this file and would be in every page; here the files' digests have been compared already.
 */
import { ProgramFileError } from '../errors.js';
import type { OpenFile } from './files.js';

export interface TensorPlace {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Offsets into the file, half open. */
  readonly start: number;
  readonly end: number;
}

/** Headers are small; a length beyond this is a lie or another kind of file. */
const MAX_HEADER = 32 << 20;

/** The tensors of a file by name. Throws ProgramFileError (ESP0707) for a truncated or lying file. */
export async function readSafetensors(name: string, file: OpenFile): Promise<Map<string, TensorPlace>> {
  const bad = (why: string) => new ProgramFileError(name, why);
  if (file.size < 8) throw bad(`has ${file.size} bytes; a safetensors file has at least 8`);
  const first = await file.read(0, 8);
  const length = Number(new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER || 8 + length > file.size)
    throw bad(`its header claims ${length} bytes, the file has ${file.size}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await file.read(8, 8 + length)));
  } catch {
    throw bad('its header is not JSON');
  }
  const tensors = new Map<string, TensorPlace>();
  if (typeof header !== 'object' || header === null) throw bad('its header is no object');
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') continue;
    const place = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
    const { dtype, shape, data_offsets: span } = place;
    const numbers = (v: unknown): v is number[] =>
      Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && n >= 0);
    if (typeof dtype !== 'string' || !numbers(shape) || !numbers(span) || span.length !== 2) {
      throw bad(`the entry of \`${key}\` is malformed`);
    }
    const [start, end] = [8 + length + span[0]!, 8 + length + span[1]!];
    if (start > end || end > file.size) throw bad(`\`${key}\` lies past the end of the file (truncated?)`);
    tensors.set(key, { dtype, shape, start, end });
  }
  return tensors;
}
