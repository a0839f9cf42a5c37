/** What a model makes of a batch or a whole data set: targets as its loss takes them, and how results are scored. */
import type { Batch, BatchTargets, Loader, Targets } from '../../data/types.js';
import type { TrainSettings } from '../../dsl/elaborated.js';
import { averagePrecision, meanKnown } from '../golden/metrics.js';
import { byPicture, type Counted, countsOf, errorsOf, meansOf } from './counting.js';
import type { WorstDensities } from './densities.js';
import type { RunPlace, Score } from './events.js';
import { inputsOf } from './features.js';
import type { StepResult, Trainer } from './trainer.js';

/** How samples are scored. */
export interface Counting {
  readonly train: TrainSettings;
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  /** Whether items are of one class, or of any number: then there is a share of right ones. */
  readonly kind: Targets['kind'];
}

/** What the model makes of a data set. */
export interface Evaluated {
  readonly score: Score;
  /** Items by their number in the data set, their class and the one that the model takes for likeliest; empty unless each is of one class. */
  readonly predictions: readonly { readonly item: number; readonly actual: number; readonly predicted: number }[];
  /** Where items are of any number of classes: of each class, how many are of it, and its average precision (NaN where none is). */
  readonly classes?: readonly { readonly support: number; readonly averagePrecision: number }[];
  /** Where objects are counted: of each picture how many there are, and what the model counts. */
  readonly counts?: readonly Counted[];
}

/**
 * The whole of a loader once, as inference computes it.
 * @param densities Hears of each picture that is counted
 */
export async function evaluate(
  trainer: Trainer,
  counting: Counting,
  data: Loader,
  densities?: WorstDensities,
): Promise<Evaluated> {
  let [loss, samples, right] = [0, 0, 0];
  const predictions: { item: number; actual: number; predicted: number }[] = [];
  const rows: Row[] = [];
  const counts: Counted[] = [];
  for await (const batch of data.batches({ epoch: 0, batch: 0 }, 1)) {
    const target = targetOf(batch, counting.train);
    const result = await trainer.evaluate({ ...inputsOf(batch, counting.input), target });
    loss += batch.indices.length * result.loss;
    samples += batch.indices.length;
    right += rightOf(result, batch, counting);
    if (counting.kind === 'class')
      classesOf(result, batch).forEach((one, i) => {
        predictions.push({ item: batch.indices[i]!, ...one });
      });
    else if (counting.kind === 'classes') rows.push(...rowsOf(result, batch));
    else if (counting.kind === 'points') {
      const found = countsOf(result, batch);
      counts.push(...found);
      densities?.add(found, Object.values(result.outputs)[0]!);
    }
  }
  if (counting.kind === 'points') {
    // The loss is a mean over samples, which may be tiles; counts are of pictures.
    const pictures = byPicture(counts);
    const means = meansOf(errorsOf(pictures), pictures.length);
    return { score: { loss: loss / samples, ...means, samples: pictures.length }, predictions, counts: pictures };
  }
  const score = scoreOf({ loss, right, samples }, counting);
  if (counting.kind !== 'classes') return { score, predictions };
  const classes = precisionsOf(rows);
  const map = meanKnown(classes.map((c) => c.averagePrecision));
  return { score: Number.isNaN(map) ? score : { ...score, map }, predictions, classes };
}

export function scoreOf({ loss, right, samples, errors }: RunPlace['sum'], { kind }: Counting): Score {
  const score = { loss: loss / samples, samples };
  if (errors) return { ...score, ...meansOf(errors, samples) };
  return kind === 'numbers' ? score : { ...score, accuracy: right / samples };
}

/** As the loss takes it: of classes one number for each, whatever the data have. */
export function targetOf({ targets, indices }: Batch, train: TrainSettings): Float32Array {
  if (targets.kind === 'values') return targets.values;
  const classes = train.loss.results[1]!.value.type.shape.at(-1)!;
  const values = new Float32Array(indices.length * classes);
  targets.labels.forEach((label, i) => {
    values[i * classes + label] = 1;
  });
  return values;
}

/** How many of a batch the model got right, by `Score.accuracy`. */
function rightOf(result: StepResult, batch: Batch, { kind }: Counting): number {
  if (kind === 'class') return classesOf(result, batch).filter((c) => c.actual === c.predicted).length;
  if (kind === 'numbers' || kind === 'points') return 0;
  return rowsOf(result, batch).filter(({ scores, has }) => scores.every((x, c) => x > 0 === has[c])).length;
}

/** A sum of an epoch with one more batch. */
export function addedTo(sum: RunPlace['sum'], result: StepResult, batch: Batch, counting: Counting): RunPlace['sum'] {
  const n = batch.indices.length;
  const found = counting.kind === 'points' ? errorsOf(countsOf(result, batch)) : undefined;
  const { absolute = 0, squared = 0 } = sum.errors ?? {};
  return {
    loss: sum.loss + n * result.loss,
    right: sum.right + rightOf(result, batch, counting),
    samples: sum.samples + n,
    ...(found ? { errors: { absolute: absolute + found.absolute, squared: squared + found.squared } } : {}),
  };
}

interface Row {
  readonly scores: readonly number[];
  readonly has: readonly boolean[];
}

/** Of each sample the logit of each class, and whether it is of it; of a mixture, by the larger share. */
function rowsOf({ outputs }: StepResult, { indices, targets }: Batch): Row[] {
  const found = Object.values(outputs)[0]!;
  const wanted = targets.kind === 'values' ? targets.values : new Float32Array(0);
  const classes = found.length / indices.length;
  return Array.from(indices, (_, i) => ({
    scores: Array.from(found.subarray(i * classes, (i + 1) * classes)),
    has: Array.from(wanted.subarray(i * classes, (i + 1) * classes), (x) => x > 0.5),
  }));
}

/** Of each class, how many samples are of it, and its average precision. */
function precisionsOf(rows: readonly Row[]): NonNullable<Evaluated['classes']> {
  return (rows[0]?.scores ?? []).map((_, c) => {
    const has = rows.map((row) => row.has[c]!);
    const scores = rows.map((row) => row.scores[c]!);
    return { support: has.filter(Boolean).length, averagePrecision: averagePrecision(scores, has) };
  });
}

/** Of each sample the class, and the one that the model takes for likeliest. */
function classesOf({ outputs }: StepResult, batch: Batch): { actual: number; predicted: number }[] {
  const found = Object.values(outputs)[0]!;
  const n = batch.indices.length;
  const classes = found.length / n;
  return Array.from({ length: n }, (_, i) => ({
    actual: labelOf(batch.targets, i, classes),
    predicted: likeliest(found, i * classes, classes),
  }));
}

const labelOf = (targets: BatchTargets, i: number, classes: number): number =>
  targets.kind === 'labels' ? targets.labels[i]! : likeliest(targets.values, i * classes, classes);

function likeliest(values: Float32Array, from: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (values[from + c]! > values[from + best]!) best = c;
  return best;
}
