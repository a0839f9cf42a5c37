/**
 * `npm run demo:train`: the Fashion-MNIST ViT of this folder learns digits from 1,000 images of MNIST, on the GPU, by KARST adapters and its head; then the
 * run is compiled, merged, and the compiled program reads the test images again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, load, type Session, train } from '../../src/api/index.js';
import { argmax, type Digits, HERE, testDigits } from './mnist.js';

/** Images that are read before and after; the run's own test is on all 10,000. */
const COUNT = 1000;

async function rightOf(session: Session, digits: Digits): Promise<number> {
  let right = 0;
  for (let at = 0; at < COUNT; at += 100) {
    const images = Array.from({ length: 100 }, (_, i) => digits.image(at + i));
    const results = await session.run({ images });
    right += results.filter(({ outputs }, i) => argmax(outputs.logits!) === digits.labels[at + i]).length;
  }
  session.dispose();
  return right;
}

const percent = (x: number): string => `${(100 * x).toFixed(1)}%`;

const spec = join(HERE, 'train.peft');
const folder = await mkdtemp(join(tmpdir(), 'espalier-demo-'));
const out = join(folder, 'run');
const digits = await testDigits();
try {
  const untrained = await load(await compile(spec, { batch: [100], golden: false }));
  console.log(`before: ${await rightOf(untrained, digits)} of ${COUNT} digits are right`);
  const began = performance.now();
  for await (const event of train(spec, { out })) {
    if (event.kind === 'step' && process.stderr.isTTY)
      process.stderr.write(`\r\x1b[Kstep ${event.step + 1}, loss ${event.loss.toFixed(3)}`);
    if (event.kind === 'epoch') {
      const { accuracy = 0 } = event.validation!;
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      console.log(
        `epoch ${event.epoch + 1}: loss ${event.train.loss.toFixed(3)}, ${percent(accuracy)} of ${event.validation!.samples} validation images right, ${event.rate.toFixed(1)} images/s`,
      );
    }
    if (event.kind === 'test')
      console.log(
        `test: ${percent(event.score.accuracy!)} of ${event.score.samples} images, on which nothing was selected`,
      );
  }
  console.log(`trained in ${((performance.now() - began) / 1000).toFixed(0)} s, its test included`);
  const compiled = await compile(out, { batch: [100] });
  const merged = compiled.report.filter((a) => a.state === 'merged').length;
  console.log(`compiled: ${merged} of ${compiled.report.length} adapters merged`);
  console.log(`after: ${await rightOf(await load(compiled), digits)} of ${COUNT} digits are right`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
