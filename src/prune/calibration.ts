/**
 * Calibration: what criteria ask of what layers read, as a program of its own. It is the model as it was written with nothing pruned; its results are,
 * for one image, what is gathered of what each layer reads, so that no activation leaves it. Images add up in f64.
 */
import { build } from '../ir/build.js';
import { ROWS } from '../ir/gather.js';
import { paramRef, rewriteValues, rootsOf, topological, withInputs } from '../ir/graph.js';
import { sizeOf } from '../ir/ops/shapes.js';
import type { PruneJob, PruneTarget, Reading } from '../ir/prune.js';
import { funcAt, moduleAt } from '../ir/run/samples.js';
import type { Func, Module, Tensor, Value } from '../ir/types.js';

/** One reading of a layer: a layer that is called twice reads twice. */
interface Tap {
  readonly target: PruneTarget;
  readonly reading: Reading;
  /** Tokens of an image. */
  readonly rows: number;
  /** Names of the program's results, by the names of what is gathered. */
  readonly results: ReadonlyMap<string, string>;
}

/** What one image, or all of them, give a target. */
export type Statistics = (target: PruneTarget, name: string) => Tensor | undefined;

export class Calibration {
  /** For one image: `infer` gives what is gathered of what it makes the layers read, each result with the axis of the image first. */
  readonly module: Module;
  /** Targets that no image reaches. */
  readonly unreached: readonly PruneTarget[];
  readonly #taps: readonly Tap[];
  readonly #sums = new Map<string, Float64Array>();
  readonly #shapes = new Map<string, readonly number[]>();
  readonly #rows = new Map<string, number>();

  /** @param written The model as it was written, with what is there for training erased. */
  constructor(written: Module, jobs: readonly PruneJob[]) {
    const module = moduleAt(written, 1);
    const infer = module.funcs.get('infer')!;
    const taps: Tap[] = [];
    const results: Func['results'][number][] = [];
    const unreached: PruneTarget[] = [];
    for (const job of jobs) {
      job.gathers?.forEach((reading, i) => {
        const target = job.targets[i]!;
        const read = readBy(infer, target.mask);
        if (read.length === 0) unreached.push(target);
        for (const x of read) {
          const rows = rowsOf(x, reading.axis);
          const each = over(reading.each, rows, paramRef(module.params.get(target.param)!));
          const names = each.map(({ name, value }) => {
            const result = `${taps.length}.${name}`;
            results.push({ name: result, value: build.reshape(value, [1, ...value.type.shape]) });
            return [name, result] as const;
          });
          taps.push({ target, reading, rows: rows.type.shape[0]!, results: new Map(names) });
        }
      });
    }
    this.module = { ...module, funcs: new Map([['infer', { ...infer, results }]]) };
    this.unreached = unreached;
    this.#taps = taps;
  }

  /** Takes what the program gave for some images: each result [images, ...]. */
  take(given: ReadonlyMap<string, Tensor>): void {
    for (const { target, reading, rows, results } of this.#taps) {
      let images = 0;
      for (const [name, result] of results) {
        const { type, data } = given.get(result)!;
        const shape = type.shape.slice(1);
        const key = keyOf(target, name);
        this.#shapes.set(key, shape);
        const sum = this.#sums.get(key);
        const total = sum ?? new Float64Array(sizeOf(shape));
        images = type.shape[0]!;
        const largest = reading.together.get(name) === 'max';
        if (!sum && largest) total.fill(Number.NEGATIVE_INFINITY);
        for (let i = 0; i < data.length; i++) {
          const at = i % total.length;
          total[at] = largest ? Math.max(total[at]!, data[i]!) : total[at]! + data[i]!;
        }
        this.#sums.set(key, total);
      }
      this.#rows.set(target.mask, (this.#rows.get(target.mask) ?? 0) + rows * images);
    }
  }

  /** What all images gave, as criteria's scores read it. */
  readonly statistics: Statistics = (target, name) => {
    if (name === ROWS)
      return { type: { dtype: 'f32', shape: [] }, data: Float64Array.of(this.#rows.get(target.mask)!) };
    const key = keyOf(target, name);
    const data = this.#sums.get(key);
    return data && { type: { dtype: 'f32', shape: this.#shapes.get(key)! }, data };
  };
}

const keyOf = ({ mask }: PruneTarget, name: string): string => `${mask}\n${name}`;

/** What layers read whose weight is under the mask: what the input and the mask come together with. */
function readBy(infer: Func, mask: string): readonly Value[] {
  const masked = new Set<Value>();
  const read = new Set<Value>();
  for (const v of topological(rootsOf(infer))) {
    const under = (v.op === 'param' && v.attrs.name === mask) || v.inputs.some((x) => masked.has(x));
    if (!under) continue;
    if (!v.needsInput) masked.add(v);
    else for (const x of v.inputs) if (x.needsInput) read.add(x);
  }
  return [...read];
}

/** Tokens by channels: [n, ..., c], or [n, c, ...], as [rows, c]. */
function rowsOf(x: Value, axis: -1 | 1): Value {
  const { shape } = x.type;
  const last = shape.length - 1;
  const order = [...shape.keys()];
  const turned = axis === -1 ? x : build.transpose(x, [...order.filter((a) => a !== 1), 1]);
  const channels = shape[axis === -1 ? last : 1]!;
  return build.reshape(turned, [sizeOf(shape) / channels, channels]);
}

/** What is gathered of these rows. */
function over(each: Func, rows: Value, weight: Value): Func['results'] {
  const known = funcAt(each, rows.type.shape[0]!);
  const image = rewriteValues(
    rootsOf(known),
    (v, inputs) => (v.op !== 'input' ? withInputs(v, inputs) : v === known.inputs[0] ? weight : rows),
    (v) => v.inputs,
  );
  return known.results.map(({ name, value }) => ({ name, value: image(value) }));
}
