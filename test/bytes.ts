/** Files of bytes that the scripts in test/reference made. */
import { readFileSync } from 'node:fs';

export interface Bytes {
  readonly shape: number[];
  readonly data: Uint8Array;
}

/** Tensors of bytes, and the metadata, of a safetensors file in this folder. */
export function readBytes(path: string): { tensors: Map<string, Bytes>; metadata: Record<string, string> } {
  const file = readFileSync(new URL(path, import.meta.url));
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const { __metadata__: metadata = {}, ...places } = header;
  const tensors = Object.entries(places).map(
    ([
      name,
      {
        shape,
        data_offsets: [from, to],
      },
    ]): [string, Bytes] => [name, { shape, data: new Uint8Array(file.subarray(8 + length + from, 8 + length + to)) }],
  );
  return { tensors: new Map(tensors), metadata: metadata as unknown as Record<string, string> };
}

/** Files of pictures, and the RGB that Pillow makes of each; all are of one size. */
export function pillowPictures(): {
  name: string;
  file: Uint8Array<ArrayBuffer>;
  rgb: Uint8Array;
  width: number;
  height: number;
}[] {
  const { tensors, metadata } = readBytes('./fixtures/pictures.safetensors');
  const shown = JSON.parse(metadata.shown!) as Record<string, number>;
  return Object.entries(shown).map(([name, number]) => {
    const { data, shape } = tensors.get(`rgb/${number}`)!;
    const file = new Uint8Array(tensors.get(`file/${name}`)!.data);
    return { name, file, rgb: data, height: shape[0]!, width: shape[1]! };
  });
}

/** The colors of RGBA pixels. */
export const withoutAlpha = (rgba: Uint8Array): Uint8Array => rgba.filter((_, i) => i % 4 !== 3);

/** Files of pictures with and without color profiles, the name of each profile, and the RGB that Pillow converts them to. */
export function managedPictures(): {
  name: string;
  file: Uint8Array<ArrayBuffer>;
  profile: string | null;
  rgb: Uint8Array;
  width: number;
  height: number;
}[] {
  const { tensors, metadata } = readBytes('./fixtures/colour.safetensors');
  return Object.entries(JSON.parse(metadata.profiles!) as Record<string, string | null>).map(([name, profile]) => {
    const { data: rgb, shape } = tensors.get(`rgb/${name}`)!;
    const file = new Uint8Array(tensors.get(`file/${name}`)!.data);
    return { name, file, profile, rgb, height: shape[0]!, width: shape[1]! };
  });
}
