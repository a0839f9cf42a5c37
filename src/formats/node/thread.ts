/** Threads of our own code: built, it is plain JavaScript; in a checkout, what runs TypeScript has to be told of it in the new thread first. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a thread.
 * @param beside address of the module that asks (`import.meta.url`)
 * @param name of the thread's module beside it, without its ending
 * @param workerData what the thread is told when it starts
 */
export function startThread(beside: string, name: string, workerData?: unknown): Worker {
  if (!beside.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, beside), { workerData });
  const tsx = pathToFileURL(
    join(createRequire(import.meta.url).resolve('tsx/package.json'), '../dist/esm/api/index.mjs'),
  ).href;
  const worker = new URL(`./${name}.ts`, beside).href;
  const begin = `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(worker)}); })`;
  return new Worker(begin, { eval: true, workerData });
}
