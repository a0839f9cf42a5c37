/** `grad`: the loss of a spec's training as a program whose outputs are gradients, on the GPU. */
import { entryNamed } from '../../../runtime/program/program.js';
import type { Session } from '../../../runtime/session.js';
import { generate } from '../../codegen/generate.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { matches } from '../../ir/glob.js';
import { weightsOf } from '../../ir/graph.js';
import type { Module, Tensor } from '../../ir/types.js';
import { GRADIENT, gradientModule, gradientName } from '../../passes/train/gradient.js';
import { LOSS } from '../../passes/train/step.js';
import type { Spec } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import { loadGenerated } from '../gpu.js';
import type { Progress } from '../host.js';
import { version } from '../version.js';
import { type ReadTraining, readTraining, type TrainerOptions } from './open.js';
import { startOf, withoutGradient } from './program.js';
import type { TrainBatch } from './trainer.js';

export interface GradientOptions extends TrainerOptions {
  /**
   * By what the loss is differentiated: names of parameters, trained or frozen, and of the model's inputs, in which `*` stands for any characters:
   * `['head.*', 'pixels']`. Default: all that is trained.
   */
  readonly by?: readonly string[];
  /** The most samples of a call (default: a batch of the spec). */
  readonly samples?: number;
}

export interface Gradient {
  /** The mean over the samples. */
  readonly loss: number;
  /** What the model gave, by name, [n, ...] each. */
  readonly outputs: Readonly<Record<string, Float32Array>>;
  /** Of the loss, by the name of what it is by, each of its shape; of an input [n, ...]: the loss is a mean, so each sample has its share. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

export interface GradientProgram {
  /** What it is by: names of parameters, then of inputs. */
  readonly by: readonly string[];
  /** As it was generated: its function `gradient` has what is trained among its arguments, and the results `loss`, the model's, and `gradient/NAME`. */
  readonly module: Module;
  /** With the entry `gradient`. */
  readonly session: Session;
  /** What is trained, as the spec's files have it or as it starts. */
  readonly weights: TrainBatch;
  /**
   * @param batch whole tensors by the names of the model's inputs, and `target`, [n, ...] each, of at most `samples` samples
   * @param weights in place of those above, all or some
   * @throws InputError (ESP0708) for an input that is missing or of another size, RuntimeError if the GPU is lost
   */
  call(batch: TrainBatch, weights?: TrainBatch): Promise<Gradient>;
  /** Frees the GPU. */
  dispose(): void;
}

/**
 * Differentiates the loss of a spec's `train` block, and puts that on the GPU:
 *
 *   const program = await grad(spec, { host, by: ['base.blocks.*.attn.qkv@lora.*', 'pixels'] });
 *   const { loss, gradients } = await program.call({ pixels, target });
 *   program.dispose();
 *
 * The loss is as inference computes it: nothing is dropped. Only what lies between the loss and what is asked for is differentiated.
 * @throws EspalierError with everything that is wrong with the spec and its files, ESP1101 (the loss has no gradient by it), ESP1108 (no `train` block), ESP1116 (a name
 * that fits nothing); RuntimeError where there is no GPU
 */
export async function grad(spec: Spec, options: GradientOptions): Promise<GradientProgram> {
  const { host, progress, by, samples } = options;
  return sayDataErrors(async () =>
    gradientProgram({ ...(await readTraining(spec, options)), host, progress, by, samples }),
  );
}

export interface GradientRequest extends Omit<ReadTraining, 'masks' | 'commits'>, Pick<GradientOptions, 'host'> {
  readonly by?: readonly string[] | undefined;
  readonly samples?: number | undefined;
  readonly progress?: Progress | undefined;
}

/** The same of what is elaborated. @throws as `grad` */
export async function gradientProgram(request: GradientRequest): Promise<GradientProgram> {
  const { elaborated, train, params, host, progress } = request;
  const own = weightsOf(elaborated.module);
  const names = { params: own.map((p) => p.name), inputs: elaborated.inputs.map((i) => i.name) };
  const by = request.by ? chosen(request.by, names) : { params: train.groups.flatMap((g) => g.params), inputs: [] };
  progress?.('deriving the gradients');
  const whole = { ...elaborated.module, funcs: new Map([[LOSS, train.loss]]) };
  const { module, without } = gradientModule(whole, { ...by, adapters: train.adapters });
  if (without.size > 0) throw new EspalierError(withoutGradient(without));
  progress?.('generating kernels');
  const generated = generate(module, {
    name: elaborated.name,
    compiler: version,
    weights: 'f32',
    entries: [GRADIENT],
    samples: request.samples ?? train.batch,
    limits: await host.deviceLimits(),
  });
  const start = startOf(elaborated.module, module, params, progress);
  const gpu = await host.openGpu!();
  try {
    progress?.('uploading weights');
    const options = { adapter: gpu.adapter, golden: false, onDispose: gpu.release };
    const session = await loadGenerated(generated, start, options);
    return opened({
      session,
      module,
      by: [...by.params, ...by.inputs],
      weights: givenWeights(module, elaborated.module, params),
    });
  } catch (error) {
    gpu.release();
    throw error;
  }
}

type Names = { readonly [K in 'params' | 'inputs']: readonly string[] };

function chosen(patterns: readonly string[], names: Names): Names {
  const all = [...names.params, ...names.inputs];
  const wrong = patterns.filter((pattern) => !all.some((name) => matches(pattern, name)));
  if (wrong.length > 0)
    throw new EspalierError(wrong.map((pattern) => diagnostic('ESP1116', { pattern, some: all.slice(-5) })));
  const fits = (name: string): boolean => patterns.some((pattern) => matches(pattern, name));
  return { params: names.params.filter(fits), inputs: names.inputs.filter(fits) };
}

/** Of the trained parameters, which are arguments now. */
function givenWeights({ funcs }: Module, { params: declared }: Module, params: (name: string) => Tensor): TrainBatch {
  const names = funcs.get(GRADIENT)!.inputs.flatMap((v) => (v.op === 'input' ? [v.attrs.name] : []));
  return Object.fromEntries(
    names.filter((name) => declared.has(name)).map((name) => [name, Float32Array.from(params(name).data)]),
  );
}

function opened(made: Omit<GradientProgram, 'call' | 'dispose'>): GradientProgram {
  const { session, by } = made;
  const entry = entryNamed(session.program, GRADIENT)!;
  const gradients = new Map(by.map((name) => [gradientName(name), name]));
  const own = entry.outputs.filter((t) => t.name !== LOSS && !gradients.has(t.name));
  return {
    ...made,
    async call(batch, weights = {}) {
      const { outputs } = await session.call(GRADIENT, { ...batch, ...made.weights, ...weights });
      const of = (name: string): Float32Array => outputs[name] as Float32Array;
      return {
        loss: of(LOSS)[0]!,
        outputs: Object.fromEntries(own.map(({ name }) => [name, of(name)])),
        gradients: new Map([...gradients].map(([output, name]) => [name, of(output)])),
      };
    },
    dispose: () => session.dispose(),
  };
}
