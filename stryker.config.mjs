/** `npm run mutate`: scripts/mutate.mjs says what is mutated. */
export default {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'vitest.mutate.config.ts', related: false },
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  incremental: true,
  incrementalFile: 'out/mutate/incremental.json',
  tempDirName: 'out/mutate/sandbox',
  ignorePatterns: ['out', 'dist', '.cache'],
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: 'out/mutate/report.json' },
  concurrency: 2,
  timeoutMS: 5_000,
  disableTypeChecks: false,
};
