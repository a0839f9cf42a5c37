/**
 * `npm run bench:select`: masks for all linear weights of ViT-L's blocks, 302 million f32, at one rate over all of them: the choice alone (the cut, and what it takes), and
 * from weights to masks. Both in wall and in processor time, since no GPU has a part in it. bench/README.md has a run.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { build } from '../src/ir/build.js';
import { input } from '../src/ir/graph.js';
import type { PruneJob } from '../src/ir/prune.js';
import type { Tensor } from '../src/ir/types.js';
import { findMasks, zeroCount } from '../src/prune/index.js';
import { cutSmallest, Taker } from '../src/prune/select.js';
import { command, optionsOf, positive } from './arguments.js';

const DIM = 1024;
const SHAPES: readonly (readonly [string, number, number])[] = [
  ['qkv', 3 * DIM, DIM],
  ['proj', DIM, DIM],
  ['lin1', 4 * DIM, DIM],
  ['lin2', DIM, 4 * DIM],
];

await command(async () => {
  const { values } = optionsOf(() =>
    parseArgs({ options: { blocks: { type: 'string', default: '24' }, rate: { type: 'string', default: '0.63' } } }),
  );
  const blocks = positive('--blocks', values.blocks);
  const sparsity = Number(values.rate);
  const weights = weightsOf(blocks);
  const elements = [...weights.values()].reduce((n, w) => n + w.data.length, 0);
  console.log(`${elements} weights, rate ${sparsity}; ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}`);

  // Magnitudes are their own scores here.
  const scores = [...weights.values()].map((w) => (w.data as Float32Array).map(Math.abs));
  const masks = scores.map((s) => new Float32Array(s.length).fill(1));
  const cut = timed('choice: the cut', () => cutSmallest(scores, zeroCount(sparsity, elements)));
  timed('choice: what it takes', () => {
    const taker = new Taker(cut);
    for (const [i, s] of scores.entries()) taker.clear(s, masks[i]!, 0);
  });
  scores.length = 0;
  masks.length = 0;

  const found = timed('from weights to masks', () =>
    findMasks([jobOf(weights, sparsity)], { params: (n) => weights.get(n)! }),
  );
  const exact = found.report.zeros === zeroCount(sparsity, elements);
  console.log(`${found.report.zeros} zeros, ${exact ? 'the exact count' : 'WRONG'}; ${peak()} MiB at the most`);
});

function peak(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

function timed<T>(what: string, body: () => T): T {
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  const result = body();
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    `${what}: ${((performance.now() - wall) / 1000).toFixed(2)} s wall, ${((user + system) / 1e6).toFixed(2)} s processor`,
  );
  return result;
}

/** Sums of random bits, which are nearly normal as trained weights are. The bits are a congruential generator's: good ones would take longer than the masks. */
function weightsOf(blocks: number): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  let x = 1;
  for (let b = 0; b < blocks; b++) {
    for (const [name, rows, cols] of SHAPES) {
      const data = new Float32Array(rows * cols);
      for (let i = 0; i < data.length; i++) {
        x = (Math.imul(x, 1664525) + 1013904223) | 0;
        data[i] = (((x >>> 8) & 255) + ((x >>> 16) & 255) + (x >>> 24) - 382.5 + x / 2 ** 32) * 1e-4;
      }
      weights.set(`blocks.${b}.${name}`, { type: { dtype: 'f32', shape: [rows, cols] }, data });
    }
  }
  return weights;
}

function jobOf(weights: ReadonlyMap<string, Tensor>, sparsity: number): PruneJob {
  const score = [...weights.values()].map(({ type }) => {
    const weight = input('weight', type);
    return { name: 'score', inputs: [weight], results: [{ name: 'score', value: build.abs(weight) }], updates: [] };
  });
  return {
    criterion: 'magnitude',
    span: { file: 'bench', start: 0, end: 0 },
    targets: [...weights.keys()].map((param) => ({ param, mask: `${param}#mask`, site: param })),
    score,
    scope: 'global',
    shape: { kind: 'element' },
    over: 'base',
    sparsity,
  };
}
