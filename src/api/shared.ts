/** What the API is in Node and in a page alike: data, messages, the language, and the types of what both give. */
export * from '../counting/index.js';
export * from '../data/index.js';
export type { Code } from '../diagnostics/catalogue.js';
export { type RenderOptions, render } from '../diagnostics/render.js';
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
export {
  type AutomaticOptions,
  automaticOf,
  type Decoded,
  type FilterOptions,
  findThings,
  type Mask,
  overlaySvg,
  type Prompts,
  type Thing,
  type Things,
} from '../segmentation/index.js';
export type { Analysis, Spec, SpecOptions } from './analyse.js';
export type { Compiled, CompileOptions } from './compile.js';
export type { Inspected, InspectedNode, InspectedParam, InspectOptions, TensorPlace } from './inspect/inspect.js';
export { libraryText } from './library.js';
export type { Merged, MergeOptions } from './merge.js';
export type { ExportedOnnx, OnnxExportOptions } from './onnx/export.js';
export type { Picture } from './onnx/picture.js';
export type { EndEvent, EpochEvent, Score, StepEvent, TestEvent, TrainEvent } from './train/events.js';
export type { Gradient, GradientOptions, GradientProgram } from './train/gradient.js';
export type { KeptFeatures } from './train/kept.js';
export { MemoryRun, type MemoryRunPlan, type MemoryTrainOptions, trainInMemory } from './train/memory.js';
export type { SpecTrainer, TrainerOptions } from './train/open.js';
export type { TrainPlan } from './train/program.js';
export type { Prediction } from './train/run.js';
export type { StepResult, TrainBatch, Trainer } from './train/trainer.js';
