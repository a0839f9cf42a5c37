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
import { contractVariants } from '../src/codegen/contract.js';
import { range } from '../src/codegen/kernel/sugar.js';
import { dispatch, type Gpu, legal, openGpu, type Prepared, prepare, upload } from '../test/codegen-kernels/gpu.js';
import { type ContractShape, contractData, contractProblem, textsOf } from '../test/codegen-kernels/problems.js';

interface Candidate {
  readonly name: string;
  readonly flops: number;
  readonly prepared: Prepared;
  /** Seconds to build the pipeline and run it the first time (software drivers compile at first use). */
  readonly first: number;
  /** GFLOP/s of each round. */
  readonly rates: number[];
}

/** Independent accumulators (vec4) of the ceiling kernel; which number is fastest depends on the driver's code. */
const CHAINS = [2, 3, 4];
const CEILING_GROUPS = 64;
const CEILING_TURNS = 512;
const CEILING_UNROLL = 16;

/** The square product of the design's measurements, ViT-B's MLP and a tiny ViT's. */
const SHAPES = ['768x768x768', '197x768x3072', '50x128x512'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '15' }, time: { type: 'string', default: 'wall' } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new RangeError(`--rounds ${values.rounds} is not a positive integer`);
if (values.time !== 'wall' && values.time !== 'cpu') throw new RangeError(`--time is wall or cpu, not ${values.time}`);

const gpu = await openGpu();
try {
  console.log(
    `${gpu.name}; ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds, ${values.time} time`,
  );
  for (const shape of positionals.length > 0 ? positionals : SHAPES) await measure(gpu, parseShape(shape));
} finally {
  gpu.close();
}

function parseShape(text: string): ContractShape {
  const [m = 0, n = 0, k = 0] = text.split('x').map(Number);
  if (![m, n, k].every((d) => Number.isInteger(d) && d > 0)) throw new RangeError(`a shape is MxNxK, not ${text}`);
  return { m, n, k, weight: 'f32' };
}

async function measure(gpu: Gpu, shape: ContractShape): Promise<void> {
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
      prepare(gpu, ceiling(chains), [CEILING_GROUPS, 1, 1], [y]),
    );
  }
  const { problem, buffers } = contractProblem(shape);
  const variants = contractVariants(problem);
  const texts = textsOf(variants, buffers);
  for (const [i, v] of variants.entries()) {
    if (!legal(gpu, v)) continue;
    await add(v.name, 2 * shape.m * shape.n * shape.k, () => prepare(gpu, texts[i]!, v.workgroups, [a, b, y]));
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
  console.log(`\n${title}GFLOP/s: median    best   share of the ceiling: median    best   first run`);
  for (const c of candidates) {
    const share = median(c.rates.map((rate, round) => rate / tops[round]!));
    const cells = [
      median(c.rates).toFixed(1).padStart(15),
      Math.max(...c.rates)
        .toFixed(1)
        .padStart(8),
      percent(share).padStart(31),
      percent(Math.max(...c.rates) / top).padStart(8),
      `${c.first.toFixed(2)} s`.padStart(12),
    ];
    console.log(`  ${c.name.padEnd(24)}${cells.join('')}`);
  }
  for (const buffer of [a, b, y]) buffer.destroy();
}

/** Seconds, of the wall or of all processor time of this process divided by the cores (software drivers use them all). */
function clock(): number {
  if (values.time === 'wall') return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 / cpus().length;
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(0)} %`;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((x, y) => x - y);
  return sorted[sorted.length >> 1]!;
}

function ceilingFlops(chains: number): number {
  return 2 * 4 * chains * CEILING_UNROLL * CEILING_TURNS * CEILING_GROUPS * 64;
}

function ceiling(chains: number): string {
  const c = range(chains);
  return `@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = y[id.x % 64u];
  let m = vec4f(0.999) + 0.0001 * x;
${c.map((i) => `  var c${i} = x + ${i}.0;`).join('\n')}
  for (var i = 0u; i < ${CEILING_TURNS}u; i++) {
${range(CEILING_UNROLL)
  .flatMap(() => c.map((i) => `    c${i} = fma(c${i}, m, x);`))
  .join('\n')}
  }
  y[id.x % 64u] = ${c.map((i) => `c${i}`).join(' + ')};
}
`;
}
