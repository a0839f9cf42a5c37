/**
 * Steps of training on a GPU, for those who write their own loop. What is trained, its moments and averages lie there from step to step; a step is one
 * submission for each part of its batch, and what it gives back is its loss and what the model gave.
 */
import type { Session } from '../../../runtime/session.js';
import type { TensorData } from '../../../runtime/tensors.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, StepPlace, TrainSettings } from '../../dsl/elaborated.js';
import { hasBatch, shapeAt } from '../../ir/batch.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { interpretFunc } from '../../ir/run/interpret.js';
import { tensor } from '../../ir/run/tensor.js';
import type { Tensor, Value } from '../../ir/types.js';
import { ACCUMULATE, averageName, KEY, LOSS, NUMBERS, STEP } from '../../passes/train/step.js';
import { loadGenerated } from '../gpu.js';
import type { Host, Progress } from '../host.js';
import { type TrainPlan, type TrainProgram, trainProgram } from './program.js';

/** What a step reads: whole tensors by the names of the model's inputs, and `target`, [n, ...] each. */
export type TrainBatch = Readonly<Record<string, Float32Array>>;

export interface StepResult {
  /** Before the step, the mean over the batch. */
  readonly loss: number;
  /** Of all gradients together, before they were clipped; absent unless `clip` is set. */
  readonly norm?: number;
  /** What the model gave, by name, [n, ...] each. */
  readonly outputs: Readonly<Record<string, Float32Array>>;
}

export interface Trainer {
  readonly plan: TrainPlan;
  /** The GPU that it runs on, and the variant of each kernel: what results are the same bits on. */
  readonly device: string;
  readonly session: Session;
  /** Moves the weights by one batch. @throws EspalierError ESP1103 if the loss is not finite: nothing is to be gone on with */
  step(batch: TrainBatch, place: StepPlace): Promise<StepResult>;
  /** The loss as inference computes it; nothing changes. */
  evaluate(batch: TrainBatch): Promise<StepResult>;
  /** All states: what is trained, moments, averages. What a run has to keep to go on. */
  state(): Promise<Map<string, Tensor>>;
  /** Puts states back, all of them. */
  restore(state: ReadonlyMap<string, Tensor>): Promise<void>;
  /** What was trained, by name: the averages, where `ema` is set. */
  trained(): Promise<Map<string, Tensor>>;
  /** Calls with the averages in place of what they are of, and puts that back. Without `ema` it is `body` alone. */
  averaged<T>(body: () => Promise<T>): Promise<T>;
  /** Frees the GPU. */
  dispose(): void;
}

export interface TrainerRequest {
  readonly elaborated: Elaborated;
  readonly train: TrainSettings;
  readonly params: (name: string) => Tensor;
  readonly host: Host;
  readonly progress?: Progress | undefined;
  /** Time each dispatch where the GPU can (`session.timings`), which makes a step slower. */
  readonly timings?: boolean;
}

/** @throws what `trainProgram` and `load` throw; RuntimeError where there is no GPU */
export async function openTrainer(request: TrainerRequest): Promise<Trainer> {
  const { elaborated, train, params, host, progress, timings = false } = request;
  const limits = await host.deviceLimits();
  const program = trainProgram({ elaborated, train, params, limits, progress });
  const gpu = await host.openGpu!();
  try {
    progress?.('uploading weights');
    const session = await loadGenerated(program.generated, program.params, {
      adapter: gpu.adapter,
      golden: false,
      timings,
      onDispose: gpu.release,
    });
    return new GpuTrainer(session, program, train, gpu.description);
  } catch (error) {
    gpu.release();
    throw error;
  }
}

const elementsOf = (v: Value): number => sizeOf(shapeAt(v.type.shape, 1));

class GpuTrainer implements Trainer {
  readonly plan: TrainPlan;
  /** Names of the states, in the program's order. */
  private readonly states: readonly string[];
  private readonly outputs: readonly string[];

  constructor(
    readonly session: Session,
    private readonly program: TrainProgram,
    private readonly train: TrainSettings,
    readonly device: string,
  ) {
    this.plan = program.plan;
    const { params } = program.module;
    this.states = [...new Set(program.generated.weights.map((w) => w.param))].filter(
      (name) => params.get(name)!.role === 'state',
    );
    this.outputs = train.loss.results.map((r) => r.name).filter((name) => name !== LOSS);
  }

  async step(batch: TrainBatch, place: StepPlace): Promise<StepResult> {
    const parts = this.partsOf(batch);
    const items = parts.reduce((sum, p) => sum + p.items, 0);
    const given: StepResult[] = [];
    for (const [i, { tensors, items: n }] of parts.entries()) {
      const entry = i === parts.length - 1 ? STEP : ACCUMULATE;
      const found = await this.call(entry, { ...tensors, ...this.scalars(entry, place, n / items, i) });
      given.push(found);
      if (!Number.isFinite(found.loss))
        throw new EspalierError([diagnostic('ESP1103', { loss: found.loss, ...place })]);
    }
    return joined(
      given,
      parts.map((p) => p.items / items),
    );
  }

  async evaluate(batch: TrainBatch): Promise<StepResult> {
    const parts = this.partsOf(batch);
    const items = parts.reduce((sum, p) => sum + p.items, 0);
    const given: StepResult[] = [];
    for (const { tensors } of parts) given.push(await this.call(LOSS, tensors));
    return joined(
      given,
      parts.map((p) => p.items / items),
    );
  }

  async state(): Promise<Map<string, Tensor>> {
    return this.read(this.states);
  }

  async restore(state: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.session.replace(
      Object.fromEntries(this.states.map((name) => [name, Float32Array.from(state.get(name)!.data)])),
    );
  }

  async trained(): Promise<Map<string, Tensor>> {
    const names = this.train.groups.flatMap((g) => g.params);
    if (this.train.ema === undefined) return this.read(names);
    const averages = await this.read(names.map(averageName));
    return new Map(names.map((name) => [name, averages.get(averageName(name))!]));
  }

  async averaged<T>(body: () => Promise<T>): Promise<T> {
    if (this.train.ema === undefined) return body();
    const now = await this.read(this.train.groups.flatMap((g) => g.params));
    const put = (tensors: ReadonlyMap<string, Tensor>) =>
      this.session.replace(Object.fromEntries([...tensors].map(([name, { data }]) => [name, data as Float32Array])));
    await put(await this.trained());
    try {
      return await body();
    } finally {
      await put(now);
    }
  }

  dispose(): void {
    this.session.dispose();
  }

  private async read(names: readonly string[]): Promise<Map<string, Tensor>> {
    const found = new Map<string, Tensor>();
    for (const name of names) {
      const data = await this.session.read(name);
      found.set(name, { type: this.program.module.params.get(name)!.type, data: data as Float32Array });
    }
    return found;
  }

  private async call(entry: string, tensors: Readonly<Record<string, TensorData>>): Promise<StepResult> {
    const { outputs } = await this.session.call(entry, tensors);
    const [loss] = outputs[LOSS]!;
    const norm = outputs.norm?.[0];
    const own = Object.fromEntries(this.outputs.map((name) => [name, outputs[name] as Float32Array]));
    return { loss: Number(loss), ...(norm === undefined ? {} : { norm: Number(norm) }), outputs: own };
  }

  /** What an entry takes besides the batch: numbers of the step, and what its dropouts are drawn by. */
  private scalars(entry: string, place: StepPlace, share: number, part: number): Record<string, TensorData> {
    const { entries } = this.session.program;
    const asked = new Set(entries.find((e) => e.name === entry)!.inputs.map((t) => t.name));
    const known = new Map<string, number>([
      ['count', place.step + 1],
      ['share', share],
      ...this.train.groups.map(({ lr }, i) => [`rate.${i}`, this.train.rate(lr, place)] as const),
    ]);
    const func = this.program.numbers.get(entry)!;
    const inputs = new Map([...known].map(([name, x]) => [name, tensor([], [x])]));
    const numbers = [...interpretFunc(func, { inputs }).values()].map((t) => t.data[0]!);
    return {
      ...(asked.has(NUMBERS) ? { [NUMBERS]: Float32Array.from(numbers) } : {}),
      // Parts of one batch drop different elements.
      ...(asked.has(KEY) ? { [KEY]: Uint32Array.of(this.train.seed, place.step * this.train.accumulate + part) } : {}),
    };
  }

  /** The batch in parts of at most `plan.part` samples, of nearly one size. */
  private partsOf(batch: TrainBatch): { readonly tensors: TrainBatch; readonly items: number }[] {
    const inputs = this.train.loss.inputs.map((v) => ({ name: v.op === 'input' ? v.attrs.name : '', v }));
    const [first] = inputs;
    const items = batch[first!.name]!.length / elementsOf(first!.v);
    const count = Math.ceil(items / this.plan.part);
    return Array.from({ length: count }, (_, i) => {
      const [from, to] = [Math.floor((i * items) / count), Math.floor(((i + 1) * items) / count)];
      const cut = ({ name, v }: (typeof inputs)[number]): Float32Array => {
        const whole = batch[name]!;
        return hasBatch(v.type.shape) ? whole.subarray(from * elementsOf(v), to * elementsOf(v)) : whole;
      };
      return { tensors: Object.fromEntries(inputs.map((one) => [one.name, cut(one)])), items: to - from };
    });
  }
}

/** Parts put together: the mean of the losses by share, outputs one after another. */
function joined(parts: readonly StepResult[], shares: readonly number[]): StepResult {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const loss = parts.reduce((sum, p, i) => sum + p.loss * shares[i]!, 0);
  const norm = parts.at(-1)!.norm;
  const outputs = Object.fromEntries(
    Object.keys(first!.outputs).map((name) => {
      const all = parts.map((p) => p.outputs[name]!);
      const whole = new Float32Array(all.reduce((sum, a) => sum + a.length, 0));
      let at = 0;
      for (const a of all) {
        whole.set(a, at);
        at += a.length;
      }
      return [name, whole];
    }),
  );
  return { loss, ...(norm === undefined ? {} : { norm }), outputs };
}
