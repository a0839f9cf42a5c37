/**
 * Espalier's API, for Node.
 *
 *   const compiled = await compile('flowers.peft', { host: nodeHost() });
 *   await writeCompiled(compiled, 'out');
 *   const session = await openProgram('out');
 *   const { classes } = await session.run({ image });
 */
export { load, type NodeLoadOptions, type Result, RuntimeError, type Session } from '../../runtime/node/index.js';
export { type Checked, type Diagnostic, EspalierError } from '../diagnostics/types.js';
export { format } from '../dsl/format.js';
export { parse } from '../dsl/parse.js';
export { type Analysis, analyse, type Spec, type SpecOptions } from './analyse.js';
export { type Compiled, type CompileOptions, compile } from './compile.js';
export type { Host } from './host.js';
export { type Inspected, inspect } from './inspect.js';
export { libraryText } from './library.js';
export { type Merged, merge } from './merge.js';
export { type Evaluation, figures } from './metrics.js';
export { nodeHost } from './node/host.js';
export { evaluateFolder, openProgram, predictImages } from './node/programs.js';
export { writeCompiled, writeMerged } from './node/write.js';
