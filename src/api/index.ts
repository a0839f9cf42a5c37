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
export { type DataFormat, type DataSpec, type OpenDataOptions, openDatasets } from '../data/node/open.js';
export { openLoader, type ThreadOptions } from '../data/node/threads.js';
export {
  type ConvertedSpec,
  convertSpec,
  type DefinedSpec,
  type DeployDocument,
  defineModel,
  type ExpressionDocument,
  type ModelDocument,
  type SectionDocument,
  type SpecDocument,
  type StatementDocument,
  schemaText,
  specSchema,
  type TrainDocument,
} from '../dsl/json/index.js';
export { decodeImage } from '../formats/node/images.js';
export type { RgbaImage } from '../formats/types.js';
export { parseShape } from '../onnx/import/index.js';
export type { ExportedAdapters, ExportOptions } from './adapters/export.js';
export { type ClassFigures, type Evaluation, figures } from './golden/metrics.js';
export type { Host } from './host.js';
export { type EvaluateRunOptions, evaluateRun, type RunEvaluation } from './node/evaluate-run.js';
export { nodeHost } from './node/host.js';
export { type ImportedModel, type ImportModelOptions, importModel, writeImported } from './node/import.js';
export {
  type CountedImage,
  countImages,
  evaluateFolder,
  type ImagePrediction,
  type ImagesOptions,
  type OpenProgramOptions,
  openProgram,
  predictImages,
  type Skipped,
} from './node/programs.js';
export { reportOf, writeReport } from './node/report.js';
export type { RunFacts } from './node/run-folder.js';
export {
  analyse,
  compile,
  exportAdapters,
  exportOnnx,
  grad,
  inspect,
  merge,
  type OnNode,
  openTrainer,
} from './node/spec.js';
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
export { type WriteOnnxOptions, writeAdapters, writeCompiled, writeMerged, writeOnnx } from './node/write.js';
export type { Chart, Curve, RunReport, RunState } from './report/figures.js';
export * from './shared.js';
