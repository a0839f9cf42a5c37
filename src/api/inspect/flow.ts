/** How data flows through a model's sites: in which order, in what shape, and past which of them. For pictures. */

import type { Elaborated, SiteNode } from '../../dsl/elaborated.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { isWithin } from '../../ir/path.js';
import { Summary } from '../../ir/summary.js';
import type { Value } from '../../ir/types.js';

/** A sum that takes what came out of child `from` (-1: what came in) past the children up to and including `to`. */
export interface Skip {
  readonly from: number;
  readonly to: number;
}

export interface Flow {
  /** Shape of what a site gives to those outside of it, without the batch; undefined when it is not used. */
  shapeOf(site: SiteNode): readonly number[] | undefined;
  /** The sites in the order in which data reaches them; those that it does not reach are last. */
  order(sites: readonly SiteNode[]): SiteNode[];
  /** The residual connections of a module around its children, which are in order. */
  skips(parent: SiteNode, children: readonly SiteNode[]): Skip[];
}

const within = (value: Value, path: string): boolean =>
  value.about?.site !== undefined && isWithin(value.about.site, path);

export function flowOf({ module }: Elaborated): Flow {
  const infer = module.funcs.get('infer')!;
  const summary = Summary.of(infer);
  // What is computed from parameters alone is no flow.
  const values = summary.order.filter(dependsOnInput);
  const place = new Map(values.map((v, i) => [v, i]));

  /** The last value of a site that something outside of it reads. */
  const outputs = new Map<string, Value | undefined>();
  const outputOf = (path: string): Value | undefined => {
    if (!outputs.has(path)) {
      const leaves = (v: Value) => summary.isRoot(v) || summary.readers(v).some((u) => !within(u, path));
      outputs.set(
        path,
        values.findLast((v) => within(v, path) && leaves(v)),
      );
    }
    return outputs.get(path);
  };

  /** The last of the children whose output reaches a value through the parent's own operators. */
  const reaches = (start: Value, parent: SiteNode, children: readonly SiteNode[]): number => {
    const seen = new Set<Value>();
    const stack = [start];
    let last = -1;
    for (let v = stack.pop(); v !== undefined; v = stack.pop()) {
      if (seen.has(v) || !place.has(v) || !within(v, parent.path)) continue;
      seen.add(v);
      const child = children.findIndex((c) => within(v, c.path));
      if (child < 0) stack.push(...v.inputs);
      else last = Math.max(last, child);
    }
    return last;
  };

  return {
    shapeOf: ({ path }) => outputOf(path)?.type.shape.slice(1),
    order: (sites) => {
      const at = new Map(sites.map((s) => [s, place.get(outputOf(s.path)!) ?? Number.POSITIVE_INFINITY]));
      return [...sites].sort((a, b) => (at.get(a) === at.get(b) ? 0 : at.get(a)! - at.get(b)!));
    },
    skips: (parent, children) => {
      const found = new Map<string, Skip>();
      for (const value of values) {
        if (value.op !== 'add' || !within(value, parent.path) || children.some((c) => within(value, c.path))) continue;
        if (!value.inputs.every((x) => place.has(x))) continue;
        const [a = -1, b = -1] = value.inputs.map((x) => reaches(x, parent, children));
        if (a !== b) found.set(`${a} ${b}`, { from: Math.min(a, b), to: Math.max(a, b) });
      }
      return [...found.values()];
    },
  };
}
