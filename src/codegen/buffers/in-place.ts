/**
 * Which results take the memory of an operand: one that nothing reads later, of the same elements, which the kernel reads only where it writes
 * the result (kernel/in-place.ts). The residual stream of a transformer then lies in one place, and a step of an optimiser needs no second copy of
 * what it changes. The kernel has one binding fewer.
 */
import type { Value } from '../../ir/types.js';
import { explicitAddresses } from '../kernel/addresses.js';
import { inPlace, notInPlace } from '../kernel/in-place.js';
import type { Buffer } from '../kernel/types.js';
import type { BindingLimits } from '../kernel/uses.js';
import type { BuiltKernel, BuiltVariant, Held, Place } from '../kernel.js';
import type { Scheduled } from '../schedule.js';

/** A buffer of an operand, and of the result that is written over it. */
interface Pair {
  readonly operand: string;
  readonly result: string;
}

export interface InPlace {
  readonly scheduled: readonly Scheduled[];
  /** Results, and the operands whose memory they take. */
  readonly over: ReadonlyMap<Value, Value>;
  /** Of what states become, what is written where they lie. The rest is copied there when all has run. */
  readonly updated: ReadonlySet<Value>;
}

/**
 * @param scheduled in the order in which they run
 * @param stateOf The name of the parameter that a value is what becomes of
 */
export function placeOver(
  scheduled: readonly Scheduled[],
  place: (v: Value) => Place,
  limits: BindingLimits,
  stateOf: (v: Value) => string | undefined = () => undefined,
): InPlace {
  const last = new Map<Value, Scheduled>();
  /** Of each parameter, who reads it last. */
  const lastOf = new Map<string, Scheduled>();
  const turn = new Map(scheduled.map((s, i) => [s, i]));
  for (const s of scheduled) {
    for (const v of [...s.group.stores, ...s.group.reads]) last.set(v, s);
    for (const v of s.group.reads) if (v.op === 'param') lastOf.set(v.attrs.name, s);
  }
  const over = new Map<Value, Value>();
  const updated = new Set<Value>();
  const kernels = new Kernels(limits);
  const changed = scheduled.map((s): Scheduled => {
    for (const v of s.group.stores) {
      const state = stateOf(v);
      const reader = state === undefined ? undefined : lastOf.get(state);
      if (state !== undefined && (!reader || turn.get(reader)! < turn.get(s)!)) updated.add(v);
    }
    const [part] = s.parts;
    if (s.parts.length > 1) return s;
    const { kernel } = part!;
    const dying = [...kernel.holds].flatMap(([buffer, held]) =>
      held.kind === 'value' && place(held.value) === 'arena' && last.get(held.value) === s
        ? [{ buffer, value: held.value }]
        : [],
    );
    const pairs: Pair[] = [];
    for (const [result, held] of kernel.holds) {
      if (held.kind !== 'result') continue;
      const value = s.group.stores[held.at]!;
      const state = stateOf(value);
      if (state !== undefined && lastOf.get(state) === s) {
        const [own, ...others] = [...kernel.holds].filter(([, h]) => parameterOf(h) === state);
        if (own?.[1].kind !== 'value' || others.length > 0 || !kernels.fits(kernel, own[0], result)) continue;
        pairs.push({ operand: own[0], result });
        updated.add(value);
        continue;
      }
      if (place(value) !== 'arena') continue;
      const found = dying.find(
        (d) => !pairs.some((p) => p.operand === d.buffer) && kernels.fits(kernel, d.buffer, result),
      );
      if (!found) continue;
      pairs.push({ operand: found.buffer, result });
      over.set(value, found.value);
    }
    if (pairs.length === 0) return s;
    const made = kernels.over(kernel, pairs);
    return { ...s, parts: [{ ...part!, kernel: made, windows: made.windows }] };
  });
  return { scheduled: changed, over, updated };
}

/** The parameter that a buffer holds. */
function parameterOf(held: Held): string | undefined {
  if (held.kind === 'packed') return held.weight.param;
  return held.kind === 'value' && held.value.op === 'param' ? held.value.attrs.name : undefined;
}

/** What all kernels of the same variants have in common. */
type Common = Pick<BuiltKernel, 'variants' | 'windows' | 'buffers'>;

/** Kernels of alike groups share their variants, and what is found out about these. */
class Kernels {
  private readonly fitting = new Map<readonly BuiltVariant[], Map<string, boolean>>();
  private readonly made = new Map<readonly BuiltVariant[], Map<string, Common>>();

  constructor(private readonly limits: BindingLimits) {}

  fits({ variants, buffers, windows }: BuiltKernel, operand: string, result: string): boolean {
    const known = memo(this.fitting, variants, () => new Map<string, boolean>());
    return memo(known, `${operand} ${result}`, () => {
      const [from, to] = [operand, result].map((name) => buffers.find((b) => b.name === name)!) as [Buffer, Buffer];
      const bound = (name: string) => windows.filter((w) => w.buffer === name).length;
      // What a kernel never reads has no binding, and what is bound in windows is read through a function.
      if (bound(operand) !== 1 || bound(result) !== 1) return false;
      const held = ({ packed, element, storage, count, layout }: Buffer): string =>
        [packed !== undefined, element, storage, count, layout?.text].join();
      if (from.packed || held(from) !== held(to)) return false;
      return variants.every((v) => notInPlace(v.program, operand, result) === undefined);
    });
  }

  over(kernel: BuiltKernel, pairs: readonly Pair[]): BuiltKernel {
    const made = memo(this.made, kernel.variants, () => new Map<string, Common>());
    const key = pairs.map((p) => `${p.operand} ${p.result}`).join(', ');
    const changed = memo(made, key, () => {
      const programs = kernel.variants.map((v) => pairs.reduce((k, p) => inPlace(k, p.operand, p.result), v.program));
      const lowered = explicitAddresses(programs, this.limits);
      const variants = kernel.variants.map((v, i) => ({ ...v, program: programs[i]!, lowered: lowered[i]! }));
      return { variants, windows: lowered[0]!.windows, buffers: programs[0]!.buffers };
    });
    const gone = new Set(pairs.map((p) => p.operand));
    return { ...kernel, ...changed, holds: new Map([...kernel.holds].filter(([name]) => !gone.has(name))) };
  }
}

function memo<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  return made;
}
