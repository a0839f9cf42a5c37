/** What step.ts measures, ready to be run over and over: a plain forward pass, a step of ours, and one of jax-js. */
import type { Timing } from '../../runtime/entry.js';
import { describe, openGpu } from '../../runtime/node/driver.js';
import { loadGenerated } from '../../src/api/gpu.js';
import { openTrainer } from '../../src/api/train/trainer.js';
import { generate } from '../../src/codegen/generate.js';
import type { Tensor } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { UsageError } from '../arguments.js';
import { type Clock, seconds } from '../clock.js';
import type { Contestant } from '../contest.js';
import { counted } from './buffers.js';
import { METHODS, methodOf, requestOf } from './models.js';

export interface Wanted {
  readonly model: string;
  readonly batch: number;
  readonly name: string;
  readonly clock: Clock;
  /** Time each dispatch, which makes a run slower. */
  readonly timings?: boolean;
}

export interface Opened extends Contestant {
  readonly device: string;
  /** Dawn has to be referenced as long as its devices are in use. */
  readonly gpu: GPU;
  /** Once, untimed. */
  run(): Promise<void>;
  /** Of the last run, before it changed anything; NaN where there is none. */
  loss(): number;
  /** Of the first step, where there is one. */
  gradients(): Promise<ReadonlyMap<string, Float32Array> | undefined>;
  /** The most that its GPU buffers took together so far. */
  bytes(): number;
  /** Each dispatch of the last run, if it was opened to be timed so and the GPU has a clock. */
  timings?(): readonly Timing[] | undefined;
  close(): void;
}

const CLASSES = 102;
const SIDE = 224;

/** The same pictures and targets for all. */
function batchOf(count: number): { pixels: Float32Array; target: Float32Array } {
  const target = new Float32Array(count * CLASSES);
  for (let i = 0; i < count; i++) target[i * CLASSES + i] = 1;
  return { pixels: Float32Array.from({ length: count * 3 * SIDE * SIDE }, (_, i) => Math.sin(0.37 * i)), target };
}

/** Subjects by what comes before a slash. */
const KINDS = [...METHODS, 'forward', 'jax-lora'];

/** @throws UsageError for a name of nothing */
export function openSubject(wanted: Wanted): Promise<Opened> {
  const [kind, setting, ...more] = wanted.name.split('/');
  if (more.length > 0 || (setting !== undefined && setting !== 'merged') || !KINDS.includes(kind!))
    throw new UsageError(`what is measured is ${KINDS.join(', ')}, or one of these with /merged, not ${wanted.name}`);
  if (kind === 'forward') return openForward(wanted);
  return kind === 'jax-lora' ? openJaxLora(wanted) : openStep(wanted, kind!, setting);
}

/** @param run What is timed; gives the loss */
function opened(clock: Clock, run: () => Promise<number>, rest: Omit<Opened, 'measure' | 'run' | 'loss'>): Opened {
  let loss = Number.NaN;
  return {
    ...rest,
    async run() {
      loss = await run();
    },
    loss: () => loss,
    async measure() {
      const start = seconds(clock);
      await run();
      return seconds(clock) - start;
    },
  };
}

async function openForward({ model, batch, clock, timings = false }: Wanted): Promise<Opened> {
  const { elaborated, params } = await requestOf({ model, method: 'full', batch });
  const { module } = optimize(elaborated.module, { adapters: 'merged' });
  const generated = generate(module, { name: 'plain', compiler: 'bench', weights: 'f32', samples: batch });
  const { gpu, adapter, buffers } = counted(await openGpu());
  const session = await loadGenerated(generated, params, { adapter, golden: false, timings });
  const { pixels } = batchOf(batch);
  const run = async (): Promise<number> => {
    await session.call('infer', { pixels });
    return Number.NaN;
  };
  return opened(clock, run, {
    device: describe(adapter),
    gradients: async () => undefined,
    bytes: () => buffers.most,
    timings: () => session.timings,
    gpu,
    close: () => session.dispose(),
  });
}

async function openStep(
  { model, batch, clock, timings = false }: Wanted,
  kind: string,
  adapters?: string,
): Promise<Opened> {
  const settings = adapters === undefined ? [] : [`adapters = ${adapters}`];
  const request = await requestOf({ model, method: methodOf(kind), batch, settings });
  const { gpu, adapter, buffers } = counted(await openGpu());
  const openHere = async () => ({ adapter, description: describe(adapter), release: () => {} });
  const trainer = await openTrainer({ ...request, host: { ...request.host, openGpu: openHere }, timings });
  const data = batchOf(batch);
  let step = 0;
  let first: Map<string, Float32Array> | undefined;
  const run = async (): Promise<number> => {
    const { loss } = await trainer.step(data, { epoch: 0, step: step++, steps: 1000 });
    return loss;
  };
  return opened(clock, run, {
    device: trainer.device,
    async gradients() {
      first ??= momentsOf(await trainer.state());
      return first;
    },
    bytes: () => buffers.most,
    timings: () => trainer.session.timings,
    gpu,
    close: () => trainer.dispose(),
  });
}

/** AdamW's first moments after one step are a tenth of the gradients. */
function momentsOf(states: ReadonlyMap<string, Tensor>): Map<string, Float32Array> {
  const moments = [...states].filter(([name]) => name.endsWith('.m'));
  return new Map(moments.map(([name, { data }]) => [name.slice(0, -2), Float32Array.from(data)]));
}

async function openJaxLora({ model, batch, clock }: Wanted): Promise<Opened> {
  const { elaborated, params, train } = await requestOf({ model, method: 'lora', batch });
  const { gpu, adapter, buffers } = counted(await openGpu());
  const { pixels, target } = batchOf(batch);
  const given = [...elaborated.module.params.values()].map(({ name, type }) => {
    const data = Float32Array.from(params(name).data);
    return [name, { shape: type.shape.map(Number), data }] as const;
  });
  const { openJax } = await import('./jax.mjs');
  // It asks for an adapter with options of its own.
  const jax = await openJax(Object.assign(Object.create(gpu), { requestAdapter: async () => adapter }), {
    depth: given.filter(([name]) => name.endsWith('.attn.qkv.weight')).length,
    heads: params('base.pos_embed').type.shape.map(Number).at(-1)! / 64,
    params: new Map(given),
    trained: train.groups.flatMap((g) => g.params),
    pixels: { shape: [batch, 3, SIDE, SIDE], data: pixels },
    target: { shape: [batch, CLASSES], data: target },
    adamw: { lr: 1e-3, decay: 1e-2 },
  });
  let first: Map<string, Float32Array> | undefined;
  return opened(clock, () => jax.step(), {
    device: describe(adapter),
    async gradients() {
      first ??= await jax.moments();
      return first;
    },
    bytes: () => buffers.most,
    gpu,
    close: () => jax.device.destroy(),
  });
}
