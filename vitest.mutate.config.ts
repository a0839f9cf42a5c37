import { defineConfig } from 'vitest/config';

/** The tests that a mutation run judges by: those of the passes and of the runtime, without a page, a GPU suite of minutes, or a process of their own. */
export default defineConfig({
  test: {
    include: [
      'test/passes/**/*.test.ts',
      'test/runtime/**/*.test.ts',
      'test/api/regions.test.ts',
      'test/dsl/semantics/merging.test.ts',
    ],
    // deep.test.ts is about thousands of values, for a minute.
    exclude: ['test/runtime/{browser,node,nameless,pictures,preprocess-random}.test.ts', 'test/passes/deep.test.ts'],
    setupFiles: ['test/seed.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
