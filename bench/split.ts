/**
 * `npm run bench:sums`: long sums in one dispatch and split into parts, in one run: whole, split and whole again (A/A) take turns. A measurement is of
 * submissions without uploads or readings. bench/README.md has a run.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { deviceFacts, legalVariants } from '../runtime/device.js';
import { Layouts } from '../runtime/kernels.js';
import { workgroupsAt } from '../runtime/program/grid.js';
import type { BufferRef } from '../runtime/program/program.js';
import type { Generated } from '../src/codegen/generate.js';
import { download, type Gpu, openGpu, upload } from '../test/codegen-kernels/gpu.js';
import { clockOf, command, optionsOf, positive } from './arguments.js';
import { type Clock, seconds } from './clock.js';
import { contest } from './contest.js';
import { header, lineOf, textOf } from './report.js';
import { differenceOf } from './subjects.js';
import { argumentsOf, type LongSum, programOf, SUMS } from './sums.js';

/** A measurement is at least this long, so that clocks and waking up do not count. In seconds. */
const LONG_ENOUGH = 0.25;

await command(async () => {
  const { values } = optionsOf(() =>
    parseArgs({ options: { rounds: { type: 'string', default: '15' }, time: { type: 'string', default: 'wall' } } }),
  );
  const rounds = positive('--rounds', values.rounds);
  const time = clockOf(values.time);
  const gpu = await openGpu();
  try {
    console.log(
      `${gpu.name}; ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds, ${time} time`,
    );
    console.log('old: whole, new: split');
    console.log(header(true));
    for (const sum of SUMS) console.log(await measured(gpu, sum, rounds, time));
  } finally {
    gpu.close();
  }
});

async function measured(gpu: Gpu, sum: LongSum, rounds: number, time: Clock): Promise<string> {
  const inputs = argumentsOf(sum).map((data) => upload(gpu, data));
  const programs = [programOf(sum, false), programOf(sum, false), programOf(sum, true)];
  const runs = await Promise.all(programs.map((g) => prepared(gpu, g, inputs)));
  // Drivers compile kernels when they first run.
  for (const { submit } of runs) await submit(1);
  const outputs = await Promise.all(runs.map((r) => download(gpu, r.output, r.size)));
  const from = seconds('wall');
  await runs[0]!.submit(1);
  const times = Math.max(1, Math.ceil(LONG_ENOUGH / (seconds('wall') - from)));
  const contestants = runs.map(({ submit }) => ({
    async measure() {
      const start = seconds(time);
      await submit(times);
      return (seconds(time) - start) / times;
    },
  }));
  const line = lineOf(sum, times, await contest(contestants, rounds), differenceOf(outputs));
  for (const buffer of [...inputs, ...runs.flatMap((r) => r.buffers)]) buffer.destroy();
  return textOf(line);
}

interface Run {
  readonly buffers: readonly GPUBuffer[];
  readonly output: GPUBuffer;
  /** Elements of the output. */
  readonly size: number;
  submit(times: number): Promise<void>;
}

/** A program of one output and no weights, ready to be submitted over and over. */
async function prepared(gpu: Gpu, { program, files }: Generated, inputs: readonly GPUBuffer[]): Promise<Run> {
  const { device } = gpu;
  const [entry] = program.entries;
  const size = entry!.outputs[0]!.shape.reduce((a, b) => a * b, 1);
  const output = upload(gpu, new Float32Array(size));
  const slabs = entry!.slabs.map(({ bytes }) => upload(gpu, new Uint8Array(bytes)));
  const place = (ref: BufferRef): GPUBuffer => {
    if (ref.kind === 'weight') throw new Error('a sum has no weights');
    return ref.kind === 'arena' ? slabs[ref.slab]! : ref.kind === 'input' ? inputs[ref.index]! : output;
  };
  const layouts = new Layouts(device);
  const uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM });
  const samples = device.createBindGroup({
    layout: layouts.run,
    entries: [{ binding: 0, resource: { buffer: uniform } }],
  });
  const steps = await Promise.all(
    entry!.dispatches.map(async (d) => {
      const kernel = program.kernels[d.kernel]!;
      const [variant] = legalVariants(kernel.variants, deviceFacts(device));
      const layout = layouts.of(kernel.bindings);
      const module = device.createShaderModule({ code: files.get(kernel.variants[variant!]!.file)! });
      return {
        pipeline: await device.createComputePipelineAsync({
          layout: layout.pipeline,
          compute: { module, entryPoint: 'main' },
        }),
        group: device.createBindGroup({
          layout: layout.group,
          entries: d.bindings.map((ref, binding) => ({
            binding,
            resource: { buffer: place(ref), offset: ref.offset, size: ref.bytes },
          })),
        }),
        workgroups: workgroupsAt(d.workgroups[variant!]!, 1),
      };
    }),
  );
  return {
    buffers: [output, uniform, ...slabs],
    output,
    size,
    async submit(times) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setBindGroup(1, samples);
      for (let i = 0; i < times; i++) {
        for (const { pipeline, group, workgroups } of steps) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(...workgroups);
        }
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
  };
}
