/** What is written reads back as it was, the same bytes each time. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { readOnnx } from '../../../src/formats/onnx/read.js';
import type { OnnxModel } from '../../../src/formats/onnx/types.js';
import { onnxFiles } from '../../../src/formats/onnx/write.js';
import { joinBytes } from '../../../src/formats/tensors/bytes.js';

const pathOf = (name: string) => fileURLToPath(new URL(`../../fixtures/onnx/${name}`, import.meta.url));
const fixture = (name: string) => readOnnx('m', new Uint8Array(readFileSync(pathOf(name))));
const folder = mkdtempSync(join(tmpdir(), 'espalier-onnx-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** All of a model as data, elements of tensors included. */
const plain = (model: OnnxModel): unknown =>
  JSON.parse(
    JSON.stringify(model, (key, value) => {
      // Nodes without a name are called by their place, and are written in an order in which they can be run.
      if (key === 'label') return undefined;
      if (value instanceof Map) return [...value];
      if (typeof value !== 'object' || value === null || !('read' in value)) return value;
      return { ...value, elements: Array.from(value.read() as ArrayLike<number>, String) };
    }),
  );

test.each(['types.onnx', 'attributes.onnx', 'functions.onnx'])('%s', async (name) => {
  const model = fixture(name);
  const written = joinBytes((await onnxFiles('m', model)).get('m')!);
  expect(plain(readOnnx('m', written))).toEqual(plain(model));
  expect(joinBytes((await onnxFiles('m', readOnnx('m', written))).get('m')!)).toEqual(written);
});

test('weights in a file beside it, at pages; small ones stay', async () => {
  const { onnx } = await openCheckpointAt(pathOf('external.onnx'));
  const files = await onnxFiles('again.onnx', onnx!, { external: true });
  expect([...files.keys()]).toEqual(['again.onnx.data', 'again.onnx']);
  for (const [name, pieces] of files) writeFileSync(join(folder, name), joinBytes(pieces));
  const again = (await openCheckpointAt(join(folder, 'again.onnx'))).onnx!;
  const { initialisers } = again.graph;
  expect([...initialisers].map(([name, { held }]) => [name, held])).toEqual([
    ['large', false],
    ['small', true],
  ]);
  expect(await initialisers.get('large')!.load()).toEqual(await onnx!.graph.initialisers.get('large')!.load());
  const whole = await onnxFiles('whole.onnx', again);
  expect([...whole.keys()]).toEqual(['whole.onnx']);
});

test('more than a file can hold goes into another', async () => {
  const model = fixture('types.onnx');
  // Bytes that nobody looks at: all of them are one.
  const bytes = new Uint8Array(2 ** 30);
  const large = (name: string) => ({
    ...model.graph.initialisers.get('raw.uint8')!,
    name,
    shape: [2 ** 30],
    bytes: async () => bytes,
  });
  const initialisers = new Map([1, 2].map((i) => [`w${i}`, large(`w${i}`)]));
  const files = await onnxFiles('m.onnx', { ...model, graph: { ...model.graph, initialisers } });
  const sizes = [...files].map(([name, pieces]) => [name, pieces.reduce((n, p) => n + p.byteLength, 0)]);
  expect(sizes).toEqual([
    ['m.onnx.data', 2 ** 31],
    ['m.onnx', expect.toSatisfy((n: number) => n < 1000)],
  ]);
  await expect(
    onnxFiles('m.onnx', { ...model, graph: { ...model.graph, initialisers } }, { external: false }),
  ).rejects.toThrow('ESP1201: m.onnx is not a valid ONNX file: it would have more than 2,147,483,647 bytes');
});
