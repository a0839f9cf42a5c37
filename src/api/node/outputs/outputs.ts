/** What a program that is no classifier gives for images: its outputs as they are, for a person, for JSON, and as a file of arrays. */
import type { Result, Session } from '../../../../runtime/node/index.js';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';
import { writeFileAtomic } from '../../../formats/node/writing.js';
import { encodeSafetensors } from '../../../formats/tensors/safetensors.js';

/** One output of one image. */
export interface ImageOutput {
  /** Without the axis of images. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: ArrayLike<number>;
}

/** Smallest and largest of the finite values, their mean, and how many are not finite. */
interface OutputRange {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly notFinite: number;
}

/** The outputs of one image's result, by name. */
export function outputsOf({ outputs, shapes }: Result): Record<string, ImageOutput> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, values]) => [name, { shape: (shapes[name] ?? []).slice(1), values }]),
  );
}

/** Range of an output; NaN for all three where nothing is finite. */
export function rangeOf({ values }: ImageOutput): OutputRange {
  let [min, max, sum, finite] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const x = values[i]!;
    if (!Number.isFinite(x)) continue;
    if (x < min) min = x;
    if (x > max) max = x;
    sum += x;
    finite++;
  }
  const none = finite === 0;
  return {
    min: none ? Number.NaN : min,
    max: none ? Number.NaN : max,
    mean: sum / finite,
    notFinite: values.length - finite,
  };
}

/** What a program's results are: one class among all, any number of labels, one number with a name, or only tensors. */
type ResultKind = 'classes' | 'labels' | 'number' | 'outputs';

/** By its labels: a head that has one output and a name for it is a regression, as in transformers, where softmax would always say 100%. */
export function kindOfResults({ program }: Pick<Session, 'program'>): ResultKind {
  const { labels, several } = program;
  const [output] = program.entries[0]!.outputs;
  const each = output?.shape.reduce((a, b) => a * b, 1) ?? 0;
  if (!labels || each !== labels.length) return 'outputs';
  if (labels.length === 1) return several ? 'labels' : 'number';
  return several ? 'labels' : 'classes';
}

/** Outputs of images, gathered for one file. */
export class OutputFile {
  private readonly images: string[] = [];
  private readonly parts = new Map<string, { shape: readonly number[]; rows: Float32Array[] }>();

  /**
   * @param path ends in `.safetensors`, a tensor for each output, [images, ...shape] in f32, and the names of the images as a JSON list in its metadata; or in `.npy`, for a program with one
   * output, the names in a text file beside it, one a line
   * @throws EspalierError ESP1270 for a path that ends otherwise, ESP1271 for several outputs in a `.npy`
   */
  constructor(
    private readonly path: string,
    { program }: Pick<Session, 'program'>,
  ) {
    const { outputs } = program.entries[0]!;
    if (!/\.(safetensors|npy)$/i.test(path)) throw new EspalierError([diagnostic('ESP1270', { path })]);
    if (this.isNpy && outputs.length !== 1)
      throw new EspalierError([diagnostic('ESP1271', { path, outputs: outputs.map((o) => o.name) })]);
  }

  private get isNpy(): boolean {
    return /\.npy$/i.test(this.path);
  }

  add(image: string, outputs: Readonly<Record<string, ImageOutput>>): void {
    this.images.push(image);
    for (const [name, { shape, values }] of Object.entries(outputs)) {
      const part = this.parts.get(name) ?? { shape, rows: [] };
      part.rows.push(Float32Array.from(values));
      this.parts.set(name, part);
    }
  }

  /** Writes the file, whole or not at all. @returns the paths that were written. @throws EspalierError ESP0913 */
  async write(): Promise<string[]> {
    const { images, path } = this;
    const arrays = [...this.parts].map(([name, { shape, rows }]) => ({
      name,
      shape: [rows.length, ...shape],
      data: joined(rows),
    }));
    if (!this.isNpy) {
      const tensors = new Map(arrays.map(({ name, shape, data }) => [name, { dtype: 'F32' as const, shape, data }]));
      await writeFileAtomic(path, encodeSafetensors(tensors, { images: JSON.stringify(images) }));
      return [path];
    }
    const names = `${path.slice(0, -4)}.txt`;
    const [array] = arrays;
    await writeFileAtomic(path, npy(array?.shape ?? [0], array?.data ?? new Uint8Array(0)));
    await writeFileAtomic(names, images.map((image) => `${image}\n`).join(''));
    return [path, names];
  }
}

function joined(rows: readonly Float32Array[]): Uint8Array {
  const each = rows[0]?.length ?? 0;
  const all = new Float32Array(rows.length * each);
  rows.forEach((row, i) => {
    all.set(row, i * each);
  });
  return new Uint8Array(all.buffer);
}

/** A `.npy` file of version 1.0 with little-endian f32 (numpy.lib.format): its header is padded so that the data begin at a multiple of 64. */
function npy(shape: readonly number[], data: Uint8Array): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const file = new Uint8Array(10 + length + data.length);
  file.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, length & 255, length >> 8]);
  file.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  file.set(data, 10 + length);
  return file;
}
