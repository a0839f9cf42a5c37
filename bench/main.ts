/**
 * `npm run bench -- --against COMMIT_OR_FOLDER`: whether this checkout is slower than another version, in one run on one machine.
 *
 * Old, new and old again (A/A) do each thing in turn, in an order that rotates; what is said is the median of the ratios within a round, with its
 * quartiles, beside that of old/old: a difference that the same version has with itself is none. bench/README.md says what is measured.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, openGpu } from '../runtime/node/driver.js';
import { removeOnInterrupt } from '../src/formats/node/interrupt.js';
import { writeFileAtomic } from '../src/formats/node/writing.js';
import { type BenchArguments, command, parseArguments } from './arguments.js';
import { type Checkout, otherCheckout, thisCheckout } from './checkouts.js';
import { contest } from './contest.js';
import { header, type Line, lineOf, textOf } from './report.js';
import { compilations, forwardPasses } from './subjects.js';

await command(() => main(parseArguments(process.argv.slice(2))));

async function main(args: BenchArguments): Promise<void> {
  const temporary = await mkdtemp(join(tmpdir(), 'espalier-bench-'));
  const finished = removeOnInterrupt(temporary);
  try {
    await compare(args, temporary);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    finished();
  }
}

async function compare({ against, rounds, time, json, subjects }: BenchArguments, temporary: string): Promise<void> {
  const other = against === undefined ? undefined : otherCheckout(against, join(temporary, 'checkout'));
  const here = thisCheckout();
  // Old, old again, new; without another version, this one twice.
  const checkouts: readonly Checkout[] = other ? [other, other, here] : [here, here];
  const machine = {
    adapter: describe((await openGpu()).adapter),
    cores: cpus().length,
    load: loadavg()[0]!,
    node: process.version,
  };
  console.log(
    `${machine.adapter}; ${machine.cores} cores, load ${machine.load.toFixed(1)}; ${rounds} rounds, ${time} time`,
  );
  console.log(other ? `old: ${other.name}\nnew: ${here.name}` : `${here.name}, beside itself`);
  console.log(header(other !== undefined));
  const lines: Line[] = [];
  for (const subject of subjects) {
    const folder = (checkout: Checkout) => join(temporary, `${subject.name}-${checkouts.indexOf(checkout)}`);
    const prepare = subject.does === 'forward' ? forwardPasses : compilations;
    const prepared = await prepare(checkouts, subject, time, folder);
    try {
      const times = await contest(prepared.contestants, rounds);
      lines.push(lineOf(subject, prepared.runs, times, prepared.difference?.()));
    } finally {
      prepared.close();
    }
    for (const checkout of checkouts) await rm(folder(checkout), { recursive: true, force: true });
    console.log(textOf(lines.at(-1)!));
  }
  if (!other) console.log('Nothing was compared: --against COMMIT_OR_FOLDER names the version to compare with.');
  if (json !== undefined) {
    const result = { machine, rounds, time, old: (other ?? here).name, ...(other ? { new: here.name } : {}), lines };
    await writeFileAtomic(json, `${JSON.stringify(result, null, 2)}\n`);
  }
}
