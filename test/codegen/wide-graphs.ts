/**
 * Random graphs around matrix products, convolutions and attention, of odd sizes: what feeds them goes through layout operators and
 * broadcasts, what they give through epilogues. The small graphs of graphs.ts seldom reach these generators.
 */
import { build } from '../../src/ir/build.js';
import { sizeOf, tryBroadcast } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Value } from '../../src/ir/types.js';
import { Model, random } from './harness.js';

const LARGEST = 20_000;

/** What a step picks from: numbers, values made so far, and fresh ones. */
class Dice {
  readonly model: Model;
  readonly pool: Value[] = [];
  private readonly next: () => number;

  constructor(seed: number) {
    this.model = new Model(seed);
    this.next = random(seed * 7919 + 1);
  }

  /** 0 <= n < below. */
  below(n: number): number {
    return Math.min(n - 1, Math.floor(((this.next() + 1) / 2) * n));
  }

  /** A size: small, often odd, now and then 1 or a multiple of four. */
  size(most = 13): number {
    return this.below(5) === 0 ? [1, 4, 8, 16][this.below(4)]! : 1 + this.below(most);
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  one<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  value(): Value {
    return this.chance(6) ? this.fresh() : this.one(this.pool.slice(-6));
  }

  fresh(shape: readonly number[] = Array.from({ length: 1 + this.below(4) }, () => this.size(7))): Value {
    return this.chance(3) ? this.model.param(shape) : this.model.input(shape);
  }

  /** A value of the shape: what there is, squeezed or cut to it, or a new one. */
  shaped(shape: readonly number[]): Value {
    const count = sizeOf(shape);
    const fits = this.pool.filter((v) => sizeOf(v.type.shape) >= count && v.type.shape.length > 0);
    if (fits.length === 0 || this.chance(4)) return this.fresh(shape);
    const from = this.one(fits);
    const all = sizeOf(from.type.shape);
    let flat = build.reshape(from, [all]);
    if (this.chance(3)) flat = build.roll(flat, [this.below(9) - 4], [0]);
    const start = this.below(all - count + 1);
    const cut = build.sliceAxis(flat, 0, start, start + count);
    if (!this.chance(3)) return build.reshape(cut, shape);
    // Through a transposition, so that neighbours in the result are no neighbours in memory.
    return build.transpose(build.reshape(cut, [...shape].reverse()));
  }

  /** Calm enough to go into another product. */
  calm(v: Value): Value {
    return this.chance(2) ? build.tanh(v) : build.layerNorm(v, undefined, undefined, 1e-3);
  }

  /** A shape that broadcasts to the given one. */
  narrow(shape: readonly number[]): number[] {
    const cut = shape.slice(this.below(shape.length));
    return cut.map((d) => (this.chance(3) ? 1 : d));
  }
}

type Step = (d: Dice) => Value | undefined;

const STEPS: readonly Step[] = [
  function linear(d) {
    const x = d.calm(d.value());
    const n = d.size(40);
    const k = x.type.shape.at(-1)!;
    const w = d.chance(3) ? build.transpose(d.model.param([k, n])) : d.model.param([n, k]);
    return build.linear(x, w, d.chance(2) ? d.model.param([n]) : undefined);
  },
  function product(d) {
    const [m, k, n] = [d.size(20), d.size(20), d.size(20)];
    const lead = Array.from({ length: d.below(3) }, () => d.size(3));
    const a = d.shaped([...d.narrow([...lead, 1]).slice(0, -1), m, k]);
    const b = d.chance(3) ? d.model.param([k, n]) : d.shaped([...d.narrow([...lead, 1]).slice(0, -1), k, n]);
    if (!tryBroadcast(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2))) return undefined;
    return build.matmul(d.calm(a), b);
  },
  function convolution(d) {
    const groups = d.one([1, 1, 2, 3]);
    const [perGroup, outs] = [d.size(5), d.size(6)];
    const kernel = [1 + d.below(3), 1 + d.below(3)] as const;
    const dilation = [1 + d.below(2), 1 + d.below(2)] as const;
    const padding = d.chance(3) ? ([0, 0, 0, 0] as const) : ([0, 1, 2, 3].map(() => d.below(3)) as never);
    const span = kernel.map((k, i) => (k - 1) * dilation[i]! + 1);
    const side = span.map((s) => s + d.below(7));
    const x = d.calm(d.shaped([1 + d.below(2), groups * perGroup, side[0]!, side[1]!]));
    const weight = d.model.param([groups * outs, perGroup, ...kernel]);
    const inputs = d.chance(2) ? [x, weight, d.model.param([groups * outs])] : [x, weight];
    const stride = [1 + d.below(3), 1 + d.below(3)] as const;
    return d.model.op('conv2d', inputs, { stride, padding, dilation, groups });
  },
  function attention(d) {
    const [batch, heads, rows, keys] = [d.size(3), d.size(3), d.size(20), d.size(40)];
    const [depth, width] = [d.size(20), d.size(20)];
    const q = d.calm(d.shaped([batch, heads, rows, depth]));
    const k = d.calm(d.shaped([batch, heads, keys, depth]));
    const v = d.shaped([batch, heads, keys, width]);
    const score = [batch, heads, rows, keys];
    const factors = Array.from({ length: d.below(3) }, () => d.shaped(d.narrow(score)));
    if (d.chance(3)) {
      // A mask that leaves every row at least its first key.
      const mask = Float32Array.from({ length: rows * keys }, (_, i) => (i % keys > 0 && d.chance(3) ? -1e9 : 0));
      factors.push(d.model.param([rows, keys], tensor([rows, keys], mask)));
    }
    const y = build.attention(q, k, v, d.one([0.25, 1, 3]), factors);
    if (d.chance(3)) return build.mul(y, build.reshape(build.aux(y, 'lse'), [batch, heads, rows, 1]));
    return d.chance(2) ? build.reshape(build.transpose(y, [0, 2, 1, 3]), [batch, rows, heads * width]) : y;
  },
  function pointwise(d) {
    const a = d.value();
    const b = d.chance(2) ? d.shaped(a.type.shape) : d.fresh(d.narrow(a.type.shape));
    switch (d.below(6)) {
      case 0:
        return build.maximum(a, b);
      case 1:
        return build.sub(a, build.gelu(b, d.one(['none', 'tanh', 'quick'] as const)));
      case 2:
        return build.mul(a, build.sigmoid(b));
      case 3:
        // Chosen by what no rounding has touched.
        return build.select(build.lt(d.model.input(d.narrow(a.type.shape)), 0), a, b);
      case 4:
        return build.silu(build.add(a, b));
      default:
        return build.add(a, b);
    }
  },
  function spread(d) {
    const a = d.value();
    const shape = [d.size(3), ...a.type.shape.map((n) => (n === 1 ? d.size(5) : n))];
    return build.broadcast(a, shape);
  },
  function layout(d) {
    let a = d.value();
    for (let i = 0; i < 4; i++) {
      const shape = a.type.shape;
      const axis = d.below(shape.length);
      const kind = d.below(6);
      if (kind === 0)
        a = build.transpose(
          a,
          shape.map((_, j) => (j + 1) % shape.length),
        );
      else if (kind === 1) a = build.roll(a, [d.below(15) - 7], [axis]);
      else if (kind === 2)
        a = build.pad(
          a,
          shape.map(() => d.below(2)),
          shape.map(() => d.below(3)),
          d.one([0, -1.5]),
        );
      else if (kind === 3) {
        const from = d.below(shape[axis]!);
        a = build.sliceAxis(a, axis, from, from + 1 + d.below(shape[axis]! - from));
      } else if (kind === 4) {
        const side = [1, 2, 3, 4, 5, 7, 8].filter((n) => sizeOf(shape) % n === 0);
        const n = d.one(side);
        a = build.reshape(a, [n, sizeOf(shape) / n]);
      } else {
        const count = d.size(5);
        const index = d.model.input([count], 'u32', wholes(d, count, shape[axis]!));
        a = build.gather(a, index, axis);
      }
      if (sizeOf(a.type.shape) > LARGEST) return undefined;
    }
    return a;
  },
  function joined(d) {
    const a = d.value();
    const axis = d.below(a.type.shape.length);
    const parts = Array.from({ length: 1 + d.below(4) }, () =>
      d.shaped(a.type.shape.map((n, i) => (i === axis ? d.size(5) : n))),
    );
    return build.concat([a, ...parts], axis);
  },
  function reduction(d) {
    const a = d.value();
    const axes = a.type.shape.map((_, i) => i).filter(() => d.chance(2));
    const some = axes.length > 0 ? axes : [d.below(a.type.shape.length)];
    const by = d.one(['mean', 'max', 'sum'] as const);
    const y = build[by](a, some, d.chance(2));
    return y.type.shape.length > 0 ? y : undefined;
  },
  function rows(d) {
    const a = d.value();
    const c = a.type.shape.at(-1)!;
    const rank = a.type.shape.length;
    switch (d.below(4)) {
      case 0:
        return build.softmax(a, d.below(rank));
      case 1:
        return build.layerNorm(a, d.model.param([c]), d.chance(2) ? d.model.param([c]) : undefined, 1e-3);
      case 2:
        return d.model.op('top_k', [a], { k: 1 + d.below(Math.min(3, c)) });
      default:
        return rank > 1 ? d.model.op('group_norm', [a], { groups: 1, eps: 1e-2 }) : undefined;
    }
  },
];

function wholes(d: Dice, count: number, below: number) {
  return tensor(
    [count],
    Uint32Array.from({ length: count }, () => d.below(below)),
    'u32',
  );
}

/** A graph of about `steps` operators; its results are the last values and one on the way. */
export function wideGraph(seed: number, steps: number): { model: Model; results: Value[] } {
  const d = new Dice(seed);
  d.pool.push(d.fresh(), d.fresh([d.size(9), d.size(30)]));
  for (let i = 0; i < steps; i++) {
    const v = d.one(STEPS)(d);
    if (v && sizeOf(v.type.shape) <= LARGEST && v.type.shape.length <= 6) d.pool.push(v);
  }
  return { model: d.model, results: [...new Set([...d.pool.slice(-2), d.one(d.pool)])] };
}
