/** Programs whose inputs and outputs are whole numbers, truth, or one for all samples: compiled with a golden output, loaded, and run. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compile } from '../../src/api/index.js';
import { compileTo, host, scratch, withProgram } from './support.js';

const folder = scratch();

const spec = (inputs: string) => ({
  path: join(folder, 'spec.peft'),
  text: `backbone words() {
  vectors = param [5, 2] normal(1)
  place = param i32[5] table(i < 5: 4 - i)
  forward(${inputs}) {
    picked = gather(place, minimum(ids, 4))
    found = gather(vectors, picked)
    ({found: where(keep, found, 0) + shift, even: picked % 2 == 0, count: sum(shift) + 1})
  }
}

model M {
  base = words()
}

deploy M {
  batch = [4]
}
`,
});

test.each(['f64', 'gpu'] as const)(
  'whole numbers by sample, and a tensor for all of them, golden by %s',
  async (golden) => {
    const out = join(folder, golden);
    const { program } = await compileTo(out, spec('ids: i32[b, 3], keep: bool[b, 3, 1], shift: [2]'), { golden });
    expect(program.golden?.rows).toBe(1);
    const { outputs, shapes } = await withProgram(out, (s) =>
      s.run({
        tensors: {
          ids: Int32Array.of(0, 1, 2, 3, 4, 0),
          keep: Uint32Array.of(1, 0, 1, 0, 1, 1),
          shift: Float32Array.of(0.5, -1),
        },
      }),
    );
    expect(shapes).toEqual({ found: [2, 3, 2], even: [2, 3], count: [] });
    expect([...outputs.even!]).toEqual([1, 0, 1, 0, 1, 1]);
    expect([...outputs.count!]).toEqual([0.5]);
    // What is not kept is the shift alone.
    expect([...outputs.found!.slice(2, 4), ...outputs.found!.slice(6, 8)]).toEqual([0.5, -1, 0.5, -1]);
    expect([...outputs.found!.slice(0, 2)]).toEqual([...outputs.found!.slice(10, 12)]);
  },
);

test('nothing holds samples', async () => {
  const out = join(folder, 'none');
  await compileTo(out, spec('ids: i32[1, 3], keep: bool[1, 3, 1], shift: [2]'));
  const { outputs, shapes } = await withProgram(out, (s) =>
    s.run({ tensors: { ids: Int32Array.of(0, 1, 2), keep: Uint32Array.of(0, 0, 0), shift: Float32Array.of(2, 3) } }),
  );
  expect(shapes.found).toEqual([1, 3, 2]);
  expect([...outputs.found!]).toEqual([2, 3, 2, 3, 2, 3]);
  expect([...outputs.even!]).toEqual([1, 0, 1]);
});

test('rows that change one another are found beside what is one for all of them', async () => {
  const text = (value: string) =>
    `module A() {\n  forward(x: [b, 4], s: []) { s * ${value} }\n}\nmodel M {\n  base = A()\n}\ndeploy M {\n  batch = [4]\n}\n`;
  const compiled = (value: string) => compile({ text: text(value), path: join(folder, 'rows.peft') }, { host });
  await expect(compiled('(x - mean(x, axis: 0))')).rejects.toThrow('ESP0605');
  expect((await compiled('(x - mean(x, axis: 1, keep: true))')).program.entries[0]!.samples).toBe(4);
});

test('elements of another type are refused', async () => {
  const out = join(folder, 'none');
  await expect(
    withProgram(out, (s) =>
      s.run({
        tensors: { ids: Float32Array.of(0, 1, 2), keep: Uint32Array.of(0, 0, 0), shift: Float32Array.of(2, 3) },
      }),
    ),
  ).rejects.toThrow('`ids` takes i32, given Float32Array');
});
