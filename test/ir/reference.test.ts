/** Every operator against PyTorch or PIL (test/reference/ops.py), by its reference and by its decomposition. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { build } from '../../src/ir/build.js';
import { make, topological } from '../../src/ir/graph.js';
import { OP_NAMES, OPS } from '../../src/ir/ops/index.js';
import { erf } from '../../src/ir/ops/reference/elementwise.js';
import { interpretValues } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { DType, OpAttrs, OpName } from '../../src/ir/types.js';
import { maxDifference } from '../tensors.js';
import { randomModule } from './random.js';
import { expandFully, Given, noise } from './support.js';

interface Plain {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly op: OpName;
  readonly note: string;
  readonly attrs: OpAttrs[OpName];
  readonly inputs: readonly Plain[];
  readonly output: Plain;
  readonly aux: Readonly<Record<string, Plain>>;
  readonly tolerance: number;
}

const CASES = JSON.parse(readFileSync(new URL('golden/ops.json', import.meta.url), 'utf8')) as Case[];
/** What the fixture cannot hold: leaves, identities, readers. Tested below or elsewhere. */
const ELSEWHERE: readonly OpName[] = [
  'param',
  'input',
  'constant',
  'iota',
  'batch_size',
  'random_bits',
  'stop_gradient',
  'again',
  'dropout',
  'drop_path',
  'aux',
];

const scaleOf = (p: Plain): number => p.data.reduce((m, x) => Math.max(m, Math.abs(x)), 1);

test('every operator has a case', () => {
  const covered = new Set([...CASES.map((c) => c.op), ...ELSEWHERE]);
  expect(OP_NAMES.filter((n) => !covered.has(n))).toEqual([]);
});

describe.each(CASES.map((c, i) => [`${i} ${c.op} ${JSON.stringify(c.attrs)} ${c.note}`, c] as const))('%s', (_, c) => {
  const given = new Given();
  const value = make(
    c.op,
    c.inputs.map((p) => given.value(p.data, p.shape, p.dtype)),
    c.attrs,
  );
  const wanted = tensor(c.output.shape, c.output.data, c.output.dtype);
  const limit = c.tolerance * scaleOf(c.output);

  test('type and reference', () => {
    expect(value.type).toEqual({ dtype: c.output.dtype, shape: c.output.shape });
    expect(maxDifference(given.run(value), wanted)).toBeLessThanOrEqual(limit);
  });

  test('other results', () => {
    for (const [name, plain] of Object.entries(c.aux)) {
      const got = build.aux(value, name);
      expect(got.type).toEqual({ dtype: plain.dtype, shape: plain.shape });
      const difference = maxDifference(given.run(got), tensor(plain.shape, plain.data, plain.dtype));
      expect(difference).toBeLessThanOrEqual(c.tolerance * scaleOf(plain));
      if (!OPS[c.op].decompose) continue;
      const expanded = given.run(expandFully(got));
      expect(maxDifference(expanded, given.run(got))).toBeLessThanOrEqual(1e-10 * scaleOf(plain));
    }
    expect(Object.keys(OPS[c.op].aux ?? {}).sort()).toEqual(Object.keys(c.aux).sort());
  });

  if (!OPS[c.op].decompose) return;
  test('decomposition', () => {
    const expanded = expandFully(value);
    expect(expanded.type).toEqual(value.type);
    expect(topological([expanded]).some((v) => v.op === c.op)).toBe(false);
    expect(maxDifference(given.run(expanded), wanted)).toBeLessThanOrEqual(Math.max(limit, 1e-10 * scaleOf(c.output)));
  });
});

test('random programs mean the same when everything is decomposed', () => {
  fc.assert(
    fc.property(randomModule, ({ module, inputs, params }) => {
      for (const { name, value } of module.funcs.get('infer')!.results) {
        const read = (n: string) => {
          const { data, type } = module.params.get(n)!;
          return data ? { type, data } : params(n);
        };
        const [a, b] = interpretValues([value, expandFully(value)], { inputs, params: read });
        const scale = Array.from(a!.data).reduce((m, x) => Math.max(m, Math.abs(x)), 1);
        // Overflow on the way (e^x of a large x) gives NaN in one of the two.
        if (Number.isFinite(scale)) expect(maxDifference(a!, b!), name).toBeLessThan(1e-8 * scale);
      }
    }),
    { numRuns: 100 },
  );
});

test('leaves and identities', () => {
  const given = new Given();
  expect(given.run(make('iota', [], { axis: 1, dtype: 'i32', shape: [2, 3] })).data).toEqual(
    Int32Array.of(0, 1, 2, 0, 1, 2),
  );
  expect(given.run(make('iota', [], { axis: 0, dtype: 'f32', shape: [2, 2] })).data).toEqual(
    Float64Array.of(0, 0, 1, 1),
  );
  expect(given.run(make('constant', [], { value: 1, dtype: 'bool', shape: [2] })).data).toEqual(Uint8Array.of(1, 1));
  const x = given.value([1, -2], [2]);
  for (const v of [
    build.stopGradient(x),
    make('dropout', [x], { rate: 0.3, stream: 0 }),
    make('drop_path', [x], { rate: 0.3, stream: 0 }),
    expandFully(make('dropout', [x], { rate: 0.3, stream: 0 })),
  ]) {
    expect(given.run(v).data).toEqual(Float64Array.of(1, -2));
  }
});

test('integers wrap', () => {
  const given = new Given();
  const a = given.value([2147483647, -2147483648], [2], 'i32');
  expect(given.run(build.add(a, 1)).data).toEqual(Int32Array.of(-2147483648, -2147483647));
  expect(given.run(build.mul(a, 3)).data).toEqual(Int32Array.of(2147483645, -2147483648));
  const u = given.value([0, 5], [2], 'u32');
  expect(given.run(build.sub(u, 1)).data).toEqual(Uint32Array.of(4294967295, 4));
  expect(given.run(build.div(a, 0)).data).toEqual(Int32Array.of(2147483647, -2147483648));
  expect(given.run(build.mod(a, 0)).data).toEqual(Int32Array.of(0, 0));
});

test('casts saturate', () => {
  const given = new Given();
  const x = given.value([3e10, -3e10, 1.9, 0], [4]);
  expect(given.run(build.cast(x, 'i32')).data).toEqual(Int32Array.of(2147483647, -2147483648, 1, 0));
  expect(given.run(build.cast(x, 'u32')).data).toEqual(Uint32Array.of(4294967295, 0, 1, 0));
  expect(given.run(build.cast(x, 'bool')).data).toEqual(Uint8Array.of(1, 1, 1, 0));
});

test('erf is odd and joins smoothly where its two forms meet', () => {
  expect(Math.abs(erf(2.5 - 1e-13) - erf(2.5 + 1e-13))).toBeLessThan(1e-14);
  expect(erf(-0.7)).toBe(-erf(0.7));
  expect(erf(Number.POSITIVE_INFINITY)).toBe(1);
  expect(erf(Number.NaN)).toBeNaN();
});

test('what the data makes undefined is refused', () => {
  const given = new Given();
  const x = given.value([1, 2, 3], [3]);
  expect(() => given.run(build.gather(x, given.value([3], [1], 'i32')))).toThrow('index 3 is outside an axis of 3');
  const zero = given.value([1, 2, 2, 4], [2, 2]);
  expect(() => given.run(make('solve', [zero, given.value([1, 1], [2, 1])], {}))).toThrow('singular');
});

test('kron: the mixed product (A ⊗ B)(C ⊗ D) = AC ⊗ BD', () => {
  for (const [m, n, o, p, q, r] of [
    [2, 3, 4, 5, 2, 3],
    [1, 6, 2, 3, 1, 4],
    [7, 1, 1, 2, 5, 2],
  ] as const) {
    const given = new Given();
    const mat = (rows: number, cols: number, seed: number) => given.value(noise(rows * cols, seed), [rows, cols]);
    const [a, b, c, d] = [mat(m, n, 1), mat(p, q, 2), mat(n, o, 3), mat(q, r, 4)];
    const left = given.run(build.matmul(build.kron(a, b), build.kron(c, d)));
    const right = given.run(build.kron(build.matmul(a, c), build.matmul(b, d)));
    expect(maxDifference(left, right)).toBeLessThan(1e-12);
  }
});

test('products larger than the blocks of the dense product', () => {
  const given = new Given();
  const [m, k, n] = [9, 1100, 71];
  const a = given.value(noise(m * k, 5), [m, k]);
  const b = given.value(noise(k * n, 6), [k, n]);
  const got = given.run(build.matmul(a, b)).data;
  const [x, y] = [noise(m * k, 5), noise(k * n, 6)];
  for (const [i, j] of [
    [0, 0],
    [8, 70],
    [3, 64],
    [8, 3],
  ] as const) {
    let sum = 0;
    for (let p = 0; p < k; p++) sum += x[i * k + p]! * y[p * n + j]!;
    expect(Math.abs(got[i * n + j]! - sum)).toBeLessThan(1e-11);
  }
});
