/** Memory that is safe to keep and to hand to WebGPU, made from whatever a caller holds: shared, resizable, or about to change. */

/** A copy of a view's bytes, in memory of its own. */
export function copied(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  // A view of a buffer that was transferred is empty, and its buffer cannot even be looked at.
  if (view.byteLength === 0) return new Uint8Array(0);
  // Not `slice`: that of a Node Buffer copies nothing.
  return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

/**
 * The bytes as a plain array over the same memory: the `slice` of Node's Buffer does not copy, as an array's does. A copy where they lie in shared
 * memory, on which Dawn crashes, or in memory that can be resized, which pages refuse.
 */
export function ordinary(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  const { byteOffset, byteLength } = view;
  const buffer = view.buffer as ArrayBuffer & { readonly resizable?: boolean };
  if (byteLength === 0 || kindOf(buffer) !== 'ArrayBuffer' || buffer.resizable) return copied(view);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** What `writeBuffer` takes: ordinary memory, and a multiple of 4 bytes. */
export function wholeWords(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length % 4 === 0) return ordinary(bytes);
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return padded;
}

/** `Float32Array`, `ImageBitmap`, `Null`, ...: what an object is, also where its class does not exist or is another window's. */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
