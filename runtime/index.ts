/** The runtime: loads a compiled program and runs it on WebGPU, in a browser and in Node. No compiler in it. */
export { type ClassScore, topClasses } from './classes.js';
export type { Timing } from './entry.js';
export * from './errors.js';
export type { ImageInput, RawImage } from './images/image.js';
export type { Progress } from './memory.js';
export type { Parameters } from './parameters.js';
export type { OpenFile, ProgramFiles, Source } from './program/files.js';
export type * from './program/program.js';
export {
  type ImageRun,
  type ImagesRun,
  isSupported,
  type LoadOptions,
  load,
  type Result,
  type Session,
  type TensorsRun,
} from './session.js';
export type { TensorData } from './tensors.js';
