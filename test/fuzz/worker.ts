/**
 * The process that runs cases. It is told which by its parent, and writes a line before and after each one, so that the parent knows which case
 * killed or stopped it. Argument: the module that exports `KINDS`.
 */
import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type Case, decodeCase, type Kinds, makeCase, type Outcome, runCase } from './case.js';
import { type Ended, RESULTS, type Task } from './protocol.js';

const { KINDS } = (await import(process.argv[2]!)) as { readonly KINDS: Kinds };

// A parent that is killed cannot end a case that never does: a thread looks after it.
const watch = new Worker(
  `const { ppid } = process; setInterval(() => { if (process.ppid !== ppid) process.kill(process.pid, 'SIGKILL'); }, 1000);`,
  { eval: true },
);
// Its memory is nobody's case.
await once(watch, 'online');
watch.unref();

/** Largest memory so far in MiB: what was touched, and what was asked for without being touched yet. */
function peaks(): { resident: number; claimed: number } {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const of = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
    return { resident: of('VmHWM'), claimed: of('VmPeak') };
  } catch {
    const resident = process.resourceUsage().maxRSS / 1024;
    return { resident, claimed: resident };
  }
}

const say = (line: string): void => {
  writeSync(RESULTS, `${line}\n`);
};

/** MiB of address space. */
const CLAIM = 768;

async function runOne(index: number, one: Case): Promise<void> {
  const before = peaks();
  const cpu = process.cpuUsage();
  const outcome: Outcome = await runCase(KINDS, one);
  const { user, system } = process.cpuUsage(cpu);
  const after = peaks();
  const claimed = after.claimed - before.claimed;
  // V8 reserves address space by the hundred MiB when it likes; what is claimed counts where no such thing explains it.
  const memory = claimed > CLAIM ? claimed : after.resident - before.resident;
  const ended: Ended = { index, kind: one.kind, outcome, ms: (user + system) / 1000, memory };
  say(`ended ${JSON.stringify(ended)}`);
}

process.on('disconnect', () => process.exit(0));
process.on('message', async (task: Task) => {
  if ('case' in task) {
    say('began 0 case');
    await runOne(0, decodeCase(task.case));
  } else {
    for (let index = task.from; index < task.to; index++) {
      say(`began ${index} -`);
      const made = makeCase(KINDS, task.seed, index, task.only);
      say(`began ${index} ${made.kind}`);
      await runOne(index, made);
    }
  }
  say('done');
});
say('ready');
