import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LongFirst from './test/order.js';

/** Where `.ci/run` wants the runner's own count. */
const report = process.env.ESPALIER_REPORT;

export default defineConfig({
  // The package's own bundle: its entry is 300 modules of lodash, which every process would load.
  resolve: {
    alias: { chevrotain: fileURLToPath(new URL('node_modules/chevrotain/lib/chevrotain.mjs', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/command.ts'],
    setupFiles: ['test/round-trip.ts', 'test/seed.ts'],
    reporters: [
      'default',
      './test/skips.ts',
      ...(report ? [['json', { outputFile: report }] as ['json', object]] : []),
    ],
    sequence: { sequencer: LongFirst },
    pool: 'forks',
    // On two cores Vitest would take one; kernels of a software driver use both, but most tests are in one thread.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
