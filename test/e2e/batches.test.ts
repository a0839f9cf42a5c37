/** What depends on the batch but not on the input: computed where the number of images is known. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { relativeError } from '../../src/api/golden/rows.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { random, resultAsWritten } from '../api/support.js';
import { compileTo, scratch, withProgram } from './support.js';

const folder = scratch();

const spec = (adapter: string) => ({
  text: `module Inner() {
  fc = Linear(8 -> 8)
  forward(x: [b, n, 8]) { fc(x) }
}
backbone plain() {
  inner = Inner()
  forward(pixels: [b, 4, 8]) { inner(pixels) }
}
adapter own() on base: (x: [b, n, d]) {
${adapter}
}
model M {
  base = plain()
  adapt base.inner with own()
}
`,
  path: 'batches.peft',
});

const PROMPTS = '  P = param [1, 2, d] normal(0.5)\n';

/** What the adapter does, and the weights that ship beside the layer's own: none may have the batch in its shape. */
const CASES: Readonly<Record<string, readonly [adapter: string, own: readonly string[]]>> = {
  'a function of a repeated parameter': [
    '  P = param [1, 1, d] normal(0.5)\n  forward(x) { base(x) + tanh(expand(P, b)) }',
    ['8'],
  ],
  'normalised prompts': [
    `${PROMPTS}  norm = LayerNorm(d)\n  forward(x) { base(concat(tanh(x), norm(expand(P, b)), axis: 1))[:, 1..1 + n] }`,
    ['1x2x8'],
  ],
  'prompts through layers, joined with others': [
    `${PROMPTS}  Q = param [1, 1, d] normal(0.5)\n  fc = Linear(d -> d)\n  forward(x) {
    prompts = fc(tanh(fc(concat(expand(P, b), expand(Q, b), axis: 1))))
    tanh(base(concat(prompts, x, axis: 1)))[:, 2..2 + n]
  }`,
    ['1x3x8'],
  ],
  'prompts that are mixed over the batch': [
    `${PROMPTS}  forward(x) { tanh(base(concat(tanh(sum(expand(P, b), axis: 0)[new] / b + expand(P, b)), x, axis: 1)))[:, 1..1 + n] }`,
    ['1x2x8'],
  ],
};

test.each(Object.entries(CASES))('%s, in passes of different lengths', async (name, [adapter, own]) => {
  const out = join(folder, name.replaceAll(/\W+/g, '-'));
  const { program } = await compileTo(out, spec(adapter), { batch: [1, 3] });
  const shapes = program.weights.map((w) => w.shape.join('x')).filter((s) => s !== '8x8');
  expect(shapes).toEqual(expect.arrayContaining([...own]));
  if (own.length === 1) expect(shapes.filter((s) => s.startsWith('3x'))).toEqual([]);
  const x = random('x', [7, 4, 8]);
  const want = await resultAsWritten(spec(adapter), x);
  // Passes of two, two and three; then one of all but what is left over.
  const results = await withProgram(out, async (s) => {
    const pixels = Float32Array.from(x.data);
    return [await s.run({ tensors: { pixels } }), await s.run({ tensors: { pixels: pixels.slice(0, 3 * 32) } })];
  });
  for (const { outputs } of results) {
    const found = Object.values(outputs)[0]!;
    expect(relativeError(want.subarray(0, found.length), found)).toBeLessThan(1e-5);
  }
});

test('a parameter for each image of a batch is refused', async () => {
  const compiled = compileTo(
    join(folder, 'own'),
    spec('  P = param [b, n, d] normal(0.5)\n  forward(x) { base(x) + P }'),
    {
      batch: [1, 3],
    },
  );
  const error = await compiled.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(EspalierError);
  expect((error as EspalierError).diagnostics).toMatchObject([
    {
      code: 'ESP0606',
      message: '`base.inner@own.P` is [b, 4, 8], with as many rows as the program is given images',
      primary: { text: 'declared here' },
    },
  ]);
});
