/** Compiled folders on files of images: what `run` and `eval` do. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ClassScore, load, type NodeLoadOptions, type Session, topClasses } from '../../../runtime/node/index.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { decodeImage, listImages, listLabelledImages } from '../../formats/node/images.js';
import { restoreFolder } from '../../formats/node/leftovers.js';
import type { RgbaImage } from '../../formats/types.js';
import { type Evaluation, figures } from '../metrics.js';
import type { Progress } from '../parameters.js';

/** @throws EspalierError if the folder is not a program; RuntimeError if it cannot run here */
export async function openProgram(folder: string, options: NodeLoadOptions = {}): Promise<Session> {
  restoreFolder(folder);
  if (!existsSync(join(folder, 'program.json'))) {
    const found = existsSync(folder) ? 'it holds no program.json' : 'there is no such folder';
    throw new EspalierError([diagnostic('ESP0905', { path: folder, found })]);
  }
  return load(pathToFileURL(`${folder}/`), options);
}

export interface ImagePrediction {
  readonly image: string;
  readonly classes: readonly ClassScore[];
}

async function imagePaths(paths: readonly string[]): Promise<string[]> {
  const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();
  return (await Promise.all(paths.map((path) => (isFolder(path) ? listImages(path) : [path])))).flat();
}

/** How many decoded images wait for the GPU at a time, and how much memory they may take: photographs are large, and a session copies them. */
const WINDOW = 64;
const WINDOW_BYTES = 256 * 2 ** 20;
/** How many are decoded at once; the decoder has as many threads. */
const DECODERS = 4;

/**
 * Decoded images by window. Once one cannot be read, the others are only looked at, so that all that are wrong are in one error.
 * @throws EspalierError ESP0530, ESP0532, ESP0501 for every image that cannot be read
 */
async function* windows(paths: readonly string[]): AsyncIterable<{ path: string; image: RgbaImage }[]> {
  const problems: Diagnostic[] = [];
  let window: { path: string; image: RgbaImage }[] = [];
  let bytes = 0;
  for (let at = 0; at < paths.length; at += DECODERS) {
    const part = paths.slice(at, at + DECODERS);
    const decoded = await Promise.allSettled(part.map((path) => decodeImage(path)));
    for (const [i, result] of decoded.entries()) {
      if (result.status === 'rejected') {
        if (!(result.reason instanceof EspalierError)) throw result.reason;
        problems.push(...result.reason.diagnostics);
      } else if (problems.length === 0) {
        window.push({ path: part[i]!, image: result.value });
        bytes += result.value.data.byteLength;
      }
    }
    const full = window.length + DECODERS > WINDOW || bytes > WINDOW_BYTES || at + DECODERS >= paths.length;
    if (!full || problems.length > 0) continue;
    yield window;
    window = [];
    bytes = 0;
  }
  if (problems.length > 0) throw new EspalierError(problems);
}

/** Logits of the first output for each image, in order. */
async function* logitsOf(
  session: Session,
  paths: readonly string[],
  progress?: Progress,
): AsyncIterable<{ path: string; logits: ArrayLike<number> }> {
  const output = session.program.entries[0]!.outputs[0]!.name;
  let done = 0;
  for await (const window of windows(paths)) {
    const results = await session.run({ images: window.map(({ image }) => image) });
    for (const [i, result] of results.entries()) yield { path: window[i]!.path, logits: result.outputs[output]! };
    done += window.length;
    progress?.('running images', done / paths.length);
  }
}

/** @param top how many classes to name for each image */
export async function predictImages(
  session: Session,
  paths: readonly string[],
  top: number,
  progress?: Progress,
): Promise<ImagePrediction[]> {
  const predictions: ImagePrediction[] = [];
  for await (const { path, logits } of logitsOf(session, await imagePaths(paths), progress)) {
    predictions.push({ image: path, classes: topClasses(logits, session.program.labels, top) });
  }
  return predictions;
}

/** Class numbers by the name of their folder. A class name may hold what a folder's cannot: `T-shirt/top` is found as `T-shirt_top`. */
function classFolders(labels: readonly string[]): Map<string, number[]> {
  const numbers = new Map<string, number[]>();
  for (const [i, label] of labels.entries()) {
    const name = label.replace(/[/\\:*?"<>|]/g, '_');
    numbers.set(name, [...(numbers.get(name) ?? []), i]);
  }
  return numbers;
}

/** Figures on FOLDER/<class>/<image>. @throws EspalierError if a sub-folder is no class of the program */
export async function evaluateFolder(session: Session, folder: string, progress?: Progress): Promise<Evaluation> {
  const { labels } = session.program;
  if (!labels) throw new EspalierError([diagnostic('ESP0920', { program: session.program.name })]);
  const images = await listLabelledImages(folder);
  const numbers = classFolders(labels);
  const unknown = [...new Set(images.map((i) => i.label).filter((label) => !numbers.has(label)))];
  if (unknown.length > 0)
    throw new EspalierError([diagnostic('ESP0921', { folder, unknown, labels: [...numbers.keys()] })]);
  // Two classes of one name cannot be told apart by folders, but only where such a folder is there does it matter.
  const shared = [...new Set(images.map((i) => i.label))].find((label) => numbers.get(label)!.length > 1);
  if (shared !== undefined)
    throw new EspalierError([diagnostic('ESP0926', { folder, label: shared, classes: numbers.get(shared)! })]);
  const actual = new Map(images.map((i) => [i.path, numbers.get(i.label)![0]!]));
  const pairs: [number, number][] = [];
  for await (const { path, logits } of logitsOf(session, [...actual.keys()], progress)) {
    pairs.push([actual.get(path)!, topClasses(logits, labels, 1)[0]!.index]);
  }
  return figures(labels, pairs);
}
