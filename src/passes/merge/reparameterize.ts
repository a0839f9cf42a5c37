/**
 * Merging: affine regions that hold an adapter become the layers that they are equal to. The operators that are left are those of the
 * model without adapters; the new weights are expressions of parameters, which `split` moves to `prepare`.
 *
 * Nothing here knows a method. Regions without adapters are left alone.
 */

import { adaptersOf, isAdapters, ownedBy } from '../../ir/about.js';
import { arranged, flatShape } from '../../ir/affine/operator.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { mapRoots, rewriteValues, rootsOf, withInputs } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import { Summary } from '../../ir/summary.js';
import type { Func, Value } from '../../ir/types.js';
import { Costs } from '../cost.js';
import type { Box } from '../narrow.js';
import { leftOf } from '../owners.js';
import { overFunc, type Pass, type PassContext } from '../pass.js';
import { isLayer, isTouched, reowned, stretch, withAbout } from '../values.js';
import { absorb } from './absorb.js';
import { noteObstacles } from './obstacles.js';
import { realise } from './realise.js';
import { regionOf } from './record.js';
import { below, fixedAnchors, ownSteps, type Solution, solve, stopAt } from './regions.js';

export const reparameterize: Pass = {
  name: 'reparameterize',
  doc: 'Affine regions that hold adapters become the layers that they are equal to.',
  run: overFunc((func, module, ctx) => (ctx.adapters === 'factored' ? func : merge(absorb(module, func), ctx))),
};

/** What a choice may ask. */
interface Choosing extends PassContext {
  readonly costs: Costs;
}

/** What is to be computed instead of an anchor. */
interface Choice {
  readonly value: Value;
  readonly clean: boolean;
  readonly replaced: boolean;
  /** Adapters that are left beside the layers in what replaces the anchor. */
  readonly left?: readonly string[];
}

function merge(func: Func, given: PassContext): Func {
  const interner = new Interner();
  // Known values first, so that a form that gives back the graph gives back its very values.
  const seeded = rewriteValues(rootsOf(func), (v, inputs) => interner.seed(withInputs(v, inputs)));
  const roots = rootsOf(func);
  const results = roots.map(seeded);
  const summary = new Summary(results);
  const { order } = summary;
  const fixed = fixedAnchors(order, results);
  const b = interner.build;
  const ctx: Choosing = { ...given, costs: new Costs(order.filter(dependsOnInput), results, given.device) };

  const closed = closedSteps(interner, order, fixed, ctx);
  const first = solve(b, fixed, fixed, [], closed);
  const cuts = chooseCuts(interner, summary, first, closed, ctx);
  const solution = cuts.size > 0 ? solve(b, fixed, fixed, cuts, closed) : first;
  const choices = chooseAll(interner, solution, ctx);

  for (const [anchor, choice] of choices) {
    if (choice.replaced) ctx.notes.regions.push(regionOf(anchor, choice.value, stopAt(solution, anchor)));
  }
  const { rebuilt, before } = rebuild(results, choices, solution);
  noteObstacles(rebuilt, before, solution, ctx);
  const images = new Map(roots.map((root, i) => [root, rebuilt[i]!]));
  return mapRoots(func, (root) => images.get(root)!);
}

function chooseAll(interner: Interner, s: Solution, ctx: Choosing): Map<Value, Choice> {
  const choices = new Map<Value, Choice>();
  for (const anchor of s.forms.keys()) choices.set(anchor, choose(interner, anchor, s, ctx));
  return choices;
}

/**
 * Which of the model's own steps forms end at. All of them, but for those of a region that keeps an adapter then, and does not keep it, or
 * does less, if forms pass through: a low-rank map beside `g * fc(x)`, say. There the layer takes the step in, which a compiled program may
 * do and a checkpoint in the layout of the base cannot.
 */
function closedSteps(
  interner: Interner,
  order: readonly Value[],
  fixed: ReadonlySet<Value>,
  ctx: Choosing,
): Set<Value> {
  const closed = new Set<Value>();
  for (const v of ownSteps(order)) closed.add(v);
  const solved = (ends: ReadonlySet<Value>): Solution => solve(interner.build, fixed, fixed, [], ends);
  const apart = solved(closed);
  const choices = chooseAll(interner, apart, ctx);
  const left = new Set<Value>();
  for (const [anchor, choice] of choices) {
    if (!choice.clean && apart.region(anchor).some(isAdapters)) left.add(anchor);
  }
  if (left.size === 0) return closed;
  const { costs } = ctx;
  const through = solved(new Set());
  for (const anchor of through.forms.keys()) {
    const region = through.region(anchor);
    if (!region.some((v) => left.has(v))) continue;
    const choice = choose(interner, anchor, through, ctx);
    const before = region
      .map((v) => {
        if (closed.has(v)) return costs.own(v);
        const instead = choices.get(v)?.value;
        return instead ? costs.below(instead, costs.boxOf(v), stopAt(apart, v)) : 0;
      })
      .reduce((n, cost) => n + cost, 0);
    const after = costs.below(choice.value, costs.boxOf(anchor), stopAt(through, anchor));
    if (choice.clean || after < before) for (const v of region) closed.delete(v);
  }
  return closed;
}

/** Of a value with the channels of several axes together behind the tokens, what is read if a box of it is. */
const flatBox = (axes: readonly number[], box: Box, shape: readonly number[]): Box => [
  ...box.filter((_, i) => !axes.includes(i)),
  [0, shape.at(-1)!],
];

/** A region's layer where it is cheaper, or as cheap and free of the adapter; otherwise the region as it is. */
function choose(interner: Interner, anchor: Value, s: Solution, ctx: Choosing): Choice {
  const asIs: Choice = { value: anchor, clean: false, replaced: false };
  const { form, axes } = s.forms.get(anchor)!;
  const stop = stopAt(s, anchor);
  const inner = s.region(anchor);
  if (!inner.some(isTouched)) return asIs;
  const scoped = inner.find(isAdapters);
  const layer = inner.find(isLayer) ?? anchor;
  const foreign = (c: Value): boolean => !c.readsBase;
  // New values count as the adapter's until the region turns out to be clean.
  const about = scoped ? { ...layer.about, owner: scoped.about!.owner! } : layer.about;
  const tools = withAbout(interner, about);
  const several = axes.length > 1;
  const shape = several ? flatShape(anchor, axes) : anchor.type.shape;
  const box = ctx.costs.boxOf(anchor);
  const read = several ? flatBox(axes, box, shape) : box;
  const price = (v: Value, x: Value): number => ctx.costs.below(v, read, (w) => w === x);
  const flat = realise(tools, form, shape, several ? shape.length - 1 : axes[0]!, foreign, ctx.adapters, price);
  const made = flat && several ? { ...flat, value: arranged(tools.b, flat.value, anchor, axes) } : flat;
  if (!made || made.value === anchor) return made?.clean ? { ...asIs, clean: true } : asIs;
  // A layer more than the model has is not a merge, whatever weights it holds.
  const layers = (values: readonly Value[]): number => values.filter(isLayer).length;
  const clean = made.clean && layers(stretch([made.value], stop)) <= layers(inner);
  const before = ctx.costs.below(anchor, box, stop);
  const after = ctx.costs.below(made.value, box, stop);
  if (after >= before && !(after === before && clean)) return asIs;
  return {
    value: made.value,
    clean,
    replaced: true,
    ...(clean ? {} : { left: leftIn(inner, stretch([made.value], stop)) }),
  };
}

/**
 * Adapters of a region's old values that are left beside the layers in the new ones. Where the new ones have more layers than the model, nobody
 * can say which is the model's own.
 */
function leftIn(old: readonly Value[], fresh: readonly Value[]): readonly string[] {
  const layers = fresh.filter(isLayer);
  const grown = layers.length > old.filter(isLayer).length;
  const own = new Set(grown ? [] : layers);
  const among = old.flatMap((v) => [...adaptersOf(v.about), ...(own.size > 0 ? (v.about?.inside ?? []) : [])]);
  const constants = (values: readonly Value[]): Value[] =>
    values.flatMap((v) => v.inputs.filter((x) => !dependsOnInput(x)));
  return leftOf([...new Set(among)], constants([...own]), constants(fresh.filter((v) => !own.has(v))));
}

/**
 * Which values that several others use should be computed once, although their users could each take them in. Decided for each group
 * of values that meet in a region, by the cost of the group's regions under every choice (up to a bound; then one value at a time).
 */
function chooseCuts(
  interner: Interner,
  summary: Summary,
  s: Solution,
  closed: ReadonlySet<Value>,
  ctx: Choosing,
): Set<Value> {
  const regionsOf = new Map<Value, Set<Value>>();
  for (const anchor of s.forms.keys()) {
    const inner = s.region(anchor);
    if (!inner.some(isTouched)) continue;
    for (const v of inner) {
      const source = below(v);
      if (v === anchor || summary.readers(v).length < 2 || s.anchors.has(source) || s.ends.has(source)) continue;
      if (!dependsOnInput(source) || source.op === 'input') continue;
      if (!regionsOf.has(source)) regionsOf.set(source, new Set());
      regionsOf.get(source)!.add(anchor);
    }
  }
  const cuts = new Set<Value>();
  for (const group of groupsOf(regionsOf)) {
    const roots = new Set(group.flatMap((v) => [...regionsOf.get(v)!]));
    const cost = (chosen: readonly Value[]): number => groupCost(interner, roots, s, chosen, closed, ctx);
    for (const v of cheapest(group, cost)) cuts.add(v);
  }
  return cuts;
}

/** Candidates that share a region belong together. */
function groupsOf(regionsOf: ReadonlyMap<Value, ReadonlySet<Value>>): Value[][] {
  const candidates = new Map<Value, Value[]>();
  for (const [v, regions] of regionsOf) {
    for (const r of regions) {
      if (!candidates.has(r)) candidates.set(r, []);
      candidates.get(r)!.push(v);
    }
  }
  const seen = new Set<Value>();
  const groups: Value[][] = [];
  for (const first of regionsOf.keys()) {
    if (seen.has(first)) continue;
    seen.add(first);
    const group = [first];
    // The group grows while it is walked.
    for (const v of group) {
      for (const r of regionsOf.get(v)!) {
        for (const other of candidates.get(r)!) if (!seen.has(other)) group.push(other);
        for (const other of candidates.get(r)!) seen.add(other);
        candidates.set(r, []);
      }
    }
    groups.push(group);
  }
  return groups;
}

const EXHAUSTIVE = 6;
/** Choices that are costed for a larger group: each takes as long as the group is large. */
const MOST_TRIES = 128;

function cheapest(group: readonly Value[], cost: (chosen: readonly Value[]) => number): readonly Value[] {
  if (group.length <= EXHAUSTIVE) {
    let best: { chosen: Value[]; cost: number } | undefined;
    // From all cuts to none: among equals, values stay computed once.
    for (let bits = (1 << group.length) - 1; bits >= 0; bits--) {
      const chosen = group.filter((_, i) => bits & (1 << i));
      const c = cost(chosen);
      if (!best || c < best.cost) best = { chosen, cost: c };
    }
    return best!.chosen;
  }
  let chosen = new Set(group);
  let least = cost(group);
  const none = cost([]);
  if (none < least) [chosen, least] = [new Set(), none];
  let tries = MOST_TRIES;
  for (let moved = true; moved; ) {
    moved = false;
    for (const v of group) {
      if (tries-- === 0) return [...chosen];
      const other = new Set(chosen);
      if (!other.delete(v)) other.add(v);
      const c = cost([...other]);
      if (c < least) [chosen, least, moved] = [other, c, true];
    }
  }
  return [...chosen];
}

/** The cost of everything that the group's regions compute, shared values once. */
function groupCost(
  interner: Interner,
  roots: ReadonlySet<Value>,
  s: Solution,
  cuts: readonly Value[],
  closed: ReadonlySet<Value>,
  ctx: Choosing,
): number {
  const local = solve(interner.build, roots, s.anchors, cuts, closed);
  const counted = new Map<Value, number>();
  for (const anchor of local.forms.keys()) {
    const { value } = choose(interner, anchor, local, ctx);
    const times = ctx.costs.times(value, ctx.costs.boxOf(anchor), stopAt(local, anchor));
    for (const [v, time] of times) counted.set(v, Math.max(time, counted.get(v) ?? 0));
  }
  let total = 0;
  for (const time of counted.values()) total += time;
  return total;
}

interface Rebuilt {
  readonly rebuilt: readonly Value[];
  /** Of each new value, the one that it copies. */
  readonly before: ReadonlyMap<Value, Value>;
}

/** The function with every anchor's choice in its place. */
function rebuild(results: readonly Value[], choices: ReadonlyMap<Value, Choice>, s: Solution): Rebuilt {
  const before = new Map<Value, Value>();
  // Whose the new values are; nobody's where the region is clean.
  const owners = new Map<Value, readonly string[]>();
  for (const [anchor, { value, clean, left }] of choices) {
    if (!clean && !left) continue;
    for (const v of stretch([value], stopAt(s, anchor))) if (isAdapters(v)) owners.set(v, clean ? [] : left!);
  }
  const images = new Map<Value, Value>();
  // Depth-first; an anchor's choice may read the anchor itself, which inside of it is copied.
  const stack: { readonly v: Value; readonly instead: Value | undefined }[] = [];
  const open = new Set<Value>();
  const push = (v: Value): void => {
    const choice = choices.get(v);
    const instead = choice?.replaced && !open.has(v) ? choice.value : undefined;
    if (instead) open.add(v);
    stack.push({ v, instead });
  };
  for (const root of results) {
    if (!images.has(root)) push(root);
    while (stack.length > 0) {
      const { v, instead } = stack.at(-1)!;
      const missing = (instead ? [instead] : v.inputs).find((x) => !images.has(x));
      if (missing) {
        push(missing);
        continue;
      }
      stack.pop();
      if (instead) {
        open.delete(v);
        images.set(v, images.get(instead)!);
        continue;
      }
      const copy = withInputs(
        v,
        v.inputs.map((x) => images.get(x)!),
      );
      const made = owners.has(v) ? reowned(copy, ownedBy(v.about, owners.get(v)!)) : copy;
      images.set(v, made);
      before.set(made, v);
    }
  }
  return { rebuilt: results.map((r) => images.get(r)!), before };
}
