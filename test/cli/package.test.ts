/** What is packed is what the sources make: every entry of package.json has its source, and nothing is packed that was not built. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { version } from '../../src/api/version.js';
import { cli, ROOT } from './support.js';

const meta = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
  files: string[];
  publishConfig: Record<string, unknown>;
  exports: Record<string, Record<string, string>>;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};

test('every entry has a source, inside what is packed', () => {
  const targets = [...Object.values(meta.bin), ...Object.values(meta.exports).flatMap((e) => Object.values(e))];
  for (const target of targets) {
    const path = target.replace(/^\.\//, '');
    expect(meta.files, target).toContain(path.split('/')[0]);
    // The bundle is made of runtime/index.ts; everything else lies where its source does.
    const source =
      path === 'dist/runtime.js' ? 'runtime/index.ts' : path.replace(/^dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts');
    expect(existsSync(join(ROOT, source)), source).toBe(true);
  }
  expect(meta.scripts.prepack).toBe(meta.scripts.build);
  // No package's install script runs (onnxruntime-node's would fetch CUDA); ours does when it is published.
  expect(readFileSync(join(ROOT, '.npmrc'), 'utf8').split('\n')).toContain('ignore-scripts=true');
  expect(meta.publishConfig).toEqual({ 'ignore-scripts': false });
  // Declarations name its types.
  expect(meta.dependencies).toHaveProperty('@webgpu/types');
});

test('all say the same version', async () => {
  expect(version).toBe(meta.version);
  expect((await cli('--version')).out.trim()).toBe(meta.version);
});
