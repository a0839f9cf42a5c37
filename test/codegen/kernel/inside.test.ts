/** A kernel for any number of samples refuses the batch wherever only a number can stand; a kernel that is for no batch takes large numbers for numbers. */
import { expect, it } from 'vitest';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import { Body } from '../../../src/codegen/kernel/body.js';
import {
  address,
  below,
  f32,
  last,
  literal,
  load,
  lt,
  size,
  splat,
  u32,
  uint,
} from '../../../src/codegen/kernel/expr.js';
import { BatchInside } from '../../../src/codegen/kernel/inside.js';
import { printKernel } from '../../../src/codegen/kernel/print.js';
import type { Kernel } from '../../../src/codegen/kernel/types.js';
import { constIndex, div, LANE, mod, scale, shift, sum, variable } from '../../../src/codegen/read/indexing.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import { BATCH } from '../../../src/ir/batch.js';

const [s, i] = [variable('s', 7 * BATCH), variable('i', 5)];
const divided = div(sum(scale(s, 4), scale(i, BATCH)), 3);

const text = (make: (b: Body) => void, forBatch: boolean): string => {
  const b = new Body();
  make(b);
  const buffer = { access: 'read_write', element: 'f32', count: 28 * BATCH, padded: true } as const;
  const kernel: Kernel = {
    workgroup: [1, 1, 1],
    ...(forBatch ? { forBatch } : {}),
    inputs: ['s', 'i'].map((name) => ({ name, builtin: 'local_invocation_index' })),
    buffers: ['x', 'y'].map((name) => ({ name, ...buffer })),
    shared: [],
    functions: [],
    main: b.stmts,
  };
  return printKernel(explicitAddresses([kernel], { ...BASELINE, maxStorageBufferBindingSize: 2 ** 40 })[0]!);
};

it.each<[string, (b: Body) => void]>([
  ['a factor of an address', (b) => b.let(address(scale(i, 2 * BATCH)))],
  ['a factor of an address that is divided', (b) => b.let(address(div(sum(scale(i, BATCH), s), 7)))],
  ['what an address is divided by', (b) => b.let(address(mod(sum(s, i), 3 * BATCH)))],
  ['a quotient in an address', (b) => b.let(address(divided))],
  ['a quotient in a load', (b) => b.let(load('x', 'f32', shift(divided, 1)))],
  ['a quotient where four are loaded', (b) => b.let(load('x', 'f32', sum(scale(divided, 4), LANE)))],
  ['a quotient in a store', (b) => b.store('y', scale(divided, 2), f32(0), [])],
  ['a quotient in a condition', (b) => b.let(below(divided, 8))],
  ['a quotient in the condition of a store', (b) => b.store('y', i, f32(0), [{ index: divided, below: 8 }])],
  ['a bound made of a size', (b) => b.let(below(s, BATCH - 1))],
  ['the end of a loop', (b) => b.loop(3 * BATCH, (n) => b.store('y', n, f32(0), []))],
  ['a size written as a number', (b) => b.let(lt(uint('s'), u32(7 * BATCH)))],
  ['a number made of a size, in the turns of a loop', (b) => b.loop(2, () => b.let(splat(u32(BATCH - 1), 4)))],
])('%s', (_name, make) => {
  expect(() => text(make, true)).toThrow(BatchInside);
  expect(text(make, false)).not.toContain('samples');
});

it.each<[string, (b: Body) => void, string]>([
  ['a size', (b) => b.let(lt(uint('s'), size(7 * BATCH))), 's < samples * 7u'],
  ['the last of an axis', (b) => b.let(last(BATCH)), 'samples - 1u'],
  ['a bound', (b) => b.let(below(s, 3 * BATCH)), 's < samples * 3u'],
  ['what is added to an address', (b) => b.let(address(shift(s, 3 * BATCH - 2))), 's + samples * 3u - 2u'],
  ['a place that is known', (b) => b.let(address(constIndex(BATCH + 2))), 'samples + 2u'],
  [
    'a quotient of what its divisor divides',
    (b) => b.let(address(div(shift(s, 6 * BATCH + 7), 3))),
    'samples * 2u + 2u',
  ],
  ['a literal that is data', (b) => b.let(literal(BATCH, 'i32')), '67108859i'],
])('%s may hold it', (_name, make, wanted) => {
  expect(text(make, true)).toContain(wanted);
});
