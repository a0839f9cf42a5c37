/**
 * Axes that are split, put in another order and joined: exporters write a reshape, a transpose and a reshape; `rearrange` says the three at once. So windows, heads and patches read as
 * what they are, and the sizes that follow from others (the number of samples, above all) stand nowhere.
 */
import { BATCH, isBatch } from '../../../ir/batch.js';
import type { Maker, Net } from './net.js';

/** Names of axes, but for the batch. */
const NAMES = 'cdefghijklmnopqrstuvwxyz';

/** Which of the parts, in their order, make up each size; undefined where they do not. */
function grouped(sizes: readonly number[], parts: readonly number[]): number[][] | undefined {
  const groups: number[][] = [];
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    const group: number[] = [];
    let product = 1;
    while (at < parts.length && (product < size || group.length === 0)) {
      product *= parts[at]!;
      group.push(at++);
    }
    // What is left at the end can only be ones.
    if (i === sizes.length - 1) while (at < parts.length && parts[at] === 1) group.push(at++);
    if (product !== size || group.length === 0) return undefined;
    groups.push(group);
  }
  return at === parts.length ? groups : undefined;
}

/** What a maker is as a rearrangement of some value; undefined where it is none, or where that says no more. */
export function rearranged(net: Net, maker: Maker): Partial<Maker> | undefined {
  const last = maker.op === 'Reshape' ? maker : undefined;
  const turn = last ? net.makers.get(last.inputs[0]!) : maker;
  if (turn?.op !== 'Transpose' || !turn.code) return undefined;
  const before = net.makers.get(turn.inputs[0]!);
  const first = before?.op === 'Reshape' ? before : undefined;
  if (!last && !first) return undefined;
  // What others read as well is computed anyway.
  if ([turn, first].some((m) => m && m !== maker && net.readers(m.output) > 1)) return undefined;
  const x = (first ?? turn).inputs[0]!;
  const parts = net.shape(turn.inputs[0]!);
  const perm = turn.node.attributes.get('perm');
  const order = perm?.kind === 'ints' ? perm.value : [...parts.keys()].reverse();
  const from = grouped(net.shape(x), parts);
  const to = grouped(
    net.shape(maker.output),
    order.map((axis) => parts[axis]!),
  );
  if (!from || !to || parts.length > NAMES.length) return undefined;
  let used = 0;
  const names = parts.map((size) => (size === BATCH ? 'b' : NAMES[used++]!));
  const side = (groups: readonly (readonly string[])[]): string =>
    groups.map((g) => (g.length === 1 ? g[0] : `(${g.join(' ')})`)).join(' ');
  const pattern = `${side(from.map((g) => g.map((i) => names[i]!)))} -> ${side(to.map((g) => g.map((i) => names[order[i]!]!)))}`;
  // Of an axis that is split one part follows from the others.
  const given = from.flatMap((g) => {
    const follows = g.find((i) => isBatch(parts[i]!)) ?? g.at(-1)!;
    return g.length === 1 ? [] : g.filter((i) => i !== follows).map((i) => `, ${names[i]}: ${parts[i]}`);
  });
  const text = `rearrange(arg0, "${pattern}"${given.join('')})`;
  return { op: 'Rearranged', code: { text, args: [x] }, inputs: [x] };
}
