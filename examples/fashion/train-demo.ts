/**
 * `npm run demo:train`: the Fashion-MNIST ViT of this folder learns digits from 1,000 images of MNIST, on the GPU, by KARST adapters and its head, beside
 * what PyTorch got by the same steps (test/reference/train_demo.py). Then the run's report is written, and the run is compiled, merged, and reads digits.
 */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGpu } from '../../runtime/node/driver.js';
import { compile, load, type Session, train, writeReport } from '../../src/api/index.js';
import { draw } from './draw.js';
import { argmax, type Digits, HERE, testDigits } from './mnist.js';
import { SPEC } from './train-start.js';

/** Images that are read before and after. */
const COUNT = 1000;
/** Epochs of the spec, and on a driver that is slower than this demo is patient. */
const EPOCHS = 5;
const SLOW_EPOCHS = 2;

interface Torch {
  readonly before: number;
  /** Means of the epochs. */
  readonly loss: readonly number[];
  readonly validation: readonly number[];
  readonly test: number;
  readonly after: number;
}

function torch(epochs: number): Torch {
  const all = JSON.parse(readFileSync(join(HERE, 'reference', 'train.json'), 'utf8')) as Record<string, Torch>;
  return all[`epochs ${epochs}`]!;
}

async function predictions(session: Session, digits: Digits): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < COUNT; at += 100) {
    const images = Array.from({ length: 100 }, (_, i) => digits.image(at + i));
    for (const { outputs } of await session.run({ images })) found.push(argmax(outputs.logits!));
  }
  return found;
}

/** Share of the first images that a compiled spec or run gets right, with its classes for each. */
async function read(compiled: Parameters<typeof load>[0], digits: Digits) {
  const session = await load(compiled);
  try {
    const found = await predictions(session, digits);
    return { found, right: found.filter((c, i) => c === digits.labels[i]).length / COUNT };
  } finally {
    session.dispose();
  }
}

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`.padStart(7);
const line = (what: string, own: string, other: string): void => console.log(`${what.padEnd(52)}${own}   ${other}`);

const began = performance.now();
const { driver } = await openGpu();
const slow = driver.name === 'swiftshader';
const epochs = slow ? SLOW_EPOCHS : EPOCHS;
const text = readFileSync(SPEC, 'utf8').replace(`epochs: ${EPOCHS}`, `epochs: ${epochs}`);
const spec = { text, path: SPEC };
mkdirSync('out', { recursive: true });
const folder = mkdtempSync(join('out', 'demo-train-'));
const out = join(folder, 'run');
const [digits, other] = [await testDigits(), torch(epochs)];

console.log(
  `KARST on all linear layers of a ViT for Fashion-MNIST, 1,000 images of MNIST, ${epochs} epochs, on ${driver.name}`,
);
if (slow) console.log(`SwiftShader is slow: ${epochs} epochs instead of the ${EPOCHS} that other drivers get`);
line('', 'Espalier', 'PyTorch, the same steps');
const untrained = await read(await compile(spec, { batch: [100], golden: false }), digits);
line(`before: ${COUNT} test images`, percent(untrained.right), percent(other.before));
for await (const event of train(spec, { out })) {
  if (event.kind === 'step' && process.stderr.isTTY)
    process.stderr.write(`\r\x1b[Kstep ${event.step + 1}, loss ${event.loss.toFixed(3)}`);
  if (event.kind === 'epoch') {
    const { epoch, validation, rate } = event;
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    line(
      `epoch ${epoch + 1}: loss`,
      event.train.loss.toFixed(4).padStart(7),
      other.loss[epoch]!.toFixed(4).padStart(7),
    );
    line(
      `         ${validation!.samples} validation images (${rate.toFixed(0)} images/s)`,
      percent(validation!.accuracy!),
      percent(other.validation[epoch]!),
    );
  }
  if (event.kind === 'test')
    line(`test: ${event.score.samples} images, of the best epoch`, percent(event.score.accuracy!), percent(other.test));
}
const report = await writeReport(out);
const compiled = await compile(out, { batch: [100], golden: false });
const merged = compiled.report.filter((a) => a.state === 'merged').length;
const trained = await read(compiled, digits);
line(
  `compiled, ${merged} of ${compiled.report.length} adapters merged: ${COUNT} test images`,
  percent(trained.right),
  percent(other.after),
);
const shown = [0, 1];
console.log(
  `\n${draw(
    shown.map((i) => digits.image(i).data),
    shown.map((i) => `${digits.labels[i]}, read as ${trained.found[i]}`),
  )}`,
);
console.log(`\nThe report is ${report.path}, the run ${out}: npx espalier compile ${out} -o digits`);
console.log(`${((performance.now() - began) / 1000).toFixed(0)} s in all`);
