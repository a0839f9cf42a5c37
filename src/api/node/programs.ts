/** Compiled folders on files of images: what `run` and `eval` do. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type ClassScore,
  InputError,
  load,
  type NodeLoadOptions,
  type Session,
  topClasses,
} from '../../../runtime/node/index.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { decodeImage, listImages, listLabelledImages, type Unreadable } from '../../formats/node/images.js';
import { restoreFolder } from '../../formats/node/leftovers.js';
import type { RgbaImage } from '../../formats/types.js';
import { type Evaluation, figures } from '../golden/metrics.js';
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

/** An image, or a folder of them, that could not be read. */
export interface Skipped {
  readonly path: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ImagesOptions {
  /** Hears of each image that cannot be read, and the others are run. Without it, the first such image is an error. */
  readonly skip?: ((skipped: Skipped) => void) | undefined;
  readonly progress?: Progress | undefined;
}

/** What to do with what cannot be read. */
function unreadableBy({ skip }: ImagesOptions): Unreadable {
  return (path, error) => {
    if (!skip) throw error;
    skip({ path, diagnostics: error.diagnostics });
  };
}

async function imagePaths(paths: readonly string[], unreadable: Unreadable): Promise<string[]> {
  const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();
  const found: string[] = [];
  for (const path of paths) {
    try {
      for (const image of isFolder(path) ? await listImages(path, unreadable) : [path]) found.push(image);
    } catch (error) {
      // A folder without images is a mistake of the command, and no file that cannot be read.
      if (!(error instanceof EspalierError) || error.diagnostics.some((d) => d.code !== 'ESP0501')) throw error;
      unreadable(path, error);
    }
  }
  return found;
}

/** How many decoded images wait for the GPU at a time, and how much memory they may take: photographs are large, and a session copies them. */
const WINDOW = 64;
const WINDOW_BYTES = 256 * 2 ** 20;
/** How many are decoded at once; the decoder has as many threads. */
const DECODERS = 4;

/** Decoded images by window; what cannot be read is in none. */
async function* windows(
  paths: readonly string[],
  unreadable: Unreadable,
): AsyncIterable<{ path: string; image: RgbaImage }[]> {
  let window: { path: string; image: RgbaImage }[] = [];
  let bytes = 0;
  for (let at = 0; at < paths.length; at += DECODERS) {
    const part = paths.slice(at, at + DECODERS);
    const decoded = await Promise.allSettled(part.map((path) => decodeImage(path)));
    for (const [i, result] of decoded.entries()) {
      if (result.status === 'rejected') {
        if (!(result.reason instanceof EspalierError)) throw result.reason;
        unreadable(part[i]!, result.reason);
      } else {
        window.push({ path: part[i]!, image: result.value });
        bytes += result.value.data.byteLength;
      }
    }
    const full = window.length + DECODERS > WINDOW || bytes > WINDOW_BYTES || at + DECODERS >= paths.length;
    if (!full) continue;
    yield window;
    window = [];
    bytes = 0;
  }
}

/** Logits of the first output for each image that can be read, in order. */
async function* logitsOf(
  session: Session,
  paths: readonly string[],
  unreadable: Unreadable,
  progress?: Progress,
): AsyncIterable<{ path: string; logits: ArrayLike<number> }> {
  // A program that takes no images says so before the first is decoded.
  await session.run({ images: [] });
  let done = 0;
  for await (const window of windows(paths, unreadable)) {
    yield* logitsOfWindow(session, window, unreadable);
    done += window.length;
    progress?.('running images', done / paths.length);
  }
}

async function* logitsOfWindow(
  session: Session,
  window: readonly { path: string; image: RgbaImage }[],
  unreadable: Unreadable,
): AsyncIterable<{ path: string; logits: ArrayLike<number> }> {
  const output = session.program.entries[0]!.outputs[0]!.name;
  try {
    const results = await session.run({ images: window.map(({ image }) => image) });
    for (const [i, result] of results.entries()) yield { path: window[i]!.path, logits: result.outputs[output]! };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const [first, ...others] = window;
    if (others.length === 0) {
      const message = `${first!.path}: ${error.message}`;
      unreadable(first!.path, new EspalierError([diagnostic('ESP0708', { message, help: error.help })]));
    }
    // One image does not fit the program, by its size: which, and what of the others?
    else for (const one of window) yield* logitsOfWindow(session, [one], unreadable);
  }
}

/**
 * Predictions for images and folders of images, as they come.
 * @throws EspalierError ESP0530, ESP0532, ESP0501 for an image that cannot be read, unless `skip` hears of it; ESP0531 for a folder without images
 */
export async function* predictImages(
  session: Session,
  paths: readonly string[],
  options: ImagesOptions & {
    /** How many classes to name for each image (default: 5). */
    readonly top?: number;
  } = {},
): AsyncGenerator<ImagePrediction, void, undefined> {
  const { top = 5, progress } = options;
  const unreadable = unreadableBy(options);
  for await (const { path, logits } of logitsOf(session, await imagePaths(paths, unreadable), unreadable, progress)) {
    yield { image: path, classes: topClasses(logits, session.program.labels, top) };
  }
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

/**
 * Figures on FOLDER/<class>/<image>, of the images that can be read.
 * @throws EspalierError if a sub-folder is no class of the program; for an image that cannot be read, unless `skip` hears of it
 */
export async function evaluateFolder(
  session: Session,
  folder: string,
  options: ImagesOptions = {},
): Promise<Evaluation> {
  const unreadable = unreadableBy(options);
  const { labels } = session.program;
  if (!labels) throw new EspalierError([diagnostic('ESP0920', { program: session.program.name })]);
  const images = await listLabelledImages(folder, unreadable);
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
  for await (const { path, logits } of logitsOf(session, [...actual.keys()], unreadable, options.progress)) {
    pairs.push([actual.get(path)!, topClasses(logits, labels, 1)[0]!.index]);
  }
  return figures(labels, pairs);
}
