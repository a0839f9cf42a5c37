/**
 * `npm run bench:train-step -- [--model vit-s|vit-b] [--batch 8] [--rounds 5] [--time cpu] SUBJECT...`: what a step of fine-tuning costs, in one run, in turn.
 *
 *   forward             the plain model, no adapters, as `compile` makes it, at the same batch
 *   lora, karst, full   a whole step: forward, loss, backward, AdamW, reading the loss back
 *   karst/merged        the same with `adapters = merged`: the dense product of the factors
 *   jax-lora            the same LoRA in jax-js, on the same weights; gradients are compared first
 *
 * Ratios are within a round and over the first subject. `--profile` prints the first subject's time by kind of kernel instead.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { clockOf, command, optionsOf, positive, UsageError } from '../arguments.js';
import { contest } from '../contest.js';
import { ratios, spread } from '../statistics.js';
import { VIT_B, VIT_S } from './models.js';
import { profileText } from './profile.js';
import { type Opened, openSubject } from './subjects.js';

const SIZES = { 'vit-s': VIT_S, 'vit-b': VIT_B } as const;

await command(async () => {
  const { values, positionals } = optionsOf(() =>
    parseArgs({
      allowPositionals: true,
      options: {
        model: { type: 'string', default: 'vit-s' },
        batch: { type: 'string', default: '8' },
        rounds: { type: 'string', default: '5' },
        time: { type: 'string', default: 'wall' },
        profile: { type: 'boolean', default: false },
      },
    }),
  );
  const clock = clockOf(values.time);
  const rounds = positive('--rounds', values.rounds);
  const batch = positive('--batch', values.batch);
  const model = Object.entries(SIZES).find(([name]) => name === values.model)?.[1];
  if (!model) throw new UsageError(`--model is ${Object.keys(SIZES).join(' or ')}, not ${values.model}`);
  const names = positionals.length > 0 ? positionals : ['forward', 'lora', 'karst'];
  if (values.profile) {
    // The GPU's clock is of elapsed time.
    const subject = await openSubject({ model, batch, name: names[0]!, clock: 'wall', timings: true });
    try {
      await subject.run();
      const took = await subject.measure();
      const timings = subject.timings?.();
      if (!timings) throw new UsageError(`${subject.device} has no clock, or ${names[0]} is not timed by dispatch`);
      for (const line of profileText(timings, took, 40)) console.log(line);
    } finally {
      subject.close();
    }
    return;
  }
  const opened: Opened[] = [];
  try {
    for (const name of names) opened.push(await openSubject({ model, batch, name, clock }));
    console.log(
      `${values.model}, batch ${batch}; ${opened[0]!.device}; ${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)}; ${rounds} rounds, ${clock} time`,
    );
    // The first run compiles kernels.
    for (const { run } of opened) await run();
    compareGradients(names, opened, await Promise.all(opened.map((o) => o.gradients())));
    const contestants = opened.map(({ measure }) => ({ measure }));
    const times = await contest(contestants, rounds);
    names.forEach((name, i) => {
      const { median, lower, upper } = ratios(times[i]!, times[0]!);
      const memory = opened[i]!.bytes();
      console.log(
        `${name.padEnd(14)} ${spread(times[i]!).median.toFixed(3).padStart(9)} s  x ${median.toFixed(3)} (${lower.toFixed(3)} to ${upper.toFixed(3)})  ${(memory / 1e6).toFixed(0).padStart(6)} MB of GPU buffers at most`,
      );
    });
  } finally {
    for (const o of opened) o.close();
  }
});

/** Where two compute the same, by their largest difference in any tensor, of its largest number. */
function compareGradients(
  names: readonly string[],
  opened: readonly Opened[],
  all: readonly (ReadonlyMap<string, Float32Array> | undefined)[],
): void {
  const [base, other] = [names.indexOf('lora'), names.indexOf('jax-lora')];
  if (base < 0 || other < 0) return;
  const [ours, theirs] = [all[base]!, all[other]!];
  let worst = { name: '', off: 0 };
  for (const [name, g] of ours) {
    const h = theirs.get(name)!;
    const largest = g.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const off = g.reduce((most, x, i) => Math.max(most, Math.abs(x - h[i]!)), 0) / largest;
    if (!(off <= worst.off)) worst = { name, off };
  }
  const [a, b] = [opened[base]!.loss(), opened[other]!.loss()];
  console.log(
    `losses ${a} and ${b}; gradients of ${ours.size} tensors differ by ${worst.off.toExponential(1)} of the largest at most (${worst.name})`,
  );
  if (!(worst.off < 1e-2)) throw new Error('these are not the same step');
}
