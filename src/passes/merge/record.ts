/** A merged region on record: the same function of what it reads, before and after, so that it can be checked with numbers. */

import { adaptersOf } from '../../ir/about.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { input, rewriteValues, withInputs } from '../../ir/graph.js';
import { costOf } from '../../ir/ops/cost.js';
import type { Func, Value } from '../../ir/types.js';
import type { Region } from '../pass.js';
import { isLayer, stretch } from '../values.js';
import { below } from './regions.js';

/** `stop` says where the region ends below `anchor`, never at it; `after` computes the same from there, or is one of those ends. */
export function regionOf(anchor: Value, after: Value, stop: (v: Value) => boolean): Region {
  const args = new Map<Value, Value>();
  const ends = commonEnds(anchor, after, stop);
  const old = stretch([anchor], stop);
  const fresh = stretch([after], stop);
  const adapters = new Set(old.flatMap((v) => adaptersOf(v.about)));
  const flops = (values: readonly Value[]): number => values.reduce((n, v) => n + costOf(v).flops, 0);
  const layer = old.find(isLayer) ?? anchor;
  return {
    site: layer.about?.site ?? anchor.about?.site ?? '',
    adapters: [...adapters],
    before: functionOf('before', anchor, ends, args),
    after: functionOf('after', after, ends, args),
    flopsBefore: flops(old),
    flopsAfter: flops(fresh),
    newBias:
      old.some(isLayer) &&
      !old.some((v) => isLayer(v) && v.inputs.length > 2) &&
      fresh.some((v) => isLayer(v) && v.inputs.length > 2),
  };
}

/**
 * Where both sides end: `stop`, but for values that only one of them reads, and for several views of one value. A form may have had to write down a
 * value of its own (a broadcast, a gather of other rows) and end there; as an argument it would be another number than what it was made of. So would
 * two views of one value be. A view that is alone is an argument: over it a region may work token by token, which is checked on a few.
 */
function commonEnds(anchor: Value, after: Value, stop: (v: Value) => boolean): (v: Value) => boolean {
  const through = new Set<Value>();
  const ends = (v: Value): boolean => stop(v) && !through.has(v);
  for (;;) {
    const [old, fresh] = [argumentsOf(anchor, ends), argumentsOf(after, ends)];
    const own = [...fresh].filter((v) => !old.has(v) && v.op !== 'input');
    if (own.length === 0) {
      const views = viewsOfOne(new Set([...old, ...fresh]));
      if (views.length === 0) return ends;
      for (const v of views) through.add(v);
      continue;
    }
    for (const v of [...own, ...[...old].filter((x) => !fresh.has(x))]) through.add(v);
  }
}

/** Views of a value of which, itself included, several are there. */
function viewsOfOne(values: ReadonlySet<Value>): Value[] {
  const seen = new Map<Value, number>();
  for (const v of values) seen.set(below(v), (seen.get(below(v)) ?? 0) + 1);
  return [...values].filter((v) => below(v) !== v && seen.get(below(v))! > 1);
}

function argumentsOf(root: Value, ends: (v: Value) => boolean): Set<Value> {
  const found = new Set<Value>();
  const isEnd = (v: Value): boolean => v.op === 'input' || ends(v);
  rewriteValues(
    [root],
    (v) => {
      if (dependsOnInput(v) && isEnd(v)) found.add(v);
      return v;
    },
    (v) => (dependsOnInput(v) && !isEnd(v) ? v.inputs : []),
  );
  return found;
}

function functionOf(name: string, root: Value, stop: (v: Value) => boolean, args: Map<Value, Value>): Func {
  const used = new Set<Value>();
  const isArgument = (v: Value): boolean => v.op === 'input' || stop(v);
  const image = rewriteValues(
    [root],
    (v, inputs) => {
      if (!dependsOnInput(v)) return v;
      if (!isArgument(v)) return withInputs(v, inputs);
      const made = args.get(v) ?? input(`x${args.size}`, v.type);
      args.set(v, made);
      used.add(made);
      return made;
    },
    (v) => (dependsOnInput(v) && !isArgument(v) ? v.inputs : []),
  );
  const value = image(root);
  return { name, inputs: [...args.values()].filter((v) => used.has(v)), results: [{ name: 'y', value }], updates: [] };
}
