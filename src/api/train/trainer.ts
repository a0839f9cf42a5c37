/**
 * Steps of training on a GPU, for those who write their own loop. What is trained, its moments and averages lie there from step to step; a step is one
 * submission for each part of its batch, and what it gives back is its loss and what the model gave.
 */
import { largestLimits } from '../../../runtime/adapter.js';
import { deviceFacts } from '../../../runtime/device.js';
import { elements } from '../../../runtime/program/check.js';
import { sha256 } from '../../../runtime/program/digest.js';
import { type Entry, entryNamed, type TensorSpec } from '../../../runtime/program/program.js';
import type { Session } from '../../../runtime/session.js';
import type { TensorData } from '../../../runtime/tensors.js';
import type { Elaborated, StepPlace, TrainSettings } from '../../dsl/elaborated.js';
import { interpretFunc } from '../../ir/run/interpret.js';
import { tensor } from '../../ir/run/tensor.js';
import type { Tensor } from '../../ir/types.js';
import { ACCUMULATE, averageName, FEATURE, KEY, LOSS, OBSERVE, STEP } from '../../passes/train/step.js';
import { classOf, loadGenerated } from '../gpu.js';
import type { Host, Progress } from '../host.js';
import { packWeight } from '../weight-files.js';
import type { Reader } from './prefix.js';
import { type TrainPlan, type TrainProgram, trainProgram } from './program.js';

/**
 * What a step reads: whole tensors by the names of the model's inputs, and `target`, [n, ...] each. Where the frozen part of the model is cut off, what
 * `features` gave may stand in place of the inputs.
 */
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
  /** Moves the weights by one batch. If the loss is not finite, nothing is to be gone on with. */
  step(batch: TrainBatch, place: StepPlace): Promise<StepResult>;
  /** The loss as inference computes it; nothing changes. */
  evaluate(batch: TrainBatch): Promise<StepResult>;
  /** The same loss, and what the search of the spec compares, `feature`, [n, ...]: what a site inside of the model gives, or the model's first result. */
  observe(batch: TrainBatch): Promise<Pick<StepResult, 'loss'> & { readonly feature: Float32Array }>;
  /** What a step, or the loss, reads of the model's inputs in their place: undefined where nothing is cut off for it. Once an image is enough. */
  features(of: Reader, inputs: TrainBatch): Promise<TrainBatch | undefined>;
  /** SHA-256 of all that features depend on beside the inputs: kernels, weights, the GPU. Reads all weights. */
  featuresHash(of: Reader): Promise<string>;
  /** All states: what is trained, moments, averages. What a run has to keep to go on. */
  state(): Promise<Map<string, Tensor>>;
  /** What a parameter or a state is before the first step. */
  start(name: string): Tensor;
  /** Puts states back, all of them. */
  restore(state: ReadonlyMap<string, Tensor>): Promise<void>;
  /** Puts the optimiser's moments where they start. What is trained stays as it is, and so do averages. */
  restart(): Promise<void>;
  /** What was trained, by name: the averages of weights, where `ema` is set. Running averages of norms are as the last step left them. */
  trained(): Promise<Map<string, Tensor>>;
  /** Calls with the averages in place of what they are of, and puts that back. Without `ema` it is `body` alone. */
  averaged<T>(body: () => Promise<T>): Promise<T>;
  /** Puts masks in the place of those that it began with: f32 zeros and ones by parameter. States are as they were. */
  mask(masks: ReadonlyMap<string, Tensor>): Promise<void>;
  /** Frees the GPU. */
  dispose(): void;
}

export interface TrainerRequest {
  readonly elaborated: Elaborated;
  readonly train: TrainSettings;
  readonly params: (name: string) => Tensor;
  /** Who reads the same images each epoch: what of the model is frozen is then cut off for them, where that is worth it (default: nobody). */
  readonly still?: readonly Reader[];
  readonly host: Host;
  readonly progress?: Progress | undefined;
  /** Time each dispatch where the GPU can (`session.timings`), which makes a step slower. */
  readonly timings?: boolean;
}

/** @throws what `trainProgram` and `load` throw; RuntimeError where there is no GPU */
export async function openTrainer({ host, timings = false, ...request }: TrainerRequest): Promise<Trainer> {
  const { train, progress } = request;
  const gpu = await host.openGpu!();
  try {
    const device = classOf(deviceFacts(gpu.adapter));
    const program = trainProgram({ ...request, limits: largestLimits(gpu.adapter), device });
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
    this.states = program.kept;
    this.outputs = train.loss.results.map((r) => r.name).filter((name) => name !== LOSS);
  }

  async step(batch: TrainBatch, place: StepPlace): Promise<StepResult> {
    const parts = await this.partsOf('step', batch);
    const items = parts.reduce((sum, p) => sum + p.items, 0);
    const given: StepResult[] = [];
    for (const [i, { tensors, items: n }] of parts.entries()) {
      const entry = i === parts.length - 1 ? STEP : ACCUMULATE;
      const found = await this.call(entry, { ...tensors, ...this.scalars(entry, place, n / items, i) });
      given.push(found);
    }
    return joined(
      given,
      parts.map((p) => p.items / items),
    );
  }

  evaluate(batch: TrainBatch): Promise<StepResult> {
    return this.inferred(batch, LOSS, this.outputs);
  }

  async observe(batch: TrainBatch): Promise<Pick<StepResult, 'loss'> & { readonly feature: Float32Array }> {
    const [entry, name] = this.train.observed ? [OBSERVE, FEATURE] : [LOSS, this.outputs[0]!];
    const { loss, outputs } = await this.inferred(batch, entry, [name]);
    return { loss, feature: outputs[name]! };
  }

  private async inferred(batch: TrainBatch, entry: string, names: readonly string[]): Promise<StepResult> {
    const parts = await this.partsOf('loss', batch);
    const items = parts.reduce((sum, p) => sum + p.items, 0);
    const given: StepResult[] = [];
    for (const { tensors } of parts) given.push(await this.call(entry, tensors, names));
    return joined(
      given,
      parts.map((p) => p.items / items),
    );
  }

  async features(of: Reader, inputs: TrainBatch): Promise<TrainBatch | undefined> {
    const entry = this.entryOf(of);
    if (!entry) return undefined;
    const tensors = Object.fromEntries(entry.inputs.map(({ name }) => [name, inputs[name]!]));
    return (await this.session.call(entry.name, tensors)).outputs as TrainBatch;
  }

  async featuresHash(of: Reader): Promise<string> {
    const entry = this.entryOf(of);
    if (!entry) throw new RangeError(`nothing is cut off for ${of}`);
    const { generated, params } = this.program;
    const { kernels } = this.session.program;
    const used = [...new Set(entry.dispatches.map((d) => d.kernel))];
    const texts = used.map((k) => {
      const { variant } = this.session.variants[k]!;
      return generated.files.get(kernels[k]!.variants.find((v) => v.name === variant)!.file)!;
    });
    // Which numbers and names kernels have in the program depends on the rest of it.
    const dispatches = entry.dispatches.map((d) => ({ ...d, kernel: used.indexOf(d.kernel) }));
    const list = [this.device, JSON.stringify({ ...entry, dispatches }), ...texts];
    const read = new Set(
      entry.dispatches.flatMap((d) => d.bindings.flatMap((b) => (b.kind === 'weight' ? [b.name] : []))),
    );
    for (const { entry: weight, param } of generated.weights) {
      if (!read.has(weight.name)) continue;
      const { data } = params(param);
      const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
      list.push(`${weight.name} ${await sha256(bytes.slice())}`);
    }
    return sha256(new TextEncoder().encode(list.join('\n')));
  }

  async state(): Promise<Map<string, Tensor>> {
    return this.read(this.states);
  }

  start(name: string): Tensor {
    const param = this.program.module.params.get(name);
    return param?.data ? { type: param.type, data: param.data } : this.program.params(name);
  }

  async restore(state: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.session.replace(
      Object.fromEntries(this.states.map((name) => [name, Float32Array.from(state.get(name)!.data)])),
    );
  }

  async restart(): Promise<void> {
    const trained = this.train.groups.flatMap((g) => g.params);
    const stays = new Set([...trained, ...trained.map(averageName), ...this.program.statistics]);
    const moments = this.states.filter((name) => !stays.has(name));
    await this.session.replace(
      Object.fromEntries(moments.map((name) => [name, Float32Array.from(this.start(name).data)])),
    );
  }

  async trained(): Promise<Map<string, Tensor>> {
    const names = this.train.groups.flatMap((g) => g.params);
    const statistics = await this.read(this.program.statistics);
    if (this.train.ema === undefined) return new Map([...(await this.read(names)), ...statistics]);
    const averages = await this.read(names.map(averageName));
    return new Map([...names.map((name) => [name, averages.get(averageName(name))!] as const), ...statistics]);
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

  async mask(masks: ReadonlyMap<string, Tensor>): Promise<void> {
    const changed = this.program.masked(masks);
    const packed = this.program.generated.weights.flatMap((recipe) => {
      const tensor = recipe.entry.start === 'file' ? changed.get(recipe.param) : undefined;
      return tensor ? [[recipe.entry.name, packWeight(recipe, tensor)] as const] : [];
    });
    await this.session.overwrite(new Map(packed));
  }

  dispose(): void {
    this.session.dispose();
  }

  private entryOf(of: Reader): Entry | undefined {
    const prefix = this.plan.prefixes[of];
    return prefix && entryNamed(this.session.program, prefix.entry);
  }

  private async read(names: readonly string[]): Promise<Map<string, Tensor>> {
    const found = new Map<string, Tensor>();
    for (const name of names) {
      const data = await this.session.read(name);
      found.set(name, { type: this.program.module.params.get(name)!.type, data: data as Float32Array });
    }
    return found;
  }

  private async call(
    entry: string,
    tensors: Readonly<Record<string, TensorData>>,
    names: readonly string[] = this.outputs,
  ): Promise<StepResult> {
    const { outputs } = await this.session.call(entry, tensors);
    const [loss] = outputs[LOSS]!;
    const norm = outputs.norm?.[0];
    const own = Object.fromEntries(names.map((name) => [name, outputs[name] as Float32Array]));
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
    const inputs = new Map([...known].map(([name, x]) => [name, tensor([], [x])]));
    const numbers = [...this.program.numbers].flatMap(([name, func]) => {
      const values = (): number[] => [...interpretFunc(func, { inputs }).values()].map((t) => t.data[0]!);
      return asked.has(name) ? [[name, Float32Array.from(values())] as const] : [];
    });
    return {
      ...Object.fromEntries(numbers),
      // Parts of one batch drop different elements.
      ...(asked.has(KEY) ? { [KEY]: Uint32Array.of(this.train.seed, place.step * this.train.accumulate + part) } : {}),
    };
  }

  /** The batch in parts of at most `plan.part` samples, of nearly one size, each as the entry takes it. */
  private async partsOf(reader: Reader, batch: TrainBatch): Promise<Part[]> {
    const { numbers } = this.program;
    const all = entryNamed(this.session.program, reader)!.inputs;
    const inputs = all.filter((t) => !numbers.has(t.name) && t.name !== KEY);
    const missing = inputs.some((t) => !Object.hasOwn(batch, t.name));
    const given = missing ? { ...batch, ...(await this.features(reader, batch)) } : batch;
    const first = inputs.find((t) => t.samples)!;
    const items = (given[first.name]?.length ?? 0) / elements(first.shape);
    const count = Math.ceil(items / this.plan.part);
    return Array.from({ length: count }, (_, i) => {
      const [from, to] = [Math.floor((i * items) / count), Math.floor(((i + 1) * items) / count)];
      const cut = ({ name, shape, samples }: TensorSpec): Float32Array => {
        const whole = given[name]!;
        return samples ? whole.subarray(from * elements(shape), to * elements(shape)) : whole;
      };
      return { tensors: Object.fromEntries(inputs.map((one) => [one.name, cut(one)])), items: to - from };
    });
  }
}

interface Part {
  readonly tensors: TrainBatch;
  readonly items: number;
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
