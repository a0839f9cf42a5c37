/**
 * Where a run stopped being finite: the steps since its last good state are made again, and the one that went wrong is interpreted, value by value, on
 * the sample that did it. What the GPU has after such a step says nothing any more: every weight and moment is lost with the first tensor.
 */
import type { Loader } from '../../data/types.js';
import type { TrainSettings } from '../../dsl/elaborated.js';
import { hasBatch, shapeAt } from '../../ir/batch.js';
import { rootsOf, topological } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { showPath } from '../../ir/path.js';
import { interpretEach } from '../../ir/run/interpret.js';
import { funcAt } from '../../ir/run/samples.js';
import type { Func, Tensor, TextSpan, Value } from '../../ir/types.js';
import { gradientsOf } from '../../passes/differentiate/gradients.js';
import { LOSS } from '../../passes/train/step.js';
import { stepPlace } from '../search/schedule.js';
import { targetOf } from './evaluate.js';
import type { RunPlace } from './events.js';
import type { TrainBatch, Trainer } from './trainer.js';

/** What a run can be gone on from. */
export interface GoodState {
  readonly place: RunPlace;
  readonly state: ReadonlyMap<string, Tensor>;
}

export interface Scene {
  readonly trainer: Trainer;
  readonly train: TrainSettings;
  /** Name of the model's input that pictures go to. */
  readonly input: string;
  readonly data: Loader;
  /** What an item is called, by its number in the data. */
  readonly named: (item: number) => string;
  /** Undefined before the first checkpoint: the steps are made again from the start. */
  readonly good: GoodState | undefined;
  /** Where it was noticed: the loss of its step is not finite, or the weights before it are not. */
  readonly place: RunPlace;
  /** Seconds that a step takes. */
  readonly each: number;
}

/** The first tensor that is not finite, and the sample where; or why it cannot be told. */
export type Origin =
  | { readonly first: string; readonly item?: string; readonly at?: TextSpan }
  | { readonly unknown: string };

/** As long as it may take to make steps again. */
const MOST_SECONDS = 120;
/** As much as is interpreted; the interpreter does about a GFLOP a second. One image through ViT-L/16 is 120 GFLOP. */
const MOST_FLOPS = 150e9;

/** f64 goes further than what a GPU computes in. */
const isFinite32 = (x: number): boolean => Number.isFinite(Math.fround(x));

/** The name of a tensor that holds what is not finite. */
export function notFinite(tensors: ReadonlyMap<string, Tensor>): string | undefined {
  for (const [name, { data }] of tensors) if (!(data as Float32Array).every(isFinite32)) return name;
  return undefined;
}

/** Leaves the trainer where it was noticed; nothing is to be gone on with. */
export async function originOf(scene: Scene): Promise<Origin> {
  const { trainer, train, good, place } = scene;
  const from = good?.place.epoch === place.epoch ? good.place.step : 0;
  const again = place.step - from;
  if (good && good.place.epoch !== place.epoch) return { unknown: 'its last checkpoint is of another epoch' };
  if (again * scene.each > MOST_SECONDS)
    return { unknown: `the last checkpoint is ${again} steps back; \`save = every(steps: n)\` makes nearer ones` };
  const { before, now, batch } = await replayed(scene);
  const lost = notFinite(now);
  if (lost === undefined) {
    if (!batch) return { unknown: 'made again, the steps are finite' };
    await trainer.restore(now);
    const one = await sampleWhere(batch, train, async (part) => {
      return !Number.isFinite((await trainer.evaluate(part)).loss);
    });
    const found = firstIn(train.loss, rootsOf(train.loss), one.tensors, valuesOf(trainer, now));
    return withItem(
      found ?? { unknown: 'computed in f64, without dropouts, everything is finite' },
      scene,
      batch,
      one.sample,
    );
  }
  if (!before) return { unknown: `\`${lost}\` was not finite before the first step` };
  const one = await sampleWhere(before.batch, train, async (part) => {
    await trainer.restore(before.state);
    const { loss } = await trainer.step(
      part,
      stepPlace(train, scene.data.perEpoch, { ...place, step: place.step - 1 }),
    );
    return !Number.isFinite(loss) || notFinite(await trainer.state()) !== undefined;
  });
  const trained = train.groups.flatMap((g) => g.params);
  const { func, of } = gradientsOf(train.loss, LOSS, trained);
  const found = firstIn(func, [...rootsOf(func), ...of.values()], one.tensors, valuesOf(trainer, before.state));
  const own = { first: `\`${lost}\`, by what the optimizer makes of its gradient, which is finite` };
  return withItem(found ?? own, scene, before.batch, one.sample);
}

interface StepBatch {
  readonly tensors: TrainBatch;
  readonly indices: Int32Array;
}

/** The steps up to the place again: the state there, the batch of its step, and the same of the step before. */
async function replayed(scene: Scene) {
  const { trainer, train, data, good, place, input } = scene;
  const names = [...(await trainer.state()).keys()];
  await trainer.restore(good?.state ?? new Map(names.map((name) => [name, trainer.start(name)])));
  let before: { readonly state: ReadonlyMap<string, Tensor>; readonly batch: StepBatch } | undefined;
  let step = good?.place.step ?? 0;
  // Without a checkpoint all of it is in the first epoch.
  const from = { epoch: place.epoch, batch: good?.place.batch ?? 0 };
  for await (const batch of data.batches(from, place.epoch + 1)) {
    const tensors = { [input]: batch.images, target: targetOf(batch, train) };
    const own = { tensors, indices: batch.indices };
    if (step === place.step) return { before, now: await trainer.state(), batch: own };
    if (step === place.step - 1) before = { state: await trainer.state(), batch: own };
    await trainer.step(tensors, stepPlace(train, data.perEpoch, { ...place, step: step++ }));
  }
  return { before, now: await trainer.state(), batch: undefined };
}

/** The first sample that does it alone; the whole batch where none does. */
async function sampleWhere(
  { tensors, indices }: StepBatch,
  train: TrainSettings,
  does: (part: TrainBatch) => Promise<boolean>,
): Promise<{ readonly tensors: TrainBatch; readonly sample?: number }> {
  for (let i = 0; i < indices.length; i++) {
    const one = sliceBatch(tensors, train, i, i + 1);
    if (await does(one)) return { tensors: one, sample: i };
  }
  return { tensors };
}

function sliceBatch(batch: TrainBatch, { loss }: TrainSettings, from: number, to: number): TrainBatch {
  return Object.fromEntries(
    loss.inputs.map((v) => {
      const name = v.op === 'input' ? v.attrs.name : '';
      const each = sizeOf(shapeAt(v.type.shape, 1));
      return [name, hasBatch(v.type.shape) ? batch[name]!.subarray(from * each, to * each) : batch[name]!];
    }),
  );
}

const valuesOf =
  (trainer: Trainer, state: ReadonlyMap<string, Tensor>) =>
  (name: string): Tensor =>
    state.get(name) ?? trainer.start(name);

function withItem(origin: Origin, { named }: Scene, { indices }: StepBatch, sample: number | undefined): Origin {
  return sample === undefined || 'unknown' in origin ? origin : { ...origin, item: named(indices[sample]!) };
}

/** Ends an interpretation that has found what it was for. */
class Found {
  constructor(readonly value: Value) {}
}

/** The first value, in the order of computing, that is not finite; undefined if all are. */
function firstIn(
  func: Func,
  roots: readonly Value[],
  batch: TrainBatch,
  params: (name: string) => Tensor,
): Origin | undefined {
  const [sized] = func.inputs.filter((v) => hasBatch(v.type.shape));
  const sizedName = sized?.op === 'input' ? sized.attrs.name : '';
  const samples = sized ? batch[sizedName]!.length / sizeOf(shapeAt(sized.type.shape, 1)) : 1;
  const bound = funcAt(
    { ...func, results: roots.map((value, i) => ({ name: String(i), value })), updates: [] },
    samples,
  );
  const order = topological(rootsOf(bound));
  const flops = order.reduce((sum, v) => sum + costOf(v).flops, 0);
  if (flops > MOST_FLOPS) return { unknown: `interpreting its step takes ${(flops / 1e9).toFixed(0)} GFLOP` };
  const inputs = new Map(
    bound.inputs.map((v): [string, Tensor] => {
      const name = v.op === 'input' ? v.attrs.name : '';
      return [name, { type: v.type, data: batch[name]! }];
    }),
  );
  // What an infinite number of the spec goes through (a mask before a softmax) is infinite on purpose.
  const masked = new Set<Value>();
  for (const v of order)
    if ((v.op === 'constant' && !Number.isFinite(v.attrs.value)) || v.inputs.some((x) => masked.has(x))) masked.add(v);
  try {
    interpretEach(order, { inputs, params }, (value, { data }) => {
      const bad = masked.has(value) ? Number.isNaN : (x: number) => !isFinite32(x);
      if ((data as Float64Array).some(bad)) throw new Found(value);
      return 'done';
    });
  } catch (error) {
    if (error instanceof Found) return described(error.value);
    throw error;
  }
  return undefined;
}

function described(v: Value): Origin {
  if (v.op === 'input') return { first: `what goes in as \`${v.attrs.name}\`` };
  if (v.op === 'param') return { first: `\`${v.attrs.name}\`` };
  const { site, at } = v.about ?? {};
  return { first: `what \`${v.op}\` gives${site ? ` in ${showPath(site)}` : ''}`, ...(at ? { at } : {}) };
}
