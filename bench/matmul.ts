/**
 * How near contractions come to what the adapter can compute at all: `npm run bench:matmul [-- SHAPE...]`, shapes as MxNxK.
 *
 * The ceiling is a kernel of nothing but fused multiply-adds on registers. Ceiling and variants run interleaved, many times, and
 * the median share is of ratios within one round, the best share is best over best: machines are shared and clocks move, so absolute
 * figures are for orientation.
 * `--time cpu` counts the processor time of this process instead of elapsed time: on a software driver that is what a kernel costs,
 * however busy the machine is.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { workgroupsAt } from '../runtime/program/grid.js';
import { contractVariants } from '../src/codegen/contract/contract.js';
import { printKernel } from '../src/codegen/kernel/print.js';
import { range } from '../src/codegen/kernel/sugar.js';
import { dispatch, type Gpu, legal, openGpu, type Prepared, prepare, upload } from '../test/codegen-kernels/gpu.js';
import { type ContractShape, contractData, contractProblem, textsOf } from '../test/codegen-kernels/problems.js';
import { clockOf, command, optionsOf, positive, SHAPES, shapeOf } from './arguments.js';
import { CEILING_GROUPS, ceiling, ceilingFlops } from './ceiling.js';
import { type Clock, seconds } from './clock.js';
import { median, ratios } from './statistics.js';

interface Candidate {
  readonly name: string;
  readonly flops: number;
  readonly prepared: Prepared;
  /** Seconds to build the pipeline and run it the first time (software drivers compile at first use). */
  readonly first: number;
  /** GFLOP/s of each round. */
  readonly rates: number[];
}

/** Independent accumulators (vec4) of the ceiling kernel. */
const CHAINS = [2, 3, 4];

let time: Clock = 'wall';

await command(async () => {
  const { values, positionals } = optionsOf(() =>
    parseArgs({
      allowPositionals: true,
      options: { rounds: { type: 'string', default: '15' }, time: { type: 'string', default: 'wall' } },
    }),
  );
  const rounds = positive('--rounds', values.rounds);
  time = clockOf(values.time);
  const shapes = (positionals.length > 0 ? positionals : SHAPES).map((text) => shapeOf(text));
  const gpu = await openGpu();
  try {
    console.log(
      `${gpu.name}; ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds, ${time} time`,
    );
    for (const shape of shapes) await measure(gpu, { ...shape, weight: 'f32' }, rounds);
  } finally {
    gpu.close();
  }
});

async function measure(gpu: Gpu, shape: ContractShape, rounds: number): Promise<void> {
  const data = contractData(shape, (x) => x);
  const a = upload(gpu, data.a);
  const b = upload(gpu, data.b);
  const y = upload(gpu, new Float32Array(shape.m * shape.n));
  const candidates: Candidate[] = [];
  const add = async (name: string, flops: number, start: () => Promise<Prepared>) => {
    const from = clock();
    const prepared = await start();
    await dispatch(gpu, prepared);
    candidates.push({ name, flops, prepared, first: clock() - from, rates: [] });
  };
  for (const chains of CHAINS) {
    await add(`ceiling, ${chains} chains`, ceilingFlops(chains), () =>
      prepare(gpu, printKernel(ceiling(chains)), [CEILING_GROUPS, 1, 1], [y]),
    );
  }
  for (const [way, own] of [
    [', dy·W', { ...shape, b: 'sum' } as const],
    ['', shape],
  ] as const) {
    const { problem, buffers } = contractProblem(own);
    const weight = own === shape ? b : upload(gpu, contractData(own, (x) => x).b);
    const variants = contractVariants(problem);
    const texts = textsOf(variants, buffers);
    for (const [i, v] of variants.entries()) {
      if (!legal(gpu, v)) continue;
      await add(`${v.name}${way}`, 2 * shape.m * shape.n * shape.k, () =>
        prepare(gpu, texts[i]!, workgroupsAt(v.workgroups, 1), [a, weight, y]),
      );
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const c of candidates) {
      // Short kernels are repeated, so that a submission's own cost does not count.
      const repeats = Math.max(1, Math.round(2e8 / c.flops));
      const from = clock();
      await dispatch(gpu, c.prepared, repeats);
      c.rates.push((c.flops * repeats) / (clock() - from) / 1e9);
    }
  }
  const tops = range(rounds).map((round) =>
    Math.max(...candidates.slice(0, CHAINS.length).map((c) => c.rates[round]!)),
  );
  const top = Math.max(...tops);
  const title = `${shape.m}x${shape.n}x${shape.k}`.padEnd(26);
  // The portable one is last, and legal everywhere.
  const { rates: portable } = candidates.at(-1)!;
  console.log(`\n${title}GFLOP/s: median    best   share of the ceiling: median    best   of portable   first run`);
  for (const c of candidates) {
    const share = median(c.rates.map((rate, round) => rate / tops[round]!));
    const cells = [
      median(c.rates).toFixed(1).padStart(15),
      Math.max(...c.rates)
        .toFixed(1)
        .padStart(8),
      percent(share).padStart(31),
      percent(Math.max(...c.rates) / top).padStart(8),
      percent(ratios(c.rates, portable).median).padStart(14),
      `${c.first.toFixed(2)} s`.padStart(12),
    ];
    console.log(`  ${c.name.padEnd(24)}${cells.join('')}`);
  }
  for (const buffer of [a, b, y]) buffer.destroy();
}

/** Seconds; of processor time divided by the cores, since software drivers use them all. */
function clock(): number {
  return seconds(time) / (time === 'cpu' ? cpus().length : 1);
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(0)} %`;
}
