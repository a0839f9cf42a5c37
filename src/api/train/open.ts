/** From a spec with a `train` block to a trainer: what whoever writes a loop of his own begins with, and what a run begins with as well. */
import type { Batch, LoaderOptions } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, TrainSettings } from '../../dsl/elaborated.js';
import type { TrainedOn } from '../../formats/adapters/trained-on.js';
import type { Tensor } from '../../ir/types.js';
import { baseRecord } from '../adapters/base-weights.js';
import { analyseModel, commitsOf, type Spec, type SpecOptions } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { Progress } from '../host.js';
import { type Loaded, loadParameters } from '../parameters.js';
import { inputOf, loaderOptions } from './data.js';
import { targetOf } from './evaluate.js';
import { inputsOf } from './features.js';
import { openTrainer as openElaborated, type StepResult, type TrainBatch, type Trainer } from './trainer.js';

export interface TrainerOptions extends SpecOptions {
  /** In place of the `train` block's `seed`: of how what is trained starts, and of the order of the data. */
  readonly seed?: number | undefined;
  readonly progress?: Progress | undefined;
  /** Hears what is odd about the spec, and does not keep it from being trained. */
  readonly warn?: ((diagnostic: Diagnostic) => void) | undefined;
}

/** A trainer with what its spec says of the rest of a run. */
export interface SpecTrainer extends Trainer {
  /** What the `train` block says: epochs, rates by step, groups. */
  readonly settings: TrainSettings;
  /** What a loader of data for it needs: `makeLoader(dataset, trainer.loader)`. */
  readonly loader: LoaderOptions;
  /** As a trainer's. @throws EspalierError ESP1103 if the loss is not finite: nothing is to be gone on with */
  step(...of: Parameters<Trainer['step']>): Promise<StepResult>;
  /** A loader's batch as `step` and `evaluate` take it. */
  tensors(batch: Batch): TrainBatch;
}

/** What a spec says of training, and every value that it begins with. */
export interface ReadTraining {
  readonly elaborated: Elaborated;
  readonly train: TrainSettings;
  readonly params: (name: string) => Tensor;
  /** Masks by parameter, where a search has found these rates. */
  readonly masks: Loaded['masks'];
  /** Of the repositories that the spec names, by location as written. */
  readonly commits: Readonly<Record<string, string>>;
  /** The base, for the files of what is trained on it. */
  readonly on?: TrainedOn;
}

/** @throws EspalierError with everything that is wrong with the spec and its files; ESP1108 if it has no `train` block */
export async function readTraining(spec: Spec, options: TrainerOptions): Promise<ReadTraining> {
  const { warn, progress } = options;
  // Until a search has found how much is pruned, nothing is.
  const analysis = await analyseModel(spec, { ...options, rates: options.rates ?? [] });
  const { elaborated } = analysis;
  if (!elaborated.train) throw new EspalierError([diagnostic('ESP1108', { model: elaborated.name })]);
  const train = { ...elaborated.train, seed: options.seed ?? elaborated.train.seed };
  for (const d of analysis.warnings) warn?.(d);
  const { get: params, ofBase, masks, mismatches } = await loadParameters(analysis, progress, train.seed);
  for (const d of mismatches) warn?.(d);
  const on = baseRecord(elaborated, analysis.checkpoints, ofBase);
  return { elaborated, train, params, masks, commits: commitsOf(analysis), ...(on ? { on } : {}) };
}

/**
 * Derives the step of a spec and puts it on the GPU, for a loop of your own:
 *
 *   const trainer = await openTrainer(spec, { host });
 *   const { loss } = await trainer.step({ pixels, target }, { epoch: 0, step: 0, steps: 100 });
 *   const adapter = encodeAdapter(await trainer.trained());
 *   trainer.dispose();
 *
 * `pixels` (whatever the model's input is called) is f32 [n, channels, height, width], normalized; `target` is f32 [n, classes], the share of each class,
 * or the numbers to be learnt.
 * @throws EspalierError with everything that is wrong with the spec and its files, ESP1101, ESP1102, ESP1108; RuntimeError where there is no GPU
 */
export async function openTrainer(spec: Spec, options: TrainerOptions): Promise<SpecTrainer> {
  const { host, progress } = options;
  return sayDataErrors(async () => {
    const { elaborated, train, params } = await readTraining(spec, options);
    const trainer = await openElaborated({ elaborated, train, params, host, progress });
    const { name } = inputOf(elaborated);
    return {
      plan: trainer.plan,
      device: trainer.device,
      session: trainer.session,
      settings: train,
      loader: loaderOptions(elaborated, train),
      tensors: (batch) => ({ ...inputsOf(batch, name), target: targetOf(batch, train) }),
      async step(batch, place) {
        const result = await trainer.step(batch, place);
        if (Number.isFinite(result.loss)) return result;
        const { epoch, step } = place;
        throw new EspalierError([diagnostic('ESP1103', { what: 'loss', value: String(result.loss), epoch, step })]);
      },
      evaluate: (batch) => trainer.evaluate(batch),
      observe: (batch) => trainer.observe(batch),
      features: (of, inputs) => trainer.features(of, inputs),
      featuresHash: (of) => trainer.featuresHash(of),
      state: () => trainer.state(),
      start: (name) => trainer.start(name),
      restore: (state) => trainer.restore(state),
      restart: () => trainer.restart(),
      trained: () => trainer.trained(),
      averaged: (body) => trainer.averaged(body),
      mask: (masks) => trainer.mask(masks),
      dispose: () => trainer.dispose(),
    };
  });
}
