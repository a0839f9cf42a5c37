/** Loaded before a command (`node --import`): leaves the seconds of processor time that its process took in the file that BENCH_PROCESSOR_TIME names. */
import { writeFileSync } from 'node:fs';

process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  writeFileSync(process.env.BENCH_PROCESSOR_TIME, String((user + system) / 1e6));
});
