/** What a model makes of a batch or a whole data set: targets as its loss takes them, and how results are scored. */
import type { Batch, BatchTargets, Loader } from '../../data/types.js';
import type { TrainSettings } from '../../dsl/elaborated.js';
import type { RunPlace, Score } from './events.js';
import { inputsOf } from './features.js';
import type { StepResult, Trainer } from './trainer.js';

/** How samples are scored. */
export interface Counting {
  readonly train: TrainSettings;
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  /** Whether each item is of one class: then there is a share of right ones. */
  readonly classified: boolean;
}

/** What the model makes of a data set. */
export interface Evaluated {
  readonly score: Score;
  /** Items by their number in the data set, their class and the one that the model takes for likeliest; empty where there are no classes. */
  readonly predictions: readonly { readonly item: number; readonly actual: number; readonly predicted: number }[];
}

/** The whole of a loader once, as inference computes it. */
export async function evaluate(trainer: Trainer, counting: Counting, data: Loader): Promise<Evaluated> {
  let [loss, samples] = [0, 0];
  const predictions: { item: number; actual: number; predicted: number }[] = [];
  for await (const batch of data.batches({ epoch: 0, batch: 0 }, 1)) {
    const target = targetOf(batch, counting.train);
    const result = await trainer.evaluate({ ...inputsOf(batch, counting.input), target });
    loss += batch.indices.length * result.loss;
    samples += batch.indices.length;
    if (counting.classified)
      classesOf(result, batch).forEach((one, i) => {
        predictions.push({ item: batch.indices[i]!, ...one });
      });
  }
  const right = predictions.filter((p) => p.actual === p.predicted).length;
  return { score: scoreOf({ loss, right, samples }, counting), predictions };
}

export function scoreOf({ loss, right, samples }: RunPlace['sum'], { classified }: Counting): Score {
  const score = { loss: loss / samples, samples };
  return classified ? { ...score, accuracy: right / samples } : score;
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

/** How many of a batch the model got right: the likeliest class is that of the target. */
export const rightOf = (result: StepResult, batch: Batch, { classified }: Counting): number =>
  classified ? classesOf(result, batch).filter((c) => c.actual === c.predicted).length : 0;

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
