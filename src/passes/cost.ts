/**
 * What parts of a function cost, as they will be computed: choices are made over the whole graph, and priced as `narrow` will leave it. The last
 * block of a model whose head reads one token is computed for one token, however many there are.
 */
import { dependsOnInput } from '../ir/affine/parse.js';
import { costAt, type Device, dispatchesOf, timeOf } from '../ir/ops/cost.js';
import { traitsOf } from '../ir/ops/index.js';
import type { Value } from '../ir/types.js';
import { type Box, type Reads, readsFrom, sizesOf, whole } from './narrow.js';
import { stretch } from './values.js';

export class Costs {
  readonly #wanted: ReadonlyMap<Value, Box>;
  readonly #device: Device;

  /** @param order what the roots of the function need, operands first */
  constructor(order: readonly Value[], roots: readonly Value[], device: Device) {
    const wanted = new Map<Value, Box>(roots.map((v) => [v, whole(v)]));
    readsFrom(order, wanted);
    this.#wanted = wanted;
    this.#device = device;
  }

  /** What is read of a value of the function. */
  boxOf(v: Value): Box {
    return this.#wanted.get(v) ?? whole(v);
  }

  /** Of what `root` takes down to where `stop` says, each value's time in picoseconds, if of the root a box is read. */
  times(root: Value, box: Box, stop: (v: Value) => boolean): ReadonlyMap<Value, number> {
    const order = stretch([root], stop);
    const reads = readsFrom(order, new Map([[root, box]]));
    return new Map(order.map((v) => [v, this.#timeOf(v, reads.get(v))]));
  }

  below(root: Value, box: Box, stop: (v: Value) => boolean): number {
    let total = 0;
    for (const time of this.times(root, box, stop).values()) total += time;
    return total;
  }

  /** One value as the function has it. */
  own(v: Value): number {
    return this.below(v, this.boxOf(v), () => true);
  }

  #timeOf(v: Value, reads: Reads | undefined): number {
    // What reads it needs none of it.
    if (!reads || !dependsOnInput(v) || v.op === 'input' || traitsOf(v).moves !== null) return 0;
    const inputs = v.inputs.flatMap((x, i) => {
      const need = reads.needs[i];
      return need ? [{ dtype: x.type.dtype, shape: sizesOf(need) }] : [];
    });
    const cost = costAt(v, inputs, { dtype: v.type.dtype, shape: sizesOf(reads.made) });
    return timeOf(cost, dispatchesOf(v), this.#device);
  }
}
