/** One run of the table: a method from a seed's file, step by step, and then the test images once. */
import { performance } from 'node:perf_hooks';
import { analyse, type Dataset, type Datasets, EspalierError, makeLoader, openTrainer } from '../../src/api/index.js';
import { seconds } from '../clock.js';
import { type Run, type Settings, SPEC_PATH, type Start, specOf } from './settings.js';

export interface RunRequest {
  readonly method: string;
  readonly seed: number;
  readonly rate: number;
  readonly settings: Settings;
  readonly start: Start;
  readonly digits: Datasets;
  /** Hears of each step. */
  readonly stepped?: (step: number, steps: number, loss: number) => void;
}

export interface OwnRun extends Run {
  readonly device: string;
}

/** Some items of classes, in the order given. */
function chosen(data: Dataset, items: readonly number[]): Dataset {
  const { targets } = data;
  if (targets.kind !== 'class') throw new Error(`${data.name} has no classes`);
  return {
    ...data,
    size: items.length,
    ids: items.map((i) => data.ids[i]!),
    places: items.map((i) => data.places[i]!),
    targets: { kind: 'class', labels: Int32Array.from(items, (i) => targets.labels[i]!) },
  };
}

/** What is trained of a spec, as the seed's file has it. What the backbone's own file has stays. */
async function trainedOf(text: string, values: ReadonlyMap<string, Float32Array>) {
  const { value, diagnostics } = await analyse({ text, path: SPEC_PATH });
  if (!value?.elaborated) throw new EspalierError(diagnostics.filter((d) => d.severity === 'error'));
  const { module, adapters } = value.elaborated;
  const own = new Set(adapters.flatMap((a) => Object.values(a.params)));
  const found = [...module.params.values()].flatMap(({ name, role, type }) => {
    if (role !== 'trainable' || !(values.has(name) || own.has(name))) return [];
    const data = values.get(name) ?? new Float32Array(type.shape.reduce((a, b) => a * b, 1));
    return [[name, { type, data }] as const];
  });
  const unknown = [...values.keys()].find((name) => !module.params.has(name));
  if (unknown !== undefined) throw new Error(`the model has no ${unknown}, which the seed's file starts`);
  return new Map(found);
}

/** Rows of [n, width]. */
function rows(whole: Float32Array, width: number, items: ArrayLike<number>): Float32Array {
  const found = new Float32Array(items.length * width);
  for (let i = 0; i < items.length; i++)
    found.set(whole.subarray(items[i]! * width, (items[i]! + 1) * width), i * width);
  return found;
}

export async function runMethod(request: RunRequest): Promise<OwnRun> {
  const { method, seed, rate, settings, start, digits, stepped } = request;
  const { batch, epochs, tested } = settings;
  const steps = epochs * Math.floor(start.images.length / batch);
  const text = specOf(start.statements[method]!, rate, steps, settings);
  const trained = await trainedOf(text, await start.values(method));
  const trainer = await openTrainer({ text, path: SPEC_PATH }, { trained });
  /** All of some items in one batch, as the trainer takes it, and how many. */
  const whole = async (data: Dataset) => {
    const loader = makeLoader(data, { ...trainer.loader, size: data.size, order: 'listed' });
    for await (const all of loader.batches({ epoch: 0, batch: 0 }, 1)) return trainer.tensors(all);
    throw new Error(`${data.name} is empty`);
  };
  try {
    const images = await whole(chosen(digits.train, Array.from(start.images)));
    const widths = Object.entries(images).map(
      ([name, data]) => [name, data, data.length / start.images.length] as const,
    );
    const losses: number[] = [];
    const [wall, cpu] = [performance.now() / 1000, seconds('cpu')];
    for (let step = 0; step < steps; step++) {
      const items = start.order.subarray(step * batch, (step + 1) * batch);
      const tensors = Object.fromEntries(widths.map(([name, data, width]) => [name, rows(data, width, items)]));
      const { loss } = await trainer.step(tensors, { epoch: 0, step, steps });
      losses.push(loss);
      stepped?.(step, steps, loss);
    }
    const [wallEnd, cpuEnd] = [performance.now() / 1000, seconds('cpu')];
    const test = await whole(
      chosen(
        digits.test!,
        Array.from({ length: tested }, (_, i) => i),
      ),
    );
    const { outputs } = await trainer.evaluate(test);
    return {
      method,
      seed,
      rate,
      accuracy: rightOf(Object.values(outputs)[0]!, test.target!, tested) / tested,
      losses: losses.map((x) => Number(x.toPrecision(7))),
      parameters: trainer.plan.trained,
      seconds_per_step: (wallEnd - wall) / steps,
      cpu_seconds_per_step: (cpuEnd - cpu) / steps,
      peak_bytes: trainer.plan.stepBytes,
      device: trainer.device,
    };
  } finally {
    trainer.dispose();
  }
}

/** How many of n rows have their largest element where the target has it. */
function rightOf(logits: Float32Array, target: Float32Array, n: number): number {
  const width = logits.length / n;
  const likeliest = (all: Float32Array, row: number): number => {
    const one = all.subarray(row * width, (row + 1) * width);
    return one.indexOf(Math.max(...one));
  };
  return Array.from({ length: n }, (_, i) => i).filter((i) => likeliest(logits, i) === likeliest(target, i)).length;
}
