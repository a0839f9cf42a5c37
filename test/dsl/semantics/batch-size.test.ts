/** The batch in a spec: a size that shapes and tensors may use, and of which nothing may be asked that only a number answers. */
import { describe, expect, it } from 'vitest';
import { BATCH } from '../../../src/ir/batch.js';
import { moduleAt } from '../../../src/ir/run/samples.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import { maxDifference } from '../../tensors.js';
import { good, rendered, run, wrongs } from './helper.js';

/** A model of a backbone with one input [b, 2, 4] and this body. */
const spec = (body: string) => `use std
backbone net(n: int = 2) {
  forward(x: [b, n, 4]) {
    ${body}
  }
}
model M {
  base = net()
}
`;

const elements = (samples: number): Float64Array =>
  Float64Array.from({ length: 8 * samples }, (_, i) => Math.sin(i + 1));

/** The result for some samples. */
function resultOf(body: string, samples: number) {
  return run(good(spec(body)), { x: tensor([samples, 2, 4], elements(samples)) }).get('base')!;
}

/** The same model with an adapter that has this member. */
const adapted = (member: string) => `use std
adapter own() on base: (x: [b, n, d]) {
  ${member}
  forward(x) { base(x) * 2 }
}
${spec('x').replace('base = net()', 'base = net()\n  adapt base with own()')}`;

describe('as a size', () => {
  it.each([
    ['x', [BATCH, 2, 4]],
    ['reshape(x, [b * n, 4])', [2 * BATCH, 4]],
    ['reshape(x, [-1, 4])', [2 * BATCH, 4]],
    ['reshape(x, [b, -1])', [BATCH, 8]],
    ['reshape(reshape(x, [n * b, 4]), [(b * n) / n, n, 4])', [BATCH, 2, 4]],
    ['reshape(x, [b + b, 4])', [2 * BATCH, 4]],
    ['reshape(x, [3 * b - b, 4])', [2 * BATCH, 4]],
    ['reshape(x, [b, (8 * b) / b])', [BATCH, 8]],
    ['concat(x, x)[b..2 * b]', [BATCH, 2, 4]],
    ['x[0..b, 1]', [BATCH, 4]],
    ['x + expand(full([1, n, 4], 1), b)', [BATCH, 2, 4]],
    ['x + broadcast(full([4], 1), [b, n, 4])', [BATCH, 2, 4]],
    ['if b == b { x } else { x[:, 0] }', [BATCH, 2, 4]],
    ['if b != 2 * b { x } else { x[:, 0] }', [BATCH, 2, 4]],
    ['if b - b == 0 { x } else { x[:, 0] }', [BATCH, 2, 4]],
    ['rearrange(x, "b n d -> (b n) d")', [2 * BATCH, 4]],
  ])('%s', (body, shape) => {
    const { module } = good(spec(body));
    const shapeOf = ({ funcs }: typeof module) => funcs.get('infer')!.results[0]!.value.type.shape;
    expect(shapeOf(module)).toEqual(shape);
    expect(shapeOf(moduleAt(module, 3))).toEqual(shape.map((d) => (d % BATCH === 0 ? (3 * d) / BATCH : d)));
  });
});

describe('with tensors it is a number of the run', () => {
  it.each([1, 3])('for %i', (samples) => {
    const x = elements(samples);
    const mean = Array.from({ length: 8 }, (_, i) => {
      let sum = 0;
      for (let s = 0; s < samples; s++) sum += x[8 * s + i]!;
      return sum / samples;
    });
    for (const body of ['sum(x, axis: 0) / b', 'mean(x, axis: 0)', 'n * sum(x, axis: 0) / (n * b)'])
      expect(maxDifference(resultOf(body, samples), tensor([2, 4], mean)), body).toBeLessThan(1e-12);
    const plus = tensor(
      [samples, 2, 4],
      x.map((v) => v + 2 * samples),
    );
    expect(maxDifference(resultOf('x + 2 * b', samples), plus)).toBeLessThan(1e-12);
    const root = tensor(
      [samples, 2, 4],
      x.map((v) => v * Math.sqrt(samples)),
    );
    expect(maxDifference(resultOf('x * sqrt(b + full([1], 0))', samples), root)).toBeLessThan(1e-12);
    const least = tensor(
      [samples, 2, 4],
      x.map((v) => Math.max(v, samples)),
    );
    expect(maxDifference(resultOf('maximum(x, b)', samples), least)).toBeLessThan(1e-12);
  });
});

describe('what asks for its number is refused', () => {
  it.each([
    ['y = repeat i < b { i }\n    x', 'b'],
    ['concat(i < b: x)', 'b'],
    ['if b == 1 { x } else { x * 2 }', 'b == 1'],
    ['if b > 1 { x } else { x * 2 }', 'b > 1'],
    ['if b < 2 * b { x } else { x * 2 }', 'b < 2b'],
    ['x * sqrt(b)', 'b'],
    ['x * sqrt(3 * b)', '3b'],
    ['x * pow(b, 2)', 'b'],
    ['x * maximum(b, 2)', 'b'],
    ['x * minimum(2, b)', 'b'],
    ['reshape(x, [b + 1, 4])', 'b + 1'],
    ['reshape(x, [0.5 * b, 16])', '0.5 * b'],
    ['reshape(x, [b / 2, 16])', 'b / 2'],
    ['reshape(x, [b * b, 4])', 'b * b'],
    ['reshape(x, [2 * b - 3 * b, 4])', '2b - 3b'],
    ['gather(x, table(i < b: i))', 'b'],
    ['gather(x, table(i < 2: b))', 'b'],
    ['x * (b % 2)', 'b % 2'],
    ['x * -b', 'b'],
    ['x * (1 / b)', '1 / b'],
    ['x[:, b]', 'b'],
    ['x[b - 1]', 'b - 1'],
    ['sum(x, axis: b)', 'b'],
    ['top_k(x, k: b)[0]', 'b'],
    ['roll(x, [b], [1])', 'b'],
    ['x + full([4], b)', 'b'],
    ['p, q = x\n    p', 'b'],
  ])('%s', (body, what) => {
    const found = wrongs(spec(body)).filter((d) => d.severity === 'error');
    expect(
      found.map((d) => [d.code, d.message]),
      rendered(spec(body)),
    ).toEqual([['ESP0318', `\`${what}\` is not known before the program runs`]]);
    expect(found[0]!.primary!.text).toBe('depends on the batch');
    expect(found[0]!.help.join()).toMatch(/any number of images/);
  });

  it('a number of layers', () => {
    const text = adapted('layers = repeat i < 2 * b { Linear(4 -> 4) }');
    const found = wrongs(text).filter((d) => d.severity === 'error');
    expect(
      found.map((d) => [d.code, d.message]),
      rendered(text),
    ).toEqual([['ESP0318', '`2b` is not known before the program runs']]);
  });

  /** 67,108,859 is the prime that stands for b in shapes. */
  it.each(['x * 67108859', 'x + 134217718', 'reshape(x, [67108858 + 1, 8])', 'x * (2 * 67108859)'])(
    'a number that would be taken for it: %s',
    (body) => {
      const found = wrongs(spec(body)).filter((d) => d.severity === 'error');
      expect(found.map((d) => d.code)).toEqual(['ESP0227']);
      expect(found[0]!.message).toMatch(/^(67108859|134217718) is a number that stands for the batch/);
    },
  );

  it('at its place', () => {
    const text = spec('x * sqrt(b)');
    const { span } = wrongs(text)[0]!.primary!;
    expect(text.slice(span.start, span.end)).toBe('b');
  });
});

describe('what a type rule refuses says `b`', () => {
  it.each([
    ['x[0]', 'ESP0301', /axis 0 of \[b, 2, 4\] is the batch, which may be 1/],
    ['x[1..2]', 'ESP0301', /axis 0 of \[b, 2, 4\] is the batch/],
    ['x[0..-1]', 'ESP0301', /is the batch/],
    ['x[0..2 * b]', 'ESP0306', /index 2b is outside of axis 0 of size b/],
    ['x[b..b]', 'ESP0313', /the range b\.\.b is empty/],
    ['x[:, 0..b]', 'ESP0306', /index b is outside of axis 1 of size 2/],
    ['reshape(x, [b, 3])', 'ESP0301', /\[b, 2, 4\] has 8b elements and \[b, 3\] has 3b/],
    ['roll(x, [1], [0])', 'ESP0301', /is the batch/],
    [
      'concat(x, full([1, 2, 4], 0))',
      'ESP0301',
      /some operands are as long as the batch and others have a length of their own/,
    ],
    ['reshape(x, [n, b, 4]) @ x', 'ESP0301', /\[2, b, 4\]|has 4 columns/],
  ])('%s', (body, code, message) => {
    const found = wrongs(spec(body)).filter((d) => d.severity === 'error');
    expect(
      found.map((d) => d.code),
      rendered(spec(body)),
    ).toEqual([code]);
    expect(found[0]!.message).toMatch(message);
    expect(rendered(spec(body))).not.toContain(String(BATCH));
  });

  it('a parameter for each image', () => {
    const text = adapted('P = param [b, n] zeros');
    const found = wrongs(text).filter((d) => d.severity === 'error');
    expect(
      found.map((d) => d.code),
      rendered(text),
    ).toEqual(['ESP0606']);
    expect(found[0]!.message).toMatch(/P` is \[b, 2\], with as many rows as the program is given images/);
    expect(text.slice(found[0]!.primary!.span.start, found[0]!.primary!.span.end)).toBe('param [b, n] zeros');
  });
});
