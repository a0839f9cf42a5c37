/**
 * Espalier's API, for Node.
 *
 *   const compiled = await compile('flowers.peft');   // or { text, path }
 *   await writeCompiled(compiled, 'out');
 *   const session = await load('out');                // or load(compiled)
 *   const { classes } = await session.run({ image: { data, width, height } });
 *   session.dispose();
 *
 * What is wrong with a spec or a file is an `EspalierError`, whose `diagnostics` are data; what goes wrong on a device is a `RuntimeError` with
 * a `code` and a `help`.
 */
// For declarations: values of `Compiled` have the operators that the files of the table add (`OpAttrs`).
import '../ir/ops/index.js';

export * from '../../runtime/node/index.js';
export * from '../data/index.js';
export { type DataFormat, type DataSpec, type OpenDataOptions, openDatasets } from '../data/node/open.js';
export { openLoader, type ThreadOptions } from '../data/node/threads.js';
export type { Code } from '../diagnostics/catalogue.js';
export {
  type Checked,
  type Diagnostic,
  EspalierError,
  type Label,
  type Severity,
  type Span,
} from '../diagnostics/types.js';
export { format } from '../dsl/format.js';
export { parse } from '../dsl/parse.js';
export { encodeAdapter } from '../formats/adapters/adapter.js';
export { decodeImage } from '../formats/node/images.js';
export type { RgbaImage } from '../formats/types.js';
export type { ExportedAdapters, ExportOptions } from './adapters/export.js';
export type { Analysis, Spec, SpecOptions } from './analyse.js';
export type { Compiled, CompileOptions } from './compile.js';
export { type ClassFigures, type Evaluation, figures } from './golden/metrics.js';
export type { Host } from './host.js';
export type { Inspected, InspectedNode, InspectedParam, InspectOptions, TensorPlace } from './inspect/inspect.js';
export { libraryText } from './library.js';
export type { Merged, MergeOptions } from './merge.js';
export { type EvaluateRunOptions, evaluateRun, type RunEvaluation } from './node/evaluate-run.js';
export { nodeHost } from './node/host.js';
export {
  evaluateFolder,
  type ImagePrediction,
  type ImagesOptions,
  openProgram,
  predictImages,
  type Skipped,
} from './node/programs.js';
export { reportOf, writeReport } from './node/report.js';
export type { RunFacts } from './node/run-folder.js';
export { analyse, compile, exportAdapters, grad, inspect, merge, type OnNode, openTrainer } from './node/spec.js';
export {
  type Spread,
  type SweepEvent,
  type SweepJob,
  type SweepOptions,
  type SweepResult,
  type SweepRow,
  type SweepRun,
  sweep,
} from './node/sweep.js';
export { type TrainRunOptions, train } from './node/train.js';
export { writeAdapters, writeCompiled, writeMerged } from './node/write.js';
export type { Chart, Curve, RunReport, RunState } from './report/figures.js';
export type { EndEvent, EpochEvent, Score, StepEvent, TestEvent, TrainEvent } from './train/events.js';
export type { Gradient, GradientOptions, GradientProgram } from './train/gradient.js';
export type { KeptFeatures } from './train/kept.js';
export { MemoryRun, type MemoryRunPlan, type MemoryTrainOptions, trainInMemory } from './train/memory.js';
export type { SpecTrainer, TrainerOptions } from './train/open.js';
export type { Prediction } from './train/run.js';
export type { StepResult, TrainBatch, Trainer } from './train/trainer.js';
