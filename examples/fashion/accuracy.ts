/**
 * `npm run accuracy [-- karst karst-sparse alore lora]`: all 10,000 MNIST test images through each compiled example, beside PyTorch's predictions
 * with the same weights. Exits 1 if an accuracy differs by more than two images.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, nodeHost, openProgram, writeCompiled } from '../../src/api/index.js';
import { argmax, HERE, METHODS, reference, testDigits } from './mnist.js';

const wanted = process.argv.slice(2);
const digits = await testDigits();
for (const method of METHODS.filter((m) => wanted.length === 0 || wanted.includes(m))) {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-accuracy-'));
  try {
    await writeCompiled(await compile(join(HERE, `${method}.peft`), { host: nodeHost(), batch: [32] }), folder);
    const session = await openProgram(folder);
    try {
      const torch = await reference(method);
      let right = 0;
      let torchRight = 0;
      let same = 0;
      for (let at = 0; at < digits.count; at += 32) {
        const size = Math.min(32, digits.count - at);
        const results = await session.run({ images: Array.from({ length: size }, (_, i) => digits.image(at + i)) });
        for (const [i, { outputs }] of results.entries()) {
          const found = argmax(outputs.logits!);
          const label = digits.labels[at + i];
          if (found === label) right++;
          if (torch.predictions[at + i] === label) torchRight++;
          if (torch.predictions[at + i] === found) same++;
        }
      }
      console.log(
        `${method.padEnd(12)} Espalier ${right}, PyTorch ${torchRight} of ${digits.count} right; ${same} predictions the same`,
      );
      if (Math.abs(right - torchRight) > 2) process.exitCode = 1;
    } finally {
      session.dispose();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
