/**
 * What the backward pass keeps of the forward pass, and what it computes again.
 *
 * A value of the forward pass that the backward pass reads lies in memory from the one to the other, and all of them together are most of the memory
 * of a step. What is computed again is a second value beside the first: the same operators over `again` of what is kept, so that nothing takes the two
 * for one. It is computed when the backward pass comes to it, since a function's kernels run when what they give is needed.
 *
 * What takes no more than arithmetic on what is kept anyway is never kept: results of activations, norms, masks of dropouts. Of the rest, segments may be
 * computed again whole. A segment lies between two cuts, values through which everything goes that an input does to the loss, such as
 * the residual stream between blocks. Neighbours are one segment where what is kept at cuts, and what the largest segment holds when it has
 * been computed again, are least together.
 */
import { hasBatch, shapeAt } from '../../ir/batch.js';
import { rewriteFunc, rewriteValues, rootsOf, topological, withInputs } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import type { OpDef } from '../../ir/ops/define.js';
import { isView, OPS, traitsOf } from '../../ir/ops/index.js';
import { tensorBytes } from '../../ir/ops/shapes.js';
import type { Func, OpName, Value } from '../../ir/types.js';
import { withAbout } from '../values.js';

/** A value so many times smaller than one that it helps to compute again is kept for that: a norm's statistics. */
const SMALL = 8;
/** Operators that are computed again for the sake of one value that is not kept. */
const MOST = 64;

/** By positions in the forward pass: from `from` on, before `to`. */
interface Segment {
  readonly from: number;
  readonly to: number;
}

/** Bytes that a value takes for one sample. */
const bytesOf = ({ type }: Value): number => tensorBytes({ ...type, shape: shapeAt(type.shape, 1) });

/** Where the elements of a value lie. */
function sourceOf(v: Value): Value {
  let x = v;
  while (isView(x)) x = x.inputs[0]!;
  return x;
}

/** Whether it is computed, and for each sample: what it costs memory to keep. */
const isHeld = (v: Value): boolean => v.inputs.length > 0 && hasBatch(v.type.shape);

/** The forward pass of a function that has a backward pass too. */
export class ForwardPass {
  /** Operands first; other results of an operator right after it. */
  private readonly order: readonly Value[];
  private readonly position: ReadonlyMap<Value, number>;
  /** What the function gives of it, which has memory of its own. */
  private readonly given: ReadonlySet<Value>;
  /** What the backward pass reads, as it lies in memory. */
  private readonly read: ReadonlySet<Value>;
  private readonly interner = new Interner();
  private readonly forms = new Map<Value, Value | undefined>();
  /** What can be computed again, first to last. */
  private readonly segments: readonly Segment[];

  /** @param results Names of the results of the forward pass; what else the function computes is the backward pass. */
  constructor(
    private readonly func: Func,
    results: ReadonlySet<string>,
  ) {
    const all = topological(rootsOf(func));
    const others = new Map<Value, Value[]>();
    for (const v of all) if (v.op === 'aux') others.set(v.inputs[0]!, [...(others.get(v.inputs[0]!) ?? []), v]);
    this.given = new Set(func.results.filter((r) => results.has(r.name)).map((r) => r.value));
    const own = topological([...this.given]).filter((v) => v.op !== 'aux');
    this.order = own.flatMap((v) => [v, ...(others.get(v) ?? [])]);
    this.position = new Map(this.order.map((v, i) => [v, i]));
    for (const v of this.order) this.interner.seed(v);
    this.read = new Set(this.readFrom(all).map(sourceOf).filter(isHeld));
    this.segments = this.joined(this.cuts());
  }

  /** How many segments there are. */
  get count(): number {
    return this.segments.length;
  }

  /**
   * The function with a backward pass that computes again what it does not keep.
   * @param count Segments that are computed again whole, of the first on, since what they have is kept the longest
   */
  rematerialized(count: number): Func {
    const again = this.segments.slice(0, count);
    const kept = this.kept(again);
    const stays = (x: Value): boolean => !isHeld(sourceOf(x)) || kept.has(sourceOf(x));
    const isLeaf = (x: Value): boolean => kept.has(x) || !isHeld(x);
    const formOf = (x: Value): Value | undefined =>
      isLeaf(x) || this.isWithin(x, again) ? undefined : this.elementwise(x);
    const second = rewriteValues(
      this.readFrom(topological(rootsOf(this.func))).filter((x) => !stays(x)),
      (x, inputs) => {
        if (!isLeaf(x)) return formOf(x) ? inputs[0]! : this.interner.seed(withInputs(x, inputs));
        return hasBatch(x.type.shape) ? this.interner.build.again(x, x.about) : x;
      },
      (x) => {
        const form = formOf(x);
        if (form) return [form];
        return isLeaf(x) ? [] : x.inputs;
      },
    );
    const image = (x: Value): Value => (stays(x) ? x : second(x));
    return rewriteFunc(this.func, (v, inputs) =>
      this.has(v)
        ? v
        : withInputs(
            v,
            v.inputs.map((x, i) => (this.has(x) ? image(x) : inputs[i]!)),
          ),
    );
  }

  /** Bytes of a sample that are kept from the forward pass to the backward pass, where so many segments are computed again. */
  keptBytes(count: number): number {
    const kept = this.kept(this.segments.slice(0, count));
    return [...kept].reduce((sum, v) => sum + bytesOf(v), 0);
  }

  private has(v: Value): boolean {
    return this.position.has(v);
  }

  /** What values outside of the forward pass read of it. */
  private readFrom(values: readonly Value[]): Value[] {
    return values.filter((v) => !this.has(v)).flatMap((v) => v.inputs.filter((x) => this.has(x)));
  }

  /** Other results that only computing again asks for are where their operator is. */
  private isWithin(v: Value, segments: readonly Segment[]): boolean {
    const at = this.position.get(v) ?? (v.op === 'aux' ? this.position.get(v.inputs[0]!) : undefined);
    return at !== undefined && segments.some((s) => s.from <= at && at < s.to);
  }

  /** The value by arithmetic on others, where it is more than an operator that is arithmetic. */
  private elementwise(v: Value): Value | undefined {
    const { elementwise } = OPS[v.op] as unknown as OpDef<OpName>;
    if (!elementwise) return undefined;
    const known = this.forms.get(v);
    if (known) return known;
    const form = elementwise(withAbout(this.interner, v.about).b, v);
    this.forms.set(v, form);
    return form;
  }

  /** Everything that lies in memory from the forward pass to the backward pass, where these segments are computed again. */
  private kept(again: readonly Segment[]): ReadonlySet<Value> {
    const kept = new Set([...this.read].filter((v) => !this.isWithin(v, again)));
    for (const v of this.order) {
      if (!this.isWithin(v, again)) continue;
      for (const x of v.inputs.map(sourceOf)) if (isHeld(x) && !this.isWithin(x, again)) kept.add(x);
    }
    for (const v of [...kept].sort((a, b) => this.position.get(b)! - this.position.get(a)!)) {
      if (this.given.has(v)) continue;
      const small = this.arithmeticOn(v, kept, again);
      if (!small) continue;
      kept.delete(v);
      for (const x of small) kept.add(x);
    }
    return kept;
  }

  /** What else has to be kept so that `v` is arithmetic on what is; undefined where it is not. */
  private arithmeticOn(v: Value, kept: ReadonlySet<Value>, again: readonly Segment[]): Value[] | undefined {
    const small: Value[] = [];
    const pending = [v];
    const seen = new Set(pending);
    for (let x = pending.pop(); x; x = pending.pop()) {
      const form = this.elementwise(x);
      const isArithmetic = form !== undefined || isView(x) || traitsOf(x).pointwise;
      if (x !== v && bytesOf(x) * SMALL <= bytesOf(v) && !isView(x) && !this.isWithin(x, again)) small.push(x);
      else if (!isArithmetic || seen.size > MOST) return undefined;
      else {
        for (const y of form ? [form] : x.inputs) {
          if (seen.has(y) || !isHeld(y) || kept.has(y)) continue;
          seen.add(y);
          pending.push(y);
        }
      }
    }
    return small;
  }

  /** Values through which everything goes that an input does to the loss, in order. */
  private cuts(): Value[] {
    const last = new Map<Value, number>();
    for (const [i, v] of this.order.entries()) for (const x of v.inputs) last.set(sourceOf(x), i);
    const open = new Set<Value>();
    const cuts = new Set<Value>();
    for (const [i, v] of this.order.entries()) {
      for (const x of v.inputs.map(sourceOf)) if (last.get(x) === i) open.delete(x);
      if (isHeld(v) && !isView(v) && (last.get(v) ?? i) > i) open.add(v);
      const [only] = open;
      if (open.size === 1) cuts.add(only!);
    }
    return [...cuts];
  }

  /** Segments between cuts, neighbours together as the head of this file says. */
  private joined(cuts: readonly Value[]): Segment[] {
    const kept = [...this.kept([])];
    const parts = cuts.map((cut, i) => {
      const from = i === 0 ? 0 : this.position.get(cuts[i - 1]!)! + 1;
      const part: Segment = { from, to: this.position.get(cut)! };
      const bytes = kept.filter((v) => this.isWithin(v, [part])).reduce((sum, v) => sum + bytesOf(v), 0);
      return { ...part, bytes, cut: bytesOf(cut) };
    });
    /** As few as hold no more than so much. */
    const within = (most: number): (typeof parts)[number][] => {
      const list: (typeof parts)[number][] = [];
      for (const part of parts) {
        const before = list.at(-1);
        if (!before || before.bytes + part.bytes > most) list.push(part);
        else list.splice(-1, 1, { ...part, from: before.from, bytes: before.bytes + part.bytes });
      }
      return list;
    };
    const sizes = parts.flatMap((_, i) =>
      parts.slice(i).map((_, n) => parts.slice(i, i + n + 1).reduce((sum, p) => sum + p.bytes, 0)),
    );
    const costOf = (list: typeof parts): number =>
      list.reduce((sum, p) => sum + p.cut, 0) + Math.max(...list.map((p) => p.bytes));
    let best: typeof parts | undefined;
    for (const most of new Set(sizes)) {
      const list = within(most);
      if (!best || costOf(list) < costOf(best)) best = list;
    }
    // What nothing is kept of is not worth computing again.
    return (best ?? []).filter((s) => s.bytes > s.cut);
  }
}
