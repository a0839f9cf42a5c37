/** Random operands for the tests of derivatives: small, over a few samples, with numbers far from where a derivative jumps. */
import { BATCH, isBatch, shapeAt } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { make } from '../../../src/ir/graph.js';
import { sizeOf } from '../../../src/ir/ops/shapes.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { OpAttrs, OpName, Tensor, Value } from '../../../src/ir/types.js';
import { Model, random } from '../../codegen/harness.js';

export const SAMPLES = 3;

export class Arguments {
  /** What the graph is built in. */
  readonly model: Model;
  readonly floats: Value[] = [];
  private readonly next: () => number;
  /** A size for a leading axis: the batch, or a number. */
  readonly lead: number;

  constructor(seed: number) {
    this.next = random(seed);
    this.model = new Model(seed, SAMPLES);
    this.lead = seed % 2 === 0 ? BATCH : this.size();
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.min(end - 1, Math.floor(((this.next() + 1) / 2) * end));
  }

  size(from = 1, to = 4): number {
    return from + this.below(to - from + 1);
  }

  flag(): boolean {
    return this.below(2) === 1;
  }

  pick<T>(...of: readonly T[]): T {
    return of[this.below(of.length)]!;
  }

  shape(rank = this.size(1, 3)): number[] {
    return Array.from({ length: rank }, () => this.size());
  }

  /** The axes in random order. */
  order(rank: number): number[] {
    const axes = Array.from({ length: rank }, (_, i) => i);
    for (let i = rank - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [axes[i], axes[j]] = [axes[j]!, axes[i]!];
    }
    return axes;
  }

  /** One that broadcasts to the shape: axes left out in front, others of 1. */
  narrower(shape: readonly number[]): number[] {
    return shape.slice(this.below(shape.length + 1)).map((d) => (this.below(3) === 0 ? 1 : d));
  }

  /** An argument of floats between -1 and 1, none near 0, mapped by `f`. */
  float(shape: readonly number[], f: (x: number) => number = (x) => x): Value {
    const own = shapeAt(shape, SAMPLES);
    const data = Float64Array.from({ length: sizeOf(own) }, () => {
      const x = this.next();
      return f(x + 0.05 * Math.sign(x));
    });
    const v = this.enter(tensor(own, data), shape);
    this.floats.push(v);
    return v;
  }

  positive(shape: readonly number[]): Value {
    return this.float(shape, (x) => 0.3 + Math.abs(x) * 2);
  }

  bool(shape: readonly number[]): Value {
    const own = shapeAt(shape, SAMPLES);
    return this.enter(
      tensor(
        own,
        Uint8Array.from({ length: sizeOf(own) }, () => this.below(2)),
        'bool',
      ),
      shape,
    );
  }

  indices(shape: readonly number[], end: number): Value {
    const own = shapeAt(shape, SAMPLES);
    return this.enter(
      tensor(
        own,
        Int32Array.from({ length: sizeOf(own) }, () => this.below(end)),
        'i32',
      ),
      shape,
    );
  }

  /** Whole numbers as they are. */
  given(numbers: readonly number[]): Value {
    return this.enter(tensor([numbers.length], Int32Array.from(numbers), 'i32'), [numbers.length]);
  }

  /** What the loss weighs a result by: an argument that is not differentiated. */
  weight(shape: readonly number[]): Value {
    // Samples lie along the first axis of an argument.
    const at = Math.max(0, shape.findIndex(isBatch));
    const order = [...shape.keys()];
    order.splice(at, 1);
    order.unshift(...(shape.length > 0 ? [at] : []));
    const v = this.float(order.map((i) => shape[i]!));
    this.floats.pop();
    return build.transpose(
      v,
      order.map((_, i) => order.indexOf(i)),
    );
  }

  private enter(t: Tensor, shape: readonly number[]): Value {
    return this.model.input(shape, t.type.dtype, t);
  }

  op<O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O]): Value {
    return make(op, inputs, attrs);
  }
}
