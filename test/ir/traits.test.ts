/** What the operator table says of each operator, tried on its reference: every trait, over the cases that the generators are tested with. */
import { describe, expect, it } from 'vitest';
import { topological } from '../../src/ir/graph.js';
import type { OpDef, Traits } from '../../src/ir/ops/define.js';
import { mixedAxes, OP_NAMES, OPS } from '../../src/ir/ops/index.js';
import { sizeOf, stridesOf } from '../../src/ir/ops/shapes.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { funcAt } from '../../src/ir/run/samples.js';
import type { OpName, Tensor, Value } from '../../src/ir/types.js';
import { Model } from '../codegen/harness.js';
import { CASES } from '../codegen/operators.js';

/** One use of an operator, with numbers for its operands. */
interface Use {
  readonly v: Value;
  readonly inputs: readonly Tensor[];
  readonly run: (inputs: readonly Tensor[]) => Tensor;
}

const SOLVE = (m: Model): Value => m.op('solve', [m.input([3, 3]), m.input([3, 2])], {});

function usesOf(op: OpName): Use[] {
  const uses: Use[] = [];
  for (const make of op === 'solve' ? [SOLVE] : CASES[op]) {
    const m = new Model();
    const made = make(m);
    const roots = Array.isArray(made) ? (made as Value[]) : [made as Value];
    const func = funcAt(m.module(...roots).funcs.get('infer')!, 1);
    const order = topological(func.results.map((r) => r.value));
    for (const v of order) {
      const { reference } = OPS[op] as unknown as OpDef<OpName>;
      if (v.op !== op || !reference || sizeOf(v.type.shape) > 3000) continue;
      const inputs = interpretValues(v.inputs, { inputs: m.arguments, params: (name) => m.data.get(name)! });
      uses.push({ v, inputs, run: (given) => reference(given, v.attrs, v.type) });
    }
  }
  return uses;
}

const USES = new Map(OP_NAMES.map((op) => [op, usesOf(op)]));
const isFloat = (t: Tensor): boolean => t.type.dtype === 'f32' || t.type.dtype === 'f16';
const withData = (t: Tensor, f: (x: number, i: number) => number): Tensor => ({
  type: t.type,
  data: Float64Array.from(t.data, (x, i) => f(Number(x), i)),
});
const replaced = <T>(list: readonly T[], at: number, by: T): T[] => list.map((x, i) => (i === at ? by : x));
const coordsOf = (shape: readonly number[], flat: number): number[] =>
  stridesOf(shape).map((s, i) => Math.floor(flat / s) % shape[i]!);
const differing = (a: Tensor, b: Tensor): number[] =>
  [...a.data.keys()].filter((i) => !Object.is(Number(a.data[i]), Number(b.data[i])));
/** Some places of a tensor, spread over it. */
const some = (t: Tensor): number[] => {
  const n = t.data.length;
  return [...new Set([0, n - 1, ...Array.from({ length: 12 }, (_, i) => (i * 7919) % n)])];
};
/** Result places that change with one element of an operand. */
function reach({ inputs, run }: Use, operand: number, at: number): number[] {
  const before = run(inputs);
  const changed = withData(inputs[operand]!, (x, i) => (i === at ? x * 1.37 + 0.61 : x));
  return differing(before, run(replaced(inputs, operand, changed)));
}

/** Whether place `to` of the result is place `from` of an operand that broadcasts to it, along the axes asked. */
function samePlace(use: Use, operand: number, from: number, to: number, axes: readonly number[]): boolean {
  const { shape } = use.inputs[operand]!.type;
  const rank = use.v.type.shape.length;
  const [own, other] = [coordsOf(shape, from), coordsOf(use.v.type.shape, to)];
  return axes.every((a) => {
    const i = a - (rank - shape.length);
    return i < 0 || shape[i] === 1 || own[i] === other[a];
  });
}

const reversed = (t: Tensor, axis: number): Tensor => {
  const { shape } = t.type;
  if (axis < 0 || shape[axis] === 1) return t;
  const stride = stridesOf(shape)[axis]!;
  return withData(t, (_, i) => {
    const c = coordsOf(shape, i)[axis]!;
    return Number(t.data[i + (shape[axis]! - 1 - 2 * c) * stride]);
  });
};

/** f(x + y) - f(y) = f(x) - f(0) in some operands together, the others as they are. */
function additive({ inputs, run }: Use, operands: readonly number[]): boolean {
  const at = (f: (x: number, i: number) => number): Tensor =>
    run(inputs.map((t, i) => (operands.includes(i) ? withData(t, f) : t)));
  const other = (i: number): number => Math.sin(3 * i + 1) * 2;
  const [both, first, second, none] = [at((x, i) => x + other(i)), at((x) => x), at((_, i) => other(i)), at(() => 0)];
  const scale = Math.max(1, ...[both, first, second].flatMap((t) => [...t.data].map((x) => Math.abs(Number(x)))));
  return [...both.data.keys()].every((i) => {
    const d = Number(both.data[i]) - Number(first.data[i]) - Number(second.data[i]) + Number(none.data[i]);
    return Math.abs(d) <= 1e-9 * scale;
  });
}

function linearIn(linear: Traits['linear'], count: number): readonly (readonly number[])[] {
  const all = Array.from({ length: count }, (_, i) => i);
  if (linear === 'jointly') return [all];
  return linear === 'each' ? all.map((i) => [i]) : [linear!];
}

const which = (holds: (op: OpName) => boolean): readonly OpName[] => OP_NAMES.filter(holds);

describe('traits', () => {
  it('are tried on every operator that has a reference', () => {
    for (const op of OP_NAMES) if (OPS[op].reference) expect(USES.get(op)!.length, op).toBeGreaterThan(0);
  });

  it('say when what has no operands is known', () => {
    for (const op of OP_NAMES) {
      const { operands, traits, reference } = OPS[op];
      expect(traits.known === null, op).toBe(operands.length > 0);
      if (operands.length === 0) expect(traits.known === 'compile', op).toBe(reference !== null);
    }
  });

  it('say what decomposes, with all of its results', () => {
    for (const op of OP_NAMES) {
      const { decompose, aux } = OPS[op];
      for (const [name, other] of Object.entries(aux ?? {}))
        expect(other.decompose !== null, `${op} ${name}`).toBe(decompose !== null);
    }
  });

  it.each(which((op) => OPS[op].traits.pointwise))('%s reads the same place of each operand', (op) => {
    for (const use of USES.get(op)!) {
      const axes = [...use.v.type.shape.keys()];
      use.inputs.forEach((t, operand) => {
        if (!isFloat(t)) return;
        for (const at of some(t))
          for (const to of reach(use, operand, at)) expect(samePlace(use, operand, at, to, axes)).toBe(true);
      });
    }
  });

  it.each(which((op) => OPS[op].traits.moves !== null))('%s moves elements and computes nothing', (op) => {
    const { moves } = OPS[op].traits;
    for (const use of USES.get(op)!) {
      const moved = use.inputs.slice(0, moves === 'joins' ? undefined : 1);
      const numbered = moved.map((t, k) => withData(t, (_, i) => 10_000 * (k + 1) + i));
      const own = new Set(numbered.flatMap((t) => [...t.data]));
      const found = [...use.run([...numbered, ...use.inputs.slice(moved.length)]).data].map(Number);
      const theirs = found.filter((x) => own.has(x));
      if (moves === 'fills')
        for (const x of found) expect(own.has(x) || x === (use.v.attrs as { value: number }).value).toBe(true);
      else expect(theirs.length).toBe(found.length);
      const once = new Set(theirs).size === theirs.length;
      if (moves === 'once' || moves === 'fills' || moves === 'joins') expect(once).toBe(true);
      if (moves === 'repeats') expect(once).toBe(false);
      if (moves === 'joins') expect(found.length).toBe(own.size);
      expect(use.inputs.length > moved.length, 'another operand says where').toBe(moves === 'picks');
    }
  });

  it.each(which((op) => OPS[op].traits.linear !== null))('%s is linear in its operands', (op) => {
    for (const use of USES.get(op)!) {
      if (!use.inputs.some(isFloat) || !isFloat(use.run(use.inputs))) continue;
      for (const operands of linearIn(OPS[op].traits.linear, use.inputs.length))
        expect(additive(use, operands), `${operands}`).toBe(true);
      // No more than is said: in all together.
      const rest =
        use.inputs.every(isFloat) && use.inputs.length > 1 && OPS[op].traits.linear !== 'jointly' && op !== 'solve';
      if (rest) expect(additive(use, [...use.inputs.keys()]), 'jointly').toBe(false);
    }
  });

  it.each(which((op) => OPS[op].traits.linear === null && OPS[op].operands.length > 0 && OPS[op].reference !== null))(
    '%s is not linear',
    (op) => {
      const uses = USES.get(op)!.filter((use) => use.inputs.some(isFloat) && isFloat(use.run(use.inputs)));
      if (uses.length > 0) expect(uses.some((use) => !additive(use, [0]))).toBe(true);
    },
  );

  it.each(which((op) => OPS[op].traits.erased))('%s is its operand when inferring', (op) => {
    for (const use of USES.get(op)!) expect(differing(use.inputs[0]!, use.run(use.inputs))).toEqual([]);
  });

  it.each(which((op) => OPS[op].traits.holds !== null))('%s has a number for each channel', (op) => {
    const { holds, channels } = OPS[op].traits;
    for (const use of USES.get(op)!.filter((u) => u.inputs.length > 1)) {
      const { shape } = use.v.type;
      const axis = channels === 'last' ? shape.length - 1 : 1;
      expect(use.inputs[1]!.type.shape[0]).toBe(shape[axis]);
      const before = use.run(use.inputs);
      if (use.inputs[2]) {
        // A bias and a shift are added to all of a channel.
        const raised = run2(use, (x, i) => x + i);
        for (const [i, x] of raised.data.entries())
          expect(Number(x) - Number(before.data[i])).toBeCloseTo(coordsOf(shape, i)[axis]!, 6);
      }
      if (holds === 'norm') {
        const none = { ...use, inputs: use.inputs.map((t, i) => (i === 2 ? withData(t, () => 0) : t)) };
        const [one, two] = [1, 2].map((k) =>
          none.run(
            replaced(
              none.inputs,
              1,
              withData(none.inputs[1]!, (x) => k * x),
            ),
          ),
        );
        for (const [i, x] of two!.data.entries()) {
          // A gain of a batch norm's test is its mean too; here it alone is another.
          expect(Number(x)).toBeCloseTo(2 * Number(one!.data[i]), 6);
        }
      }
    }
  });

  it.each(OP_NAMES.filter((op) => USES.get(op)!.some(({ v }) => mixedAxes(v) !== null && v.inputs.length > 0)))(
    '%s leaves apart the axes that it does not mix',
    (op) => {
      for (const use of USES.get(op)!) {
        const mixed = mixedAxes(use.v);
        const x = use.inputs[0]!;
        if (!mixed || !isFloat(x)) continue;
        const rank = use.v.type.shape.length;
        const axes = [...use.v.type.shape.keys()].filter((a) => !mixed.includes(a));
        for (const at of some(x))
          for (const to of reach(use, 0, at)) expect(samePlace(use, 0, at, to, axes)).toBe(true);
        for (const axis of axes) {
          const turned = use.inputs.map((t, i) =>
            i === 0 || OPS[op].traits.pointwise || OPS[op].traits.moves === 'joins'
              ? reversed(t, axis - (rank - t.type.shape.length))
              : t,
          );
          expect(differing(reversed(use.run(use.inputs), axis), use.run(turned)), `axis ${axis}`).toEqual([]);
        }
      }
    },
  );
});

const run2 = (use: Use, f: (x: number, i: number) => number): Tensor =>
  use.run(replaced(use.inputs, 2, withData(use.inputs[2]!, f)));
