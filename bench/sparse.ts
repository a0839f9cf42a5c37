/**
 * `npm run bench:sparse [-- SHARE...]`: ViT-S/16 with blocks of its weights pruned, by kernels that leave tiles of zeros out over those that multiply them:
 * ratios of times within a round, of one process on one driver. Weights are random; shares are percentages of each layer's blocks.
 *
 * `--block 32,16` are the outputs and inputs of a block (tiles are 32 x 16). `--time cpu` counts processor time, which is what a kernel costs on a software
 * driver, however busy the machine is.
 */
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compile, load, nodeHost } from '../src/api/index.js';
import { clockOf, command, optionsOf, positive, UsageError } from './arguments.js';
import { seconds } from './clock.js';
import { contest } from './contest.js';
import { ratios } from './statistics.js';
import { differenceOf } from './subjects.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const SHARES = ['50', '75', '90'];

await command(async () => {
  const { values, positionals } = optionsOf(() =>
    parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '7' },
        time: { type: 'string', default: 'wall' },
        block: { type: 'string', default: '32,16' },
      },
    }),
  );
  const rounds = positive('--rounds', values.rounds);
  const time = clockOf(values.time);
  if (!/^\d+,\d+$/.test(values.block)) throw new UsageError(`--block is two numbers, 32,16 say, not ${values.block}`);
  const host = nodeHost();
  console.log(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds, ${time} time`);
  for (const share of positionals.length > 0 ? positionals : SHARES) {
    const sparsity = positive('a share', share);
    const text = `use std
model Small {
  base = vit_small_patch16()
  head = classify(base, pool: cls, classes: 102)
  in base.blocks[*] {
    prune attn.qkv, attn.proj, mlp.* with magnitude(sparsity: ${sparsity}%, scope: layer, shape: block(${values.block}))
  }
}`;
    const spec = { text, path: join(HERE, 'sparse.peft') };
    const programs = await Promise.all(
      [false, true].map((skipZeros) => compile(spec, { host, golden: false, skipZeros })),
    );
    const sessions = await Promise.all(programs.map((program) => load(program)));
    const input = { tensors: { pixels: Float32Array.from({ length: 3 * 224 * 224 }, (_, i) => Math.sin(i)) } };
    const outputs: ArrayLike<number>[] = [];
    const run = async (i: number): Promise<void> => {
      outputs[i] = Object.values((await sessions[i]!.run(input)).outputs)[0] as ArrayLike<number>;
    };
    // The first run compiles kernels.
    for (const i of sessions.keys()) await run(i);
    const measured = sessions.map((_, i) => ({
      async measure() {
        const from = seconds(time);
        await run(i);
        return seconds(time) - from;
      },
    }));
    const [dense, sparse] = await contest(measured, rounds);
    const { lower, median, upper } = ratios(sparse!, dense!);
    const [whole, left] = programs.map((p) => p.program.summary);
    const x = (ratio: number): string => `${(1 / ratio).toFixed(2)}x`;
    console.log(
      `${sparsity} % of blocks of ${values.block}: ${x(median)} as fast (quartiles ${x(upper)} to ${x(lower)}); ` +
        `${(100 * (left!.flops / whole!.flops)).toFixed(0)} % of the operations, ` +
        `${(100 * (left!.weightBytes / whole!.weightBytes)).toFixed(0)} % of the bytes of weights; ` +
        `outputs differ by ${differenceOf(outputs).toExponential(1)}`,
    );
    for (const session of sessions) session.dispose();
  }
});
