/**
 * `npm run bench:prepare`: merging ViT-B/16 with KARST on all layers by the CPU, in f64, and by kernels on the driver here, and how far apart the two are.
 * Both in one run, each tensor once. Weights are random, the adapters' too.
 */
import { fileURLToPath } from 'node:url';
import { openDevice } from '../runtime/node/index.js';
import { analyseModel } from '../src/api/analyse.js';
import { loadGenerated, tensorsOf } from '../src/api/gpu.js';
import { nodeHost } from '../src/api/index.js';
import { loadParameters } from '../src/api/parameters.js';
import { generate } from '../src/codegen/generate.js';
import { rootsOf } from '../src/ir/graph.js';
import { normalStream } from '../src/ir/run/init.js';
import { interpretEach } from '../src/ir/run/interpret.js';
import type { Module, Tensor } from '../src/ir/types.js';
import { optimize } from '../src/passes/index.js';
import { seconds } from './clock.js';

const ROUNDS = 3;

const spec = fileURLToPath(new URL('./vit-b-karst.peft', import.meta.url));
const analysis = await analyseModel(spec, { host: nodeHost() });
const { get } = await loadParameters(analysis);
const { module } = optimize(analysis.elaborated.module, { adapters: 'merged' });
const prepare = module.funcs.get('prepare')!;

/** No adapter parameter is zero, or nothing would be merged. */
const made = new Map<string, Tensor>();
function params(name: string): Tensor {
  const param = module.params.get(name)!;
  if (param.data) return { type: param.type, data: param.data };
  if (param.role !== 'trainable') return get(name);
  let tensor = made.get(name);
  if (!tensor) {
    const next = normalStream(7, name);
    const count = param.type.shape.reduce((a, b) => a * b, 1);
    tensor = { type: param.type, data: Float32Array.from({ length: count }, () => 0.3 * next()) };
    made.set(name, tensor);
  }
  return tensor;
}

interface Took {
  readonly wall: number;
  readonly cpu: number;
}

async function timed(body: () => unknown): Promise<Took> {
  const [wall, cpu] = [seconds('wall'), seconds('cpu')];
  await body();
  return { wall: seconds('wall') - wall, cpu: seconds('cpu') - cpu };
}

const show = (what: string, { wall, cpu }: Took): void =>
  console.log(`  ${what.padEnd(52)} ${wall.toFixed(2).padStart(7)} s, ${cpu.toFixed(2).padStart(7)} s of CPU`);

const elements = prepare.results.reduce((n, r) => n + r.value.type.shape.reduce((a, b) => a * b, 1), 0);
console.log(
  `ViT-B/16 with KARST: ${prepare.results.length} prepared tensors, ${(elements / 1e6).toFixed(1)} million numbers`,
);

// Parameters are drawn and kept before anything is timed.
for (const p of module.params.values()) if (p.role !== 'prepared') params(p.name);
const cpu: Took[] = [];
const exact = new Map<string, Float32Array>();
for (let round = 0; round < ROUNDS; round++) {
  const took = await timed(() =>
    interpretEach(rootsOf(prepare), { params }, (root, { data }) => {
      for (const r of prepare.results) if (r.value === root) exact.set(r.name, new Float32Array(data));
      return 'done';
    }),
  );
  cpu.push(took);
  show(`CPU, f64, round ${round + 1}`, took);
}

const options = { name: 'vit-b', compiler: 'bench', weights: 'f32' as const };
const open = await openDevice();
console.log(`  on ${open.driver.name}`);
const generated = generate(module, { ...options, prepare: true });
let session: Awaited<ReturnType<typeof loadGenerated>> | undefined;
show(
  'load: upload, compiling kernels, the first prepare',
  await timed(async () => {
    session = await loadGenerated(generated, params, { device: open.device });
  }),
);
const gpu: Took[] = [];
for (let round = 0; round < ROUNDS; round++) {
  // Nothing is replaced: what is left is `prepare`.
  const took = await timed(() => session!.replace({}));
  gpu.push(took);
  show(`prepare, into tiles, round ${round + 1}`, took);
}
const dispatches = generated.program.entries.find((e) => e.name === 'prepare')!.dispatches.length;
console.log(`  ${dispatches} dispatches`);
session!.dispose();
const median = (all: readonly Took[], of: keyof Took): number =>
  all.map((t) => t[of]).sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
for (const clock of ['wall', 'cpu'] as const)
  console.log(`  GPU over CPU, median of ${ROUNDS}, ${clock}: ${(median(gpu, clock) / median(cpu, clock)).toFixed(2)}`);

const merge: Module = { ...module, funcs: new Map([['merge', { ...prepare, name: 'merge' }]]) };
const alone = await loadGenerated(generate(merge, { ...options, entries: ['merge'], prepares: true }), params, {
  device: open.device,
});
const found = tensorsOf(await alone.call('merge'));
let worst = 0;
for (const [name, wanted] of exact) {
  const { data } = found.get(name)!;
  let [largest, apart] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]!));
    apart = Math.max(apart, Math.abs(wanted[i]! - data[i]!));
  }
  worst = Math.max(worst, apart / largest);
}
console.log(`  largest difference from f64, of each tensor's largest number: ${worst.toExponential(1)}`);
alone.dispose();
open.release();
