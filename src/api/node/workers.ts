/** Interprets modules in worker threads, one a core: how a large model is computed in f64 where there is no GPU. */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { startThread } from '../../formats/node/thread.js';
import { usedParams } from '../../ir/graph.js';
import { DataError } from '../../ir/ops/errors.js';
import { printModule } from '../../ir/text/print.js';
import type { Elements, OpName, Param, Tensor } from '../../ir/types.js';
import type { InterpretJob } from '../host.js';

/** What a worker is told: the program as text, and its tensors; parameters lie in memory that all workers share. */
export interface WorkerJob {
  readonly module: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly params: ReadonlyMap<string, Tensor>;
}

export type WorkerAnswer =
  | { readonly outputs: ReadonlyMap<string, Tensor> }
  /** What a message between threads keeps of a `DataError`. */
  | { readonly undefinedAt: { readonly op: OpName; readonly reason: string } }
  | { readonly error: unknown };

/**
 * Results of each job's `infer`, in the order of the jobs.
 * @throws InterpretError, DataError as `interpret`, from the first job that fails
 */
export async function interpretInWorkers(
  jobs: readonly InterpretJob[],
  done: (jobs: number) => void,
): Promise<ReadonlyMap<string, Tensor>[]> {
  const results = new Array<ReadonlyMap<string, Tensor>>(jobs.length);
  const share = sharing();
  let next = 0;
  let finished = 0;
  const workers = Array.from({ length: Math.min(jobs.length, availableParallelism()) }, () =>
    startThread(import.meta.url, 'interpret-worker'),
  );
  const serve = async (worker: Worker): Promise<void> => {
    while (next < jobs.length) {
      const i = next++;
      results[i] = await ask(worker, messageOf(jobs[i]!, share));
      done(++finished);
    }
  };
  try {
    await Promise.all(workers.map(serve));
    return results;
  } finally {
    await Promise.all(workers.map((w) => w.terminate()));
  }
}

function messageOf({ module, inputs, params: given }: InterpretJob, share: (t: Tensor) => Tensor): WorkerJob {
  const infer = module.funcs.get('infer')!;
  const names = usedParams(infer);
  // To the worker every parameter is given: what it starts as, and constants' own elements, would only make the text longer.
  const declared = names.map((name): Param => ({ name, type: module.params.get(name)!.type, role: 'frozen' }));
  const params = new Map(declared.map((p) => [p.name, p]));
  const text = printModule({
    name: module.name,
    adapters: module.adapters,
    params,
    funcs: new Map([['infer', infer]]),
  });
  const tensorOf = (name: string): Tensor => {
    const { type, data } = module.params.get(name)!;
    return data ? { type, data } : given(name);
  };
  return { module: text, inputs, params: new Map(names.map((name) => [name, share(tensorOf(name))])) };
}

/** Copies each array into shared memory once, however many jobs read it. */
function sharing(): (t: Tensor) => Tensor {
  const shared = new Map<Elements, Elements>();
  return ({ type, data }) => {
    let copy = shared.get(data);
    if (!copy) {
      const Kind = data.constructor as new (buffer: SharedArrayBuffer) => Elements;
      copy = new Kind(new SharedArrayBuffer(data.byteLength));
      copy.set(data);
      shared.set(data, copy);
    }
    return { type, data: copy };
  };
}

function ask(worker: Worker, job: WorkerJob): Promise<ReadonlyMap<string, Tensor>> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.removeAllListeners('message');
      worker.removeAllListeners('error');
      act();
    };
    worker.once('message', (answer: WorkerAnswer) =>
      settle(() => {
        if ('outputs' in answer) resolve(answer.outputs);
        else reject('error' in answer ? answer.error : new DataError(answer.undefinedAt.op, answer.undefinedAt.reason));
      }),
    );
    worker.once('error', (error) => settle(() => reject(error)));
    worker.postMessage(job);
  });
}
