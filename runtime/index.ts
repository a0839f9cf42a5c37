/** The runtime: loads a compiled program and runs it on WebGPU, in a browser and in Node. No compiler in it. */
export * from './errors.js';
export type * from './program.js';
