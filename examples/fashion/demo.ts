/**
 * `npm run demo`: a small vision transformer trained on Fashion-MNIST reads digits, with a KARST adapter merged into it and half of its
 * MLP pruned; and again with a mask whose zeros the merge keeps. Compiles each spec, runs real MNIST test images on the GPU, and compares with
 * PyTorch on the same weights.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyseModel } from '../../src/api/analyse.js';
import { relativeError } from '../../src/api/golden/rows.js';
import { compile, nodeHost, openProgram, type Session, writeCompiled } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { describeCompiled } from '../../src/cli/summary.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { draw } from './draw.js';
import { argmax, type Digits, HERE, type Method, reference, testDigits } from './mnist.js';

async function predictions(session: Session, digits: Digits, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < count; at += 100) {
    const images = Array.from({ length: Math.min(100, count - at) }, (_, i) => digits.image(at + i));
    for (const { outputs } of await session.run({ images })) found.push(argmax(outputs.logits!));
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${found.length} of ${count} images`);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return found;
}

/** Largest difference over the first images between the program on the GPU and the model as written, in f64 on the CPU. */
async function againstUnmerged(session: Session, spec: string, digits: Digits, count: number): Promise<number> {
  const analysis = await analyseModel(spec, { host: nodeHost() });
  const { get } = await loadParameters(analysis);
  let worst = 0;
  for (let i = 0; i < count; i++) {
    const { data: rgba } = digits.image(i);
    const pixels = Float32Array.from({ length: 784 }, (_, p) => (rgba[4 * p]! / 255 - 0.5) / 0.5);
    const inputs = new Map([['pixels', { type: { dtype: 'f32' as const, shape: [1, 1, 28, 28] }, data: pixels }]]);
    const unmerged = interpret(analysis.elaborated.module, 'infer', { inputs, params: get }).get('logits')!;
    const { outputs } = await session.run({ image: digits.image(i) });
    worst = Math.max(worst, relativeError(unmerged.data, outputs.logits!));
  }
  return worst;
}

const software = process.env.VK_ICD_FILENAMES ?? '';
const slow = /swiftshader|vk_swiftshader/i.test(software);
const digits = await testDigits();

/** Compiles an example, says what became of it, and runs the first `count` test images through it, which `show` sees. */
async function demonstrate(method: Method, count: number, show: (found: readonly number[]) => void): Promise<void> {
  const spec = join(HERE, `${method}.peft`);
  const folder = await mkdtemp(join(tmpdir(), 'espalier-demo-'));
  try {
    const compiled = await compile(spec, { host: nodeHost() });
    await writeCompiled(compiled, folder);
    console.log(`${describeCompiled(compiled, 'a folder that runs on any WebGPU')}\n`);
    const session = await openProgram(folder);
    try {
      const torch = await reference(method);
      const found = await predictions(session, digits, count);
      const right = (p: ArrayLike<number>) =>
        Array.from({ length: count }, (_, i) => p[i] === digits.labels[i]).filter(Boolean).length;
      const same = found.filter((p, i) => p === torch.predictions[i]).length;
      const share = (n: number) => `${((100 * n) / count).toFixed(2)}%  (${n} of ${count})`;
      show(found);
      console.log(`MNIST test images${slow ? ' (few of 10,000: this GPU is SwiftShader, a slow software one)' : ''}`);
      console.log(`  Espalier on WebGPU   ${share(right(found))}`);
      console.log(`  PyTorch              ${share(right(torch.predictions))}`);
      console.log(`  same prediction      ${share(same)}`);
      const worst = await againstUnmerged(session, spec, digits, 8);
      console.log(
        `  merged on the GPU against unmerged in f64: logits differ by at most ${worst.toExponential(1)} of the largest`,
      );
      if (Math.abs(right(found) - right(torch.predictions)) > 1) {
        console.error('\nThe accuracies differ: something is wrong.');
        process.exitCode = 1;
      }
    } finally {
      session.dispose();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

console.log('A ViT trained on Fashion-MNIST, adapted to MNIST digits with KARST, half of its MLP weights pruned:\n');
await demonstrate('karst', slow ? 500 : 2000, (found) => {
  // The first four, and the first that the model gets wrong, if any.
  const shown = [0, 1, 2, 3];
  const wrong = found.findIndex((p, i) => p !== digits.labels[i]);
  if (wrong >= 4) shown[3] = wrong;
  console.log(
    draw(
      shown.map((i) => new Uint8ClampedArray(digits.image(i).data)),
      shown.map((i) => `#${i}: predicted ${found[i]}, is ${digits.labels[i]}`),
    ),
  );
  console.log('');
});
console.log('\nThe same with a mask over the sum of weight and adapter, in training too, so that its zeros stay:\n');
await demonstrate('karst-sparse', slow ? 100 : 500, () => {});
