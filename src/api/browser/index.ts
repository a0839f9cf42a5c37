/**
 * Espalier's API in a page: the compiler, training and the runtime, without files. Nothing in it is Node's, and nothing needs `eval`.
 *
 *   const host = browserHost({ base: '/models/' });
 *   const spec = { text, path: 'digits.peft' };
 *   const run = new MemoryRun();
 *   for await (const event of trainInMemory(spec, { host, datasets, run, signal })) show(event);
 *   const compiled = await compile(spec, { host, trained: await run.trained() });
 *   const session = await load(compiled);
 *
 * What is wrong with a spec or a file is an `EspalierError`, whose `diagnostics` are data; what goes wrong on a device is a `RuntimeError` with
 * a `code` and a `help`. All of it also runs in a Worker, which keeps the page alive while something is compiled.
 */
// For declarations: values of `Compiled` have the operators that the files of the table add (`OpAttrs`).
import '../../ir/ops/index.js';

export * from '../../../runtime/index.js';
export * from '../../data/index.js';
export type { Code } from '../../diagnostics/catalogue.js';
export { type RenderOptions, render } from '../../diagnostics/render.js';
export {
  type Checked,
  type Diagnostic,
  EspalierError,
  type Label,
  type Severity,
  type Span,
} from '../../diagnostics/types.js';
export { format } from '../../dsl/format.js';
export { parse } from '../../dsl/parse.js';
export { encodeAdapter } from '../../formats/adapters/adapter.js';
export { type Analysis, analyse, type Spec, type SpecOptions } from '../analyse.js';
export { type Compiled, type CompileOptions, compile } from '../compile.js';
export type { Host, HostGpu, Progress as HostProgress } from '../host.js';
export { type Inspected, type InspectOptions, inspect } from '../inspect/inspect.js';
export { libraryText } from '../library.js';
export { type Merged, type MergeOptions, merge } from '../merge.js';
export type { EndEvent, EpochEvent, Score, StepEvent, TestEvent, TrainEvent } from '../train/events.js';
export { type Gradient, type GradientOptions, type GradientProgram, grad } from '../train/gradient.js';
export type { KeptFeatures } from '../train/kept.js';
export { MemoryRun, type MemoryRunPlan, type MemoryTrainOptions, trainInMemory } from '../train/memory.js';
export { openTrainer, type SpecTrainer, type TrainerOptions } from '../train/open.js';
export type { TrainPlan } from '../train/program.js';
export type { Prediction } from '../train/run.js';
export type { StepResult, TrainBatch, Trainer } from '../train/trainer.js';
export { type BrowserHostOptions, browserHost } from './host.js';
