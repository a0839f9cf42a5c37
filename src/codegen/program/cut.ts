/**
 * A function in two: what it computes of some inputs and of nothing that changes from call to call, and the rest, which takes what crosses the cut in
 * place of those inputs. Who calls it again and again with the same samples (the epochs of a training whose first blocks are frozen) then computes
 * the first part once a sample, and keeps what it gives:
 *
 *   step(pixels, target) -> loss     becomes     features(pixels) -> feature.0, ...     and     step(feature.0, ..., target) -> loss
 *
 * The results are the same bits. The whole function is lowered and fused as if nothing were cut, and then its groups are dealt out: a group is in
 * one part or the other, so that the kernels are those of the whole, and what crosses lay in memory there too. It is bound as that was (`crossing`), since
 * how a kernel reads a tensor depends on where it lies.
 *
 * Groups are still if they read what is cut for, parameters that no call changes, and other still groups. A prefix of them, in the order in which they
 * run, is cut off: the one after which a call takes the least time. What crosses has to be brought to the GPU by each call, so a norm of a tensor that crosses is
 * computed again rather than kept beside it. Of what is gained less than `WORTH` is not worth the memory.
 */
import { hasBatch } from '../../ir/batch.js';
import { Numbering } from '../../ir/equal.js';
import { input, mapRoots, rewriteValues, rootsOf, topological, withInputs } from '../../ir/graph.js';
import { costOf, DEVICES, timeOf } from '../../ir/ops/cost.js';
import type { Func, Module, Value } from '../../ir/types.js';
import { sampleBytes } from '../buffers/arena.js';
import { flopsOf, type Group, valuesOf } from '../groups/group.js';

export interface CutRequest {
  /** Entries that are called with the same samples: all of them are cut, and alike, or none. */
  readonly entries: readonly string[];
  /** Name of the entry that computes what crosses. */
  readonly name: string;
  /** Inputs that are the same each time that a sample comes. All others change, and so do states. */
  readonly inputs: readonly string[];
}

/** What a cut comes to, for one sample. */
export interface CutReport extends Pick<CutRequest, 'entries' | 'name'> {
  /** Bytes that cross. */
  readonly bytes: number;
  /** Operations of a call of the first of the entries: whole, and of what is left of it. */
  readonly flops: { readonly whole: number; readonly left: number };
  /** Sites (`About.site`) of what is computed before the cut and of what after it. */
  readonly sites: { readonly before: ReadonlySet<string>; readonly after: ReadonlySet<string> };
}

/** A function whose groups are known. */
export interface Part {
  readonly func: Func;
  readonly groups: readonly Group[];
  /** Arguments, or results, that lie as they do in the memory of the whole function. */
  readonly crossing: ReadonlySet<Value>;
}

export interface Cut {
  readonly before: Part;
  readonly after: Part;
  readonly report: CutReport;
}

/** Bytes a second that come to the GPU from where features are kept: an order of magnitude, as those of `DEVICES`. */
const UPLOAD = 1e10;
/** The share of a call's time that a cut has to save. */
const WORTH = 0.05;

/** What crosses, by its place. */
const featureName = (i: number): string => `feature.${i}`;

/**
 * @param func lowered
 * @param groups of it, in the order in which they run
 * @param samples of a call
 * @returns undefined where too little stays the same
 */
export function cutOf(
  { params }: Pick<Module, 'params'>,
  func: Func,
  groups: readonly Group[],
  request: CutRequest,
  samples: number,
): Cut | undefined {
  const given = new Set(request.inputs);
  const changes = changing(func, (v) => {
    if (v.op === 'input') return !given.has(v.attrs.name);
    if (v.op === 'param') return params.get(v.attrs.name)!.role === 'state';
    // Of all samples of a call together.
    return v.needsBatch && !hasBatch(v.type.shape);
  });
  const roots = new Set(rootsOf(func));
  const still = groups.filter((g) => g.stores.every((v) => !roots.has(v) && !valuesOf(g).some((x) => changes(x))));
  const before = bestPrefix(groups, still, given, samples);
  return before && dealt(func, groups, before, request);
}

/** Whether a value is among those that `begins` names, or computed from one. */
function changing(func: Func, begins: (v: Value) => boolean): (v: Value) => boolean {
  const found = new Map<Value, boolean>();
  for (const v of topological(rootsOf(func))) found.set(v, begins(v) || v.inputs.some((x) => found.get(x)));
  return (v) => found.get(v)!;
}

/** What groups outside of some read of what these store. */
function crossingOf(groups: readonly Group[], cut: ReadonlySet<Group>): Set<Value> {
  const made = new Set([...cut].flatMap((g) => g.stores));
  return new Set(groups.flatMap((g) => (cut.has(g) ? [] : g.reads.filter((v) => made.has(v)))));
}

/** Those of the groups that stay the same which are cut off; undefined where nothing is worth it. */
function bestPrefix(
  groups: readonly Group[],
  still: readonly Group[],
  given: ReadonlySet<string>,
  samples: number,
): ReadonlySet<Group> | undefined {
  const isGiven = (v: Value): boolean => v.op === 'input' && given.has(v.attrs.name);
  const times = new Map(groups.map((g) => [g, timeFor(g, samples)]));
  const sum = (list: Iterable<Group>): number => [...list].reduce((total, g) => total + times.get(g)!, 0);
  const brought = (values: Iterable<Value>): number =>
    [...values].reduce((total, v) => total + (PICOSECONDS * sampleBytes(v)) / UPLOAD, 0);
  const images = brought(new Set(groups.flatMap((g) => g.reads.filter(isGiven))));
  const whole = sum(groups) + images;
  let best: { readonly cut: ReadonlySet<Group>; readonly gain: number } | undefined;
  const cut = new Set<Group>();
  for (const g of still) {
    cut.add(g);
    const crossing = crossingOf(groups, cut);
    const readsGiven = groups.some((other) => !cut.has(other) && other.reads.some(isGiven));
    if (readsGiven || ![...crossing].every(canCross)) continue;
    const gain = sum(cut) + images - brought(crossing);
    if (gain >= WORTH * whole && (!best || gain > best.gain)) best = { cut: new Set(cut), gain };
  }
  return best?.cut;
}

const PICOSECONDS = 1e12;

/** Numbers of each sample by itself, which a caller can keep. */
const canCross = ({ type }: Value): boolean => type.dtype === 'f32' && hasBatch(type.shape);

/** Picoseconds that a group takes of a call, by sample. */
function timeFor(group: Group, samples: number): number {
  const touched = new Set([...group.reads, ...group.stores]);
  const bytes = [...touched].reduce(
    (sum, v) => sum + (hasBatch(v.type.shape) ? sampleBytes(v) : sampleBytes(v) / samples),
    0,
  );
  return timeOf({ flops: flopsOf(group), bytes }, 1 / samples, DEVICES.hardware);
}

function dealt(func: Func, groups: readonly Group[], cut: ReadonlySet<Group>, request: CutRequest): Cut {
  const crossing = [...crossingOf(groups, cut)];
  const arguments_ = new Map(crossing.map((v, i) => [v, input(featureName(i), v.type)]));
  const rest = groups.filter((g) => !cut.has(g));
  const image = rewriteValues(
    [...rootsOf(func), ...rest.flatMap((g) => [...g.stores, g.result])],
    (v, inputs) => arguments_.get(v) ?? (v.op === 'input' ? v : withInputs(v, inputs)),
    (v) => (arguments_.has(v) ? [] : v.inputs),
  );
  const moved = ({ kind, anchor, path, result, stores, reads }: Group): Group => ({
    kind,
    anchor: image(anchor),
    path: path.map(image),
    result: image(result),
    stores: stores.map(image),
    reads: reads.map(image),
  });
  const isGiven = (v: Value): boolean => v.op === 'input' && request.inputs.includes(v.attrs.name);
  const flops = (list: Iterable<Group>): number => [...list].reduce((sum, g) => sum + flopsOf(g), 0);
  return {
    before: {
      func: {
        name: request.name,
        inputs: func.inputs.filter(isGiven),
        results: crossing.map((value, i) => ({ name: featureName(i), value })),
        updates: [],
      },
      groups: [...cut],
      crossing: new Set(crossing),
    },
    after: {
      func: {
        ...mapRoots(func, image),
        inputs: [...arguments_.values(), ...func.inputs.filter((v) => !isGiven(v))],
      },
      groups: rest.map(moved),
      crossing: new Set(arguments_.values()),
    },
    report: {
      entries: request.entries,
      name: request.name,
      bytes: crossing.reduce((sum, v) => sum + sampleBytes(v), 0),
      flops: { whole: flops(groups), left: flops(rest) },
      sites: { before: sitesOf([...cut]), after: sitesOf(rest) },
    },
  };
}

/** Where what the groups compute was traced: views of what others computed are nothing. */
function sitesOf(groups: readonly Group[]): ReadonlySet<string> {
  return new Set(
    groups.flatMap((g) => {
      const read = new Set(g.reads);
      return valuesOf(g).flatMap((v) =>
        read.has(v) || v.about?.site === undefined || costOf(v).flops === 0 ? [] : [v.about.site],
      );
    }),
  );
}

/** Whether two cuts compute the same before them, by the same kernels. */
export function sameBefore(a: Cut, b: Cut): boolean {
  const numbering = new Numbering();
  const text = ({ before }: Cut): string =>
    before.groups
      .map(({ kind, anchor, path, stores, reads }) =>
        [kind, ...[[anchor], path, stores, reads].map((list) => list.map((v) => numbering.of(v)).join(' '))].join(),
      )
      .join('\n');
  const crossing = ({ before }: Cut): string => before.func.results.map((r) => numbering.of(r.value)).join(' ');
  return text(a) === text(b) && crossing(a) === crossing(b);
}
