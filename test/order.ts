/**
 * Files that take long come first, or one of them alone would hold up the end while the other worker has nothing to do. Vitest orders files by what they
 * took the last time, which a fresh clone does not know, or else by their size, which says little.
 */
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const ROOT = fileURLToPath(new URL('./', import.meta.url));

/** Those of more than half a minute, the longest first. */
const LONG = [
  'codegen/kernel/examples.test.ts',
  'fuzz/fuzz.test.ts',
  'search/run.test.ts',
  'segmentation/page.test.ts',
  'api/extension.test.ts',
  'train/run.test.ts',
  'train/trouble.test.ts',
  'cli/streams.test.ts',
  'train/sweep.test.ts',
  'train/browser-train.test.ts',
  'kills/kills.test.ts',
  'api/zeros.test.ts',
  'cli/use.test.ts',
  'backbones/timm.test.ts',
];

export default class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    for (const name of LONG)
      if (!existsSync(join(ROOT, name))) throw new Error(`test/order.ts lists ${name}, which is not there`);
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.indexOf(relative(ROOT, moduleId).replaceAll('\\', '/'));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
