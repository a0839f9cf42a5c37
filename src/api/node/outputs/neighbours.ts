/**
 * Classification by nearest neighbours, which is how embeddings are judged without training: the k pictures of known classes whose embeddings are most alike
 * vote, each with the weight exp(cosine similarity / 0.07) (Wu et al., arXiv 1805.01978; DINO, arXiv 2104.14294, appendix).
 */
import type { Session } from '../../../../runtime/node/index.js';
import { readClassFolders } from '../../../data/node/class-folders.js';
import { wholeDataset } from '../../../data/tables.js';
import type { Targets } from '../../../data/types.js';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';
import type { Unreadable } from '../../../formats/node/images.js';
import { type Evaluation, figures } from '../../golden/metrics.js';
import { type ImagesOptions, resultsOf, unreadableBy } from '../programs.js';
import { outputsOf } from './outputs.js';

/** Of similarities, in both papers. */
const TEMPERATURE = 0.07;

interface NeighboursOptions extends ImagesOptions {
  /** How many neighbours vote. */
  readonly k: number;
  /** FOLDER/<class>/<image>: the pictures of known classes. */
  readonly train: string;
}

/**
 * Figures of a program's embeddings on FOLDER/<class>/<image>, by the nearest of the pictures in `train`.
 * @throws EspalierError ESP1272 for a program whose first output is no vector, ESP1273 for more neighbours than pictures, ESP1274 for an embedding that is zero or not
 * finite; what is wrong with the folders; for an image that cannot be read, unless `skip` hears of it
 */
export async function evaluateNeighbours(
  session: Session,
  folder: string,
  { k, train, ...options }: NeighboursOptions,
): Promise<Evaluation> {
  const { name, entries } = session.program;
  const [output] = entries[0]!.outputs;
  const shape = output?.shape.slice(1) ?? [];
  if (shape.length !== 1)
    throw new EspalierError([diagnostic('ESP1272', { program: name, output: output?.name ?? 'nothing', shape })]);
  const unreadable = unreadableBy(options);
  const known = await embedded(session, train, undefined, unreadable, options);
  if (k > known.items.length)
    throw new EspalierError([diagnostic('ESP1273', { k, pictures: known.items.length, folder: train })]);
  const asked = await embedded(session, folder, known.classes, unreadable, options);
  const pairs = asked.items.map(({ vector, label }) => [label, nearest(vector, known, k)] as const);
  return figures(known.classes, pairs);
}

interface Embedded {
  readonly classes: readonly string[];
  /** Vectors of length 1. */
  readonly items: readonly { readonly vector: Float32Array; readonly label: number }[];
}

async function embedded(
  session: Session,
  folder: string,
  labels: readonly string[] | undefined,
  unreadable: Unreadable,
  options: ImagesOptions,
): Promise<Embedded> {
  const data = wholeDataset(await readClassFolders(folder, unreadable, true), labels);
  const numbers = (data.targets as Extract<Targets, { kind: 'class' }>).labels;
  const label = new Map(
    Array.from({ length: data.size }, (_, i) => [data.pictures.file!(data.places[i]!), numbers[i]!]),
  );
  const items: { vector: Float32Array; label: number }[] = [];
  for await (const { path, result } of resultsOf(session, [...label.keys()], unreadable, options.progress)) {
    const [{ values } = { values: [] }] = Object.values(outputsOf(result));
    items.push({ vector: unit(values, path), label: label.get(path)! });
  }
  return { classes: labels ?? data.classes, items };
}

/** @throws EspalierError ESP1274 */
function unit(values: ArrayLike<number>, image: string): Float32Array {
  const squares = Array.from(values).reduce((sum, x) => sum + x * x, 0);
  if (!(squares > 0) || !Number.isFinite(squares)) throw new EspalierError([diagnostic('ESP1274', { image })]);
  return Float32Array.from(values, (x) => x / Math.sqrt(squares));
}

/** The class with the most votes; of equal ones the first. */
function nearest(vector: Float32Array, { classes, items }: Embedded, k: number): number {
  const alike = items.map((item) => {
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += vector[i]! * item.vector[i]!;
    return { label: item.label, sum };
  });
  const votes = classes.map(() => 0);
  // Sorting is stable: of pictures that are equally alike the first count.
  for (const { label, sum } of alike.sort((a, b) => b.sum - a.sum).slice(0, k))
    votes[label]! += Math.exp((sum - 1) / TEMPERATURE);
  return votes.indexOf(Math.max(...votes));
}
