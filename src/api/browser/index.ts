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
export { analyse } from '../analyse.js';
export { compile } from '../compile.js';
export type { Host, HostGpu, Progress as HostProgress } from '../host.js';
export { inspect } from '../inspect/inspect.js';
export { merge } from '../merge.js';
export { exportOnnx } from '../onnx/export.js';
export * from '../shared.js';
export { grad } from '../train/gradient.js';
export { openTrainer } from '../train/open.js';
export { type BrowserHostOptions, browserHost } from './host.js';
