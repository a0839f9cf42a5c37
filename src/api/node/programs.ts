/** Compiled folders on files of images: what `run` and `eval` do. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ClassScore, load, type NodeLoadOptions, type Session, topClasses } from '../../../runtime/node/index.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { decodeImage, listImages, listLabelledImages } from '../../formats/node/images.js';
import { type Evaluation, figures } from '../metrics.js';
import type { Progress } from '../parameters.js';

/** @throws EspalierError if the folder is not a program; RuntimeError if it cannot run here */
export async function openProgram(folder: string, options: NodeLoadOptions = {}): Promise<Session> {
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

/** How many decoded images wait for the GPU at a time. */
const WINDOW = 64;

/** Logits of the first output for each image, in order. All images that cannot be read are reported together, before any is run. */
async function* logitsOf(
  session: Session,
  paths: readonly string[],
  progress?: Progress,
): AsyncIterable<{ path: string; logits: ArrayLike<number> }> {
  const output = session.program.entries[0]!.outputs[0]!.name;
  for (let at = 0; at < paths.length; at += WINDOW) {
    const part = paths.slice(at, at + WINDOW);
    const decoded = await Promise.allSettled(part.map((path) => decodeImage(path)));
    const problems: Diagnostic[] = [];
    const images = decoded.flatMap((d) => {
      if (d.status === 'fulfilled') return [d.value];
      if (!(d.reason instanceof EspalierError)) throw d.reason;
      problems.push(...d.reason.diagnostics);
      return [];
    });
    if (problems.length > 0) throw new EspalierError(problems);
    const results = await session.run({ images });
    for (const [i, result] of results.entries()) yield { path: part[i]!, logits: result.outputs[output]! };
    progress?.('running images', Math.min(1, (at + WINDOW) / paths.length));
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

/** Figures on FOLDER/<class>/<image>. @throws EspalierError if a sub-folder is no class of the program */
export async function evaluateFolder(session: Session, folder: string, progress?: Progress): Promise<Evaluation> {
  const { labels } = session.program;
  if (!labels) throw new EspalierError([diagnostic('ESP0920', { program: session.program.name })]);
  const images = await listLabelledImages(folder);
  // A class name may hold what a folder's cannot: `T-shirt/top` is found as `T-shirt_top`.
  const numbers = new Map(labels.map((label, i) => [label.replace(/[/\\:*?"<>|]/g, '_'), i]));
  const unknown = [...new Set(images.map((i) => i.label).filter((label) => !numbers.has(label)))];
  if (unknown.length > 0)
    throw new EspalierError([diagnostic('ESP0921', { folder, unknown, labels: [...numbers.keys()] })]);
  const actual = new Map(images.map((i) => [i.path, numbers.get(i.label)!]));
  const pairs: [number, number][] = [];
  for await (const { path, logits } of logitsOf(session, [...actual.keys()], progress)) {
    pairs.push([actual.get(path)!, topClasses(logits, labels, 1)[0]!.index]);
  }
  return figures(labels, pairs);
}
