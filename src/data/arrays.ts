/** Pictures in memory as a data set, in a page or anywhere: arrays, and whatever the runtime takes as an image (canvases, ImageBitmaps, files). */
import type { Colour } from '../../runtime/images/colour/rule.js';
import { captureImage, type ImageInput, requireColour } from '../../runtime/images/image.js';
import { readPicture } from '../../runtime/images/picture.js';
import { sha256 } from '../../runtime/program/digest.js';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { saidOf } from './sample.js';
import { datasetsOf, type GivenClasses, type Row, type Table } from './tables.js';
import type { Dataset, Datasets, Pictures, Raster, Targets } from './types.js';

/** Pictures of one size, one after another. */
export interface PictureArray {
  /** For messages, and in front of the number of a picture. */
  readonly name: string;
  /** [n, height, width] or [n, channels, height, width] with 1 or 3 channels. */
  readonly shape: readonly number[];
  /** 8-bit pixels, or what the model takes. */
  readonly data: Uint8Array | Float32Array;
}

/** How many bytes are hashed at a time. */
const PART = 64 << 20;

/** @throws EspalierError ESP1006 for a shape that is no list of pictures, or pixels beside floats */
export function arrayPictures(arrays: readonly PictureArray[]): Pictures {
  const all = arrays.map((array) => ({ ...array, ...sizesOf(array) }));
  const starts: number[] = [];
  let total = 0;
  for (const { n } of all) {
    starts.push(total);
    total += n;
  }
  const at = (place: number) => {
    const i = starts.findLastIndex((start) => start <= place);
    const array = all[i]!;
    const size = array.channels * array.height * array.width;
    const from = (place - starts[i]!) * size;
    return { ...array, data: array.data.subarray(from, from + size) };
  };
  const floats = all.filter(({ data }) => data instanceof Float32Array);
  if (floats.length > 0 && floats.length < all.length)
    throw new EspalierError([
      diagnostic('ESP1006', { file: floats[0]!.name, problem: 'it holds F32, and other splits pixels (U8)' }),
    ]);
  return {
    async read(place) {
      const { data, width, height, channels } = at(place);
      return { data: interleaved(data as Uint8Array, channels), width, height, channels };
    },
    ...(floats.length > 0 ? { input: (place: number) => at(place).data as Float32Array } : {}),
    digest: (places) =>
      digestOf(
        places.map((place) => () => {
          const { data } = at(place);
          return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        }),
      ),
  };
}

function sizesOf({ name, shape, data }: PictureArray) {
  const wrong = (problem: string) => new EspalierError([diagnostic('ESP1006', { file: name, problem })]);
  const [n = 0, ...rest] = shape;
  const [channels, height = 0, width = 0] = rest.length === 2 ? [1, ...rest] : rest;
  const said = `[${shape.join(', ')}]`;
  if (rest.length < 2 || rest.length > 3) throw wrong(`an array ${said} is no list of pictures`);
  if ((channels !== 1 && channels !== 3) || height < 1 || width < 1)
    throw wrong(`pictures of ${said} have ${channels} channels of ${height} x ${width}`);
  const size = n * channels * height * width;
  if (data.length !== size) throw wrong(`${said} has ${size} elements, and ${data.length} were given`);
  return { n, channels, height, width } as const;
}

function interleaved(planes: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return planes;
  const count = planes.length / channels;
  return planes.map((_, i) => planes[(i % channels) * count + Math.floor(i / channels)]!);
}

/** The digest of the digests of the parts. */
async function digestOf(pieces: readonly (() => Uint8Array)[]): Promise<string> {
  const digests: string[] = [];
  for (let i = 0; i < pieces.length; ) {
    const part: Uint8Array[] = [];
    for (let bytes = 0; i < pieces.length && bytes < PART; i++) {
      part.push(pieces[i]!());
      bytes += part.at(-1)!.length;
    }
    const whole = new Uint8Array(part.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of part) {
      whole.set(piece, at);
      at += piece.length;
    }
    digests.push(await sha256(whole));
  }
  return sha256(new TextEncoder().encode(digests.join('\n')));
}

/**
 * SHA-256 of a data set: its classes, and of each item what it is called, what is to be learnt, and its pixels or the bytes of its file. Reads all of it.
 */
export async function datasetHash({ classes, ids, targets, pictures, places }: Dataset): Promise<string> {
  const { kind } = targets;
  const plain = () => {
    switch (targets.kind) {
      case 'numbers':
        return { ...targets, values: [...targets.values] };
      case 'points':
        return { kind, points: targets.points.map((own) => [...own]) };
      default:
        return { kind, labels: [...targets.labels] };
    }
  };
  const learnt = plain();
  const content = await pictures.digest(places);
  return sha256(new TextEncoder().encode(JSON.stringify({ classes, ids, learnt, content })));
}

export interface ArrayOptions {
  readonly name?: string;
  /** Names of the classes, or how many. Default: the labels that there are. */
  readonly classes?: GivenClasses;
}

/** What is to be learnt of each picture: a class, several, or numbers; or where the objects are that are counted. */
export type Learnt =
  | {
      readonly kind: Exclude<Targets['kind'], 'points'>;
      readonly labels: readonly (string | number | readonly (string | number)[])[];
      /** Of numbers: what each is called. */
      readonly columns?: readonly string[];
    }
  | {
      readonly kind: 'points';
      /** Of each picture x, y pairs in pixels from its top left corner; the centre of the first pixel is (0.5, 0.5). */
      readonly points: readonly ArrayLike<number>[];
    };

/**
 * Pictures and labels in memory as something to train on.
 * @throws EspalierError ESP1006 unless there are as many labels as pictures, ESP1002 (one class), ESP1014 (none), ESP0921 (labels that are no class), ESP1022, ESP1023,
 * ESP1024 (points)
 */
export function datasetOfArrays(images: PictureArray, learnt: Learnt, options: ArrayOptions = {}): Datasets {
  const pictures = arrayPictures([images]);
  return datasetsOf(inMemory(pictures, images.shape[0]!, learnt, options.name ?? images.name), options.classes);
}

/**
 * The same of images as the runtime takes them. What only a page can read (a canvas, an ImageBitmap, a Blob, an `<img>`) is captured now, and read
 * through `device` when its turn comes, once.
 * @throws InputError for what is no image; EspalierError as `datasetOfArrays`
 */
export function datasetOfImages(
  images: readonly ImageInput[],
  learnt: Learnt,
  options: ArrayOptions & { readonly device?: GPUDevice } = {},
): Datasets {
  const { name = 'the images', device } = options;
  const captured = images.map(captureImage);
  const decoded = new Map<string, Promise<Raster>>();
  const read = (place: number, colour: Colour): Promise<Raster> => {
    const image = captured[place]!;
    const id = `image ${place}`;
    if ('data' in image)
      return saidOf(id, () => {
        requireColour(image, colour);
        return image;
      });
    if (!device) throw new RangeError('pictures of a page are read on a GPU: give `device`');
    const key = `${place} ${colour}`;
    let found = decoded.get(key);
    if (!found) {
      found = saidOf(id, async () => ({ ...(await readPicture(device, image, colour)), channels: 4 as const }));
      decoded.set(key, found);
    }
    return found;
  };
  const pictures: Pictures = {
    read: (place, colour = 'raw') => read(place, colour),
    async digest(places) {
      // Of the pixels as they are given or stored: whatever is made of them follows from the spec.
      const rasters = await Promise.all(
        places.map((place) => {
          const image = captured[place]!;
          return 'data' in image ? image : read(place, 'raw');
        }),
      );
      return digestOf(rasters.map((raster) => () => raster.data));
    },
  };
  return datasetsOf(inMemory(pictures, images.length, learnt, name), options.classes);
}

function inMemory(pictures: Pictures, count: number, learnt: Learnt, name: string): Table {
  const { length } = learnt.kind === 'points' ? learnt.points : learnt.labels;
  if (length !== count) {
    const what = learnt.kind === 'points' ? 'lists of points' : 'labels';
    const problem = `there are ${count} pictures and ${length} ${what}`;
    throw new EspalierError([diagnostic('ESP1006', { file: name, problem })]);
  }
  const common = { split: 'train', labels: [] } as const;
  if (learnt.kind === 'points') {
    const rows = learnt.points.map(
      (points, place): Row => ({ ...common, id: `${name}[${place}]`, place, points: Float32Array.from(points) }),
    );
    return { name, kind: 'points', rows, pictures, labelled: 'labels' };
  }
  const { kind, labels, columns } = learnt;
  const rows = labels.map(
    (label, place): Row => ({ split: 'train', id: `${name}[${place}]`, place, labels: [label].flat() }),
  );
  const named = columns ?? (kind === 'numbers' ? (rows[0]?.labels ?? []).map((_, i) => String(i)) : undefined);
  return { name, kind, rows, pictures, labelled: 'labels' as const, ...(named ? { columns: named } : {}) };
}
