/** `export --onnx`: what it writes and says, and what it refuses. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { scratch } from '../api/support.js';
import { cli, expectNothingWritten, expectRefused, FASHION } from './support.js';

const folder = scratch();
const spec = join(FASHION, 'lora.peft');

test('writes a file and says what it takes, gives and holds', async () => {
  const file = join(folder, 'lora.onnx');
  const ended = await cli('export', '--onnx', file, spec);
  expect(ended.code).toBe(0);
  expect(ended.out).toBe(`${file}
  takes     pixels float [b, 1, 28, 28]
  gives     logits float [b, 10]
  graph     171 nodes of opset 17, 56 weights
  adapters  lora merged at 8 sites
  check     4 rewritten layers, before and after, on 2 random tokens each in f64: largest difference 4.3e-8 of the largest result
`);
  const { onnx } = await openCheckpointAt(file);
  expect(onnx!.opsets.get('')).toBe(17);
  // Its own file it may write again.
  expect((await cli('export', '--onnx', file, spec, '--opset', '20')).code).toBe(0);
  expect((await openCheckpointAt(file)).onnx!.opsets.get('')).toBe(20);
});

test('all that can be asked for, as JSON', async () => {
  const file = join(folder, 'all.onnx');
  const options = ['--adapters', 'factored', '--external', '--picture', '40x30', '--layout', 'nchw', '--json'];
  const ended = await cli('export', '--onnx', file, spec, ...options);
  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.out)).toMatchObject({
    files: [`${file}.data`, file],
    opset: 17,
    inputs: [{ name: 'pixels', dtype: 'uint8', shape: ['b', 3, 40, 30] }],
    outputs: [{ name: 'logits', dtype: 'float', shape: ['b', 10] }],
  });
  // Weights that were apart are nobody's when they no longer are.
  expect((await cli('export', '--onnx', file, spec)).code).toBe(0);
  expect([existsSync(file), existsSync(`${file}.data`)]).toEqual([true, false]);
});

describe('is refused, and nothing is written', () => {
  const other = join(folder, 'other.onnx');
  writeFileSync(other, 'something else');
  test.each<[string, string, readonly string[]]>([
    ['neither a folder nor a file', 'ESP0922', []],
    ['both', 'ESP0922', ['--onnx', 'x.onnx', '-o', 'x']],
    ['an option of ONNX without it', 'ESP0922', ['-o', 'x', '--opset', '17']],
    ['an option of folders with it', 'ESP0922', ['--onnx', 'x.onnx', '--as-stored']],
    ['a layout of no picture', 'ESP0922', ['--onnx', 'x.onnx', '--layout', 'nchw']],
    ['another ending', 'ESP0912', ['--onnx', 'x.bin']],
    ['a version that is not written', 'ESP0912', ['--onnx', 'x.onnx', '--opset', '12']],
    ['no size', 'ESP0912', ['--onnx', 'x.onnx', '--picture', '0x5']],
    ['a mode that there is not', 'ESP0912', ['--onnx', 'x.onnx', '--adapters', 'both']],
    ['a file that is something else', 'ESP0906', ['--onnx', other]],
  ])('%s', async (_, code, options) => {
    const own = options.map((o) => (o.startsWith('x') ? join(folder, o) : o));
    expectRefused(await cli('export', spec, ...own), 2, code);
    for (const name of ['x', 'x.onnx', 'x.bin']) expectNothingWritten(folder, name);
    expect(readFileSync(other, 'utf8')).toBe('something else');
  });
  test('a place where nothing can be', async () => {
    expectRefused(await cli('export', spec, '--onnx', join(other, 'x.onnx')), 1, 'ESP0520');
  });
});
