/** What a run's result makes of data that it was not trained on: its test split, or others that are named. */
import { openDatasets } from '../../data/node/open.js';
import { openLoader } from '../../data/node/threads.js';
import type { Dataset, Datasets, SkippedItem } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { sayDataErrors } from '../data-error.js';
import { type Evaluation, figures } from '../golden/metrics.js';
import type { Host, Progress } from '../host.js';
import { inputOf, listedReading, splitsOf } from '../train/data.js';
import { evaluate } from '../train/evaluate.js';
import type { Score } from '../train/events.js';
import { readTraining } from '../train/open.js';
import type { CountPrediction } from '../train/run.js';
import { openTrainer } from '../train/trainer.js';
import { nodeHost } from './host.js';
import { readRun, runSpec } from './run-folder.js';
import { namedData } from './train.js';

export interface EvaluateRunOptions {
  readonly host?: Host;
  /** Path of data in place of the run's own: their test split, or what they have instead. */
  readonly data?: string;
  /** The run's own data, where they were given in code. */
  readonly datasets?: Datasets;
  readonly warn?: (diagnostic: Diagnostic) => void;
  readonly skipped?: (item: SkippedItem) => void;
  readonly progress?: Progress;
}

export interface RunEvaluation {
  /** Which part of the data: of the run's own `test`, or `validation` where there is no test split. */
  readonly split: 'train' | 'validation' | 'test';
  /** Path of the data, if they are other than the run's. */
  readonly data?: string;
  readonly score: Score;
  /** Where each item is of one class. */
  readonly evaluation?: Evaluation;
  /** Where items are of any number of classes: how many are of each, and its average precision (NaN where none is). */
  readonly classes?: readonly {
    readonly label: string;
    readonly support: number;
    readonly averagePrecision: number;
  }[];
  /** Where objects are counted: of each picture how many are in it, and how many the model counts. */
  readonly counts?: readonly CountPrediction[];
}

/**
 * Evaluates the weights that a run selected on its test split; on its validation split where it has no other; or on other data.
 * @param run the folder of a run
 * @throws EspalierError ESP1104 for a folder that is none, or before its first epoch has ended; ESP1114 where nothing was held out; what is wrong with the data, the
 * spec and its files. RuntimeError where there is no GPU
 */
export async function evaluateRun(run: string, options: EvaluateRunOptions = {}): Promise<RunEvaluation> {
  const { data: other, warn, progress, skipped } = options;
  const host = options.host ?? nodeHost();
  const facts = readRun(run);
  const { spec, ...of } = await runSpec(run);
  return sayDataErrors(async () => {
    const { elaborated, train, params } = await readTraining(spec, { host, ...of, progress, warn });
    progress?.('reading the data');
    const found =
      other === undefined
        ? heldOut(run, splitsOf(train, await namedData(elaborated, train, spec.path, { ...options, host })))
        : partOf(
            await openDatasets(
              facts.data.kind === 'points'
                ? { path: other, kind: 'points' }
                : { path: other, classes: facts.data.classes },
              warn ? { warn } : {},
            ),
          );
    const trainer = await openTrainer({ elaborated, train, params, host, progress });
    const reading = listedReading(elaborated, train, found.set, { open: openLoader, skipped });
    const loader = reading.open(reading.data, reading.options);
    const input = inputOf(elaborated).name;
    try {
      const { targets, classes, ids } = found.set;
      const {
        score,
        predictions,
        classes: several,
        counts,
      } = await evaluate(trainer, { train, input, kind: targets.kind }, loader);
      const pairs = predictions.map((p) => [p.actual, p.predicted] as const);
      return {
        split: found.split,
        ...(other === undefined ? {} : { data: other }),
        score,
        ...(targets.kind === 'class' ? { evaluation: figures(classes, pairs) } : {}),
        ...(counts ? { counts: counts.map(({ item, ...one }) => ({ item: ids[item]!, ...one })) } : {}),
        ...(several ? { classes: several.map((c, i) => ({ label: classes[i]!, ...c })) } : {}),
      };
    } finally {
      trainer.dispose();
      await loader.close();
    }
  });
}

interface Part {
  readonly split: RunEvaluation['split'];
  readonly set: Dataset;
}

/** @throws EspalierError ESP1114 */
function heldOut(run: string, { test, val }: Datasets): Part {
  if (test) return { split: 'test', set: test };
  if (val) return { split: 'validation', set: val };
  throw new EspalierError([diagnostic('ESP1114', { run })]);
}

function partOf({ train, val, test }: Datasets): Part {
  if (test) return { split: 'test', set: test };
  return val ? { split: 'validation', set: val } : { split: 'train', set: train };
}
