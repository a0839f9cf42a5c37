/** Element types: a number or a tensor where another type stands is an error of the spec, never a crash and never a silent conversion. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OPERATORS } from '../../../src/dsl/semantics/builtins/operators.js';
import { good, rendered, wrongs } from './helper.js';

const model = (value: string) => `backbone one() {
  fc = Linear(4 -> 4)
  numbers = table(i < 4: i)
  truths = table(i < 4: i < 2)
  forward(x: [n, 4]) {
    y = ${value}
    fc(x)
  }
}
model M {
  base = one()
}
`;

const OPERANDS = [
  ...['x', 'x < 1', 'arange(4)', 'cast(x, u32)', 'cast(x, f16)', 'numbers', 'truths', 'fc(x).T', 'x[0, 0]'],
  ...['0', '1', '0.5', '-5', '1e10', '1e300', '-1e300', 'true', 'none', '[0, 1]', '"n d -> d n"', 'base', 'fc'],
];
const BINARY = ['+', '-', '*', '/', '%', '@', '==', '!=', '<', '<=', '>', '>=', 'and', 'or'];

/** Errors of the spec about types, values and shapes; anything else would be thrown. */
const expected = (text: string) => {
  for (const d of wrongs(text)) expect(d.code, rendered(text)).toMatch(/^ESP0[23]/);
};

describe('nothing that is put together wrongly ends in a crash', () => {
  test.each(BINARY)('with %s between them', (op) => {
    for (const a of OPERANDS) for (const b of OPERANDS) expected(model(`(${a}) ${op} (${b})`));
  });

  test('as arguments of every operator', () => {
    const call = fc.record({
      name: fc.constantFrom(...OPERATORS.keys()),
      args: fc.array(fc.constantFrom(...OPERANDS), { minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(call, ({ name, args }) => expected(model(`${name}(${args.join(', ')})`))),
      { numRuns: 2000 },
    );
  }, 60_000);

  test('as the start of a parameter', () => {
    for (const a of OPERANDS) expected(model('x').replace('  fc =', `  p = param [4] (${a})\n  fc =`));
  });
});

test.each([
  ['0.5 * (x < 1)', 'truth values'],
  ['1 * (x < 1)', 'truth values'],
  ['(x < 1) + (x < 2)', 'a number is wanted'],
  ['x * true', 'a number is wanted'],
  ['arange(4) + 0.5', 'whole numbers'],
  ['numbers + 0.5', 'whole numbers'],
  ['x + numbers', 'different element types'],
  ['x * 1e39', 'where f32 ends'],
  ['full([4], 1e39)', 'where f32 ends'],
  ['arange(4) * 3000000000', 'where i32 ends'],
  ['cast(x, u32) - (-1)', 'where u32 ends'],
])('%s is refused, and the message says why', (value, why) => {
  const found = wrongs(model(value));
  expect(found.map((d) => d.code)).toEqual(['ESP0314']);
  expect(found[0]!.message).toContain(why);
});

test.each(['0.5 * cast(x < 1, f32)', 'where(x < 1, 0.5, 0)', 'cast(arange(4), f32) + 0.5', 'arange(4) + 1'])(
  '%s is what the help says to write',
  (value) => void good(model(value)),
);
