/**
 * What a search tries its candidates out on: the model as it is after so many epochs, on the GPU. A candidate's masks are put over the weights, what is
 * trained gets some epochs under them, and what the model then gives is compared with what it gave before. Afterwards all is as it was.
 */
import type { Loader } from '../../data/types.js';
import type { Elaborated, SearchSettings, StepPlace, TrainSettings } from '../../dsl/elaborated.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { Tensor } from '../../ir/types.js';
import type { FoundMasks } from '../../prune/index.js';
import { cosine, linearCka, normalised, resized } from '../../search/metrics.js';
import type { Environment, FeatureMap, LayerFacts, Trial } from '../../search/types.js';
import { type Counting, targetOf } from '../train/evaluate.js';
import type { RunPlace } from '../train/events.js';
import { inputsOf } from '../train/features.js';
import type { Trainer } from '../train/trainer.js';
import { stepPlace } from './schedule.js';

export interface RecoveryRequest {
  readonly elaborated: Pick<Elaborated, 'module' | 'prune'>;
  readonly trainer: Trainer;
  readonly train: TrainSettings & { readonly search: SearchSettings };
  readonly counting: Counting;
  /** Batches that what is trained recovers on, the same for each candidate. */
  readonly recover: Loader;
  /** The same images as they are, each once: what the model gives for them is compared. */
  readonly look: Loader;
  readonly masks: (rates: readonly number[]) => FoundMasks;
  /** Where in the run it is, and how many steps an epoch of it has. */
  readonly place: RunPlace;
  readonly perEpoch: number;
}

/** What a model gives for some images: rows, one an image, each of a shape; and the loss over them. */
interface Look {
  readonly shape: readonly number[];
  readonly rows: readonly Float32Array[];
  readonly loss: number;
}

export class Recovery implements Environment {
  readonly layers: readonly LayerFacts[];
  readonly steps: number;
  private start: ReadonlyMap<string, Tensor> | undefined;
  private dense: Look | undefined;

  constructor(private readonly request: RecoveryRequest) {
    const { elaborated, train, recover } = request;
    this.layers = layersOf(elaborated);
    this.steps = recover.perEpoch * train.search.recover;
  }

  /** @throws the signal's reason if it is aborted; the model is as it was then as well */
  async tryOut(rates: readonly number[], signal: AbortSignal | undefined): Promise<Trial> {
    const { trainer, train, masks } = this.request;
    const began = performance.now();
    const { masks: found, report } = masks(rates);
    this.start ??= await trainer.state();
    this.dense ??= await this.look(signal);
    const { dense } = this;
    await trainer.mask(found);
    try {
      if (train.search.fresh) await trainer.restart();
      const pruned = await this.look(signal);
      const spent = await this.recover(signal);
      const recovered = await this.look(signal);
      const [before, after] = [channelsOf(dense), channelsOf(recovered)];
      const rows = ({ rows: all }: Look): Float32Array => joined(all);
      return {
        elements: report.elements,
        zeros: report.zeros,
        similarity:
          train.search.similarity === 'cosine'
            ? cosine(before, after)
            : linearCka(rows(dense), rows(recovered), dense.rows.length),
        loss: { pruned: pruned.loss, recovered: recovered.loss },
        features: { before: resized(mapOf(dense)), after: resized(mapOf(recovered)) },
        ...spent,
        seconds: (performance.now() - began) / 1000,
      };
    } finally {
      await trainer.mask(masks([]).masks);
      await trainer.restore(this.start);
    }
  }

  /** By a whole schedule of its own; or, where that of the run goes on, at the learning rate of the epoch which the search stands before. */
  private async recover(signal: AbortSignal | undefined): Promise<{ steps: number; images: number }> {
    const { trainer, train, counting, recover, place, perEpoch } = this.request;
    const { recover: epochs, fresh } = train.search;
    const last = perEpoch * train.epochs - 1;
    let [steps, images] = [0, 0];
    const at = (): StepPlace =>
      fresh
        ? { epoch: Math.floor(steps / recover.perEpoch), step: steps, steps: this.steps, epochs }
        : stepPlace(train, perEpoch, { ...place, step: Math.min(place.step + steps, last) });
    for await (const batch of recover.batches({ epoch: 0, batch: 0 }, epochs)) {
      signal?.throwIfAborted();
      const tensors = { ...inputsOf(batch, counting.input), target: targetOf(batch, train) };
      await trainer.step(tensors, at());
      steps++;
      images += batch.indices.length;
    }
    return { steps, images };
  }

  private async look(signal: AbortSignal | undefined): Promise<Look> {
    const { trainer, train, counting, look } = this.request;
    const { value } = (train.observed ?? train.loss).results[1]!;
    const rows: Float32Array[] = [];
    let loss = 0;
    for await (const batch of look.batches({ epoch: 0, batch: 0 }, 1)) {
      signal?.throwIfAborted();
      const target = targetOf(batch, train);
      const { loss: own, feature: given } = await trainer.observe({ ...inputsOf(batch, counting.input), target });
      const each = given.length / batch.indices.length;
      for (let i = 0; i < batch.indices.length; i++) rows.push(given.slice(i * each, (i + 1) * each));
      loss += batch.indices.length * own;
    }
    return { shape: value.type.shape.slice(1), rows, loss: loss / rows.length };
  }
}

/** What is pruned, as a controller of single layers sees it: a weight [out, in, ...], and how far from the input it is called. */
function layersOf({ module, prune }: Pick<Elaborated, 'module' | 'prune'>): LayerFacts[] {
  const targets = prune.filter((job) => job.searched).flatMap((job) => job.targets);
  return targets.map(({ param, site }, i) => {
    const { shape } = module.params.get(param)!.type;
    const elements = sizeOf(shape);
    return {
      name: site,
      elements,
      outputs: shape[0]!,
      inputs: elements / shape[0]!,
      depth: targets.length < 2 ? 0 : i / (targets.length - 1),
    };
  });
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const each = rows[0]?.length ?? 0;
  const out = new Float32Array(rows.length * each);
  for (const [i, row] of rows.entries()) out.set(row, i * each);
  return out;
}

/** The sum of maps over the images, each channel of it normalised. What is no map is one row an image. */
function channelsOf({ shape, rows }: Look): Float32Array {
  if (shape.length !== 3) return normalised(joined(rows));
  const sum = summed(rows);
  const places = sum.length / shape[0]!;
  return joined(Array.from({ length: shape[0]! }, (_, c) => normalised(sum.subarray(c * places, (c + 1) * places))));
}

/** What an agent sees of it: channels are added up as well, before they are normalised. */
function mapOf({ shape, rows }: Look): FeatureMap {
  const [channels, height, width] = shape;
  if (shape.length !== 3) return { height: rows.length, width: sizeOf(shape), data: normalised(joined(rows)) };
  const sum = summed(rows);
  const places = height! * width!;
  const maps = Array.from({ length: channels! }, (_, c) => sum.subarray(c * places, (c + 1) * places));
  return { height: height!, width: width!, data: normalised(summed(maps)) };
}

function summed(rows: readonly ArrayLike<number>[]): Float64Array {
  const sum = new Float64Array(rows[0]?.length ?? 0);
  for (const row of rows) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + row[i]!;
  return sum;
}
