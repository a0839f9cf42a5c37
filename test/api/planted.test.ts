/**
 * Operators that are in the table for this test alone: whatever the compiler does with an operator, it does with these, though no file but the
 * table's names them. That such an entry compiles, and which tables ask for more, is in extension.test.ts.
 */
import { expect, test, vi } from 'vitest';
import { topological } from '../../src/ir/graph.js';
import type { OpDef } from '../../src/ir/ops/define.js';
import { parseModule, printModule } from '../../src/ir/text/print.js';
import { optimize } from '../../src/passes/index.js';
import { compiled, random, randomTensor } from '../codegen/harness.js';
import { simulateProgram } from '../codegen/kernel/run.js';
import { codes, good, run } from '../dsl/semantics/helper.js';
import { equalModules } from '../equal.js';

// What is set up for every test file has the table as it is, and would read these programs by that.
vi.hoisted(() => vi.resetModules());
vi.unmock('../../src/dsl/elaborate.js');
vi.unmock('../../src/passes/index.js');
vi.unmock('../../src/ir/run/interpret.js');

vi.mock('../../src/ir/ops/pointwise.js', async (original) => {
  const table = await original<typeof import('../../src/ir/ops/pointwise.js')>();
  const kinds = await vi.importActual<typeof import('../../src/ir/ops/attrs.js')>('../../src/ir/ops/attrs.js');
  const { map } = await vi.importActual<typeof import('../../src/ir/ops/reference/elementwise.js')>(
    '../../src/ir/ops/reference/elementwise.js',
  );
  const softplus = {
    ...table.exp,
    doc: 'log(1 + e^x)',
    reference: ([x], _attrs, type) => map(x!, type, (v) => Math.log1p(Math.exp(v))),
    decompose: (b, [x]) => b.log(b.add(b.exp(x!), 1)),
    derivative: 'decompose',
    inSpecs: { numbers: 'real' },
  } satisfies Omit<OpDef<'exp'>, 'attrs'>;
  const probe = {
    ...table.relu,
    operands: [{ name: 'x' }, { name: 'y', kind: 'optional' }, { name: 'rest', kind: 'variadic', least: 0 }],
    attrs: {
      axis: kinds.axis,
      way: kinds.word('up', 'down'),
      on: kinds.flag,
      factor: kinds.number,
      sizes: kinds.pair,
      called: kinds.name,
    },
    inSpecs: { defaults: { axis: -1, way: 'up', on: false, factor: 1 } },
  };
  return { ...table, softplus, probe };
});

const spec = (body: string): [string, { files: Record<string, string> }] => [
  'use "./soft.peft"\nmodel M {\n  base = soft(width: 4)\n}\n',
  {
    files: {
      'soft.peft': `backbone soft(width: int = 4) {
  dim = width
  class_tokens = 0
  register_tokens = 0
  forward(x: [b, 3, width]) { ${body} }
}
`,
    },
  },
];

test('an operator of one entry is read in specs, printed, optimised, and runs in kernels', () => {
  const { module } = good(...spec('softplus(x) * softplus(1)'));
  const text = printModule(module);
  expect(text).toContain('= softplus %x : f32[b,3,4]');
  expect(equalModules(parseModule(text), module)).toBe(true);
  const x = randomTensor([2, 3, 4], random(1));
  const wanted = [...x.data].map((v) => Math.log1p(Math.exp(v)) * Math.log1p(Math.E));
  const found = run(good(...spec('softplus(x) * softplus(1)')), { x })
    .values()
    .next().value;
  [...found!.data].forEach((y, i) => {
    expect(y).toBeCloseTo(wanted[i]!, 12);
  });
  const generated = compiled(optimize(module, { adapters: 'merged', verify: true }).module);
  const { results, faults } = simulateProgram(
    generated,
    { data: new Map(), arguments: new Map([['x', x]]) },
    'portable',
  );
  expect(faults).toEqual([]);
  [...results[0]!.data].forEach((y, i) => {
    expect(y).toBeCloseTo(wanted[i]!, 5);
  });
});

test('attributes are read in specs by their kinds', () => {
  const attrs = (args: string): object => {
    const { module } = good(...spec(`probe(${args})`));
    const found = topological(module.funcs.get('infer')!.results.map((r) => r.value)).find(
      (v) => v.op === ('probe' as string),
    );
    return { operands: found!.inputs.length, ...found!.attrs };
  };
  const given = { axis: 2, way: 'up', on: false, factor: 1, sizes: [1, 2], called: 'a' };
  expect(attrs('x, sizes: [1, 2], called: "a"')).toEqual({ operands: 1, ...given });
  expect(attrs('x, x, [x, x], axis: -3, way: down, on: true, factor: 0.5, sizes: [3, 4], called: "b"')).toEqual({
    operands: 4,
    axis: 0,
    way: 'down',
    on: true,
    factor: 0.5,
    sizes: [3, 4],
    called: 'b',
  });
});

test.each([
  ['x, called: "a"', 'ESP0229', 'sizes have to be given'],
  ['x, sizes: [1], called: "a"', 'ESP0205', 'one size'],
  ['x, sizes: [1, 2], called: 3', 'ESP0205', 'a number for a text'],
  ['x, sizes: [1, 2], called: "a", way: left', 'ESP0210', 'another word'],
  ['x, sizes: [1, 2], called: "a", axis: 3', 'ESP0305', 'no such axis'],
  ['x, sizes: [1, 2], called: "a", more: 3', 'ESP0203', 'no such option'],
  ['x, rest: [x], sizes: [1, 2], called: "a"', 'ESP0205', 'a gap between operands'],
  ['none, sizes: [1, 2], called: "a"', 'ESP0205', 'no operand'],
])('probe(%s) is %s: %s', (args, code) => {
  expect(codes(...spec(`probe(${args})`))).toEqual([code]);
});
