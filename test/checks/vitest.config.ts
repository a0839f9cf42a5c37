/** How `npm run checks` runs tests: from sources with a switch at every check, by a runner that uses the switches. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { Site } from './sites.js';
import { withSwitches } from './sites.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sites = JSON.parse(readFileSync(`${root}../sites.json`, 'utf8')) as Site[];

export default defineConfig({
  root,
  plugins: [
    {
      name: 'switches',
      enforce: 'pre',
      transform: (text, id) => {
        const own = sites.filter(({ file }) => id.split('?')[0] === `${root}${file}`);
        return own.length > 0 ? { code: withSwitches(text, own), map: null } : undefined;
      },
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    // Other processes, pages, other programs, minutes: no check of theirs is one that a quick test does not reach.
    exclude: [
      'test/{bench,bundlers,ci,fuzz,codegen-kernels,std}/**',
      'test/api/{kernels,stacked}.test.ts',
      'test/codegen/host.test.ts',
      'test/e2e/!(golden|golden-origin).test.ts',
      'test/cli/{checkout,package,streams}.test.ts',
      'test/codegen/kernel/!(batch).test.ts',
      'test/codegen/{examples,limits,operators,programs}-*.test.ts',
      'test/dsl/**/{fuzz,speed}.test.ts',
      'test/passes/{deep,random}.test.ts',
      'test/runtime/{browser,nameless,node,pictures,preprocess-random}.test.ts',
    ],
    setupFiles: ['test/seed.ts'],
    runner: 'test/checks/runner.ts',
    pool: 'forks',
    fileParallelism: true,
    dangerouslyIgnoreUnhandledErrors: true,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
