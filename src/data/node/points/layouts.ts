/**
 * Data sets of counting whose folders have a layout of their own: ShanghaiTech (Zhang et al., "Single-image crowd counting via multi-column convolutional
 * neural network", 2016), and CARPK and PUCPR+ (Hsieh, Lin, Hsu, "Drone-based object counting by spatially regularized regional proposal network", 2017).
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { SPLITS, type Split } from '../../tables.js';
import { type Annotated, bytesOf, lineOf, refuse, stem } from './annotated.js';
import { MatError, type MatValue, readMat } from './mat.js';

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
const isPicture = (name: string): boolean => /^[^.].*\.(jpe?g|png|bmp|tiff?|webp)$/i.test(name);
const byName = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

// ---- ShanghaiTech ----------------------------------------------------------------------------------------------------

/** A folder of pictures, and one of their annotations. */
export interface Part {
  readonly split: Split;
  readonly images: string;
  readonly truths: string;
}

/** Folders `train_data` and `test_data` of a part (also `val_data`), or one of these by itself, which is trained on; none if they are not there. */
export function shanghaiTechIn(folder: string): Part[] {
  const partOf = (split: Split, at: string): Part[] => {
    const truths = ['ground-truth', 'ground_truth'].map((name) => join(at, name)).find(isFolder);
    const images = join(at, 'images');
    return truths !== undefined && isFolder(images) ? [{ split, images, truths }] : [];
  };
  const parts = SPLITS.flatMap((split) => partOf(split, join(folder, `${split}_data`)));
  return parts.length > 0 ? parts : partOf('train', folder);
}

/**
 * Pictures with the heads in `GT_<name>.mat`: `image_info{1}.location`, rows of x and y. MATLAB counts pixels from 1, so that the middle of the first
 * one is 1 there and 0.5 here.
 * @throws EspalierError ESP1024 (also for a picture without a file), ESP0501
 */
export async function readShanghaiTech(folder: string, parts: readonly Part[]): Promise<Annotated[]> {
  const found: Annotated[] = [];
  for (const { split, images, truths } of parts)
    for (const name of readdirSync(images).filter(isPicture).sort(byName)) {
      const path = join(images, name);
      const file = join(truths, `GT_${stem(name)}.mat`);
      if (!existsSync(file)) refuse(file, `it is not there, and has the annotations of ${name}`);
      const points = [...located(file, await bytesOf(file))].map((at) => at - 0.5);
      found.push({ split, path, id: relative(folder, path), points });
    }
  return found;
}

/** x, y pairs. */
function located(file: string, bytes: Uint8Array): Float64Array {
  let variables: Map<string, MatValue>;
  try {
    variables = readMat(bytes);
  } catch (error) {
    if (!(error instanceof MatError)) throw error;
    return refuse(file, error.message);
  }
  const info = variables.get('image_info');
  if (!info)
    return refuse(file, `it has no variable \`image_info\`, but ${[...variables.keys()].join(', ') || 'nothing'}`);
  const first = info.kind === 'cell' ? info.items[0] : info;
  const location = first?.kind === 'struct' ? first.items[0]?.get('location') : undefined;
  if (location?.kind !== 'numbers') return refuse(file, 'its `image_info` has no `location`');
  const { dims, values } = location;
  const [n = 0, width] = dims;
  if (values.length === 0) return values;
  if (dims.length !== 2 || width !== 2) return refuse(file, `\`location\` is [${dims.join(', ')}], not [n, 2]`);
  // Arrays are stored column by column.
  return Float64Array.from({ length: 2 * n }, (_, i) => values[(i % 2) * n + Math.floor(i / 2)]!);
}

// ---- CARPK, PUCPR+ ---------------------------------------------------------------------------------------------------

/** The folder with `Images`, `Annotations` and `ImageSets`: the one given, or `data` below it. */
export function carpkIn(folder: string): string | undefined {
  return [folder, join(folder, 'data')].find((at) =>
    ['Images', 'Annotations', 'ImageSets'].every((name) => isFolder(join(at, name))),
  );
}

/**
 * Pictures that ImageSets/{train,val,test}.txt name, with the boxes of Annotations/NAME.txt: `x1 y1 x2 y2 class` a line. What is counted are boxes; a
 * point is the centre of one. An empty file is a picture without any.
 * @throws EspalierError ESP1024, ESP0501
 */
export async function readCarpk(folder: string): Promise<Annotated[]> {
  const found: Annotated[] = [];
  const pictures = new Map(
    readdirSync(join(folder, 'Images'))
      .filter(isPicture)
      .map((name) => [stem(name), name]),
  );
  const lists = SPLITS.map((split) => [split, join(folder, 'ImageSets', `${split}.txt`)] as const);
  const there = lists.filter(([, list]) => existsSync(list));
  if (there.length === 0) refuse(join(folder, 'ImageSets'), 'it has none of train.txt, val.txt and test.txt');
  for (const [split, list] of there) {
    const text = (await bytesOf(list)).toString();
    for (const { line, at } of linesOf(text)) {
      const name = isPicture(line) ? stem(line) : line;
      const file = join(folder, 'Annotations', `${name}.txt`);
      if (!existsSync(file)) refuse(list, `${name} has no annotations: there is no ${file}`, lineOf(list, text, at));
      const id = join('Images', pictures.get(name) ?? `${name}.png`);
      found.push({
        split,
        path: join(folder, id),
        id,
        points: boxCentres(file, (await bytesOf(file)).toString()),
        at: lineOf(list, text, at),
      });
    }
  }
  return found;
}

/** Lines that are not empty, and where they begin. */
function* linesOf(text: string): Generator<{ readonly line: string; readonly at: number }> {
  let at = 0;
  for (const line of text.split('\n')) {
    if (line.trim() !== '') yield { line: line.trim(), at: at + 1 };
    at += line.length + 1;
  }
}

function boxCentres(file: string, text: string): number[] {
  const points: number[] = [];
  for (const { line, at } of linesOf(text)) {
    const words = line.split(/\s+/);
    const [left, top, right, bottom] = words.map(Number);
    const whole = (words.length === 4 || words.length === 5) && [left, top, right, bottom].every(Number.isFinite);
    if (!whole) refuse(file, 'a line is no box `x1 y1 x2 y2 class`', lineOf(file, text, at));
    if (right! < left! || bottom! < top!) refuse(file, 'a box ends before it begins', lineOf(file, text, at));
    points.push((left! + right!) / 2, (top! + bottom!) / 2);
  }
  return points;
}
