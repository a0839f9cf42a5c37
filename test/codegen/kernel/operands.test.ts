/**
 * Products whose operands lie either way round, from kernels to programs: every variant proves, runs in the simulator without a fault and gives the
 * product; operands are read by vec4 whichever way they lie; a weight that products read both ways round is stored once.
 */
import { describe, expect, it } from 'vitest';
import { workgroupsAt } from '../../../runtime/program/grid.js';
import { layout } from '../../../src/codegen/buffers/layout.js';
import { pack } from '../../../src/codegen/buffers/pack.js';
import { contractVariants } from '../../../src/codegen/contract/contract.js';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import { Body } from '../../../src/codegen/kernel/body.js';
import { component, load, name } from '../../../src/codegen/kernel/expr.js';
import { simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { Buffer, Kernel } from '../../../src/codegen/kernel/types.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import { type Index, LANE, scale, shift, sum } from '../../../src/codegen/read/indexing.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import { BATCH } from '../../../src/ir/batch.js';
import { build } from '../../../src/ir/build.js';
import { fromHalf, toHalf } from '../../../src/ir/run/half.js';
import type { Value } from '../../../src/ir/types.js';
import {
  type ContractShape,
  contractData,
  contractProblem,
  contractReference,
  noise,
  worst,
} from '../../codegen-kernels/problems.js';
import { compiled, entryOf, Model } from '../harness.js';
import { expectRight } from './run.js';

const WAYS = ['sum', 'result'] as const;

/** What no tile divides, what tiles divide, one row, one column. */
const SHAPES: readonly Omit<ContractShape, 'weight'>[] = [
  { batch: 2, m: 37, n: 70, k: 21 },
  { m: 64, n: 128, k: 32 },
  { m: 1, n: 9, k: 40 },
  { batch: 3, m: 18, n: 1, k: 7 },
];

describe('a product', () => {
  for (const weight of ['function', 'f32', 'f16'] as const) {
    for (const a of WAYS) {
      for (const b of WAYS) {
        it(`a along the ${a}, b (${weight}) along the ${b}`, () => {
          for (const shape of SHAPES) {
            const given: ContractShape = { ...shape, weight, a, b };
            const { problem, buffers } = contractProblem(given);
            const data = contractData(given, (x) => fromHalf(toHalf(x)));
            const wanted = contractReference(given, data);
            const variants = contractVariants(problem);
            const lowered = explicitAddresses(
              variants.map(({ program }) => ({ ...program, buffers })),
              BASELINE,
            );
            for (const [i, variant] of variants.entries()) {
              const workgroups = workgroupsAt(variant.workgroups, 1);
              const title = `${variant.name} ${JSON.stringify(shape)}`;
              expect(verifyKernel({ ...variant.program, buffers }, { workgroups }), title).toEqual([]);
              const y = whole(new Float32Array(wanted.length).fill(Number.NaN));
              const bits = data.b instanceof Float32Array ? whole(data.b) : new Uint32Array(data.b.buffer);
              const run = simulate(
                lowered[i]!,
                [whole(data.a), bits, y].map((x) => ({ data: x })),
                workgroups,
                {
                  results: ['y'],
                },
              );
              expect(
                run.faults.map((f) => f.what),
                title,
              ).toEqual([]);
              expect(worst(y, wanted), title).toBeLessThan(1e-6);
            }
          }
        });
      }
    }
  }
});

/** In whole vec4, as buffers are. */
function whole(x: Float32Array): Float32Array {
  const padded = new Float32Array(Math.ceil(x.length / 4) * 4);
  padded.set(x);
  return padded;
}

/** Products over two inputs x [b, 12, 16] and y [b, 12, 24], by how the operands of the product lie. */
const PRODUCTS: Readonly<Record<string, (m: Model, x: Value, y: Value) => Value>> = {
  xᵀ·y: (_m, x, y) => build.matmul(swapped(x), y),
  'x by yᵀ·x, summed over all samples': (_m, x, y) => {
    const rows = (v: Value): Value => build.reshape(v, [12 * BATCH, v.type.shape[2]!]);
    return build.linear(x, build.matmul(build.transpose(rows(y), [1, 0]), rows(x)));
  },
  'x·zᵀ of activations': (_m, x, y) => build.matmul(x, swapped(build.slice(y, [0, 0, 0], [BATCH, 12, 16]))),
  xᵀ·yᵀ: (m, x, y) => build.matmul(swapped(x), swapped(build.matmul(m.param([20, 24]), swapped(y)))),
  'a linear by a computed weight': (m, x) => build.linear(x, build.tanh(build.mul(m.param([8, 16]), m.param([8, 1])))),
  'rows that no four divide': (_m, x, y) =>
    build.matmul(swapped(build.slice(x, [0, 0, 0], [BATCH, 11, 15])), build.slice(y, [0, 0, 0], [BATCH, 11, 23])),
};
const swapped = (v: Value): Value => build.transpose(v, [0, 2, 1]);

describe('operands of a program', () => {
  for (const [name, make] of Object.entries(PRODUCTS)) {
    it(`${name}: as the interpreter says`, () => {
      const m = new Model(7, 3);
      expectRight(m, [make(m, m.input([BATCH, 12, 16]), m.input([BATCH, 12, 24]))], { tolerance: 1e-6 });
    });
  }

  it('are read four at a time whichever way round they lie', () => {
    for (const name of ['xᵀ·y', 'x·zᵀ of activations', 'a linear by a computed weight']) {
      const m = new Model(7, 3);
      const g = compiled(m.module(PRODUCTS[name]!(m, m.input([BATCH, 12, 16]), m.input([BATCH, 12, 24]))));
      const product = [...g.variants].filter(([file]) => file.startsWith('contract'));
      expect(product.length).toBeGreaterThan(0);
      for (const [file, { lowered }] of product) {
        expect(
          lowered.windows.map((w) => w.item.lanes),
          `${name}: ${file}`,
        ).toEqual(lowered.windows.map((w) => (lowered.buffers.find((b) => b.name === w.buffer)!.count === 8 ? 1 : 4)));
      }
    }
  });
});

/** x [5, 24] times Wᵀ, and dy [5, 40] times W, of one W [40, 24] or its transpose. */
const BOTH: Readonly<Record<string, (m: Model, x: Value, dy: Value) => readonly Value[]>> = {
  'x·Wᵀ and dy·W': (m, x, dy) => {
    const w = m.param([40, 24]);
    return [build.linear(x, w), build.matmul(dy, w)];
  },
  'dy·W before x·Wᵀ': (m, x, dy) => {
    const w = m.param([40, 24]);
    return [build.matmul(dy, w), build.linear(x, w)];
  },
  'of a transposed W': (m, x, dy) => {
    const w = m.param([24, 40]);
    return [build.matmul(x, w), build.linear(dy, w), build.linear(x, build.transpose(w))];
  },
  'of a W in another shape': (m, x, dy) => {
    const w = m.param([40, 2, 3, 4]);
    return [build.linear(x, build.reshape(w, [40, 24])), build.matmul(dy, build.reshape(w, [40, 24]))];
  },
  'of heads of a W': (m, x, dy) => {
    const w = m.param([4, 10, 24]);
    const columns = build.reshape(build.transpose(w, [2, 0, 1]), [24, 40]);
    return [build.matmul(dy, build.reshape(w, [40, 24])), build.matmul(x, columns)];
  },
};

describe('a weight that products read both ways round', () => {
  for (const [name, make] of Object.entries(BOTH)) {
    for (const weights of ['f32', 'f16'] as const) {
      it(`${name} is stored once, in ${weights}`, () => {
        const m = new Model(3);
        const results = make(m, m.input([5, 24]), m.input([5, 40]));
        for (const [param, { type, data }] of m.data) {
          m.data.set(param, { type, data: Float32Array.from(data, (x) => fromHalf(toHalf(x))) });
        }
        const g = expectRight(m, results, { tolerance: 1e-6, weights });
        expect(g.weights).toHaveLength(1);
        const reads = entryOf(g).dispatches.flatMap((d) => d.bindings.filter((b) => b.kind === 'weight'));
        expect(new Set(reads.map((r) => r.name)).size).toBe(1);
        expect(reads).toHaveLength(results.length);
      });
    }
  }

  it('is stored twice where a product takes another part of it', () => {
    const m = new Model(3);
    const w = m.param([40, 24]);
    const part = build.slice(w, [0, 0], [30, 24]);
    const g = expectRight(m, [build.linear(m.input([5, 24]), w), build.linear(m.input([5, 24]), part)], {
      tolerance: 1e-6,
    });
    expect(g.weights).toHaveLength(2);
  });
});

describe('a buffer of halves', () => {
  const n = 24;
  const values = noise(n, 9);
  const halves = (): Uint32Array =>
    new Uint32Array(pack(values, layout([n], [{ axis: 0, by: 1, of: n }]), 'f16').buffer);
  const stored = values.map((x) => fromHalf(toHalf(x)));
  const buffer = (name: string, access: Buffer['access'], storage?: 'f16'): Buffer => ({
    name,
    access,
    element: 'f32',
    count: n,
    padded: true,
    ...(storage ? { storage } : {}),
  });

  /** Runs `store y[to(i)] = x[from(i)]` for 0 <= i < turns, and gives what y holds. */
  function copied(
    turns: number,
    from: (i: Index) => Index,
    to: (i: Index) => Index,
    [x, y]: readonly ['f16' | undefined, 'f16' | undefined],
  ): Uint32Array {
    const b = new Body();
    const i = b.index('i', component(name('gid', { scalar: 'u32', lanes: 3 }), 0), turns);
    b.store('y', to(i), load('x', 'f32', from(i)), []);
    const kernel: Kernel = {
      workgroup: [1, 1, 1],
      inputs: [{ name: 'gid', builtin: 'global_invocation_id' }],
      buffers: [buffer('x', 'read', x), buffer('y', 'read_write', y)],
      shared: [],
      functions: [],
      main: b.stmts,
    };
    expect(verifyKernel(kernel, { workgroups: [turns, 1, 1] })).toEqual([]);
    const [lowered] = explicitAddresses([kernel], BASELINE);
    const out = new Uint32Array(y ? n / 2 : n);
    const given = x ? halves() : new Uint32Array(values.buffer);
    const run = simulate(lowered!, [{ data: given }, { data: out }], [turns, 1, 1], { results: ['y'] });
    expect(run.faults.map((f) => f.what)).toEqual([]);
    return out;
  }
  const four = (i: Index): Index => sum(scale(i, 4), LANE);
  const one = (i: Index): Index => i;

  it('is read by fours and one by one, at any place', () => {
    const floats = (out: Uint32Array): number[] => [...new Float32Array(out.buffer)];
    expect(floats(copied(n / 4, four, four, ['f16', undefined]))).toEqual([...stored]);
    expect(floats(copied(n, one, one, ['f16', undefined]))).toEqual([...stored]);
    // Neighbours that do not begin at a multiple of four.
    const reversed = (i: Index): Index => shift(scale(sum(scale(i, 4), LANE), -1), n - 1);
    expect(floats(copied(n / 4, reversed, four, ['f16', undefined]))).toEqual([...stored].reverse());
  });

  it('is written by fours, rounded to the nearest, and not otherwise', () => {
    expect(copied(n / 4, four, four, [undefined, 'f16'])).toEqual(halves());
    expect(copied(n / 4, four, four, ['f16', 'f16'])).toEqual(halves());
    expect(() => copied(n, one, one, [undefined, 'f16'])).toThrow('y holds halves, which are written by fours');
  });
});
