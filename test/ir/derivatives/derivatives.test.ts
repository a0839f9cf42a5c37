/** Every derivative of the operator table against differences of the function itself, in f64, over shapes, attributes and operands of all kinds. */
import { describe, expect, test } from 'vitest';
import { build } from '../../../src/ir/build.js';
import type { OpDef } from '../../../src/ir/ops/define.js';
import { OP_NAMES, OPS } from '../../../src/ir/ops/index.js';
import { interpretValues } from '../../../src/ir/run/interpret.js';
import { valuesAt } from '../../../src/ir/run/samples.js';
import type { OpName, Tensor, Value } from '../../../src/ir/types.js';
import { Given } from '../support.js';
import { SAMPLES } from './arguments.js';
import { CASES, type Case, differentiated } from './cases.js';
import { cotangents } from './reverse.js';

const SEEDS = 24;
const EXACT = { step: 1e-5, near: 2e-7 };
/** Casts round to 16 bits, and are differentiated as if they did not: measured over steps that are large beside that. */
const ROUNDED = { step: 1, near: 5e-3 };

/** Compares each argument's cotangent; says how many numbers were compared, and the largest of them. */
function compare(make: Case, seed: number, { step, near }: typeof EXACT): { compared: number; largest: number } {
  const { model, floats, loss, gradients } = differentiated(make, seed);
  const given = gradients.flatMap((v) => v ?? []);
  const at = valuesAt([loss, ...given], SAMPLES);
  const lossAt = at(loss);
  const known = interpretValues(given.map(at), { inputs: model.arguments });
  let compared = 0;
  let largest = 0;
  floats.forEach((x, i) => {
    const name = (x as Extract<Value, { op: 'input' }>).attrs.name;
    const argument = model.arguments.get(name)!;
    const own = gradients[i] ? known.shift()! : undefined;
    for (let j = 0; j < argument.data.length; j++) {
      const moved = (by: number): number => {
        const data = argument.data.slice();
        data[j]! += by;
        const inputs = new Map<string, Tensor>(model.arguments).set(name, { ...argument, data });
        return interpretValues([lossAt], { inputs })[0]!.data[0]!;
      };
      const wanted = (moved(step) - moved(-step)) / (2 * step);
      const got = own?.data[j] ?? 0;
      expect(Math.abs(got - wanted), `argument ${i}, element ${j}: ${got}, where ${wanted} was measured`).toBeLessThan(
        near * Math.max(1, Math.abs(wanted)),
      );
      compared++;
      largest = Math.max(largest, Math.abs(wanted));
    }
  });
  return { compared, largest };
}

/** `aux` reads a result of its owner, whose rule gets the cotangent. */
const RULED = OP_NAMES.filter((op) => op !== 'aux');

describe.each(RULED.map((op) => [op] as const))('%s', (op) => {
  const make = CASES[op as Exclude<OpName, 'aux'>];
  const entry = OPS[op] as unknown as OpDef<OpName>;
  if (make === 'none') {
    test('has none, and says so', () => {
      expect(entry.derivative).toBe('none');
    });
    return;
  }
  test('as measured', () => {
    expect(entry.derivative).not.toBe('none');
    if (entry.derivative === 'decompose') expect(entry.decompose).not.toBeNull();
    let compared = 0;
    let largest = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const one = compare(make, seed, op === 'cast' ? ROUNDED : EXACT);
      compared += one.compared;
      largest = Math.max(largest, one.largest);
    }
    expect(compared).toBeGreaterThan(2 * SEEDS);
    expect(largest).toBeGreaterThan(0.01);
  });
});

describe('at corners, as PyTorch', () => {
  const slopes = (f: (...xs: Value[]) => Value, ...points: (readonly number[])[]): number[][] => {
    const given = new Given();
    const xs = points.map((p) => given.value(p, [p.length]));
    const y = f(...xs);
    const found = cotangents([{ value: y, cotangent: build.constant(1, 'f32', y.type.shape) }], xs);
    return found.map((g) => [...given.run(g!).data]);
  };
  const log2 = Math.log(2);
  test.each<[string, (...xs: Value[]) => Value, number[][], number[][]]>([
    ['relu is 0 at 0', (x) => build.relu(x!), [[0, -0, 1]], [[0, 0, 1]]],
    ['|x| is 0 at 0', (x) => build.abs(x!), [[0, -2]], [[0, -1]]],
    [
      'of two equal ones each gets half',
      (x, y) => build.maximum(x!, y!),
      [
        [1, 2, 3],
        [1, 3, 2],
      ],
      [
        [0.5, 0, 1],
        [0.5, 1, 0],
      ],
    ],
    [
      'and of the smaller',
      (x, y) => build.minimum(x!, y!),
      [
        [1, 2, 3],
        [1, 3, 2],
      ],
      [
        [0.5, 1, 0],
        [0.5, 0, 1],
      ],
    ],
    ['the largest get equal parts', (x) => build.max(x!, [0]), [[1, 4, 4, 2, 4, 4]], [[0, 0.25, 0.25, 0, 0.25, 0.25]]],
    ['of the k largest the first ones', (x) => build.topK(x!, 2), [[3, 1, 3, 3]], [[1, 0, 1, 0]]],
    [
      'x^0 and 0^y',
      (x, y) => build.pow(x!, y!),
      [
        [0, 0, 2],
        [0, 2, 1],
      ],
      [
        [0, 0, 1],
        [0, 0, 2 * log2],
      ],
    ],
  ])('%s', (_, f, points, wanted) => {
    expect(slopes(f, ...points)).toEqual(wanted);
  });
});

test('nothing is built for an operand that nobody needs, and none for one that is not differentiated', () => {
  const given = new Given();
  const [x, y] = [given.value([1, 2], [2]), given.value([3, 4], [2])];
  const product = build.mul(x, build.stopGradient(y));
  const seed = { value: product, cotangent: build.constant(1, 'f32', [2]) };
  expect(cotangents([seed], [y])).toEqual([undefined]);
  expect(given.run(cotangents([seed], [x])[0]!).data).toEqual(Float64Array.of(3, 4));
});
