/**
 * One stretch of a model that can be computed by itself: what is compared in f64 where the whole model would take too long. It lies
 * between two places that as little as possible passes, such as the residual stream between two blocks of a transformer.
 */
import { commonPath } from '../../ir/path.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { input, rootsOf, topological, withInputs } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import type { Func, Value } from '../../ir/types.js';

export interface Block {
  /** Path of the site that holds all of it; empty where none does. */
  readonly site: string;
  /** Arguments `in0`, `in1`, ...; results `out0`, ... */
  readonly func: Func;
  /** Values of the whole function, in the order of the arguments and of the results. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly flops: number;
}

/**
 * The largest block of at most `most` operations; the smallest one where none is small enough; undefined for a function that nothing
 * cuts.
 */
export function blockOf(func: Func, most: number): Block | undefined {
  const results = rootsOf(func);
  const order = topological(results).filter((v) => dependsOnInput(v) && v.op !== 'input');
  const place = new Map(order.map((v, i) => [v, i]));
  const lastUse = new Map<Value, number>();
  order.forEach((v, i) => {
    for (const x of v.inputs) if (dependsOnInput(x)) lastUse.set(x, i);
  });
  /** What is made before `at` and read from there on. */
  const crossing = (at: number): Value[] =>
    [...lastUse].filter(([v, last]) => (place.get(v) ?? -1) < at && last >= at).map(([v]) => v);
  const counts = crossings(order.length, place, lastUse);
  const least = Math.min(...counts.slice(1));
  const cuts = [...counts.keys()].filter((at) => at > 0 && counts[at] === least);
  const upTo = [0];
  for (const v of order) upTo.push(upTo.at(-1)! + costOf(v).flops);

  const stretches = cuts.flatMap((from, i) =>
    cuts.slice(i + 1).map((to) => ({ from, to, flops: upTo[to]! - upTo[from]! })),
  );
  const chosen = choose(
    stretches.filter((s) => s.flops > 0),
    most,
    (s) => siteOf(order.slice(s.from, s.to)),
  );
  if (!chosen) return undefined;
  const { from, to, flops } = chosen;
  const inside = order.slice(from, to);
  const inputs = crossing(from).filter((v) => inside.some((x) => x.inputs.includes(v)));
  const outputs = crossing(to).filter((v) => place.get(v)! >= from);
  return { site: siteOf(inside), func: functionOf(inside, inputs, outputs), inputs, outputs, flops };
}

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly flops: number;
}

/** Among those nearly as large as the largest that may be, the one with the most telling name: a whole block rather than two halves. */
function choose(stretches: readonly Stretch[], most: number, site: (s: Stretch) => string): Stretch | undefined {
  const fitting = stretches.filter((s) => s.flops <= most);
  if (fitting.length === 0) return stretches.reduce((a, b) => (b.flops < a.flops ? b : a), stretches[0]!);
  const largest = fitting.reduce((n, s) => Math.max(n, s.flops), 0);
  const depth = (s: Stretch): number => site(s).split('.').length;
  const large = fitting.filter((s) => s.flops >= 0.8 * largest).map((s) => ({ s, depth: depth(s) }));
  return large.reduce((a, b) => (b.depth > a.depth ? b : a)).s;
}

/** For each place of the order, how many values pass it. */
function crossings(
  length: number,
  place: ReadonlyMap<Value, number>,
  lastUse: ReadonlyMap<Value, number>,
): readonly number[] {
  const change = new Array<number>(length + 1).fill(0);
  for (const [v, last] of lastUse) {
    const first = (place.get(v) ?? -1) + 1;
    change[first]!++;
    change[last + 1]!--;
  }
  let now = 0;
  return change.slice(0, length).map((d) => {
    now += d;
    return now;
  });
}

function functionOf(inside: readonly Value[], inputs: readonly Value[], outputs: readonly Value[]): Func {
  const images = new Map<Value, Value>(inputs.map((v, i) => [v, input(`in${i}`, v.type)]));
  for (const v of inside) {
    images.set(
      v,
      withInputs(
        v,
        v.inputs.map((x) => images.get(x) ?? x),
      ),
    );
  }
  return {
    name: 'block',
    inputs: inputs.map((v) => images.get(v)!),
    results: outputs.map((v, i) => ({ name: `out${i}`, value: images.get(v)! })), updates: [],
  };
}

/** The longest path that all the values' sites begin with. */
function siteOf(values: readonly Value[]): string {
  return commonPath(values.flatMap((v) => v.about?.site ?? []));
}
