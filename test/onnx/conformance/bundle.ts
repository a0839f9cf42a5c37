/** A few of ONNX's cases in one file, which tests run without fetching anything: the smallest for each set of operators and attributes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Files } from './cases.js';

const FILE = fileURLToPath(new URL('../../fixtures/onnx/cases.json.gz', import.meta.url));
/** A case that is larger than this is not in it. */
export const MOST_BYTES = 24_000;

interface Packed {
  readonly model: string;
  readonly sets: readonly { readonly inputs: readonly string[]; readonly outputs: readonly string[] }[];
}

const packed = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const unpacked = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

function mapped<A, B>(
  { model, sets }: { model: A; sets: readonly { inputs: readonly A[]; outputs: readonly A[] }[] },
  f: (a: A) => B,
) {
  return { model: f(model), sets: sets.map((s) => ({ inputs: s.inputs.map(f), outputs: s.outputs.map(f) })) };
}

export function writeBundle(cases: ReadonlyMap<string, Files>): number {
  const json = JSON.stringify(Object.fromEntries([...cases].map(([name, files]) => [name, mapped(files, packed)])));
  const bytes = gzipSync(json, { level: 9 });
  writeFileSync(FILE, bytes);
  return bytes.byteLength;
}

export function readBundle(): ReadonlyMap<string, Files> {
  const json = JSON.parse(gunzipSync(readFileSync(FILE)).toString('utf8')) as Readonly<Record<string, Packed>>;
  return new Map(Object.entries(json).map(([name, files]) => [name, mapped(files, unpacked)]));
}

export const sizeOfFiles = ({ model, sets }: Files): number =>
  [model, ...sets.flatMap((s) => [...s.inputs, ...s.outputs])].reduce((n, b) => n + b.byteLength, 0);
