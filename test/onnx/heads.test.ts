/** Graphs without a head, for data of their own: what is said tells what to write, and that is taken. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyse, analyseModel } from '../../src/api/analyse.js';
import { splitsOf } from '../../src/api/train/data.js';
import { datasetOfArrays } from '../../src/data/arrays.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { FIXTURES, host } from '../api/support.js';

const TRAIN =
  'train M {\n  data = images("./none")\n  optimizer = adamw(lr: 1e-3)\n  schedule = constant(epochs: 1)\n}\n';
/** What each file gives of one picture. */
const GRAPHS = [
  ['windows', [5]],
  ['convnext', [16, 3, 3]],
] as const;

const spec = (name: string, before: string, body: string) => ({
  text: `use std\n\n${before}model M {\n  base = onnx() from "${join(FIXTURES, 'onnx/import', `${name}.onnx`)}"\n${body}}\n\n${TRAIN}`,
  path: 'graph.peft',
});

const data = datasetOfArrays(
  { name: 'four', data: new Uint8Array(8 * 24 * 24 * 3), shape: [8, 3, 24, 24] },
  { kind: 'class', labels: [0, 1, 2, 3, 0, 1, 2, 3] },
);

/** What is said of training that model on four classes. */
async function refusal(of: ReturnType<typeof spec>) {
  const { elaborated } = await analyseModel(of, { host });
  try {
    splitsOf(elaborated.train!, data);
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics[0]!;
    throw error;
  }
  return undefined;
}

describe.each(GRAPHS)('%s', (name, gives) => {
  test('trained as it is: the head that it lacks', async () => {
    const said = (await refusal(spec(name, '', '  tune base\n')))!;
    expect(said.code).toBe('ESP1111');
    const shown = gives.length === 1 ? String(gives[0]) : `[${gives.join(', ')}]`;
    expect(said.message).toBe(`the data have 4 classes (0, 1, 2, 3), and the model gives ${shown} of an image`);
    const [, ...lines] = said.help.at(-1)!.split('\n');
    const head = `${lines.join('\n')}\n\n`;
    expect(await refusal(spec(name, head, '  head = Probe(base)\n  tune head\n'))).toBeUndefined();
  });
});

test('what a head of the library asks for, the graph’s file could say', async () => {
  const { diagnostics } = await analyse(spec('windows', '', '  head = classify(base, classes: 2)\n  tune head\n'), {
    host,
  });
  expect(diagnostics[0]!.code).toBe('ESP0215');
  expect(diagnostics[0]!.help.at(-1)).toMatch(/the graph of an ONNX file\. `espalier import` writes it as a spec/);
});
