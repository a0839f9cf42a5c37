/** Compiled folders on files of images: what `run` and `eval` do. */
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { colourOf } from '../../../runtime/images/colour/rule.js';
import {
  type ClassScore,
  InputError,
  load,
  type NodeLoadOptions,
  type Result,
  type Session,
  topClasses,
} from '../../../runtime/node/index.js';
import { FILE } from '../../../runtime/program/check.js';
import { type Counted, counterOf, countIn } from '../../counting/index.js';
import { readClassFolders } from '../../data/node/class-folders.js';
import { wholeDataset } from '../../data/tables.js';
import type { Targets } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { decodeImage, listImages, type Unreadable } from '../../formats/node/images.js';
import { restoreFolder } from '../../formats/node/leftovers.js';
import type { RgbaImage } from '../../formats/types.js';
import type { CompileOptions } from '../compile.js';
import { type Evaluation, figures } from '../golden/metrics.js';
import type { Progress } from '../host.js';
import { isModelFolder } from './folders/spec-of.js';
import { type ImageOutput, kindOfResults, outputsOf } from './outputs/outputs.js';
import { isRunFolder } from './run-folder.js';
import { compile, type OnNode } from './spec.js';

export interface OpenProgramOptions extends NodeLoadOptions {
  /** Of what is compiled before it runs: a spec, or a folder that amounts to one. */
  readonly compile?: OnNode<CompileOptions>;
  /** Hears what is said of it. */
  readonly warn?: (diagnostic: Diagnostic) => void;
}

/** Whether a path is what `compile` takes: a spec, or a folder in place of one. The file that a compiled folder is known by is neither. */
const isSpec = (path: string): boolean =>
  isModelFolder(path) ||
  isRunFolder(path) ||
  (/\.(peft|json)$/.test(path) && basename(path) !== FILE && existsSync(path) && statSync(path).isFile());

/**
 * @param path a folder that `compile` wrote; or what `compile` takes (a spec, the folder of a run, a checkpoint or an adapter), which is compiled in memory first
 * @throws EspalierError if it is neither, and what `compile` throws; RuntimeError if it cannot run here
 */
export async function openProgram(path: string, options: OpenProgramOptions = {}): Promise<Session> {
  const { compile: compiling = {}, warn, ...loading } = options;
  restoreFolder(path);
  if (existsSync(join(path, FILE))) {
    const { base, set, model } = compiling;
    if (base !== undefined || set || model !== undefined) {
      const problem = `${path} is compiled: --base, --set and --model are of a spec, or a folder in place of one`;
      throw new EspalierError([diagnostic('ESP0922', { problem, command: 'compile' })]);
    }
    return load(pathToFileURL(`${path}/`), loading);
  }
  if (!isSpec(path)) {
    const found = existsSync(path)
      ? 'it holds no program.json, and is no spec, run, checkpoint or adapter'
      : 'there is no such folder';
    throw new EspalierError([diagnostic('ESP0905', { path, found })]);
  }
  const compiled = await compile(path, compiling);
  for (const d of compiled.warnings) warn?.(d);
  return load(compiled, loading);
}

export interface ImagePrediction {
  readonly image: string;
  /** Of a classifier the likeliest, best first; of one that gives several labels at once each with a probability of its own; else none. */
  readonly classes: readonly ClassScore[];
  /** Of a head with one output that has a name: the number that it gives. */
  readonly number?: { readonly label: string; readonly value: number };
  /** All that the program gives, by name. */
  readonly outputs: Readonly<Record<string, ImageOutput>>;
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
export function unreadableBy({ skip }: ImagesOptions): Unreadable {
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
  { program }: Session,
  paths: readonly string[],
  unreadable: Unreadable,
): AsyncIterable<{ path: string; image: RgbaImage }[]> {
  let window: { path: string; image: RgbaImage }[] = [];
  let bytes = 0;
  for (let at = 0; at < paths.length; at += DECODERS) {
    const part = paths.slice(at, at + DECODERS);
    const decoded = await Promise.allSettled(part.map((path) => decodeImage(path, path, colourOf(program.preprocess))));
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

/** What the program gives for each image that can be read, in order. */
export async function* resultsOf(
  session: Session,
  paths: readonly string[],
  unreadable: Unreadable,
  progress?: Progress,
): AsyncIterable<{ path: string; result: Result }> {
  // A program that takes no images says so before the first is decoded.
  await session.run({ images: [] });
  let done = 0;
  for await (const window of windows(session, paths, unreadable)) {
    yield* resultsOfWindow(session, window, unreadable);
    done += window.length;
    progress?.('running images', done / paths.length);
  }
}

async function* resultsOfWindow(
  session: Session,
  window: readonly { path: string; image: RgbaImage }[],
  unreadable: Unreadable,
): AsyncIterable<{ path: string; result: Result }> {
  try {
    const results = await session.run({ images: window.map(({ image }) => image) });
    for (const [i, result] of results.entries()) yield { path: window[i]!.path, result };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const [first, ...others] = window;
    if (others.length === 0) unreadable(first!.path, misfit(first!.path, error));
    // One image does not fit the program, by its size: which, and what of the others?
    else for (const one of window) yield* resultsOfWindow(session, [one], unreadable);
  }
}

/** An image that is not what the program takes, by its name. */
function misfit(path: string, { code, message, help }: InputError): EspalierError {
  return new EspalierError([diagnostic(code, { message: `${path}: ${message}`, help })]);
}

export interface CountedImage extends Counted {
  readonly image: string;
  readonly picture: RgbaImage;
}

/**
 * Counts in images and folders of images, as they come.
 * @throws EspalierError ESP1250 for a program that does not count; ESP0530, ESP0532, ESP0501, ESP0708 for an image that cannot be read or does not fit, unless
 * `skip` hears of it; ESP0531 for a folder without images
 */
export async function* countImages(
  session: Session,
  paths: readonly string[],
  options: ImagesOptions = {},
): AsyncGenerator<CountedImage, void, undefined> {
  const counter = counterOf(session);
  const unreadable = unreadableBy(options);
  const all = await imagePaths(paths, unreadable);
  let done = 0;
  for await (const window of windows(session, all, unreadable))
    for (const { path, image: picture } of window) {
      options.progress?.('counting', done++ / all.length);
      let counted: Counted;
      try {
        counted = await countIn(counter, picture);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        unreadable(path, misfit(path, error));
        continue;
      }
      yield { image: path, picture, ...counted };
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
  const kind = kindOfResults(session);
  const { labels = [], entries } = session.program;
  const first = entries[0]!.outputs[0]!.name;
  for await (const { path, result } of resultsOf(session, await imagePaths(paths, unreadable), unreadable, progress)) {
    const logits = result.outputs[first]!;
    const named = kind === 'classes' || kind === 'labels';
    yield {
      image: path,
      classes: named ? topClasses(logits, labels, top, kind === 'labels') : [],
      ...(kind === 'number' ? { number: { label: labels[0]!, value: logits[0]! } } : {}),
      outputs: outputsOf(result),
    };
  }
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
  const { name } = session.program;
  const kind = kindOfResults(session);
  if (!labels || kind === 'outputs') throw new EspalierError([diagnostic('ESP0920', { program: name })]);
  if (kind !== 'classes')
    throw new EspalierError([diagnostic('ESP0521', { program: name, number: kind === 'number' })]);
  const { size, places, pictures, targets } = wholeDataset(await readClassFolders(folder, unreadable, true), labels);
  const numbers = (targets as Extract<Targets, { kind: 'class' }>).labels;
  const actual = new Map(Array.from({ length: size }, (_, i) => [pictures.file!(places[i]!), numbers[i]!]));
  const pairs: [number, number][] = [];
  const first = session.program.entries[0]!.outputs[0]!.name;
  for await (const { path, result } of resultsOf(session, [...actual.keys()], unreadable, options.progress)) {
    pairs.push([actual.get(path)!, topClasses(result.outputs[first]!, labels, 1)[0]!.index]);
  }
  return figures(labels, pairs);
}
