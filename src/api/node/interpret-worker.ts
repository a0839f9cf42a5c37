/** The thread that `workers.ts` starts: reads a program from its text and interprets it. */
import { parentPort } from 'node:worker_threads';
import { DataError } from '../../ir/ops/errors.js';
import { interpret } from '../../ir/run/interpret.js';
import { parseModule } from '../../ir/text/parse.js';
import type { WorkerAnswer, WorkerJob } from './workers.js';

parentPort!.on('message', ({ module, inputs, params }: WorkerJob) => {
  let answer: WorkerAnswer;
  try {
    const outputs = interpret(parseModule(module), 'infer', { inputs, params: (name) => params.get(name)! });
    answer = { outputs };
  } catch (error) {
    answer = error instanceof DataError ? { undefinedAt: { op: error.op, reason: error.reason } } : { error };
  }
  parentPort!.postMessage(answer);
});
