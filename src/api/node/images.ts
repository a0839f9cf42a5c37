/** Images of a folder, each as a model takes it: what criteria are calibrated with. */
import { colourOf } from '../../../runtime/images/colour/rule.js';
import { normalize, normalizer } from '../../data/images/resize.js';
import { makeSample, saidOf } from '../../data/sample.js';
import { decodeImage, listImages } from '../../formats/node/images.js';
import type { ImageRequest } from '../host.js';

/**
 * As `Host.images`.
 * @throws EspalierError ESP0501 (no such folder), ESP0531 (no images), ESP0530 and ESP0532 (one that cannot be read), ESP0708 (one that does not fit)
 */
export async function* preparedImages(
  folder: string,
  { most, preprocess, input }: ImageRequest,
): AsyncGenerator<Float32Array, void, undefined> {
  const { channels, height, width } = input;
  const normal = preprocess.find((s) => s.step === 'normalize');
  const tables = normalizer(normal?.mean ?? [0], normal?.std ?? [1], channels);
  for (const path of spread(await listImages(folder), most)) {
    const raster = { ...(await decodeImage(path, path, colourOf(preprocess))), channels: 4 as const };
    const image = new Float32Array(channels * height * width);
    await saidOf(path, () =>
      normalize(makeSample(raster, { preprocess, input, augment: {} }, UNCHANGED), tables, image, input),
    );
    yield image;
  }
}

/** Nothing is drawn where nothing is changed at random. */
const UNCHANGED = { seed: 0, epoch: 0, item: 0, repeat: 0 };

/** So many of a list, as far apart as they can be: a folder's list has a class after another. */
function spread<T>(all: readonly T[], most: number): T[] {
  const count = Math.min(most, all.length);
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
}
