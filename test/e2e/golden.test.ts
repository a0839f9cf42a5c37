/** What a golden input is made from: rows that are independent, in passes of any number and of every element type. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileEntry, seal } from '../../runtime/program/digest.js';
import { compile } from '../../src/api/index.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { random } from '../api/support.js';
import { compileTo, host, scratch, withProgram } from './support.js';

const folder = scratch();
writeFileSync(
  join(folder, 'weights.safetensors'),
  encodeSafetensors(new Map([['base.fc.weight', storeTensor(random('w', [8, 8], 0.5))]])),
);

/** A model on rows of [4, 8], whose `forward` is given. */
const spec = (forward: string) => ({
  text: `use std

backbone rows() {
  fc = Linear(8 -> 8, bias: false)
  forward(x: [b, 4, 8]) { ${forward} }
}

model Rows {
  base = rows() from "${join(folder, 'weights.safetensors')}"
}
`,
  path: 'rows.peft',
});

const codes = (promise: Promise<unknown>): Promise<string[]> =>
  promise.then(
    () => [],
    (error: unknown) => {
      if (error instanceof EspalierError) return error.diagnostics.map((d) => d.code);
      throw error;
    },
  );

test.each([
  ['for one', 1, 'fma(', 'fma(-'],
  ['only for several', 3, 'fma(', 'select(1.0f, -1.0f, samples > 1u) * fma('],
])('a kernel that is wrong %s is caught by a load', async (_name, rows, from, to) => {
  const out = join(folder, `broken-${rows}`);
  const { program } = await compileTo(out, spec('fc(x)'), { batch: [1, 8] });
  expect(program.kernels).toHaveLength(1);
  for (const { file } of program.kernels[0]!.variants) {
    const text = readFileSync(join(out, file), 'utf8');
    expect(text).toContain(from);
    writeFileSync(join(out, file), text.replaceAll(from, to));
  }
  // As a compiler with a fault would have written it: its hashes are those of the wrong kernel.
  const { files, digest: _, ...unsealed } = program;
  const entries = await Promise.all(files.map(({ name }) => fileEntry(name, readFileSync(join(out, name)))));
  writeFileSync(join(out, 'program.json'), JSON.stringify(await seal(unsealed, entries)));
  await expect(withProgram(out, async () => 'loaded')).rejects.toMatchObject({
    code: 'ESP0706',
    message: expect.stringContaining(`for ${rows} at a time`),
  });
});

describe('rows of a batch', () => {
  test.each([[[1]], [[1, 8]], [[8, 2]], [[5]]])('are a few for passes of up to %j, and load', async (batch) => {
    const out = join(folder, `rows-${batch.join('-')}`);
    const { program, check } = await compileTo(out, spec('gelu(fc(x))'), { batch });
    expect(program.golden!.rows).toBe(Math.min(3, Math.max(...batch)));
    expect(program.golden!.from).toEqual({ by: 'f64' });
    expect(check.model).toMatchObject({ by: 'f64', rows: [1] });
    expect(program.entries[0]!.samples).toBe(Math.max(...batch));
    expect(check.model!.difference).toBeLessThan(1e-6);
    await withProgram(out, async (session) => expect(session.usesFallback).toBe(false));
  });

  test.each(['x - mean(x, axis: 0)', 'softmax(fc(x), axis: 0)'])(
    'that change one another are refused: %s',
    async (f) => {
      for (const batch of [[8], [1, 8]]) {
        expect(await codes(compile(spec(f), { host, batch })), `batch ${batch}`).toEqual(['ESP0605']);
      }
      // One row at a time, there is nothing to mix up.
      expect(await codes(compile(spec(f), { host, batch: [1] }))).toEqual([]);
    },
  );

  test('that are not the first axis of the result are refused', async () => {
    for (const golden of [true, false]) {
      expect(await codes(compile(spec('transpose(x, [1, 0, 2])'), { host, batch: [2], golden }))).toEqual(['ESP0605']);
    }
  });
});

test('whole numbers are compared, too', async () => {
  const out = join(folder, 'whole');
  const { program } = await compileTo(out, spec('argmax(fc(x), axis: 2)'), { batch: [2] });
  expect(program.entries[0]!.outputs[0]).toMatchObject({ dtype: 'i32', shape: [1, 4] });
  await withProgram(out, async (session) => {
    const { outputs } = await session.run({ tensors: { x: new Float32Array(64) } });
    expect(Object.values(outputs)[0]).toEqual(new Int32Array(8));
  });
});
