/** Raising: every value is looked at once, after what it is made of, by the rules for its operator. */
import type { TypedGraph } from '../types.js';
import { type Maker, Net } from './net.js';
import { NOTHING } from './pattern.js';
import { rearranged } from './rearrange.js';
import { RAISING } from './rules.js';

export interface Raised {
  readonly net: Net;
  /** What makes the values that the outputs need, each behind what it reads. */
  readonly makers: readonly Maker[];
  /** What the rules made of it: how many of each operator and layer. */
  readonly counts: ReadonlyMap<string, number>;
}

export function raise(graph: TypedGraph, outputs: readonly string[]): Raised {
  const net = new Net(graph, outputs);
  for (const maker of [...net.makers.values()]) {
    for (const rule of RAISING) {
      if (!rule.at.includes(maker.op)) continue;
      const found = rule.pattern(net, maker.output, NOTHING);
      const raised = found && rule.raise(net, maker, found);
      if (!raised) continue;
      const { code: _, ...rest } = maker;
      net.makers.set(maker.output, { ...rest, ...raised });
      break;
    }
  }
  // What layers and attention took in is gone by now: transposes of keys, above all. The last of a chain stands for all of it.
  for (const maker of net.needed(outputs).reverse()) {
    const raised = net.makers.get(maker.output) === maker ? rearranged(net, maker) : undefined;
    if (raised) net.makers.set(maker.output, { ...maker, ...raised });
  }
  const makers = net.needed(outputs);
  const counts = new Map<string, number>();
  for (const { op, node } of makers) if (op !== node.op) counts.set(op, (counts.get(op) ?? 0) + 1);
  return { net, makers, counts };
}
