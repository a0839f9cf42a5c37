/** Hundreds of adapters on one layer: what is below an adapter is worked out before or after it, never within, and in a time that stays near the number. */
import { expect, it } from 'vitest';
import { compile } from '../../src/api/node/spec.js';

const ADAPTERS = {
  'beside the layer': `adapter own() on base: Linear(in -> out) {
  A = param [2, in] normal(0.02)
  B = param [out, 2] normal(0.02)
  forward(x) { base(x) + x @ A.T @ B.T }
}`,
  'before the layer': `adapter own() on base: Linear(in -> out) {
  A = param [2, in] normal(0.02)
  B = param [in, 2] normal(0.02)
  forward(x) { base(x + x @ A.T @ B.T) }
}`,
  'after the layer': `adapter own() on base: Linear(in -> out) {
  A = param [2, out] normal(0.02)
  B = param [out, 2] normal(0.02)
  forward(x) {
    y = base(x)
    y + y @ A.T @ B.T
  }
}`,
  'in its weight': `adapter own() on base: Linear(in -> out) {
  A = param [2, in] normal(0.02)
  B = param [out, 2] normal(0.02)
  s = param [out] normal(0.001)
  forward(x) { (1 + s) * base(x, weight: base.weight + B @ A) }
}`,
  'of its weight, in what the adapter starts as': `adapter own() on base: Linear(in -> out) {
  m = param [out] norm(base.weight, axis: 1)
  d = param [out] normal(0.001)
  forward(x) { base(x, weight: ((m + d) / norm(base.weight, axis: 1))[:, new] * base.weight) }
}`,
};

/** What a parameter starts as is written out whole in the text that every test is held to, so a chain of such starts is kept shorter. */
const countOf = (where: string): number => (where.includes('starts as') ? 50 : 300);

it.each(Object.entries(ADAPTERS))('hundreds of adapters %s', async (where, adapter) => {
  const count = countOf(where);
  const text = `backbone plain() {
  fc = Linear(12 -> 8)
  forward(x: [b, 12]) { fc(x) }
}
${adapter}
model M {
  base = plain()
${'  adapt base.fc with own()\n'.repeat(count)}}
`;
  const compiled = await compile({ text, path: 'stacked.peft' }, { adapters: 'merged' });
  expect(compiled.report.map((a) => a.state)).toEqual(new Array(count).fill('merged'));
  expect(compiled.program.summary.dispatches).toBe(1);
  expect(compiled.check.model!.difference).toBeLessThan(1e-5);
});

it('an adapter that does not work is left out, and those below it are not', async () => {
  const text = `backbone plain() {
  fc = Linear(4 -> 4)
  forward(x: [b, 4]) { fc(x) }
}
adapter wide() on base: Linear(in -> out) {
  forward(x) { concat(base(x), x, axis: 1) }
}
adapter truth() on base: Linear(in -> out) {
  forward(x) { base(x) < 1 }
}
model M {
  base = plain()
  adapt base.fc with truth()
  adapt base.fc with wide()
}
`;
  await expect(compile({ text, path: 'stacked.peft' })).rejects.toMatchObject({
    diagnostics: [
      { code: 'ESP0334', message: expect.stringContaining('from [b, 4] into [b, 8]') },
      { code: 'ESP0334', message: expect.stringContaining('from f32[b,4] into bool[b,4]') },
    ],
  });
});
